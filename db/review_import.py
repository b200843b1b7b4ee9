"""Verdicts that were exported are said again, in another database or after a loss, with the subsets of their photos.

The same file again changes nothing: each action has a token that tells it. Photos must be there already, and are known by
their SHA-256. Verdicts are dated when they are imported.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Annotated, Literal

from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.errors import ConflictError, InvalidNameError, NotFoundError
from db.labels import ensure_labels, ids_of_names
from db.library_filter import SEES_ALL
from db.reviews import Said, record_verdicts, undo
from db.schema import Photo, User
from db.session import Database
from db.subsets import record_subsets
from db.users import user_named

MOST_REFUSED = 20


class ImportedRow(BaseModel, frozen=True):
    """What is needed of a row of `phototag reviews export`; the other columns follow from the database."""

    review_id: int
    action_id: int
    by: str
    source: Literal["single", "grid", "alike", "library", "import", "api"]
    token: Annotated[str, Field(max_length=64)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    verdict: Literal["accept", "correct", "none", "unsure", "skip", "undo"]
    label: str | None = None
    reason: Annotated[str | None, Field(max_length=16)] = None
    took_ms: int | None = None
    undoes_id: int | None = None
    subset: Literal["training", "holdout", "neither"] | None = None


@dataclass
class Imported:
    """What came of a file.

    Attributes:
        verdicts: that were written now.
        undone: actions that are taken back.
        subsets: photos whose subset the file names, whether they had it before or not.
        without_photo: rows whose photo is not there.
        refused: why actions were not written, the first ones.
    """

    verdicts: int = 0
    undone: int = 0
    subsets: int = 0
    without_photo: int = 0
    refused: list[str] = field(default_factory=list[str])


def import_reviews(database: Database, rows: Iterable[ImportedRow], user: User) -> Imported:
    """Says again what the rows say, in their order.

    Args:
        database: each action in a transaction of its own.
        rows: in the order of the export.
        user: who says what was said by people who are not here, or review no longer.
    """
    importing = _Importing(user)
    for _, of_action in groupby(rows, key=lambda row: row.action_id):
        importing.say(database, list(of_action))
    return importing.found


class _Importing:
    """One file on its way in."""

    def __init__(self, user: User) -> None:
        self.found = Imported()
        self._user = user
        self._said_as: dict[int, list[tuple[User, int]]] = {}  # by the file's action id: what it has become here

    def say(self, database: Database, rows: Sequence[ImportedRow]) -> None:
        try:
            with database.transaction() as session:
                self._say_one(session, rows)
        except (ConflictError, NotFoundError, InvalidNameError) as error:
            if len(self.found.refused) < MOST_REFUSED:
                self.found.refused.append(f"review {rows[0].review_id}: {error}")

    def _say_one(self, session: Session, rows: Sequence[ImportedRow]) -> None:
        first = rows[0]
        ids = _photo_ids(session, {row.sha256 for row in rows})
        subsets = {ids[row.sha256]: row.subset for row in rows if row.subset and row.sha256 in ids}
        record_subsets(session, subsets)
        user = self._speaker(session, first.by)
        token = hashlib.sha256(f"{first.by}\n{first.token}\n{first.review_id}".encode()).hexdigest()
        if first.verdict == "undo":
            self._undo(session, first, token)
        else:
            said = _said(session, [row for row in rows if row.sha256 in ids], ids)
            outcome = record_verdicts(session, user, said, token=token, source=first.source) if said else None
            if outcome is not None and outcome.action_id is not None:
                self._said_as.setdefault(first.action_id, []).append((user, outcome.action_id))
                self.found.verdicts += 0 if outcome.repeated else len(outcome.photo_ids)
        self.found.subsets += len(subsets)
        self.found.without_photo += sum(row.sha256 not in ids for row in rows)

    def _undo(self, session: Session, row: ImportedRow, token: str) -> None:
        for number, (user, action_id) in enumerate(self._said_as.get(row.undoes_id or 0, ())):
            undo(session, user, token=f"{token[:60]}-{number}", action_id=action_id)
            self.found.undone += 1

    def _speaker(self, session: Session, name: str) -> User:
        user = user_named(session, name)
        return user if user is not None and user.role in SEES_ALL and user.disabled_at is None else self._user


def _photo_ids(session: Session, sha256s: Collection[str]) -> dict[str, int]:
    query = select(Photo.sha256, Photo.id).where(Photo.sha256.in_(sha256s))
    return {row.sha256: row.id for row in session.execute(query)}


def _said(session: Session, rows: Sequence[ImportedRow], ids: Mapping[str, int]) -> list[Said]:
    names = {row.label for row in rows if row.label is not None}
    ensure_labels(session, [[name] for name in sorted(names)])
    labels = ids_of_names(session, names)
    return [
        Said(
            ids[row.sha256],
            "label" if row.verdict in ("accept", "correct") else row.verdict,
            labels[row.label] if row.label is not None else None,
            reason=row.reason,
            took_ms=row.took_ms,
        )
        for row in rows
        if row.verdict != "undo"
    ]
