"""What a model version says of photos: its top five, and the label that pages show. A person's word stays."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    Executable,
    Float,
    and_,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.orm import Session

from db.facts import PhotoFacts
from db.merged_labels import standing
from db.review_hints import raise_disagreements
from db.schema import ActiveVersion, Camera, Photo, Prediction
from db.session import is_sqlite
from db.shown import lock_photos, show_what_counts
from db.shown_before import remember_shown
from db.statements import as_json, insert_missing, insert_on, json_rows, table_of

TOP = 5
# Columns of a photo that are taken as they come; its camera's name becomes an id.
FACTS = ("format", "width", "height", "taken_at", "notes", "has_previews", "latitude", "longitude", "exif")

PHOTO = table_of(Photo).c
CAMERA = table_of(Camera).c
PREDICTION = table_of(Prediction).c


@dataclass(frozen=True, slots=True)
class Tagged:
    """A claimed item with its photo's top labels.

    Attributes:
        facts: None when the photo was not decoded, because its features were known.
        top: (label id, score in [0, 1]), best first, at most five.
        not_sure: the first score is under the version's threshold.
        is_retag: the photo goes on showing what it shows, until a person applies the re-tag.
    """

    item_id: int
    attempt: int
    photo_id: int
    model_version_id: int
    facts: PhotoFacts | None
    top: Sequence[tuple[int, float]]
    not_sure: bool = False
    is_retag: bool = False


def write_predictions(session: Session, tagged: Sequence[Tagged]) -> None:
    """Writes facts, top five and shown label of photos. What a version has said of a photo before stays."""
    ordered = sorted(tagged, key=lambda one: (one.photo_id, one.model_version_id))
    cameras = sorted({one.facts.camera for one in ordered if one.facts is not None and one.facts.camera})
    insert_missing(session, Camera, [{"name": name} for name in cameras])
    if not is_sqlite(session):
        # In a statement of its own, so that the next one begins from what the others left behind: one that locks rows
        # and changes them too goes back to their older versions, on which those who wait for it stand in line.
        lock_photos(session, [one.photo_id for one in ordered])
    session.execute(_top_statement(sqlite=is_sqlite(session)), as_json(_top_rows(ordered)))
    shown = [(one.photo_id, one.model_version_id) for one in ordered if not one.is_retag]
    if shown:
        session.execute(_remember_statement(sqlite=is_sqlite(session)), as_json(shown))
    session.execute(_photos_statement(sqlite=is_sqlite(session)), as_json(map(_photo_row, ordered)))
    raise_disagreements(session, [(one.photo_id, one.model_version_id) for one in ordered])


def show_known(session: Session, photo_ids: Collection[int], version_id: int) -> None:
    """Shows what a version has said of photos before, if it may."""
    known = as_json((photo_id, version_id) for photo_id in lock_photos(session, photo_ids))
    session.execute(_remember_statement(sqlite=is_sqlite(session)), known)
    changed = session.scalars(_named_statement(sqlite=is_sqlite(session)), known).all()
    if changed:
        show_what_counts(session, changed)


def first_labels(session: Session, photo_ids: Collection[int], version_id: int) -> dict[int, tuple[int, float]]:
    """The first label's id and score of those photos that the version has tagged."""
    query = select(Prediction.photo_id, Prediction.label_id, Prediction.score).where(
        Prediction.photo_id.in_(photo_ids), Prediction.model_version_id == version_id, Prediction.rank == 1
    )
    return {row.photo_id: (row.label_id, row.score) for row in session.execute(query)}


def no_person_has_spoken() -> ColumnElement[bool]:
    """The condition of every statement by which a model changes a shown label."""
    return or_(PHOTO.shown_origin.is_(None), PHOTO.shown_origin != "person")


def _photo_row(one: Tagged) -> tuple[object, ...]:
    label_id, score = one.top[0] if one.top else (None, None)
    second_score = one.top[1][1] if len(one.top) > 1 else None
    facts = _no_facts() if one.facts is None else _facts_row(one.facts)
    return (one.photo_id, *facts, one.model_version_id, label_id, score, one.not_sure, second_score, one.is_retag)


def _facts_row(facts: PhotoFacts) -> tuple[object, ...]:
    # as SQLite's rows have it, which are compared as text
    taken_at = facts.taken_at and facts.taken_at.isoformat(sep=" ", timespec="microseconds")
    known = (facts.format, facts.width, facts.height, taken_at, facts.notes or None, facts.has_previews)
    return (*known, facts.latitude, facts.longitude, facts.exif or None, facts.camera or None)


def _no_facts() -> tuple[object, ...]:
    return (None,) * (len(FACTS) + 1)


