"""Verdicts of people and their undo. Rows are added only; what photos show follows in the same transaction.

A person's strokes are written one after the other, so that a request that is sent again finds the first one. Locks are
taken in the order person, photos; the person's row is changed by nothing that holds photos.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sqlalchemy import BigInteger, exists, func, select
from sqlalchemy.orm import Session, aliased

from db.errors import ConflictError, NotAllowedError, NotFoundError
from db.library_filter import SEES_ALL
from db.merged_labels import standing, standing_for
from db.review_hints import raise_contradictions
from db.review_rows import add_reviews
from db.schema import Label, Review, ReviewAction, User
from db.session import is_sqlite, utc_now
from db.shown import LABELLED, counting_review, lock_photos, show_what_counts
from db.statements import as_json, json_rows, table_of

Verdict = Literal["label", "none", "unsure", "skip"]
# Those that can count for a photo.
Decision = Literal["label", "none", "unsure"]
# What a person takes back with one key. Imports and scripts name the action that they mean.
ON_PAGES = ("single", "grid", "alike", "library")


@dataclass(frozen=True, slots=True)
class Said:
    """A person's verdict on one photo.

    Attributes:
        label_id: with the verdict "label" only.
        seen: id of the review that counted when the photo was put on the screen, 0 for none; None: whatever counts now.
        reason: why the photo was shown, as `db.review_queue.Reason`; None: it was chosen.
        took_ms: from the photo on the screen to the key.
    """

    photo_id: int
    verdict: Verdict
    label_id: int | None = None
    seen: int | None = None
    reason: str | None = None
    took_ms: int | None = None


class Conflict(NamedTuple):
    """Somebody has decided the photo while it was on the screen.

    Attributes:
        by: who.
        verdict: what they said: label, none or unsure.
        label: the label they gave, with the verdict "label" only.
    """

    photo_id: int
    by: str
    verdict: Decision
    label: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of verdicts.

    Attributes:
        action_id: None when nothing was written, because each photo is gone or in `conflicts`.
        photo_ids: those whose verdict was written, in rising order.
        repeated: it was sent before: nothing was written now.
    """

    action_id: int | None
    photo_ids: list[int]
    conflicts: list[Conflict]
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Undone:
    """What was taken back; `photo_ids` in rising order."""

    action_id: int
    undone_action_id: int
    photo_ids: list[int]


def record_verdicts(session: Session, user: User, said: Sequence[Said], *, token: str, source: str) -> Outcome:
    """Writes verdicts as one action; up to 10,000. Of two on one photo the last is taken; photos that are gone are left out.

    Args:
        session: of a write transaction.
        user: a reviewer or an admin.
        said: the verdicts.
        token: made by the client for this stroke: the same again is not written again.
        source: single, grid, alike, library, import or api.

    Raises:
        NotAllowedError: the person is no reviewer.
        NotFoundError: there is no such label.
        ConflictError: a label is retired, or the token was used for an undo.
        ValueError: a verdict with a label that it does not take, or without the one it needs.
    """
    require_reviewer(user)
    by_photo = {one.photo_id: one for one in said}
    _wait_for_own_strokes(session, user)
    earlier = _action_of(session, user, token)
    if earlier is not None:
        return _repeated(session, earlier, by_photo)
    labels = _labels_to_give(session, by_photo.values())
    held = lock_photos(session, by_photo)
    conflicts = _conflicts(session, [by_photo[photo_id] for photo_id in held])
    decided = {conflict.photo_id for conflict in conflicts}
    photo_ids = [photo_id for photo_id in held if photo_id not in decided]
    if not photo_ids:
        return Outcome(None, [], conflicts)
    action_id = _add_action(session, user, token, source)
    add_reviews(session, action_id, [_row(by_photo[photo_id], labels) for photo_id in photo_ids])
    show_what_counts(session, photo_ids)
    raise_contradictions(session, action_id)
    return Outcome(action_id, photo_ids, conflicts)


def undo(session: Session, user: User, *, token: str, action_id: int | None = None) -> Undone:
    """Takes an action of this person back; without `action_id` their last one on a page that still stands.

    Each is taken back only once: the same token, or the same `action_id` again, gives what was done then. What others
    have said of its photos since stays.

    Raises:
        NotAllowedError: the person is no reviewer.
        NotFoundError: there is nothing to take back, or no such action of theirs.
        ConflictError: the action is an undo itself, or the token was used for verdicts.
    """
    require_reviewer(user)
    _wait_for_own_strokes(session, user)
    earlier = _action_of(session, user, token)
    if earlier is not None:
        return _undone(session, earlier)
    target = _to_undo(session, user, action_id)
    undoing = session.scalars(select(ReviewAction).where(ReviewAction.undoes_id == target.id)).one_or_none()
    if undoing is not None:
        return _undone(session, undoing)
    photo_ids = lock_photos(session, _photo_ids(session, target.id))
    new_id = _add_action(session, user, token, target.source, undoes_id=target.id)
    add_reviews(session, new_id, [(photo_id, "undo", None, None, None) for photo_id in photo_ids])
    show_what_counts(session, photo_ids)
    return Undone(new_id, target.id, photo_ids)


def counting_ids(session: Session, photo_ids: Collection[int]) -> dict[int, int]:
    """By photo the id of the review that counts; 0 where none does. See `Said.seen`."""
    new = json_rows(sqlite=is_sqlite(session), photo_id=BigInteger())
    query = select(new.c.photo_id, func.coalesce(counting_review(new.c.photo_id), 0).label("review_id"))
    rows = session.execute(query, as_json([photo_id] for photo_id in sorted(set(photo_ids))))
    return {row.photo_id: row.review_id for row in rows}


