"""The tables of review: verdicts, their undo, who has which photo on the screen, and changes of the vocabulary."""

from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from db.columns import Base, DbSeconds, Instant, PrimaryKey, Reference, one_of, when

VERDICTS = ("accept", "correct", "none", "unsure", "skip", "undo")
LABEL_CHANGES = ("add", "rename", "parent", "merge", "retire", "restore", "undo")


class ReviewAction(Base):
    """One stroke of a person: a verdict on one photo, on a whole page, or the undo of such a stroke. Never changed."""

    __tablename__ = "review_actions"
    __table_args__ = (
        UniqueConstraint("user_id", "token"),
        Index("ix_review_actions_user_id", "user_id", "id"),
        Index("ix_review_actions_at", "at"),
    )

    id: Mapped[PrimaryKey]
    user_id: Mapped[Reference] = mapped_column(ForeignKey("users.id"))
    token: Mapped[str] = mapped_column(String(64), comment="made by the client: a request sent again is one action")
    source: Mapped[str] = mapped_column(String(12), comment="single, grid, alike, library, import or api")
    at: Mapped[Instant]
    undoes_id: Mapped[Reference | None] = mapped_column(
        ForeignKey("review_actions.id"), unique=True, comment="the action that this one takes back; each only once"
    )


class Review(Base):
    """A person's verdict on one photo, with what the model had said. Rows are added, never changed.

    The verdict that counts is a photo's last one that is neither skip nor undo and whose action was not undone.
    """

    __tablename__ = "reviews"
    __table_args__ = (
        UniqueConstraint("action_id", "photo_id"),
        CheckConstraint(one_of("verdict", VERDICTS), name="verdict"),
        CheckConstraint("(verdict IN ('accept', 'correct')) = (label_id IS NOT NULL)", name="label"),
        Index("ix_reviews_photo_id", "photo_id", "id"),
        Index("ix_reviews_label_id", "label_id", "photo_id"),
        # agreement is estimated from these alone
        when("ix_reviews_audit", "reason = 'audit'", "model_label_id", "photo_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[PrimaryKey]
    action_id: Mapped[Reference] = mapped_column(ForeignKey("review_actions.id"))
    photo_id: Mapped[Reference] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"))
    verdict: Mapped[str] = mapped_column(String(8))
    label_id: Mapped[Reference | None] = mapped_column(
        ForeignKey("labels.id"), comment="as it was said; a label that was merged since stands for the other"
    )
    reason: Mapped[str | None] = mapped_column(String(16), comment="why the photo was shown; null: it was chosen")
    model_version_id: Mapped[Reference | None] = mapped_column(
        ForeignKey("model_versions.id"), comment="what pages showed of the model, null if it had not seen the photo"
    )
    model_label_id: Mapped[Reference | None] = mapped_column(comment="its first label then")
    model_score: Mapped[float | None] = mapped_column(comment="of that label, in [0, 1]")
    chosen_rank: Mapped[int | None] = mapped_column(comment="1 to 5: the label was one of the model's; null: typed")
    took_ms: Mapped[int | None] = mapped_column(comment="from the photo on the screen to the key, as the page says")


class ReviewLease(Base):
    """The photo is on somebody's screen, and on no other's until then."""

    __tablename__ = "review_leases"
    __table_args__ = (Index("ix_review_leases_seat", "user_id", "seat"),)

    photo_id: Mapped[Reference] = mapped_column(
        ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    user_id: Mapped[Reference] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    seat: Mapped[str] = mapped_column(String(40), comment="the tab, by a name that it made: two tabs share no photo")
    until: Mapped[DbSeconds]


class ReviewHint(Base):
    """A reason to look at a photo that its row does not tell. It counts until a verdict that is younger than it.

    Whoever raises one again sets `at` and takes `settled` back.
    """

    __tablename__ = "review_hints"
    # a walk from the most urgent one must not pass all that are settled
    __table_args__ = (when("ix_review_hints_open", "NOT settled", "reason", "urgency", "photo_id"),)

    photo_id: Mapped[Reference] = mapped_column(
        ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    reason: Mapped[str] = mapped_column(String(16), primary_key=True, comment="disagree, mislabelled or contradiction")
    urgency: Mapped[float] = mapped_column(comment="in [0, 1], the greatest first")
    at: Mapped[Instant]
    settled: Mapped[bool] = mapped_column(
        default=False, server_default=false(), comment="the verdict that counts is younger; written with it"
    )


class LabelChange(Base):
    """A change of the vocabulary. An undo is a row too."""

    __tablename__ = "label_changes"
    __table_args__ = (CheckConstraint(one_of("kind", LABEL_CHANGES), name="kind"),)

    id: Mapped[PrimaryKey]
    kind: Mapped[str] = mapped_column(String(8))
    label_id: Mapped[Reference] = mapped_column(ForeignKey("labels.id"), index=True)
    before: Mapped[dict[str, Any]] = mapped_column(JSON, comment="what the change replaced, as far as undo needs it")
    after: Mapped[dict[str, Any]] = mapped_column(JSON)
    user_id: Mapped[Reference | None] = mapped_column(ForeignKey("users.id"))
    at: Mapped[Instant]
    undoes_id: Mapped[Reference | None] = mapped_column(ForeignKey("label_changes.id"), unique=True)
