"""The tables. `migrations/` makes them; a test holds the two against each other."""

import datetime as dt
from typing import Annotated, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[dt.datetime]):
    """An aware UTC datetime; SQLite drops the zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Any) -> dt.datetime | None:
        if value is not None and value.tzinfo is None:
            msg = f"Naive datetime where an aware one was expected. Received: {value!r}"
            raise ValueError(msg)
        return None if value is None else value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: Any) -> dt.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class Base(DeclarativeBase):
    """Naming convention: constraints can be dropped by name on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


# SQLite makes only an INTEGER primary key its row id; PostgreSQL wants 64 bits.
BigId = BigInteger().with_variant(Integer(), "sqlite")
PrimaryKey = Annotated[int, mapped_column(BigId, primary_key=True, autoincrement=True)]
Reference = Annotated[int, mapped_column(BigId)]
Sha256 = Annotated[str, mapped_column(String(64), comment="lower-case hex SHA-256")]
BatchReference = Annotated[str, mapped_column(String(12))]
Instant = Annotated[dt.datetime, mapped_column(UtcDateTime())]
# Leases compare with the database's own clock, as seconds since 1970 (see session.db_now).
DbSeconds = Annotated[float, mapped_column()]

ITEM_STATES = ("ready", "leased", "tagged", "refused", "failed", "cancelled")
OPEN_ITEM_STATES = ("ready", "leased")
BATCH_STATES = ("receiving", "unpacking", "running", "finished", "cancelled", "refused")
OPEN_BATCH_STATES = ("receiving", "unpacking", "running")
ROLES = ("owner", "reviewer", "admin")


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(v) for v in values)})"


