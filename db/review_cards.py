"""Photos as the review page shows them: what models say, what people said. A handful of queries for any number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Row, select
from sqlalchemy.orm import Session, aliased

from db.merged_labels import Scored, best_of_each, said_labels, standing_for
from db.schema import Label, ModelVersion, Photo, Prediction, Review, ReviewAction, User
from db.shown import counting_review


class VersionTop(NamedTuple):
    """What a version says: at most five labels, best first."""

    version: str
    top: list[Scored]


class PersonSaid(NamedTuple):
    """The verdict that counts.

    Attributes:
        verdict: accept, correct, none or unsure.
        label: the label's name; None without one.
        by: who said it.
    """

    verdict: str
    label: str | None
    by: str


@dataclass(frozen=True, slots=True)
class ReviewCard:
    """A photo that waits for a verdict.

    Attributes:
        shown: the shown label's name; None by a person: no label fits.
        origin: "person" or "model"; None before tagging.
        margin: how far the second label's score is below the first; None by a person.
        version: whose top five it is: the version whose word would be shown, had nobody spoken.
        versions: what each version says, the newest first; empty unless their first labels differ.
        seen: id of the review that counts, 0 for none; pass it back with the verdict.
        said: that review.
    """

    photo_id: int
    name: str
    width: int | None
    height: int | None
    has_previews: bool
    shown_label_id: int | None
    shown: str | None
    shown_score: float | None
    origin: str | None
    not_sure: bool
    margin: float | None
    version: str | None
    top: list[Scored]
    versions: list[VersionTop]
    seen: int
    said: PersonSaid | None


def review_cards(session: Session, photo_ids: Sequence[int]) -> list[ReviewCard]:
    """The photos in this order; those that are gone are left out. Three queries."""
    photos = {row.id: row for row in session.execute(_photos(photo_ids))}
    said = {row.photo_id: row for row in session.execute(_counting(photo_ids))}
    tops = _tops(session, photo_ids)
    there = [photo_id for photo_id in dict.fromkeys(photo_ids) if photo_id in photos]
    return [_card(photos[photo_id], tops.get(photo_id, {}), said.get(photo_id)) for photo_id in there]


def _photos(photo_ids: Sequence[int]) -> Any:
    return (
        select(
            Photo.id,
            Photo.name,
            Photo.width,
            Photo.height,
            Photo.has_previews,
            Photo.shown_label_id,
            Label.name.label("shown"),
            Photo.shown_score,
            Photo.shown_origin,
            Photo.shown_model_version_id,
            Photo.not_sure,
            Photo.margin,
        )
        .outerjoin(Label, Label.id == Photo.shown_label_id)
        .where(Photo.id.in_(photo_ids))
    )


def _counting(photo_ids: Sequence[int]) -> Any:
    said, label = aliased(Label), aliased(Label)
    return (
        select(Review.photo_id, Review.id, Review.verdict, label.name.label("label"), User.name.label("by"))
        .select_from(Photo)
        .join(Review, Review.id == counting_review(Photo.id))
        .join(ReviewAction, ReviewAction.id == Review.action_id)
        .join(User, User.id == ReviewAction.user_id)
        .outerjoin(said, said.id == Review.label_id)
        .outerjoin(label, label.id == standing_for(said))
        .where(Photo.id.in_(photo_ids))
    )


def _tops(session: Session, photo_ids: Sequence[int]) -> dict[int, dict[int, VersionTop]]:
    """Of each photo what each version says, the newest first."""
    said = said_labels().where(Prediction.photo_id.in_(photo_ids)).subquery()
    query = (
        select(
            said.c.photo_id,
            ModelVersion.id,
            ModelVersion.name.label("version"),
            said.c.label_id,
            said.c.name,
            said.c.score,
        )
        .join(ModelVersion, ModelVersion.id == said.c.model_version_id)
        .order_by(said.c.photo_id, ModelVersion.id.desc(), said.c.rank)
    )
    found: dict[int, dict[int, VersionTop]] = {}
    for photo_id, version_id, version, *scored in session.execute(query):
        top = found.setdefault(photo_id, {}).setdefault(version_id, VersionTop(version, []))
        top.top.append(Scored(*scored))
    return {
        photo_id: {version_id: VersionTop(one.version, best_of_each(one.top)) for version_id, one in tops.items()}
        for photo_id, tops in found.items()
    }


def _card(row: Row[Any], tops: dict[int, VersionTop], said: Row[Any] | None) -> ReviewCard:
    own = tops.get(row.shown_model_version_id)
    disagree = len({one.top[0].label_id for one in tops.values()}) > 1
    return ReviewCard(
        photo_id=row.id,
        name=row.name,
        width=row.width,
        height=row.height,
        has_previews=row.has_previews,
        shown_label_id=row.shown_label_id,
        shown=row.shown,
        shown_score=row.shown_score,
        origin=row.shown_origin,
        not_sure=row.not_sure,
        margin=row.margin,
        version=own.version if own else None,
        top=own.top if own else [],
        versions=list(tops.values()) if disagree else [],
        seen=said.id if said else 0,
        said=PersonSaid(said.verdict, said.label, said.by) if said else None,
    )
