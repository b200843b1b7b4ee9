"""Shows what the active version says of photos, all or some; and after a roll back what they showed before.

Both go through the photos in transactions of some thousands and go on where they were left. A person's word is never
changed: only what lies beneath it, so that an undo finds what would be shown, had nobody spoken.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    SQLColumnExpression,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from db.errors import ConflictError
from db.retags import held_active_id
from db.schema import Activation, Label, ModelVersion, Photo, Prediction, ShownBefore
from db.session import Database, is_sqlite
from db.shown import lock_photos, show_what_counts
from db.shown_before import remember_shown
from db.statements import IN_DATABASE_ONLY, as_json, json_rows, table_of

# Photos that change in one transaction: it holds SQLite's only write lock for a fifth of a second.
GROUP = 2000
# Others get the database in between.
MOST_PAUSE_S = 0.05

PHOTO = table_of(Photo).c
PREDICTION = table_of(Prediction).c

Pair = tuple[int, int]
Work = Callable[[Session, Sequence[int]], int]


@dataclass(frozen=True, slots=True)
class Applied:
    """How many photos were changed, and how many are left for the next call."""

    done: int
    left: int


def apply_some(database: Database, version_id: int, *, pair: Pair | None = None, limit_s: float = 10.0) -> Applied:
    """Shows the word of the active version for photos that show another's. Called again it goes on.

    What was rolled back is restored first (`restore_some`).

    Args:
        database: in which transactions are opened.
        version_id: the active version.
        pair: only photos that show a model's word, of this label, and would show that one; None: all photos.
        limit_s: how long it may take, about.

    Raises:
        ConflictError: another version is active, perhaps since a moment ago.
    """
    deadline = time.monotonic() + limit_s
    restored = restore_some(database, limit_s=limit_s)
    if restored.left:
        return restored

    def apply(session: Session, photo_ids: Sequence[int]) -> int:
        _require_active(session, version_id)
        return _show_word(session, photo_ids, version_id, conditions)

    with database.reading() as session:
        _require_active(session, version_id)
        conditions = _flipping(session, version_id, pair)
    wanted = select(PHOTO.id).where(*conditions)
    return _work_through(database, wanted, PHOTO.id, apply, deadline)


def restore_some(database: Database, *, limit_s: float = 10.0) -> Applied:
    """After a roll back: photos show again what they showed before, exactly. Called again it goes on.

    Where several activations were rolled back, the last one is taken back first. A photo that shows another version's
    word meanwhile keeps that; one that was tagged for the first time since the activation keeps the only word there is.
    """
    deadline = time.monotonic() + limit_s
    done = 0
    while (undone := _last_undone(database)) is not None:
        activation_id, version_id = undone
        wanted = select(ShownBefore.photo_id).where(ShownBefore.activation_id == activation_id)

        def restore(
            session: Session, photo_ids: Sequence[int], which: int = activation_id, version: int = version_id
        ) -> int:
            return _show_before(session, photo_ids, which, version)

        some = _work_through(database, wanted, ShownBefore.photo_id, restore, deadline)
        done += some.done
        if some.left:
            return Applied(done, _undone_rows(database))
    return Applied(done, 0)


def _work_through(
    database: Database, wanted: Select[Any], photo_id: SQLColumnExpression[Any], work: Work, deadline: float
) -> Applied:
    """Hands the photos to `work`, group by group in the order of their ids, until the time is over."""
    done, after, began = 0, 0, time.monotonic()
    while True:
        with database.reading() as session:
            group = session.scalars(wanted.where(photo_id > after).order_by(photo_id).limit(GROUP)).all()
        if not group:
            return Applied(done, 0)
        with database.transaction() as session:
            done += work(session, group)
        after = group[-1]
        now = time.monotonic()
        if now >= deadline:
            break
        time.sleep(min(MOST_PAUSE_S, (now - began) / 4))
        began = time.monotonic()
    with database.reading() as session:
        left = wanted.where(photo_id > after).subquery()
        return Applied(done, session.scalars(select(func.count()).select_from(left)).one())


def _flipping(session: Session, version_id: int, pair: Pair | None) -> list[ColumnElement[bool]]:
    """The photos that show the word of another version than this one, which has tagged them."""
    others = session.scalars(select(ModelVersion.id).where(ModelVersion.id != version_id)).all()
    said = and_(PREDICTION.photo_id == PHOTO.id, PREDICTION.model_version_id == version_id, PREDICTION.rank == 1)
    shows = PHOTO.shown_model_version_id.in_(others)
    if pair is None:
        return [shows, exists().where(said)]
    from_id, to_id = pair
    named = session.scalars(select(Label.id).where(or_(Label.id == to_id, Label.merged_into_id == to_id))).all()
    is_from = and_(PHOTO.shown_origin == "model", PHOTO.shown_label_id == from_id)
    return [shows, is_from, exists().where(said, PREDICTION.label_id.in_(named))]


def _show_word(
    session: Session, photo_ids: Sequence[int], version_id: int, conditions: Sequence[ColumnElement[bool]]
) -> int:
    held = lock_photos(session, photo_ids)
    sqlite = is_sqlite(session)
    new = json_rows(sqlite=sqlite, photo_id=BigInteger(), shown_model_version_id=BigInteger())
    rows = as_json((photo_id, version_id) for photo_id in held)
    session.execute(remember_shown(new, *conditions, sqlite=sqlite), rows)
    change = update(table_of(Photo)).where(PHOTO.id.in_(select(new.c.photo_id)), *conditions)
    change = change.values(shown_model_version_id=version_id).returning(PHOTO.id)
    changed = session.scalars(change, rows, execution_options=IN_DATABASE_ONLY).all()
    if changed:
        show_what_counts(session, changed)
    return len(changed)


def _show_before(session: Session, photo_ids: Sequence[int], activation_id: int, version_id: int) -> int:
    lock_photos(session, photo_ids)
    new = json_rows(sqlite=is_sqlite(session), photo_id=BigInteger())
    rows = as_json([photo_id] for photo_id in photo_ids)
    mine = ShownBefore.activation_id == bindparam("activation_id"), ShownBefore.photo_id == Photo.id
    before = select(ShownBefore.model_version_id).where(*mine).scalar_subquery()
    change = (
        update(Photo)
        .where(Photo.id.in_(select(new.c.photo_id)), Photo.shown_model_version_id == version_id, before.is_not(None))
        .values(shown_model_version_id=before)
        .returning(Photo.id)
    )
    which = {"activation_id": activation_id}
    changed = session.scalars(change, rows | which, execution_options=IN_DATABASE_ONLY).all()
    if changed:
        show_what_counts(session, changed)
    spent = ShownBefore.activation_id == activation_id, ShownBefore.photo_id.in_(select(new.c.photo_id))
    session.execute(delete(ShownBefore).where(*spent), rows, execution_options=IN_DATABASE_ONLY)
    return len(changed)


def _last_undone(database: Database) -> tuple[int, int] | None:
    """The last activation that was rolled back and is not restored yet, and its version."""
    kept = exists().where(ShownBefore.activation_id == Activation.id)
    query = select(Activation.id, Activation.version_id).where(_is_undone(), kept)
    with database.reading() as session:
        row = session.execute(query.order_by(Activation.id.desc()).limit(1)).one_or_none()
    return None if row is None else (row.id, row.version_id)


def _undone_rows(database: Database) -> int:
    undone = select(Activation.id).where(_is_undone())
    query = select(func.count()).select_from(ShownBefore).where(ShownBefore.activation_id.in_(undone))
    with database.reading() as session:
        return session.scalars(query).one()


def _is_undone() -> ColumnElement[bool]:
    undone = select(Activation.undoes_id).where(Activation.undoes_id.is_not(None))
    return Activation.id.in_(undone)


def _require_active(session: Session, version_id: int) -> None:
    active_id = held_active_id(session)
    if active_id != version_id:
        version, active = (session.get(ModelVersion, one) if one else None for one in (version_id, active_id))
        msg = (
            "Only what the active version says can be applied; look at the preview again."
            f" Active: {active.name if active else 'none'}. Received: {version.name if version else version_id!r}"
        )
        raise ConflictError(msg)
