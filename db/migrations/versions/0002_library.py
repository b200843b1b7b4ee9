"""What the library is searched by, near-duplicates, watched folders, bytes that are to go."""

import re
import unicodedata
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
STEP = 1000
FILTERED = ["state", "not_sure", "shown_label_id", "camera_id", "format"]
PHOTO_INDEXES = {
    "ix_photos_dated": ["dated_at", "id", *FILTERED, "shown_score", "name_key"],
    "ix_photos_score": ["shown_score", "id", *FILTERED, "dated_at", "name_key"],
    "ix_photos_name": ["name_key", "id", *FILTERED, "dated_at", "shown_score"],
    "ix_photos_newest": ["id", *FILTERED, "dated_at", "shown_score", "name_key"],
    "ix_photos_label_dated": [
        *("shown_label_id", "dated_at", "id"),
        *("state", "not_sure", "camera_id", "format", "shown_score"),
    ],
    "ix_photos_camera_dated": ["camera_id", "dated_at", "id"],
    "ix_photos_format_dated": ["format", "dated_at", "id"],
    "ix_photos_unsure": ["dated_at", "id", "state", "shown_label_id", "camera_id", "format", "shown_score"],
    "ix_photos_unsure_score": ["shown_score", "id", "state", "shown_label_id", "camera_id", "format", "dated_at"],
    "ix_photos_not_tagged": [
        *("state", "dated_at", "id"),
        *("not_sure", "shown_label_id", "camera_id", "format", "shown_score"),
    ],
}
BATCH_STATE = ["batch_id", "state", "code", "finished_at"]
UNSURE = sa.text("not_sure")
PARTIAL = {
    "ix_photos_unsure": UNSURE,
    "ix_photos_unsure_score": UNSURE,
    "ix_photos_not_tagged": sa.text("state <> 'tagged'"),
}

STATE = "ck_photos_state CHECK (state IN ('untagged', 'tagged', 'refused', 'failed'))"


def upgrade() -> None:
    """Adds columns to photos and items, fills them, and makes the new tables."""
    _make_cameras()
    for column in _photo_columns():
        op.add_column("photos", column)
    # with its check in one statement: SQLite would have to copy the table to add that later
    op.execute(f"ALTER TABLE photos ADD COLUMN state VARCHAR(12) DEFAULT 'untagged' NOT NULL CONSTRAINT {STATE}")
    if _is_postgres():
        op.execute("COMMENT ON COLUMN photos.state IS 'tagged once any version has; else how its last item ended'")
    _make_words()
    _fill_photos()
    op.drop_index("ix_photos_shown_label_id_shown_score", "photos")
    for name, columns in PHOTO_INDEXES.items():
        where = PARTIAL.get(name)
        op.create_index(name, "photos", columns, sqlite_where=where, postgresql_where=where)
    op.add_column(
        "items", sa.Column("gone_at", TIME, nullable=True, comment="when a watched folder no longer had the file")
    )
    op.drop_index("ix_items_photo_id", "items")
    op.create_index("ix_items_photo_id", "items", ["photo_id", "batch_id"])
    op.drop_index("ix_items_batch_state", "items")
    op.create_index("ix_items_batch_state", "items", [*BATCH_STATE, "photo_id"])
    _make_hashes()
    _make_watched()
    _make_garbage()


def downgrade() -> None:
    """Takes all of it back."""
    for table in ("garbage", "watched_files", "watched_folders", "photo_hashes", "photo_words"):
        op.drop_table(table)
    op.drop_index("ix_items_photo_id", "items")
    op.create_index("ix_items_photo_id", "items", ["photo_id"])
    op.drop_index("ix_items_batch_state", "items")
    op.create_index("ix_items_batch_state", "items", BATCH_STATE)
    op.drop_column("items", "gone_at")
    for name in PHOTO_INDEXES:
        op.drop_index(name, "photos")
    op.create_index("ix_photos_shown_label_id_shown_score", "photos", ["shown_label_id", "shown_score"])
    for column in ("state", *(column.name for column in _photo_columns())):
        op.drop_column("photos", column)
    op.drop_table("cameras")


def _in_byte_order(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _photo_columns() -> list[sa.Column[Any]]:
    name = "file name at its first place; shown, harmless"
    dated = "taken_at; until that is known, or where it is not, when the photo came (UTC)"
    empty = sa.text("''")
    return [
        sa.Column("name", sa.String(length=255), nullable=False, server_default=empty, comment=name),
        sa.Column(
            "name_key",
            _in_byte_order(255),
            nullable=False,
            server_default=empty,
            comment="the name in NFC, case folded",
        ),
        sa.Column(
            "dated_at", sa.DateTime(), nullable=False, server_default="1970-01-01 00:00:00.000000", comment=dated
        ),
        sa.Column("camera_id", ID, nullable=True, comment="of cameras, which are never deleted: no reference to check"),
        sa.Column("latitude", sa.Double(), nullable=True, comment="degrees north, -90 to 90"),
        sa.Column("longitude", sa.Double(), nullable=True, comment="degrees east, -180 to 180"),
        sa.Column("exif", sa.JSON(), nullable=True, comment="lens, exposure and the like; shown, harmless"),
    ]


def _fill_photos() -> None:
    """From what is known already: dates, states, and the name at the first place of each photo; flat in memory."""
    op.execute("UPDATE photos SET dated_at = coalesce(taken_at, created_at)")
    op.execute("UPDATE photos SET state = 'tagged' WHERE shown_label_id IS NOT NULL")
    op.execute(
        "UPDATE photos SET state = last.state FROM items AS last WHERE last.photo_id = photos.id"
        " AND photos.state = 'untagged' AND last.state IN ('refused', 'failed')"
        " AND last.id = (SELECT max(id) FROM items WHERE items.photo_id = photos.id)"
    )
    connection = op.get_bind()
    page = sa.text(
        "SELECT p.id, i.path FROM photos p JOIN items i"
        " ON i.id = (SELECT min(f.id) FROM items f WHERE f.photo_id = p.id)"
        " WHERE p.id > :after ORDER BY p.id LIMIT :step"
    )
    change = sa.text("UPDATE photos SET name = :name, name_key = :key WHERE id = :id")
    add = sa.text("INSERT INTO photo_words (word, photo_id) VALUES (:word, :id)")
    after = 0
    while rows := connection.execute(page, {"after": after, "step": STEP}).all():
        after = rows[-1].id
        names = [(row.id, row.path.rpartition("/")[2][-255:]) for row in rows]
        connection.execute(change, [{"id": id_, "name": name, "key": _key(name)} for id_, name in names])
        words = [{"word": word, "id": id_} for id_, name in names for word in _words(name)]
        if words:
            connection.execute(add, words)


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())[:255]


