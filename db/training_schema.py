"""The tables of training: hold-out, snapshots, runs and their exams, and which version was active when."""

from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.columns import Base, DbSeconds, Instant, PrimaryKey, Reference, Sha256, one_of, when

SUBSETS = ("training", "holdout", "neither")
RUN_STATES = ("queued", "running", "done", "failed", "cancelled")
OPEN_RUN_STATES = ("queued", "running")
GATE_VERDICTS = ("better", "not_better", "thin")


class PhotoSubset(Base):
    """Whether a labelled photo may be trained on or is held out. Decided once, never changed."""

    __tablename__ = "photo_subsets"
    __table_args__ = (CheckConstraint(one_of("subset", SUBSETS), name="subset"),)

    photo_id: Mapped[Reference] = mapped_column(
        ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    subset: Mapped[str] = mapped_column(
        String(8), comment="neither: it looks like photos of both, so no model is trained or examined on it"
    )
    decided_at: Mapped[Instant]


class Snapshot(Base):
    """The frozen list of labelled photos that a run is made from. The same photos and labels are one snapshot."""

    __tablename__ = "snapshots"

    id: Mapped[PrimaryKey]
    digest: Mapped[Sha256] = mapped_column(unique=True)
    photos: Mapped[int] = mapped_column(comment="when it was made; photos that were deleted since are left out")
    created_at: Mapped[Instant]


class SnapshotPhoto(Base):
    """A photo of a snapshot with its label then."""

    __tablename__ = "snapshot_photos"
    __table_args__ = (
        CheckConstraint("subset IN ('training', 'holdout')", name="subset"),
        {"sqlite_with_rowid": False},
    )

    snapshot_id: Mapped[Reference] = mapped_column(ForeignKey("snapshots.id", ondelete="CASCADE"), primary_key=True)
    photo_id: Mapped[Reference] = mapped_column(
        ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    label_id: Mapped[Reference] = mapped_column(ForeignKey("labels.id"))
    subset: Mapped[str] = mapped_column(String(8))


class TrainingRun(Base):
    """A training that a person asked for: one works at a time, the others wait. Leased like an item."""

    __tablename__ = "training_runs"
    __table_args__ = (
        CheckConstraint(one_of("state", RUN_STATES), name="state"),
        CheckConstraint(one_of("gate", GATE_VERDICTS), name="gate"),
        CheckConstraint("outcome IN ('activated', 'rejected')", name="outcome"),
        UniqueConstraint("user_id", "idem_key"),
        when("ix_training_runs_open", "state IN ('queued', 'running')", "state", "id"),
    )

    id: Mapped[PrimaryKey]
    state: Mapped[str] = mapped_column(String(10))
    recipe: Mapped[dict[str, Any]] = mapped_column(JSON, comment="all its values, as they were when it was asked for")
    activate: Mapped[str] = mapped_column(String(8), comment="auto: if the gate says better; never: a person decides")
    user_id: Mapped[Reference | None] = mapped_column(ForeignKey("users.id"))
    idem_key: Mapped[str | None] = mapped_column(String(64), comment="a repeat with this key is the same run")
    created_at: Mapped[Instant]
    started_at: Mapped[Instant | None]
    finished_at: Mapped[Instant | None]
    stage: Mapped[str] = mapped_column(
        String(16), default="", comment="what it is at: features, snapshot, frozen, tuning, variants, head, exam"
    )
    done: Mapped[int] = mapped_column(default=0, comment="of the stage, out of `total`")
    total: Mapped[int] = mapped_column(default=0)
    curves: Mapped[list[Any]] = mapped_column(JSON, default=list, comment="one entry an epoch, as training.head_fit")
    snapshot_id: Mapped[Reference | None] = mapped_column(ForeignKey("snapshots.id"))
    base_version_id: Mapped[Reference | None] = mapped_column(
        ForeignKey("model_versions.id"), comment="the active version that the candidate was compared with"
    )
    version_id: Mapped[Reference | None] = mapped_column(ForeignKey("model_versions.id"), comment="the candidate")
    report: Mapped[dict[str, Any] | None] = mapped_column(JSON, comment="both on the same hold-out")
    gate: Mapped[str | None] = mapped_column(String(12))
    gate_words: Mapped[dict[str, Any] | None] = mapped_column(JSON, comment="its checks and reasons, for people")
    outcome: Mapped[str | None] = mapped_column(String(12), comment="what became of the candidate; null: open")
    reason: Mapped[str] = mapped_column(Text, default="", comment="why it failed, in plain words")
    attempt: Mapped[int] = mapped_column(default=0, comment="raised by every claim; fences late finishers")
    lease_owner: Mapped[str | None] = mapped_column(String(80))
    lease_until: Mapped[DbSeconds | None]


class HoldoutAnswer(Base):
    """What both versions say of a held-out photo: cells of the confusion matrix open these."""

    __tablename__ = "holdout_answers"
    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: Mapped[Reference] = mapped_column(ForeignKey("training_runs.id", ondelete="CASCADE"), primary_key=True)
    photo_id: Mapped[Reference] = mapped_column(
        ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    label_id: Mapped[Reference] = mapped_column(comment="what people say")
    candidate_label_id: Mapped[Reference]
    candidate_score: Mapped[float] = mapped_column(comment="in [0, 1]")
    base_label_id: Mapped[Reference | None]
    base_score: Mapped[float | None]


class Activation(Base):
    """A version was made the active one. Rows are added, never changed; a roll back is one more."""

    __tablename__ = "activations"

    id: Mapped[PrimaryKey]
    version_id: Mapped[Reference] = mapped_column(ForeignKey("model_versions.id"))
    before_id: Mapped[Reference | None] = mapped_column(ForeignKey("model_versions.id"))
    user_id: Mapped[Reference | None] = mapped_column(ForeignKey("users.id"))
    at: Mapped[Instant]
    reason: Mapped[str] = mapped_column(Text, default="")
    undoes_id: Mapped[Reference | None] = mapped_column(
        ForeignKey("activations.id"), unique=True, comment="the activation that this one rolled back"
    )


class ShownBefore(Base):
    """Whose word a photo showed before a version that was activated took its place: what a roll back shows again."""

    __tablename__ = "shown_before"
    __table_args__ = (Index("ix_shown_before_photo_id", "photo_id"), {"sqlite_with_rowid": False})

    activation_id: Mapped[Reference] = mapped_column(
        ForeignKey("activations.id"), primary_key=True, comment="the one whose roll back shows it again"
    )
    photo_id: Mapped[Reference] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True)
    model_version_id: Mapped[Reference] = mapped_column(
        comment="the one whose word it showed; versions are never deleted: no reference to check"
    )
