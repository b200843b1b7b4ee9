"""Review: accounts with passwords and tokens, verdicts and their undo, leases, hints, changes of labels, an audit log."""

import unicodedata
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
SHA256 = "lower-case hex SHA-256"
STEP = 5000
UNREVIEWED = "reviewed_at IS NULL AND state = 'tagged'"
FACTS_AND_SCORE = ("camera_id", "format", "dated_at", "shown_score")
PARTIAL = (
    ("ix_photos_to_review_draw", "photos", UNREVIEWED, ["draw", "id", "not_sure", "shown_label_id", *FACTS_AND_SCORE]),
    (
        "ix_photos_to_review_label",
        "photos",
        UNREVIEWED,
        ["shown_label_id", "shown_score", "id", "draw", "not_sure", "camera_id", "format", "dated_at"],
    ),
    (
        "ix_photos_to_review_margin",
        "photos",
        f"not_sure AND {UNREVIEWED}",
        ["margin", "id", "draw", "shown_label_id", *FACTS_AND_SCORE],
    ),
    (
        "ix_photos_reviewed",
        "photos",
        "reviewed_at IS NOT NULL",
        ["review_state", "shown_label_id", "reviewed_at", "id"],
    ),
    ("ix_photo_features_without_code", "photo_features", "code IS NULL", ["shard_id"]),
    ("ix_reviews_audit", "reviews", "reason = 'audit'", ["model_label_id", "photo_id"]),
    ("ix_review_hints_open", "review_hints", "NOT settled", ["reason", "urgency", "photo_id"]),
)


