"""Every table of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# SQLite makes only an INTEGER primary key its row id; PostgreSQL wants 64 bits.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Makes all tables."""
    op.create_table(
        "feature_shards",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column(
            "space", sa.String(length=64), nullable=False, comment="hash of backbone weights, layer and decode version"
        ),
        sa.Column("key", sa.String(length=120), nullable=False, comment="name in the blob store"),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feature_shards"),
        sa.UniqueConstraint("key", name="uq_feature_shards_key"),
    )
    op.create_index("ix_feature_shards_space", "feature_shards", ["space"])

    op.create_table(
        "labels",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("name_key", sa.String(length=200), nullable=False),
        sa.Column("parent_id", ID, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["labels.id"], name="fk_labels_parent_id_labels"),
        sa.PrimaryKeyConstraint("id", name="pk_labels"),
        sa.UniqueConstraint("name_key", name="uq_labels_name_key"),
    )
    op.create_index("ix_labels_parent_id", "labels", ["parent_id"])

    op.create_table(
        "model_versions",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False, comment="built-in, or trained"),
        sa.Column(
            "artifact",
            sa.Text(),
            nullable=False,
            comment="'package:starter' for one that ships with the code, else the folder's SHA-256 under models/",
        ),
        sa.Column("card", sa.JSON(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_model_versions"),
        sa.UniqueConstraint("name", name="uq_model_versions_name"),
    )
    op.create_table(
        "users",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.CheckConstraint("role IN ('owner', 'reviewer', 'admin')", name=op.f("ck_users_role")),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
    )
    op.create_table(
        "active_version",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model_version_id", ID, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_active_version_one_row")),
        sa.ForeignKeyConstraint(
            ["model_version_id"], ["model_versions.id"], name="fk_active_version_model_version_id_model_versions"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_active_version"),
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.String(length=12), nullable=False, comment="random, in the batch's address"),
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False, comment="shown; e.g. the folder's or archive's name"),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=True, comment="why it was refused"),
        sa.Column(
            "priority",
            sa.Integer(),
            nullable=False,
            comment="0 single photo, 2 small batch, 5 folder, 8 re-tag; less goes first",
        ),
        sa.Column("idem_key", sa.String(length=64), nullable=True, comment="a repeat with this key is the same batch"),
        sa.Column(
            "source_key",
            sa.String(length=64),
            nullable=True,
            comment="hash of the paths named on the command line: finds the batch to resume",
        ),
        sa.Column("retry_of_id", sa.String(length=12), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.CheckConstraint(
            "state IN ('receiving', 'unpacking', 'running', 'finished', 'cancelled', 'refused')",
            name=op.f("ck_batches_state"),
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_batches_owner_id_users"),
        sa.ForeignKeyConstraint(["retry_of_id"], ["batches.id"], name="fk_batches_retry_of_id_batches"),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
        sa.UniqueConstraint("owner_id", "idem_key", name="uq_batches_owner_id_idem_key"),
    )
    op.create_index(
        "ix_batches_open",
        "batches",
        ["state"],
        sqlite_where=sa.text("state IN ('receiving', 'unpacking', 'running')"),
        postgresql_where=sa.text("state IN ('receiving', 'unpacking', 'running')"),
    )
    op.create_index("ix_batches_owner_id_created_at", "batches", ["owner_id", "created_at"])
    op.create_index("ix_batches_source_key", "batches", ["source_key"])

    op.create_table(
        "login_links",
        sa.Column("token_sha256", sa.String(length=64), nullable=False, comment="lower-case hex SHA-256"),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("used_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_login_links_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_login_links"),
    )
    op.create_table(
        "login_sessions",
        sa.Column("token_sha256", sa.String(length=64), nullable=False, comment="lower-case hex SHA-256"),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False, comment="slides with use, up to the absolute limit"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_login_sessions_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_login_sessions"),
    )
    op.create_table(
        "model_version_labels",
        sa.Column("model_version_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("label_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["label_id"], ["labels.id"], name="fk_model_version_labels_label_id_labels"),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_versions.id"],
            name="fk_model_version_labels_model_version_id_model_versions",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model_version_id", "position", name="pk_model_version_labels"),
    )
    op.create_index("ix_model_version_labels_label_id", "model_version_labels", ["label_id"])

    op.create_table(
        "photos",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False, comment="lower-case hex SHA-256"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("format", sa.String(length=8), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True, comment="px, after EXIF orientation"),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("taken_at", sa.DateTime(), nullable=True, comment="camera's local time as EXIF has it, without zone"),
        sa.Column("notes", sa.Text(), nullable=True, comment="decoder's notes, comma separated, e.g. FIRST_FRAME_ONLY"),
        sa.Column("has_previews", sa.Boolean(), nullable=False),
        sa.Column("shown_label_id", ID, nullable=True),
        sa.Column("shown_score", sa.Double(), nullable=True, comment="in [0, 1]"),
        sa.Column("shown_origin", sa.String(length=8), nullable=True),
        sa.Column("shown_model_version_id", ID, nullable=True),
        sa.Column("not_sure", sa.Boolean(), nullable=False, comment="the first label's score is under the threshold"),
        sa.CheckConstraint("shown_origin IN ('person', 'model')", name=op.f("ck_photos_shown_origin")),
        sa.ForeignKeyConstraint(["shown_label_id"], ["labels.id"], name="fk_photos_shown_label_id_labels"),
        sa.ForeignKeyConstraint(
            ["shown_model_version_id"], ["model_versions.id"], name="fk_photos_shown_model_version_id_model_versions"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_photos"),
        sa.UniqueConstraint("sha256", name="uq_photos_sha256"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_photos_shown_label_id_shown_score", "photos", ["shown_label_id", "shown_score"])

    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=80), nullable=False, comment="host, pid and a random part"),
        sa.Column("queues", sa.String(length=80), nullable=False, comment="comma separated"),
        sa.Column("device", sa.String(length=80), nullable=False),
        sa.Column("note", sa.String(length=400), nullable=False, comment="what it wants a person to know"),
        sa.Column("model_version_id", ID, nullable=True),
        sa.Column("heartbeat_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_versions.id"],
            name="fk_workers_model_version_id_model_versions",
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )
    op.create_table(
        "archives",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("batch_id", sa.String(length=12), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="1, 2, ... within the batch; items carry it"),
        sa.Column("path", sa.String(length=1024), nullable=False, comment="shown, harmless"),
        sa.Column("source_path", sa.Text(), nullable=True, comment="where it lies, if read in place"),
        sa.Column("sha256", sa.String(length=64), nullable=True, comment="its blob, if it was uploaded"),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=True),
        sa.Column("detail", sa.String(length=200), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(length=80), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.CheckConstraint(
            "state IN ('ready', 'leased', 'unpacked', 'refused', 'cancelled')", name=op.f("ck_archives_state")
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_archives_batch_id_batches", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_archives"),
        sa.UniqueConstraint("batch_id", "number", name="uq_archives_batch_id_number"),
    )
    op.create_index(
        "ix_archives_open",
        "archives",
        ["state"],
        sqlite_where=sa.text("state IN ('ready', 'leased')"),
        postgresql_where=sa.text("state IN ('ready', 'leased')"),
    )

    op.create_table(
        "items",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("batch_id", sa.String(length=12), nullable=False),
        sa.Column("archive_number", sa.Integer(), nullable=False, comment="0: not from an archive"),
        sa.Column("position", sa.Integer(), nullable=False, comment="order in the folder, archive or upload"),
        sa.Column(
            "path", sa.String(length=1024), nullable=False, comment="as in the folder or archive; shown, harmless"
        ),
        sa.Column("source_path", sa.Text(), nullable=True, comment="absolute path, if read in place"),
        sa.Column("photo_id", ID, nullable=True, comment="null when refused before hashing"),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=True),
        sa.Column("detail", sa.String(length=200), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("suspect", sa.Boolean(), nullable=False, comment="in flight when a worker died: retried alone"),
        sa.Column("strikes", sa.Integer(), nullable=False, comment="leases lost while alone"),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="raised by every claim; fences late finishers"),
        sa.Column("lease_owner", sa.String(length=80), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("not_before", sa.Double(), nullable=False),
        sa.Column("model_version_id", ID, nullable=True, comment="the version that tagged it"),
        sa.Column("finished_at", TIME, nullable=True),
        sa.CheckConstraint("(state = 'leased') = (lease_owner IS NOT NULL)", name=op.f("ck_items_lease")),
        sa.CheckConstraint(
            "state IN ('ready', 'leased', 'tagged', 'refused', 'failed', 'cancelled')", name=op.f("ck_items_state")
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_items_batch_id_batches", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["model_version_id"], ["model_versions.id"], name="fk_items_model_version_id_model_versions"
        ),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_items_photo_id_photos"),
        sa.PrimaryKeyConstraint("id", name="pk_items"),
        sa.UniqueConstraint("batch_id", "archive_number", "position", name="uq_items_batch_id_archive_number_position"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_items_batch_state", "items", ["batch_id", "state", "code", "finished_at"])
    op.create_index(
        "ix_items_leased",
        "items",
        ["lease_until"],
        sqlite_where=sa.text("state = 'leased'"),
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.create_index("ix_items_photo_id", "items", ["photo_id"])
    op.create_index(
        "ix_items_ready",
        "items",
        ["suspect", "priority", "position", "id"],
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )

    op.create_table(
        "photo_features",
        sa.Column("photo_id", ID, nullable=False),
        sa.Column("space", sa.String(length=64), nullable=False, comment="lower-case hex SHA-256"),
        sa.Column("shard_id", ID, nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name="fk_photo_features_photo_id_photos", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["shard_id"], ["feature_shards.id"], name="fk_photo_features_shard_id_feature_shards", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("photo_id", "space", name="pk_photo_features"),
    )
    op.create_index("ix_photo_features_shard_id", "photo_features", ["shard_id"])

    op.create_table(
        "predictions",
        sa.Column("photo_id", ID, nullable=False),
        sa.Column("model_version_id", ID, nullable=False),
        sa.Column("rank", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("label_id", ID, nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.CheckConstraint("rank BETWEEN 1 AND 5", name=op.f("ck_predictions_rank")),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_predictions_photo_id_photos", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("photo_id", "model_version_id", "rank", name="pk_predictions"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "uploads",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("batch_id", sa.String(length=12), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="the client's number of the file in its batch"),
        sa.Column("path", sa.String(length=1024), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False, comment="its bytes are a blob, and an item or archive exists"),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_uploads_batch_id_batches", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
        sa.UniqueConstraint("batch_id", "number", name="uq_uploads_batch_id_number"),
    )


def downgrade() -> None:
    """Drops them again, those that refer to others first."""
    for table in (
        "uploads",
        "predictions",
        "photo_features",
        "items",
        "archives",
        "workers",
        "photos",
        "model_version_labels",
        "login_sessions",
        "login_links",
        "batches",
        "active_version",
        "users",
        "model_versions",
        "labels",
        "feature_shards",
    ):
        op.drop_table(table)
