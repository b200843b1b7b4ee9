"""What a model version says of photos: its top five, and the label that pages show. A person's word stays."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, exists, or_, select, update
from sqlalchemy.orm import Session

from db.facts import PhotoFacts
from db.schema import ActiveVersion, ModelVersion, Photo, Prediction
from db.statements import count_changed, insert_missing, table_of

TOP = 5


@dataclass(frozen=True, slots=True)
class Tagged:
    """A claimed item with its photo's top labels.

    Attributes:
        facts: None when the photo was not decoded, because its features were known.
        top: (label id, score in [0, 1]), best first, at most five.
        not_sure: the first score is under the version's threshold.
    """

    item_id: int
    attempt: int
    photo_id: int
    model_version_id: int
    facts: PhotoFacts | None
    top: Sequence[tuple[int, float]]
    not_sure: bool = False


def write_predictions(session: Session, tagged: Sequence[Tagged]) -> None:
    """Writes facts, top five and shown label of photos. What a version has said of a photo before stays."""
    ordered = sorted(tagged, key=lambda one: one.photo_id)
    _lock_photos(session, [one.photo_id for one in ordered])
    _write_facts(session, {one.photo_id: one.facts for one in ordered if one.facts is not None})
    insert_missing(session, Prediction, list(_rows(ordered)))
    for version_id in sorted({one.model_version_id for one in ordered}):
        of_version = [one for one in ordered if one.model_version_id == version_id]
        unsure = {one.photo_id for one in of_version if one.not_sure}
        _show(session, version_id, [one.photo_id for one in of_version], not_sure=Photo.id.in_(unsure))


def show_known(session: Session, photo_ids: Collection[int], version_id: int) -> None:
    """Shows what a version has said of photos before."""
    _lock_photos(session, photo_ids)
    threshold = session.scalars(select(ModelVersion.card).where(ModelVersion.id == version_id)).one().get("threshold")
    _show(session, version_id, photo_ids, not_sure=Prediction.score < float(threshold or 0.0))


def first_scores(session: Session, photo_ids: Collection[int], version_id: int) -> dict[int, float]:
    """The first label's score of those photos that the version has tagged."""
    query = select(Prediction.photo_id, Prediction.score).where(
        Prediction.photo_id.in_(photo_ids), Prediction.model_version_id == version_id, Prediction.rank == 1
    )
    return {row.photo_id: row.score for row in session.execute(query)}


def _rows(tagged: Iterable[Tagged]) -> Iterable[dict[str, Any]]:
    for one in tagged:
        for rank, (label_id, score) in enumerate(one.top[:TOP], start=1):
            yield {
                "photo_id": one.photo_id,
                "model_version_id": one.model_version_id,
                "rank": rank,
                "label_id": label_id,
                "score": score,
            }


def _lock_photos(session: Session, photo_ids: Collection[int]) -> None:
    """Always in the order of their ids, so that two workers with photos in common do not wait for each other."""
    if session.get_bind().dialect.name != "sqlite":
        ids = select(Photo.id).where(Photo.id.in_(photo_ids)).order_by(Photo.id)
        session.execute(ids.with_for_update(key_share=True)).all()


def _write_facts(session: Session, facts: dict[int, PhotoFacts]) -> None:
    if facts:
        change = update(table_of(Photo)).where(table_of(Photo).c.id == bindparam("photo_id"))
        rows = [{"photo_id": photo_id, **asdict(fact)} for photo_id, fact in facts.items()]
        session.connection().execute(change, rows)


def _show(session: Session, version_id: int, photo_ids: Collection[int], *, not_sure: ColumnElement[bool]) -> None:
    """Copies the first label to the photo, unless a person has spoken, or a newer version that is active by now."""
    is_active = exists().where(ActiveVersion.model_version_id == version_id)
    change = (
        update(Photo)
        .where(
            Photo.id == Prediction.photo_id,
            Prediction.photo_id.in_(photo_ids),
            Prediction.model_version_id == version_id,
            Prediction.rank == 1,
            no_person_has_spoken(),
            or_(Photo.shown_label_id.is_(None), Photo.shown_model_version_id == version_id, is_active),
        )
        .values(
            shown_label_id=Prediction.label_id,
            shown_score=Prediction.score,
            shown_origin="model",
            shown_model_version_id=version_id,
            not_sure=case((not_sure, True), else_=False),
        )
    )
    count_changed(session, change)


def no_person_has_spoken() -> ColumnElement[bool]:
    """The condition of every statement by which a model changes a shown label."""
    return or_(Photo.shown_origin.is_(None), Photo.shown_origin != "person")
