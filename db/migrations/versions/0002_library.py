"""What the library is searched by, near-duplicates, watched folders."""

import unicodedata
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
STEP = 1000


STATE = "ck_photos_state CHECK (state IN ('untagged', 'tagged', 'refused', 'failed'))"


def upgrade() -> None:
    """Adds columns to photos and items, fills them, and makes the new tables."""
    for column in _photo_columns():
        op.add_column("photos", column)
    # with its check in one statement: SQLite would have to copy the table to add that later
    op.execute(f"ALTER TABLE photos ADD COLUMN state VARCHAR(12) DEFAULT 'untagged' NOT NULL CONSTRAINT {STATE}")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("COMMENT ON COLUMN photos.state IS 'tagged once any version has; else how its last item ended'")
    _fill_photos()
    op.create_index("ix_photos_near_group_id", "photos", ["near_group_id"])
    op.add_column(
        "items", sa.Column("gone_at", TIME, nullable=True, comment="when a watched folder no longer had the file")
    )
    _make_phash_bands()
    _make_watched()


def downgrade() -> None:
    """Takes all of it back."""
    op.drop_table("watched_files")
    op.drop_table("watched_folders")
    op.drop_table("phash_bands")
    op.drop_column("items", "gone_at")
    op.drop_index("ix_photos_near_group_id", "photos")
    for column in ("state", *(column.name for column in _photo_columns())):
        op.drop_column("photos", column)


def _photo_columns() -> list[sa.Column[Any]]:
    name = "file name at its first place; shown, harmless"
    dated = "taken_at; until that is known, or where it is not, when the photo came (UTC)"
    group = "photos that look alike share it: the smallest id among them; null while alone"
    return [
        sa.Column("name", sa.String(length=255), nullable=False, server_default=sa.text("''"), comment=name),
        sa.Column(
            "name_key",
            sa.String(length=255),
            nullable=False,
            server_default=sa.text("''"),
            comment="the name in NFC, case folded",
        ),
        sa.Column(
            "dated_at", sa.DateTime(), nullable=False, server_default="1970-01-01 00:00:00.000000", comment=dated
        ),
        sa.Column("camera", sa.String(length=120), nullable=True, comment="maker and model from EXIF; shown, harmless"),
        sa.Column("latitude", sa.Double(), nullable=True, comment="degrees north, -90 to 90"),
        sa.Column("longitude", sa.Double(), nullable=True, comment="degrees east, -180 to 180"),
        sa.Column("phash", sa.BigInteger(), nullable=True, comment="imagehash.phash, 64 bits read as a signed number"),
        sa.Column("near_group_id", ID, nullable=True, comment=group),
    ]


def _fill_photos() -> None:
    """From what is known already: dates, states, and the name at the first place of each photo."""
    op.execute("UPDATE photos SET dated_at = coalesce(taken_at, created_at)")
    op.execute("UPDATE photos SET state = 'tagged' WHERE shown_label_id IS NOT NULL")
    connection = op.get_bind()
    first = sa.text(
        "SELECT p.id, i.path FROM photos p JOIN items i"
        " ON i.id = (SELECT min(f.id) FROM items f WHERE f.photo_id = p.id)"
    )
    names = [(photo_id, path.rpartition("/")[2][:255]) for photo_id, path in connection.execute(first)]
    change = sa.text("UPDATE photos SET name = :name, name_key = :key WHERE id = :id")
    for start in range(0, len(names), STEP):
        rows = [{"id": id_, "name": name, "key": _key(name)} for id_, name in names[start : start + STEP]]
        connection.execute(change, rows)


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()[:255]


def _make_phash_bands() -> None:
    op.create_table(
        "phash_bands",
        sa.Column("band", sa.Integer(), autoincrement=False, nullable=False, comment="0 to 3, lowest bits first"),
        sa.Column("bits", sa.Integer(), autoincrement=False, nullable=False, comment="0 to 65535"),
        sa.Column("photo_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_phash_bands_photo_id_photos", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("band", "bits", "photo_id", name="pk_phash_bands"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_phash_bands_photo_id", "phash_bands", ["photo_id"])


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
