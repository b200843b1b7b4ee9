"""What a model version says of photos: its top five, and the label that pages show. A person's word stays."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import BigInteger, Boolean, ColumnElement, Executable, and_, exists, or_, select, true, update
from sqlalchemy.orm import Session

from db.facts import PhotoFacts
from db.schema import ActiveVersion, ModelVersion, Photo, Prediction
from db.session import is_sqlite
from db.statements import as_json, insert_on, json_rows, table_of

TOP = 5

PHOTO = table_of(Photo).c
PREDICTION = table_of(Prediction).c


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
    ordered = sorted(tagged, key=lambda one: (one.photo_id, one.model_version_id))
    _lock_photos(session, [one.photo_id for one in ordered])
    facts = [(one.photo_id, one.facts) for one in ordered if one.facts is not None]
    if facts:
        session.execute(_facts_statement(sqlite=is_sqlite(session)), as_json(map(_facts_row, facts)))
    session.execute(_top_statement(sqlite=is_sqlite(session)), as_json(_top_rows(ordered)))
    _show(session, [(one.photo_id, one.model_version_id, *one.top[0], one.not_sure) for one in ordered if one.top])


def show_known(session: Session, photo_ids: Collection[int], version_id: int) -> None:
    """Shows what a version has said of photos before."""
    _lock_photos(session, photo_ids)
    card = session.scalars(select(ModelVersion.card).where(ModelVersion.id == version_id)).one()
    threshold = float(card.get("threshold") or 0.0)
    known = first_labels(session, photo_ids, version_id)
    _show(session, [(photo_id, version_id, *first, first[1] < threshold) for photo_id, first in known.items()])


def first_labels(session: Session, photo_ids: Collection[int], version_id: int) -> dict[int, tuple[int, float]]:
    """The first label's id and score of those photos that the version has tagged."""
    query = select(Prediction.photo_id, Prediction.label_id, Prediction.score).where(
        Prediction.photo_id.in_(photo_ids), Prediction.model_version_id == version_id, Prediction.rank == 1
    )
    return {row.photo_id: (row.label_id, row.score) for row in session.execute(query)}


def no_person_has_spoken() -> ColumnElement[bool]:
    """The condition of every statement by which a model changes a shown label."""
    return or_(PHOTO.shown_origin.is_(None), PHOTO.shown_origin != "person")


def _lock_photos(session: Session, photo_ids: Collection[int]) -> None:
    """Always in the order of their ids, so that two workers with photos in common do not wait for each other."""
    if not is_sqlite(session):
        session.execute(_lock_statement(), as_json([photo_id] for photo_id in photo_ids)).all()


def _show(session: Session, photos: Sequence[tuple[int, int, int, float, bool]]) -> None:
    """Copies (photo, version, first label, score, not sure) to the photo."""
    session.execute(_show_statement(sqlite=is_sqlite(session)), as_json(photos))


def _facts_row(of: tuple[int, PhotoFacts]) -> tuple[object, ...]:
    photo_id, facts = of
    # as SQLite's rows have it, which are compared as text
    taken_at = facts.taken_at and facts.taken_at.isoformat(sep=" ", timespec="microseconds")
    return (photo_id, facts.format, facts.width, facts.height, taken_at, facts.notes or None, facts.has_previews)


def _top_rows(tagged: Iterable[Tagged]) -> Iterator[tuple[int, int, int, int, float]]:
    for one in tagged:
        for rank, (label_id, score) in enumerate(one.top[:TOP], start=1):
            yield (one.photo_id, one.model_version_id, rank, label_id, score)


@cache
def _lock_statement() -> Executable:
    new = json_rows(sqlite=False, photo_id=BigInteger())
    ids = select(PHOTO.id).where(PHOTO.id.in_(select(new.c.photo_id))).order_by(PHOTO.id)
    return ids.with_for_update(key_share=True)


@cache
def _facts_statement(*, sqlite: bool) -> Executable:
    names = ("format", "width", "height", "taken_at", "notes", "has_previews")
    new = json_rows(sqlite=sqlite, photo_id=BigInteger(), **{name: PHOTO[name].type for name in names})
    return update(table_of(Photo)).where(PHOTO.id == new.c.photo_id).values({name: new.c[name] for name in names})


@cache
def _top_statement(*, sqlite: bool) -> Executable:
    names = ("photo_id", "model_version_id", "rank", "label_id", "score")
    new = json_rows(sqlite=sqlite, **{name: PREDICTION[name].type for name in names})
    # SQLite takes ON CONFLICT for part of a join unless the select ends with a condition
    source = select(*(new.c[name] for name in names)).where(true())
    return insert_on(Prediction, sqlite=sqlite).from_select(list(names), source).on_conflict_do_nothing()


@cache
def _show_statement(*, sqlite: bool) -> Executable:
    """A label is shown unless a person has spoken, or the photo shows another version's and that one is active."""
    new = json_rows(
        sqlite=sqlite,
        photo_id=BigInteger(),
        version_id=BigInteger(),
        label_id=BigInteger(),
        score=PREDICTION.score.type,
        not_sure=Boolean(),
    )
    active = table_of(ActiveVersion).c
    is_active = exists().where(active.model_version_id == new.c.version_id)
    return (
        update(table_of(Photo))
        .where(
            PHOTO.id == new.c.photo_id,
            no_person_has_spoken(),
            # what this version has said of the photo before stays
            or_(PHOTO.shown_label_id.is_(None), and_(PHOTO.shown_model_version_id != new.c.version_id, is_active)),
        )
        .values(
            shown_label_id=new.c.label_id,
            shown_score=new.c.score,
            shown_origin="model",
            shown_model_version_id=new.c.version_id,
            not_sure=new.c.not_sure,
        )
    )
