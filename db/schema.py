"""The tables. `migrations/` makes them; a test holds the two against each other."""

import datetime as dt
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.columns import (
    Base,
    BatchReference,
    DbSeconds,
    Instant,
    PrimaryKey,
    Reference,
    Sha256,
    in_byte_order,
    one_of,
    when,
)
from db.feature_schema import FeatureCentre as FeatureCentre
from db.feature_schema import FeatureShard as FeatureShard
from db.feature_schema import PhotoFeatures as PhotoFeatures
from db.people_schema import ROLES as ROLES
from db.people_schema import ApiToken as ApiToken
from db.people_schema import AuditEntry as AuditEntry
from db.people_schema import LoginFailure as LoginFailure
from db.people_schema import LoginLink as LoginLink
from db.people_schema import LoginSession as LoginSession
from db.people_schema import User as User
from db.review_schema import LabelChange as LabelChange
from db.review_schema import Review as Review
from db.review_schema import ReviewAction as ReviewAction
from db.review_schema import ReviewHint as ReviewHint
from db.review_schema import ReviewLease as ReviewLease
from db.training_schema import Activation as Activation
from db.training_schema import HoldoutAnswer as HoldoutAnswer
from db.training_schema import PhotoSubset as PhotoSubset
from db.training_schema import ShownBefore as ShownBefore
from db.training_schema import Snapshot as Snapshot
from db.training_schema import SnapshotPhoto as SnapshotPhoto
from db.training_schema import TrainingRun as TrainingRun

ITEM_STATES = ("ready", "leased", "tagged", "refused", "failed", "cancelled")
OPEN_ITEM_STATES = ("ready", "leased")
BATCH_STATES = ("receiving", "unpacking", "running", "finished", "cancelled", "refused")
OPEN_BATCH_STATES = ("receiving", "unpacking", "running")
PHOTO_STATES = ("untagged", "tagged", "refused", "failed")
# What pages of the library filter by, in the indexes of their orders.
FILTERED = ("state", "not_sure", "shown_label_id", "camera_id", "format")
FACTS_AND_SCORE = ("camera_id", "format", "dated_at", "shown_score")
WITHOUT_DOUBT = ("state", "shown_label_id", "camera_id", "format")
# What a person has said of a photo: a label, that none fits, that they cannot tell.
REVIEW_STATES = ("labelled", "none", "unsure")
# The queues of review hold photos that a model has tagged and no person has decided.
UNREVIEWED = "reviewed_at IS NULL AND state = 'tagged'"


class Label(Base):
    """An entry of the vocabulary. Names are compared by `name_key` (NFC, case folded)."""

    __tablename__ = "labels"

    id: Mapped[PrimaryKey]
    name: Mapped[str] = mapped_column(String(200))
    name_key: Mapped[str] = mapped_column(String(200), unique=True)
    parent_id: Mapped[Reference | None] = mapped_column(ForeignKey("labels.id"), index=True)
    merged_into_id: Mapped[Reference | None] = mapped_column(
        index=True,
        comment="stands for that label, which is merged into no other; its name still finds it. Labels are never deleted",
    )
    retired_at: Mapped[Instant | None] = mapped_column(comment="no longer offered; photos that have it keep it")
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


class Camera(Base):
    """A maker and model, as EXIF names it; photos refer to it, so that their indexes stay small."""

    __tablename__ = "cameras"

    id: Mapped[PrimaryKey]
    name: Mapped[str] = mapped_column(String(120), unique=True, comment="shown, harmless")