def _top_rows(tagged: Iterable[Tagged]) -> Iterator[tuple[int, int, int, int, float]]:
    for one in tagged:
        for rank, (label_id, score) in enumerate(one.top[:TOP], start=1):
            yield (one.photo_id, one.model_version_id, rank, label_id, score)


@cache
def _top_statement(*, sqlite: bool) -> Executable:
    names = ("photo_id", "model_version_id", "rank", "label_id", "score")
    new = json_rows(sqlite=sqlite, **{name: PREDICTION[name].type for name in names})
    # SQLite takes ON CONFLICT for part of a join unless the select ends with a condition
    source = select(*(new.c[name] for name in names)).where(true())
    return insert_on(Prediction, sqlite=sqlite).from_select(list(names), source).on_conflict_do_nothing()


@cache
def _photos_statement(*, sqlite: bool) -> Executable:
    """Facts replace what was there, if there are any; the first label is shown if it may be."""
    shown = ("shown_model_version_id", "shown_label_id", "shown_score", "not_sure")
    facts, labels = ({name: PHOTO[name].type for name in names} for names in (FACTS, shown))
    new = json_rows(
        sqlite=sqlite,
        photo_id=BigInteger(),
        **facts,
        camera=CAMERA.name.type,
        **labels,
        second_score=Float(),
        is_retag=Boolean(),
    )
    camera_id = select(CAMERA.id).where(CAMERA.name == new.c.camera).scalar_subquery()
    replaces = or_(PHOTO.shown_model_version_id.is_(None), and_(~new.c.is_retag, _replaces(new)))
    may_show = and_(no_person_has_spoken(), replaces)
    said: dict[str, ColumnElement[Any]] = {
        "shown_label_id": standing(new.c.shown_label_id),
        "shown_score": new.c.shown_score,
        "shown_origin": literal("model"),
        "not_sure": new.c.not_sure,
        "margin": new.c.shown_score - func.coalesce(new.c.second_score, 0.0),
    }
    return (
        update(table_of(Photo))
        .where(PHOTO.id == new.c.photo_id, or_(~new.c.is_retag, ~_is_as_it_was(new)))
        .values({name: func.coalesce(new.c[name], PHOTO[name]) for name in FACTS})
        .values(camera_id=func.coalesce(camera_id, PHOTO.camera_id))
        .values(state="tagged", dated_at=func.coalesce(new.c.taken_at, PHOTO.dated_at))
        .values({name: case((may_show, value), else_=PHOTO[name]) for name, value in said.items()})
        .values(shown_model_version_id=_version_of(new, replaces))
    )


def _is_as_it_was(new: CTE) -> ColumnElement[bool]:
    """A re-tag from features changes nothing of the row of a photo that is tagged and shows something."""
    shows = PHOTO.state == "tagged", PHOTO.shown_model_version_id.is_not(None)
    return and_(new.c.has_previews.is_(None), *shows)


@cache
def _named_statement(*, sqlite: bool) -> Executable:
    """Says whose word it is that photos show; returns those of which it is another's now."""
    new = _known(sqlite=sqlite)
    change = update(table_of(Photo)).where(PHOTO.id == new.c.photo_id, _has_spoken(new), _replaces(new))
    return change.values(shown_model_version_id=new.c.shown_model_version_id).returning(PHOTO.id)


@cache
def _remember_statement(*, sqlite: bool) -> Executable:
    """Keeps whose word it is that photos show, where another's takes its place."""
    new = _known(sqlite=sqlite)
    return remember_shown(new, _has_spoken(new), _replaces(new), sqlite=sqlite)


def _known(*, sqlite: bool) -> CTE:
    return json_rows(sqlite=sqlite, photo_id=BigInteger(), shown_model_version_id=BigInteger())


def _has_spoken(new: CTE) -> ColumnElement[bool]:
    return exists().where(
        PREDICTION.photo_id == new.c.photo_id,
        PREDICTION.model_version_id == new.c.shown_model_version_id,
        PREDICTION.rank == 1,
    )


def _version_of(new: CTE, replaces: ColumnElement[bool]) -> ColumnElement[Any]:
    return case((replaces, new.c.shown_model_version_id), else_=PHOTO.shown_model_version_id)


def _replaces(new: CTE) -> ColumnElement[bool]:
    """A version's word takes the place of another's if it is the active one. What it has said before itself stays.

    Also beneath a person's word: so an undo finds what would be shown, had nobody spoken.
    """
    active = table_of(ActiveVersion).c
    is_active = exists().where(active.model_version_id == new.c.shown_model_version_id)
    return or_(
        PHOTO.shown_model_version_id.is_(None),
        and_(PHOTO.shown_model_version_id != new.c.shown_model_version_id, is_active),
    )