def upgrade() -> None:
    """Adds columns to users, labels, photos and photo_features, fills them, and makes the new tables."""
    hashed = "argon2id with its parameters; null: enters by login links only"
    op.add_column("users", sa.Column("password_hash", sa.Text(), nullable=True, comment=hashed))
    op.add_column("users", sa.Column("disabled_at", TIME, nullable=True, comment="no way in since then"))
    _add_name_key()
    op.create_index("ix_login_sessions_user_id", "login_sessions", ["user_id"])
    _add_to_labels()
    _add_to_photos()
    code = "512 bits of which photos with like features have most in common; empty where the file is gone"
    op.add_column("photo_features", sa.Column("code", sa.LargeBinary(64), nullable=True, comment=code))
    op.create_table(
        "feature_centres",
        sa.Column("space", sa.String(64), nullable=False, comment=SHA256),
        sa.Column("centre", sa.LargeBinary(), nullable=False, comment="float32 of each channel, little endian"),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("space", name="pk_feature_centres"),
    )
    _make_people()
    _make_reviews()
    _make_label_changes()
    for name, table, condition, columns in PARTIAL:
        where = sa.text(condition)
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Takes all of it back; photos show what was last shown of them."""
    for name, table, *_ in PARTIAL:
        op.drop_index(name, table)
    for table in (
        *("label_changes", "review_hints", "review_leases", "reviews", "review_actions"),
        *("audit_log", "api_tokens", "login_failures"),
    ):
        op.drop_table(table)
    op.drop_table("feature_centres")
    op.drop_column("photo_features", "code")
    for column in ("draw", "reviewed_at", "review_state", "margin"):
        op.drop_column("photos", column)
    op.drop_column("labels", "retired_at")
    op.drop_index("ix_labels_merged_into_id", "labels")
    op.drop_column("labels", "merged_into_id")
    op.drop_index("ix_login_sessions_user_id", "login_sessions")
    op.drop_index("ix_users_name_key", "users")
    op.drop_column("users", "name_key")
    op.drop_column("users", "disabled_at")
    op.drop_column("users", "password_hash")


def _is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _add(table: str, definition: str, comment: str) -> None:
    """A column with its constraints in one statement: SQLite would have to copy the table to add those later."""
    op.execute(f"ALTER TABLE {table} ADD COLUMN {definition}")
    if _is_postgres():
        op.execute(f"COMMENT ON COLUMN {table}.{definition.split(maxsplit=1)[0]} IS '{comment}'")


def _add_name_key() -> None:
    key = "the name in NFC, case folded"
    op.add_column("users", sa.Column("name_key", sa.String(192), nullable=False, server_default="", comment=key))
    connection = op.get_bind()
    change = sa.text("UPDATE users SET name_key = :key WHERE id = :id")
    for row in connection.execute(sa.text("SELECT id, name FROM users")).all():
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", row.name).casefold())
        connection.execute(change, {"id": row.id, "key": " ".join(folded.split())})
    op.create_index("ix_users_name_key", "users", ["name_key"], unique=True)


def _add_to_labels() -> None:
    merged = "stands for that label, which is merged into no other; its name still finds it. Labels are never deleted"
    op.add_column("labels", sa.Column("merged_into_id", ID, nullable=True, comment=merged))
    op.create_index("ix_labels_merged_into_id", "labels", ["merged_into_id"])
    retired = "no longer offered; photos that have it keep it"
    op.add_column("labels", sa.Column("retired_at", TIME, nullable=True, comment=retired))


def _add_to_photos() -> None:
    margin = "how far the second label's score is below the first, [0, 1]"
    op.add_column("photos", sa.Column("margin", sa.Double(), nullable=True, comment=margin))
    states = "CONSTRAINT ck_photos_review_state CHECK (review_state IN ('labelled', 'none', 'unsure'))"
    said = "as the last verdict that counts: labelled, none, unsure; null while there is none"
    _add("photos", f"review_state VARCHAR(8) {states}", said)
    both = "CONSTRAINT ck_photos_reviewed CHECK ((review_state IS NULL) = (reviewed_at IS NULL))"
    kind = "TIMESTAMP WITH TIME ZONE" if _is_postgres() else "DATETIME"
    _add("photos", f"reviewed_at {kind} {both}", "when that verdict was given")
    draw = "the hash's first 28 bits: the order in which photos are drawn at random"
    op.add_column("photos", sa.Column("draw", sa.Integer(), nullable=False, server_default="0", comment=draw))
    _fill_draw()
    score = "(SELECT score FROM predictions WHERE photo_id = photos.id AND model_version_id = shown_model_version_id"
    op.execute(
        f"UPDATE photos SET margin = {score} AND rank = 1) - coalesce({score} AND rank = 2), 0)"  # noqa: S608 - ours
        " WHERE shown_model_version_id IS NOT NULL"
    )


def _fill_draw() -> None:
    connection = op.get_bind()
    page = sa.text("SELECT id, sha256 FROM photos WHERE id > :after ORDER BY id LIMIT :step")
    change = sa.text("UPDATE photos SET draw = :draw WHERE id = :id")
    after = 0
    while rows := connection.execute(page, {"after": after, "step": STEP}).all():
        after = rows[-1].id
        connection.execute(change, [{"id": row.id, "draw": int(row.sha256[:7], 16)} for row in rows])


def _primary(table: str) -> list[Any]:
    return [sa.Column("id", ID, autoincrement=True, nullable=False), sa.PrimaryKeyConstraint("id", name=f"pk_{table}")]


def _refers(table: str, column: str, other: str, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=f"fk_{table}_{column}_{other}", ondelete=ondelete)


def _make_people() -> None:
    typed = "the name as typed, case folded, cut"
    op.create_table(
        "login_failures",
        sa.Column("name_key", sa.String(64), nullable=False, comment=typed),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_until", TIME, nullable=True),
        sa.Column("last_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name_key", "address", name="pk_login_failures"),
    )
    op.create_index("ix_login_failures_last_at", "login_failures", ["last_at"])
    op.create_table(
        "api_tokens",
        *_primary("api_tokens"),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("token_sha256", sa.String(64), nullable=False, comment=SHA256),
        sa.Column("scopes", sa.String(200), nullable=False, comment="comma separated"),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=True),
        sa.Column("last_used_at", TIME, nullable=True, comment="to a few minutes"),
        sa.Column("revoked_at", TIME, nullable=True),
        _refers("api_tokens", "user_id", "users", "CASCADE"),
        sa.UniqueConstraint("user_id", "name", name="uq_api_tokens_user_id_name"),
        sa.UniqueConstraint("token_sha256", name="uq_api_tokens_token_sha256"),
    )
    nobody = "null: nobody was logged in, or the command line without accounts"
    op.create_table(
        "audit_log",
        *_primary("audit_log"),
        sa.Column("at", TIME, nullable=False),
        sa.Column("user_id", ID, nullable=True, comment=nobody),
        sa.Column("action", sa.String(40), nullable=False, comment="e.g. users.disable"),
        sa.Column("subject", sa.String(200), nullable=False, comment="what it was done to; shown, harmless"),
        sa.Column("details", sa.JSON(), nullable=True, comment="never a secret"),
        _refers("audit_log", "user_id", "users"),
    )
    op.create_index("ix_audit_log_user_id", "audit_log", ["user_id", "id"])
    op.create_index("ix_audit_log_action", "audit_log", ["action", "id"])


def _make_reviews() -> None:
    resent = "made by the client: a request sent again is one action"
    op.create_table(
        "review_actions",
        *_primary("review_actions"),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("token", sa.String(64), nullable=False, comment=resent),
        sa.Column("source", sa.String(12), nullable=False, comment="single, grid, alike, library, import or api"),
        sa.Column("at", TIME, nullable=False),
        sa.Column("undoes_id", ID, nullable=True, comment="the action that this one takes back; each only once"),
        _refers("review_actions", "user_id", "users"),
        _refers("review_actions", "undoes_id", "review_actions"),
        sa.UniqueConstraint("user_id", "token", name="uq_review_actions_user_id_token"),
        sa.UniqueConstraint("undoes_id", name="uq_review_actions_undoes_id"),
    )
    op.create_index("ix_review_actions_user_id", "review_actions", ["user_id", "id"])
    op.create_index("ix_review_actions_at", "review_actions", ["at"])
    _make_verdicts()
    tab = "the tab, by a name that it made: two tabs share no photo"
    op.create_table(
        "review_leases",
        sa.Column("photo_id", ID, autoincrement=False, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("seat", sa.String(40), nullable=False, comment=tab),
        sa.Column("until", sa.Double(), nullable=False),
        _refers("review_leases", "photo_id", "photos", "CASCADE"),
        _refers("review_leases", "user_id", "users", "CASCADE"),
        sa.PrimaryKeyConstraint("photo_id", name="pk_review_leases"),
    )
    op.create_index("ix_review_leases_seat", "review_leases", ["user_id", "seat"])
    op.create_table(
        "review_hints",
        sa.Column("photo_id", ID, autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(16), nullable=False, comment="disagree, mislabelled or contradiction"),
        sa.Column("urgency", sa.Double(), nullable=False, comment="in [0, 1], the greatest first"),
        sa.Column("at", TIME, nullable=False),
        sa.Column(
            "settled",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="the verdict that counts is younger; written with it",
        ),
        _refers("review_hints", "photo_id", "photos", "CASCADE"),
        sa.PrimaryKeyConstraint("photo_id", "reason", name="pk_review_hints"),
    )


def _make_verdicts() -> None:
    verdicts = "'accept', 'correct', 'none', 'unsure', 'skip', 'undo'"
    op.create_table(
        "reviews",
        *_primary("reviews"),
        sa.Column("action_id", ID, nullable=False),
        sa.Column("photo_id", ID, nullable=False),
        sa.Column("verdict", sa.String(8), nullable=False),
        sa.Column(
            "label_id",
            ID,
            nullable=True,
            comment="as it was said; a label that was merged since stands for the other",
        ),
        sa.Column("reason", sa.String(16), nullable=True, comment="why the photo was shown; null: it was chosen"),
        sa.Column(
            "model_version_id",
            ID,
            nullable=True,
            comment="what pages showed of the model, null if it had not seen the photo",
        ),
        sa.Column("model_label_id", ID, nullable=True, comment="its first label then"),
        sa.Column("model_score", sa.Double(), nullable=True, comment="of that label, in [0, 1]"),
        sa.Column(
            "chosen_rank", sa.Integer(), nullable=True, comment="1 to 5: the label was one of the model's; null: typed"
        ),
        sa.Column(
            "took_ms", sa.Integer(), nullable=True, comment="from the photo on the screen to the key, as the page says"
        ),
        sa.CheckConstraint(f"verdict IN ({verdicts})", name="ck_reviews_verdict"),
        sa.CheckConstraint("(verdict IN ('accept', 'correct')) = (label_id IS NOT NULL)", name="ck_reviews_label"),
        _refers("reviews", "action_id", "review_actions"),
        _refers("reviews", "photo_id", "photos", "CASCADE"),
        _refers("reviews", "label_id", "labels"),
        _refers("reviews", "model_version_id", "model_versions"),
        sa.UniqueConstraint("action_id", "photo_id", name="uq_reviews_action_id_photo_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_reviews_photo_id", "reviews", ["photo_id", "id"])
    op.create_index("ix_reviews_label_id", "reviews", ["label_id", "photo_id"])


def _make_label_changes() -> None:
    kinds = "'add', 'rename', 'parent', 'merge', 'retire', 'restore', 'undo'"
    op.create_table(
        "label_changes",
        *_primary("label_changes"),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("label_id", ID, nullable=False),
        sa.Column("before", sa.JSON(), nullable=False, comment="what the change replaced, as far as undo needs it"),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("user_id", ID, nullable=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("undoes_id", ID, nullable=True),
        sa.CheckConstraint(f"kind IN ({kinds})", name="ck_label_changes_kind"),
        _refers("label_changes", "label_id", "labels"),
        _refers("label_changes", "user_id", "users"),
        _refers("label_changes", "undoes_id", "label_changes"),
        sa.UniqueConstraint("undoes_id", name="uq_label_changes_undoes_id"),
    )
    op.create_index("ix_label_changes_label_id", "label_changes", ["label_id"])