class Photo(Base):
    """A photo is its content. What pages show of it, filter and sort by stands here.

    Four indexes hold the orders of the library, each with all that filters look at: a page that is far away is found
    without a look at the rows, ten times as fast. The others find the photos of one part of a filter (`db.library_plan`).
    """

    __tablename__ = "photos"
    __table_args__ = (
        CheckConstraint("shown_origin IN ('person', 'model')", name="shown_origin"),
        CheckConstraint(one_of("state", PHOTO_STATES), name="state"),
        Index("ix_photos_dated", "dated_at", "id", *FILTERED, "shown_score", "name_key"),
        Index("ix_photos_score", "shown_score", "id", *FILTERED, "dated_at", "name_key"),
        Index("ix_photos_name", "name_key", "id", *FILTERED, "dated_at", "shown_score"),
        Index("ix_photos_newest", "id", *FILTERED, "dated_at", "shown_score", "name_key"),
        Index(
            "ix_photos_label_dated",
            "shown_label_id",
            "dated_at",
            "id",
            *("state", "not_sure", "camera_id", "format", "shown_score"),
        ),
        Index("ix_photos_camera_dated", "camera_id", "dated_at", "id"),
        Index("ix_photos_format_dated", "format", "dated_at", "id"),
        when("ix_photos_unsure", "not_sure", "dated_at", "id", *WITHOUT_DOUBT, "shown_score"),
        when("ix_photos_unsure_score", "not_sure", "shown_score", "id", *WITHOUT_DOUBT, "dated_at"),
        Index(
            "ix_photos_not_tagged",
            "state",
            "dated_at",
            "id",
            *("not_sure", "shown_label_id", "camera_id", "format", "shown_score"),
            sqlite_where=text("state <> 'tagged'"),
            postgresql_where=text("state <> 'tagged'"),
        ),
        CheckConstraint(one_of("review_state", REVIEW_STATES), name="review_state"),
        CheckConstraint("(review_state IS NULL) = (reviewed_at IS NULL)", name="reviewed"),
        # the queues of review in their orders, with what filters look at
        when("ix_photos_to_review_draw", UNREVIEWED, "draw", "id", "not_sure", "shown_label_id", *FACTS_AND_SCORE),
        when(
            "ix_photos_to_review_label",
            UNREVIEWED,
            *("shown_label_id", "shown_score", "id", "draw", "not_sure", "camera_id", "format", "dated_at"),
        ),
        when(
            "ix_photos_to_review_margin",
            f"not_sure AND {UNREVIEWED}",
            *("margin", "id", "draw", "shown_label_id", *FACTS_AND_SCORE),
        ),
        when("ix_photos_reviewed", "reviewed_at IS NOT NULL", "review_state", "shown_label_id", "reviewed_at", "id"),
        # whose word photos show: previews of a re-tag and roll backs read nothing else of them
        Index("ix_photos_shown_version", "shown_model_version_id", "id", "shown_origin", "shown_label_id"),
        # addresses carry the id and are cached by browsers: the id of a deleted photo is never given out again
        {"sqlite_autoincrement": True},
    )

    id: Mapped[PrimaryKey]
    sha256: Mapped[Sha256] = mapped_column(unique=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[Instant]
    name: Mapped[str] = mapped_column(
        String(255), server_default=text("''"), comment="file name at its first place; shown, harmless"
    )
    name_key: Mapped[str] = mapped_column(
        in_byte_order(255), server_default=text("''"), comment="the name in NFC, case folded"
    )
    state: Mapped[str] = mapped_column(
        String(12), server_default="untagged", comment="tagged once any version has; else how its last item ended"
    )
    dated_at: Mapped[dt.datetime] = mapped_column(
        DateTime(),
        server_default="1970-01-01 00:00:00.000000",
        comment="taken_at; until that is known, or where it is not, when the photo came (UTC)",
    )
    # known once decoded
    format: Mapped[str | None] = mapped_column(String(8))
    width: Mapped[int | None] = mapped_column(comment="px, after EXIF orientation")
    height: Mapped[int | None]
    taken_at: Mapped[dt.datetime | None] = mapped_column(
        DateTime(), comment="camera's local time as EXIF has it, without zone"
    )
    camera_id: Mapped[Reference | None] = mapped_column(
        comment="of cameras, which are never deleted: no reference to check"
    )
    latitude: Mapped[float | None] = mapped_column(comment="degrees north, -90 to 90")
    longitude: Mapped[float | None] = mapped_column(comment="degrees east, -180 to 180")
    exif: Mapped[dict[str, Any] | None] = mapped_column(JSON, comment="lens, exposure and the like; shown, harmless")
    notes: Mapped[str | None] = mapped_column(Text, comment="decoder's notes, comma separated, e.g. FIRST_FRAME_ONLY")
    has_previews: Mapped[bool] = mapped_column(default=False)
    # the shown label
    shown_label_id: Mapped[Reference | None] = mapped_column(ForeignKey("labels.id"))
    shown_score: Mapped[float | None] = mapped_column(comment="in [0, 1]")
    shown_origin: Mapped[str | None] = mapped_column(String(8))
    shown_model_version_id: Mapped[Reference | None] = mapped_column(ForeignKey("model_versions.id"))
    not_sure: Mapped[bool] = mapped_column(default=False, comment="the first label's score is under the threshold")
    margin: Mapped[float | None] = mapped_column(comment="how far the second label's score is below the first, [0, 1]")
    # what people have said
    review_state: Mapped[str | None] = mapped_column(
        String(8), comment="as the last verdict that counts: labelled, none, unsure; null while there is none"
    )
    reviewed_at: Mapped[Instant | None] = mapped_column(comment="when that verdict was given")
    draw: Mapped[int] = mapped_column(
        server_default="0", comment="the hash's first 28 bits: the order in which photos are drawn at random"
    )


class PhotoWord(Base):
    """A word of a photo's file name, so that a name is found by the beginning of any of its words."""

    __tablename__ = "photo_words"
    __table_args__ = ({"sqlite_with_rowid": False},)

    word: Mapped[str] = mapped_column(in_byte_order(40), primary_key=True, comment="in NFC, case folded")
    photo_id: Mapped[Reference] = mapped_column(
        ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class PhotoHash(Base):
    """A photo's perceptual hash, and the group of photos that look alike.

    Hashes that are alike have most often one of their four quarters in common, so each quarter is indexed, with the
    whole hash behind it: a hash is looked for by its first quarter too. Columns of this table instead of four rows elsewhere: a third of the space, and PostgreSQL
    checks one reference a photo.
    """

    __tablename__ = "photo_hashes"
    __table_args__ = (
        *(Index(f"ix_photo_hashes_quarter_{n}", f"quarter_{n}", "phash", "photo_id") for n in range(4)),
        when("ix_photo_hashes_group", "group_id IS NOT NULL", "group_id", "photo_id"),
        when("ix_photo_hashes_shown", "group_id IS NOT NULL AND told_apart_at IS NULL", "photo_id", "group_id"),
        when("ix_photo_hashes_told_apart", "told_apart_at IS NOT NULL", "group_id"),
    )

    photo_id: Mapped[Reference] = mapped_column(
        ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    phash: Mapped[int] = mapped_column(BigInteger, comment="imagehash.phash, 64 bits read as a signed number")
    quarter_0: Mapped[int] = mapped_column(comment="its lowest 16 bits, 0 to 65535")
    quarter_1: Mapped[int]
    quarter_2: Mapped[int]
    quarter_3: Mapped[int] = mapped_column(comment="its highest 16 bits")
    group_id: Mapped[Reference | None] = mapped_column(
        comment="photos that look alike share it: the smallest id among them when it was made; null while alone"
    )
    told_apart_at: Mapped[Instant | None] = mapped_column(
        comment="when a person said that it is no duplicate of its group; forgotten when another photo joins"
    )


class WatchedFolder(Base):
    """A folder that `phototag watch` keeps tagged."""

    __tablename__ = "watched_folders"
    __table_args__ = (UniqueConstraint("owner_id", "path_sha256"),)

    id: Mapped[PrimaryKey]
    owner_id: Mapped[Reference] = mapped_column(ForeignKey("users.id"))
    path: Mapped[str] = mapped_column(Text, comment="absolute")
    path_sha256: Mapped[Sha256]
    created_at: Mapped[Instant]
    scanned_at: Mapped[Instant | None] = mapped_column(comment="end of the last complete look")


class WatchedFile(Base):
    """A file of a watched folder as it was when it was last submitted."""

    __tablename__ = "watched_files"

    folder_id: Mapped[Reference] = mapped_column(ForeignKey("watched_folders.id", ondelete="CASCADE"), primary_key=True)
    path_sha256: Mapped[Sha256] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(Text, comment="within the folder")
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    batch_id: Mapped[BatchReference | None] = mapped_column(
        ForeignKey("batches.id", ondelete="SET NULL"), index=True, comment="where it was submitted last"
    )
    gone_at: Mapped[Instant | None] = mapped_column(comment="when it was no longer found")


class Garbage(Base):
    """What is to be deleted later: bytes that no row refers to, batches that people no longer see (see `db.garbage`)."""

    __tablename__ = "garbage"
    __table_args__ = (UniqueConstraint("kind", "key"),)

    id: Mapped[PrimaryKey]
    kind: Mapped[str] = mapped_column(String(12), comment="photo, archive, shard, batch or turn")
    key: Mapped[str] = mapped_column(
        String(120), comment="SHA-256, the shard's key, the batch's id, or what is done in turn"
    )
    queued_at: Mapped[Instant]


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


class Batch(Base):
    """What a person submits. Counts are never stored: they are counted from the items."""

    __tablename__ = "batches"
    __table_args__ = (
        UniqueConstraint("owner_id", "idem_key"),
        CheckConstraint(one_of("state", BATCH_STATES), name="state"),
        Index("ix_batches_owner_id_created_at", "owner_id", "created_at"),
        when("ix_batches_open", "state IN ('receiving', 'unpacking', 'running')", "state"),
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
    retag_version_id: Mapped[Reference | None] = mapped_column(
        comment="a re-tag with this version, which is never deleted; null: photos that a person submitted"
    )
    created_at: Mapped[Instant]
    finished_at: Mapped[Instant | None]


class Archive(Base):
    """An archive of a batch that is to be unpacked; leased like an item."""

    __tablename__ = "archives"
    __table_args__ = (
        UniqueConstraint("batch_id", "number"),
        CheckConstraint("state IN ('ready', 'leased', 'unpacked', 'refused', 'cancelled')", name="state"),
        when("ix_archives_open", "state IN ('ready', 'leased')", "state"),
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
        CheckConstraint(one_of("state", ITEM_STATES), name="state"),
        CheckConstraint("(state = 'leased') = (lease_owner IS NOT NULL)", name="lease"),
        # the claim reads only this, whatever the number of finished items
        when("ix_items_ready", "state = 'ready'", "suspect", "priority", "position", "id"),
        when("ix_items_leased", "state = 'leased'", "lease_until"),
        # progress is counted and a batch's photos are found from this index alone, without a look at the rows
        Index("ix_items_batch_state", "batch_id", "state", "code", "finished_at", "photo_id"),
        Index("ix_items_photo_id", "photo_id", "batch_id"),
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
        ForeignKey("photos.id"), comment="null when refused before hashing, and in a re-tag"
    )
    # no reference: whoever deletes a photo would wait for a worker that waits for the photo
    retag_photo_id: Mapped[Reference | None] = mapped_column(
        comment="the photo that is tagged once more; the item does not keep it, so it may be gone"
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
    gone_at: Mapped[Instant | None] = mapped_column(comment="when a watched folder no longer had the file")


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
