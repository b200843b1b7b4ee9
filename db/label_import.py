"""Labels of an import: made where they are missing, and given to the photos of a batch by a person's verdict."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from db.errors import InvalidNameError
from db.label_changes import add_label
from db.labels import label_named
from db.reviews import Outcome, Said, record_verdicts
from db.schema import Batch, Item, Label, Photo, User

PAGE = 2000


class ImportItem(NamedTuple):
    """A photo at its place in a batch; `position` and `archive_number` as in `db.schema.Item`."""

    archive_number: int
    position: int
    path: str
    photo_id: int


def iter_import_items(session: Session, batch_id: str, after: tuple[int, int] = (-1, -1)) -> Iterator[ImportItem]:
    """The photos of a batch that were accepted, in order, from behind a place (archive number, position)."""
    columns = (Item.archive_number, Item.position, Item.path, Item.photo_id)
    while True:
        query = (
            select(*columns, Item.state)
            .where(Item.batch_id == batch_id, (Item.archive_number > after[0]) | _behind(after))
            .order_by(Item.archive_number, Item.position)
            .limit(PAGE)
        )
        rows = session.execute(query).all()
        for row in rows:
            if row.photo_id is not None and row.state not in ("refused", "failed", "cancelled"):
                yield ImportItem(row.archive_number, row.position, row.path, row.photo_id)
        if len(rows) < PAGE:
            return
        after = rows[-1].archive_number, rows[-1].position


def is_all_there(session: Session, batch_id: str) -> bool:
    """Whether no more photos will come into the batch: its archives are unpacked."""
    state = session.scalars(select(Batch.state).where(Batch.id == batch_id)).one()
    return state not in ("receiving", "unpacking")


def ensure_import_label(session: Session, user: User, path: Sequence[str]) -> Label:
    """The label of the last of these names, topmost first; a merged name gives the label that it stands for.

    What is missing is added to the vocabulary as that person's change. A label that exists keeps its place.

    Raises:
        InvalidNameError: a name is no label's.
        NotAllowedError: the person is no reviewer.
    """
    parent: Label | None = None
    for name in path:
        parent = _find(session, name) or _add(session, user, name, parent)
    if parent is None:
        raise InvalidNameError("A photo outside any folder has no label. Put it into one.")
    return parent


def give_labels(session: Session, user: User, labels: Mapping[int, int], *, token: str, replace: bool) -> Outcome:
    """Gives photos their labels, by photo's id; those that have it by a person's word already are left as they are.

    Args:
        session: of a write transaction.
        user: whose verdict it is.
        labels: the label of each photo; not retired.
        token: the same again is not written again.
        replace: also where a person has decided otherwise; else these are the outcome's conflicts.
    """
    ids = sorted(labels)
    query = select(Photo.id, Photo.shown_label_id).where(Photo.id.in_(ids), Photo.shown_origin == "person")
    same = {row.id for row in session.execute(query) if row.shown_label_id == labels[row.id]}
    seen = None if replace else 0
    said = [Said(photo_id, "label", labels[photo_id], seen) for photo_id in ids if photo_id not in same]
    if not said:
        return Outcome(None, sorted(same), [])
    outcome = record_verdicts(session, user, said, token=token, source="import")
    return Outcome(outcome.action_id, sorted(same.union(outcome.photo_ids)), outcome.conflicts, outcome.repeated)


def _behind(after: tuple[int, int]) -> ColumnElement[bool]:
    return (Item.archive_number == after[0]) & (Item.position > after[1])


def _find(session: Session, name: str) -> Label | None:
    label = label_named(session, name)
    if label is None or label.merged_into_id is None:
        return label
    return session.get_one(Label, label.merged_into_id)


def _add(session: Session, user: User, name: str, parent: Label | None) -> Label:
    parent_id = None if parent is None or parent.retired_at is not None else parent.id
    return session.get_one(Label, add_label(session, user, name, parent_id).label_id)