def _words(name: str) -> list[str]:
    """As db.names.words_of does when this was written."""
    found = [word[:40] for word in re.findall(r"[^\W_]+", _key(name))]
    return sorted(dict.fromkeys(found[:12]))


def _make_cameras() -> None:
    op.create_table(
        "cameras",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False, comment="shown, harmless"),
        sa.PrimaryKeyConstraint("id", name="pk_cameras"),
        sa.UniqueConstraint("name", name="uq_cameras_name"),
    )


def _make_words() -> None:
    op.create_table(
        "photo_words",
        sa.Column("word", _in_byte_order(40), nullable=False, comment="in NFC, case folded"),
        sa.Column("photo_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_photo_words_photo_id_photos", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("word", "photo_id", name="pk_photo_words"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_photo_words_photo_id", "photo_words", ["photo_id"])


def _make_hashes() -> None:
    group = "photos that look alike share it: the smallest id among them when it was made; null while alone"
    apart = "when a person said that it is no duplicate of its group; forgotten when another photo joins"
    op.create_table(
        "photo_hashes",
        sa.Column("photo_id", ID, autoincrement=False, nullable=False),
        sa.Column("phash", sa.BigInteger(), nullable=False, comment="imagehash.phash, 64 bits read as a signed number"),
        sa.Column("quarter_0", sa.Integer(), nullable=False, comment="its lowest 16 bits, 0 to 65535"),
        sa.Column("quarter_1", sa.Integer(), nullable=False),
        sa.Column("quarter_2", sa.Integer(), nullable=False),
        sa.Column("quarter_3", sa.Integer(), nullable=False, comment="its highest 16 bits"),
        sa.Column("group_id", ID, nullable=True, comment=group),
        sa.Column("told_apart_at", TIME, nullable=True, comment=apart),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name="fk_photo_hashes_photo_id_photos", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("photo_id", name="pk_photo_hashes"),
    )
    for number in range(4):
        quarter = f"quarter_{number}"
        op.create_index(f"ix_photo_hashes_{quarter}", "photo_hashes", [quarter, "phash", "photo_id"])
    for name, condition, columns in (
        ("ix_photo_hashes_group", "group_id IS NOT NULL", ["group_id", "photo_id"]),
        ("ix_photo_hashes_shown", "group_id IS NOT NULL AND told_apart_at IS NULL", ["photo_id", "group_id"]),
        ("ix_photo_hashes_told_apart", "told_apart_at IS NOT NULL", ["group_id"]),
    ):
        where = sa.text(condition)
        op.create_index(name, "photo_hashes", columns, sqlite_where=where, postgresql_where=where)


def _make_watched() -> None:
    op.create_table(
        "watched_folders",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("path", sa.Text(), nullable=False, comment="absolute"),
        sa.Column("path_sha256", sa.String(length=64), nullable=False, comment="lower-case hex SHA-256"),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("scanned_at", TIME, nullable=True, comment="end of the last complete look"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_watched_folders_owner_id_users"),
        sa.PrimaryKeyConstraint("id", name="pk_watched_folders"),
        sa.UniqueConstraint("owner_id", "path_sha256", name="uq_watched_folders_owner_id_path_sha256"),
    )
    op.create_table(
        "watched_files",
        sa.Column("folder_id", ID, nullable=False),
        sa.Column("path_sha256", sa.String(length=64), nullable=False, comment="lower-case hex SHA-256"),
        sa.Column("path", sa.Text(), nullable=False, comment="within the folder"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.String(length=12), nullable=True, comment="where it was submitted last"),
        sa.Column("gone_at", TIME, nullable=True, comment="when it was no longer found"),
        sa.ForeignKeyConstraint(
            ["folder_id"],
            ["watched_folders.id"],
            name="fk_watched_files_folder_id_watched_folders",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name="fk_watched_files_batch_id_batches", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("folder_id", "path_sha256", name="pk_watched_files"),
    )
    op.create_index("ix_watched_files_batch_id", "watched_files", ["batch_id"])


def _make_garbage() -> None:
    op.create_table(
        "garbage",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False, comment="photo, archive, shard, batch or turn"),
        sa.Column(
            "key",
            sa.String(length=120),
            nullable=False,
            comment="SHA-256, the shard's key, the batch's id, or what is done in turn",
        ),
        sa.Column("queued_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_garbage"),
        sa.UniqueConstraint("kind", "key", name="uq_garbage_kind_key"),
    )