class User(Base):
    """A person. Until accounts exist there is one local admin, who enters by a login link."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint(_one_of("role", ROLES), name="role"),)

    id: Mapped[PrimaryKey]
    name: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[Instant]


class LoginLink(Base):
    """A one-time link printed by `phototag up`; only the hash of its token is kept."""

    __tablename__ = "login_links"

    token_sha256: Mapped[Sha256] = mapped_column(primary_key=True)
    user_id: Mapped[Reference] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    expires_at: Mapped[Instant]
    used_at: Mapped[Instant | None]


class LoginSession(Base):
    """A logged-in browser; the cookie holds the token, the row only its hash."""

    __tablename__ = "login_sessions"

    token_sha256: Mapped[Sha256] = mapped_column(primary_key=True)
    user_id: Mapped[Reference] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant] = mapped_column(comment="slides with use, up to the absolute limit")


class Label(Base):
    """An entry of the vocabulary. Names are compared by `name_key` (NFC, case folded)."""

    __tablename__ = "labels"

    id: Mapped[PrimaryKey]
    name: Mapped[str] = mapped_column(String(200))
    name_key: Mapped[str] = mapped_column(String(200), unique=True)
    parent_id: Mapped[Reference | None] = mapped_column(ForeignKey("labels.id"), index=True)
    created_at: Mapped[Instant]


class ModelVersion(Base):
    """A classifier that can be active: its card, and where its artifact lies."""

    __tablename__ = "model_versions"

    id: Mapped[PrimaryKey]
    name: Mapped[str] = mapped_column(String(64), unique=True)
    origin: Mapped[str] = mapped_column(String(16), comment="built-in, or trained")
    artifact: Mapped[str] = mapped_column(
        Text, comment="'package:starter' for one that ships with the code, else the folder's SHA-256 under models/"
    )
    card: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[Instant]


class ModelVersionLabel(Base):
    """The order of a version's outputs: output `position` of its head is `label_id`."""

    __tablename__ = "model_version_labels"

    model_version_id: Mapped[Reference] = mapped_column(
        ForeignKey("model_versions.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    label_id: Mapped[Reference] = mapped_column(ForeignKey("labels.id"), index=True)


class ActiveVersion(Base):
    """The one row that says which version tags; changed by compare-and-set only."""

    __tablename__ = "active_version"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    model_version_id: Mapped[Reference] = mapped_column(ForeignKey("model_versions.id"))
    changed_at: Mapped[Instant]
    reason: Mapped[str] = mapped_column(Text, default="")


class Photo(Base):
    """A photo is its content. What pages show of it (label, score, origin) stands here."""

    __tablename__ = "photos"
    __table_args__ = (
        CheckConstraint("shown_origin IN ('person', 'model')", name="shown_origin"),
        Index("ix_photos_shown_label_id_shown_score", "shown_label_id", "shown_score"),
        # addresses carry the id and are cached by browsers: the id of a deleted photo is never given out again
        {"sqlite_autoincrement": True},
    )

    id: Mapped[PrimaryKey]
    sha256: Mapped[Sha256] = mapped_column(unique=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[Instant]
    # known once decoded
    format: Mapped[str | None] = mapped_column(String(8))
    width: Mapped[int | None] = mapped_column(comment="px, after EXIF orientation")
    height: Mapped[int | None]
    taken_at: Mapped[dt.datetime | None] = mapped_column(
        DateTime(), comment="camera's local time as EXIF has it, without zone"
    )
    notes: Mapped[str | None] = mapped_column(Text, comment="decoder's notes, comma separated, e.g. FIRST_FRAME_ONLY")
    has_previews: Mapped[bool] = mapped_column(default=False)
    # the shown label
    shown_label_id: Mapped[Reference | None] = mapped_column(ForeignKey("labels.id"))
    shown_score: Mapped[float | None] = mapped_column(comment="in [0, 1]")
    shown_origin: Mapped[str | None] = mapped_column(String(8))
    shown_model_version_id: Mapped[Reference | None] = mapped_column(ForeignKey("model_versions.id"))
    not_sure: Mapped[bool] = mapped_column(default=False, comment="the first label's score is under the threshold")


class Prediction(Base):
    """What a version says of a photo: one row per rank. Scores in [0, 1], rank 1 first.

    Version and label have no foreign keys: PostgreSQL would look up and lock the same few rows 640 times a chunk (half
    of its time, and all workers on the same rows). `model_version_labels`, `items` and `photos` keep them from being
    deleted.
    """

    __tablename__ = "predictions"
    # without row ids the rows lie in the order of the key: half the size on disk, one look-up for a photo's top five
    __table_args__ = (CheckConstraint("rank BETWEEN 1 AND 5", name="rank"), {"sqlite_with_rowid": False})

    photo_id: Mapped[Reference] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True)
    model_version_id: Mapped[Reference] = mapped_column(primary_key=True)
    rank: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    label_id: Mapped[Reference]
    score: Mapped[float]


class FeatureShard(Base):
    """An immutable file of features: float16 (rows, *shape) of one finished chunk."""

    __tablename__ = "feature_shards"

    id: Mapped[PrimaryKey]
    space: Mapped[Sha256] = mapped_column(index=True, comment="hash of backbone weights, layer and decode version")
    key: Mapped[str] = mapped_column(String(120), unique=True, comment="name in the blob store")
    rows: Mapped[int]
    created_at: Mapped[Instant]


class PhotoFeatures(Base):
    """Where a photo's features lie: row `row` of shard `shard_id`."""

    __tablename__ = "photo_features"

    photo_id: Mapped[Reference] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True)
    space: Mapped[Sha256] = mapped_column(primary_key=True)
    shard_id: Mapped[Reference] = mapped_column(ForeignKey("feature_shards.id", ondelete="CASCADE"), index=True)
    row: Mapped[int]


class Batch(Base):
    """What a person submits. Counts are never stored: they are counted from the items."""

    __tablename__ = "batches"
    __table_args__ = (
        UniqueConstraint("owner_id", "idem_key"),
        CheckConstraint(_one_of("state", BATCH_STATES), name="state"),
        Index("ix_batches_owner_id_created_at", "owner_id", "created_at"),
        Index(
            "ix_batches_open",
            "state",
            sqlite_where=text("state IN ('receiving', 'unpacking', 'running')"),
            postgresql_where=text("state IN ('receiving', 'unpacking', 'running')"),
        ),
    )

    id: Mapped[str] = mapped_column(String(12), primary_key=True, comment="random, in the batch's address")
    owner_id: Mapped[Reference] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(255), comment="shown; e.g. the folder's or archive's name")
    state: Mapped[str] = mapped_column(String(12))
    code: Mapped[str | None] = mapped_column(String(32), comment="why it was refused")
    priority: Mapped[int] = mapped_column(comment="0 single photo, 2 small batch, 5 folder, 8 re-tag; less goes first")
    idem_key: Mapped[str | None] = mapped_column(String(64), comment="a repeat with this key is the same batch")
    source_key: Mapped[str | None] = mapped_column(
        String(64), index=True, comment="hash of the paths named on the command line: finds the batch to resume"
    )
    retry_of_id: Mapped[BatchReference | None] = mapped_column(ForeignKey("batches.id"))
    created_at: Mapped[Instant]
    finished_at: Mapped[Instant | None]