def undoable(session: Session, user: User) -> bool:
    """Whether there is something that `undo` would take back."""
    return _last_standing(session, user) is not None


def require_reviewer(user: User) -> None:
    """Lets reviewers and admins pass.

    Raises:
        NotAllowedError: anybody else.
    """
    if user.role not in SEES_ALL:
        msg = f"Only reviewers and admins review photos; ask an admin for that role. Received: the role {user.role!r}"
        raise NotAllowedError(msg)


def _wait_for_own_strokes(session: Session, user: User) -> None:
    session.execute(select(User.id).where(User.id == user.id).with_for_update(key_share=True)).all()


def _action_of(session: Session, user: User, token: str) -> ReviewAction | None:
    same = ReviewAction.user_id == user.id, ReviewAction.token == token
    return session.scalars(select(ReviewAction).where(*same)).one_or_none()


def _add_action(session: Session, user: User, token: str, source: str, undoes_id: int | None = None) -> int:
    action = ReviewAction(user_id=user.id, token=token, source=source, at=utc_now(), undoes_id=undoes_id)
    session.add(action)
    session.flush()
    return action.id


def _labels_to_give(session: Session, said: Iterable[Said]) -> dict[int, int]:
    """The label that each said one stands for."""
    wanted: set[int] = set()
    for one in said:
        if (one.verdict == "label") != (one.label_id is not None):
            msg = f"A verdict 'label' needs a label_id, and no other takes one. Received: {one}"
            raise ValueError(msg)
        if one.label_id is not None:
            wanted.add(one.label_id)
    found, target = aliased(Label), aliased(Label)
    query = (
        select(found.id, target.id.label("target_id"), target.name, target.retired_at)
        .join(target, target.id == standing_for(found))
        .where(found.id.in_(wanted))
    )
    rows = {row.id: row for row in session.execute(query)}
    for label_id in sorted(wanted):
        if label_id not in rows:
            msg = f"There is no label of this id; choose one of the list. Received: {label_id}"
            raise NotFoundError(msg)
        if rows[label_id].retired_at is not None:
            msg = (
                f"This label is retired and given to no more photos; choose another. Received: {rows[label_id].name!r}"
            )
            raise ConflictError(msg)
    return {label_id: row.target_id for label_id, row in rows.items()}


def _row(one: Said, labels: Mapping[int, int]) -> tuple[int, str, int | None, str | None, int | None]:
    label_id = None if one.label_id is None else labels[one.label_id]
    return one.photo_id, one.verdict, label_id, one.reason, one.took_ms


def _conflicts(session: Session, said: Sequence[Said]) -> list[Conflict]:
    """A verdict that was taken back meanwhile is in nobody's way."""
    seen = {one.photo_id: one.seen for one in said if one.seen is not None}
    if not seen:
        return []
    new = json_rows(sqlite=is_sqlite(session), photo_id=BigInteger())
    query = (
        select(Review.photo_id, Review.id, User.name.label("by"), Review.verdict, Label.name.label("label"))
        .select_from(new)
        .join(Review, Review.id == counting_review(new.c.photo_id))
        .join(ReviewAction, ReviewAction.id == Review.action_id)
        .join(User, User.id == ReviewAction.user_id)
        .outerjoin(Label, Label.id == standing(Review.label_id))
        .order_by(Review.photo_id)
    )
    rows = session.execute(query, as_json([photo_id] for photo_id in sorted(seen)))
    return [
        Conflict(row.photo_id, row.by, "label" if row.verdict in LABELLED else row.verdict, row.label)
        for row in rows
        if row.id != seen[row.photo_id]
    ]


def _repeated(session: Session, action: ReviewAction, by_photo: Mapping[int, Said]) -> Outcome:
    if action.undoes_id is not None:
        msg = f"This token belongs to an undo, not to verdicts. Send a new one. Received: {action.token!r}"
        raise ConflictError(msg)
    photo_ids = _photo_ids(session, action.id)
    others = [one for photo_id, one in by_photo.items() if photo_id not in set(photo_ids)]
    return Outcome(action.id, photo_ids, _conflicts(session, others), repeated=True)


def _photo_ids(session: Session, action_id: int) -> list[int]:
    return sorted(session.scalars(select(Review.photo_id).where(Review.action_id == action_id)))


def _undone(session: Session, undoing: ReviewAction) -> Undone:
    if undoing.undoes_id is None:
        msg = f"This token belongs to verdicts, not to an undo. Send a new one. Received: {undoing.token!r}"
        raise ConflictError(msg)
    return Undone(undoing.id, undoing.undoes_id, _photo_ids(session, undoing.id))


def _to_undo(session: Session, user: User, action_id: int | None) -> ReviewAction:
    if action_id is None:
        last = _last_standing(session, user)
        if last is None:
            raise NotFoundError("There is nothing of yours left to take back.")
        return last
    action = session.get(ReviewAction, action_id)
    if action is None or action.user_id != user.id:
        msg = f"You have no action of this id; take back one of your own. Received: {action_id}"
        raise NotFoundError(msg)
    if action.undoes_id is not None:
        msg = f"An undo is not taken back; give the verdict again. Received: {action_id}"
        raise ConflictError(msg)
    return action


def _last_standing(session: Session, user: User) -> ReviewAction | None:
    undoing: Any = table_of(ReviewAction).alias("undoing").c
    query = (
        select(ReviewAction)
        .where(ReviewAction.user_id == user.id, ReviewAction.undoes_id.is_(None), ReviewAction.source.in_(ON_PAGES))
        .where(~exists().where(undoing.undoes_id == ReviewAction.id))
        .order_by(ReviewAction.id.desc())
        .limit(1)
    )
    return session.scalars(query).one_or_none()