class Archive(Base):
    """An archive of a batch that is to be unpacked; leased like an item."""

    __tablename__ = "archives"
    __table_args__ = (
        UniqueConstraint("batch_id", "number"),
        CheckConstraint("state IN ('ready', 'leased', 'unpacked', 'refused', 'cancelled')", name="state"),
        Index(
            "ix_archives_open",
            "state",
            sqlite_where=text("state IN ('ready', 'leased')"),
            postgresql_where=text("state IN ('ready', 'leased')"),
        ),
    )

    id: Mapped[PrimaryKey]
    batch_id: Mapped[BatchReference] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(comment="1, 2, ... within the batch; items carry it")
    path: Mapped[str] = mapped_column(String(1024), comment="shown, harmless")
    source_path: Mapped[str | None] = mapped_column(Text, comment="where it lies, if read in place")
    sha256: Mapped[Sha256 | None] = mapped_column(comment="its blob, if it was uploaded")
    state: Mapped[str] = mapped_column(String(12))
    code: Mapped[str | None] = mapped_column(String(32))
    detail: Mapped[str | None] = mapped_column(String(200))
    attempt: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str | None] = mapped_column(String(80))
    lease_until: Mapped[DbSeconds | None]
    created_at: Mapped[Instant]


class Item(Base):
    """One photo's place in one batch: its path, its state and its lease."""

    __tablename__ = "items"
    __table_args__ = (
        UniqueConstraint("batch_id", "archive_number", "position"),
        CheckConstraint(_one_of("state", ITEM_STATES), name="state"),
        CheckConstraint("(state = 'leased') = (lease_owner IS NOT NULL)", name="lease"),
        # the claim reads only this, whatever the number of finished items
        Index(
            "ix_items_ready",
            "suspect",
            "priority",
            "position",
            "id",
            sqlite_where=text("state = 'ready'"),
            postgresql_where=text("state = 'ready'"),
        ),
        Index(
            "ix_items_leased",
            "lease_until",
            sqlite_where=text("state = 'leased'"),
            postgresql_where=text("state = 'leased'"),
        ),
        # progress is counted from this index alone, without a look at the rows
        Index("ix_items_batch_state", "batch_id", "state", "code", "finished_at"),
        Index("ix_items_photo_id", "photo_id"),
        # the fence is (id, attempt, owner): the id of a deleted item must never come back
        {"sqlite_autoincrement": True},
    )

    id: Mapped[PrimaryKey]
    batch_id: Mapped[BatchReference] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"))
    archive_number: Mapped[int] = mapped_column(default=0, comment="0: not from an archive")
    position: Mapped[int] = mapped_column(comment="order in the folder, archive or upload")
    path: Mapped[str] = mapped_column(String(1024), comment="as in the folder or archive; shown, harmless")
    source_path: Mapped[str | None] = mapped_column(Text, comment="absolute path, if read in place")
    photo_id: Mapped[Reference | None] = mapped_column(
        ForeignKey("photos.id"), comment="null when refused before hashing"
    )
    state: Mapped[str] = mapped_column(String(12))
    code: Mapped[str | None] = mapped_column(String(32))
    detail: Mapped[str | None] = mapped_column(String(200))
    priority: Mapped[int]
    suspect: Mapped[bool] = mapped_column(default=False, comment="in flight when a worker died: retried alone")
    strikes: Mapped[int] = mapped_column(default=0, comment="leases lost while alone")
    attempt: Mapped[int] = mapped_column(default=0, comment="raised by every claim; fences late finishers")
    lease_owner: Mapped[str | None] = mapped_column(String(80))
    lease_until: Mapped[DbSeconds | None]
    not_before: Mapped[DbSeconds] = mapped_column(default=0.0)
    model_version_id: Mapped[Reference | None] = mapped_column(
        ForeignKey("model_versions.id"), comment="the version that tagged it"
    )
    finished_at: Mapped[Instant | None]


class Upload(Base):
    """A file that is being received for a batch, chunk by chunk; resumes at `received_bytes`."""

    __tablename__ = "uploads"
    __table_args__ = (UniqueConstraint("batch_id", "number"),)

    id: Mapped[PrimaryKey]
    batch_id: Mapped[BatchReference] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(comment="the client's number of the file in its batch")
    path: Mapped[str] = mapped_column(String(1024))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    received_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    done: Mapped[bool] = mapped_column(default=False, comment="its bytes are a blob, and an item or archive exists")


class Worker(Base):
    """A worker process that is alive, as the pages and `doctor` see it."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(80), primary_key=True, comment="host, pid and a random part")
    queues: Mapped[str] = mapped_column(String(80), comment="comma separated")
    device: Mapped[str] = mapped_column(String(80))
    note: Mapped[str] = mapped_column(String(400), default="", comment="what it wants a person to know")
    model_version_id: Mapped[Reference | None] = mapped_column(ForeignKey("model_versions.id", ondelete="SET NULL"))
    heartbeat_at: Mapped[DbSeconds]
