"""The orders of the library, and the cursors that say where in one a page begins."""

import base64
import binascii
import datetime as dt
import json
import math
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from db.schema import Photo

Sort = Literal["date", "score", "name", "newest"]
CursorValue = str | float | int | dt.datetime

MAX_CURSOR_CHARS = 2000
MAX_CURSOR_VALUE = 1000
MAX_ID = 2**63 - 1
_columns: dict[Sort, InstrumentedAttribute[Any]] = {
    "date": Photo.dated_at,
    "score": Photo.shown_score,
    "name": Photo.name_key,
    "newest": Photo.id,
}
_kinds: dict[Sort, type[CursorValue]] = {"date": dt.datetime, "score": float, "name": str, "newest": int}


@dataclass(frozen=True, slots=True)
class Cursor:
    """A photo's place in an order: what it is sorted by, then its id. The photo need not exist any more."""

    value: CursorValue
    photo_id: int

    def to_text(self) -> str:
        """For an address: URL-safe, without padding."""
        shown = self.value.isoformat() if isinstance(self.value, dt.datetime) else self.value
        kind = next(name for name, of in _kinds.items() if type(self.value) is of)
        text = json.dumps([kind, shown, self.photo_id], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    @classmethod
    def from_text(cls, text: str) -> "Cursor":
        """What `to_text` made.

        Raises:
            ValueError: anything else, with what to do.
        """
        try:
            kind, value, photo_id = _decoded(text)
            return cls(_value_of(kind, value), _checked_id(photo_id))
        except (ValueError, TypeError, KeyError, RecursionError, binascii.Error) as error:
            msg = f"This is no place in the library; go back to its first page. Received: {text[:50]!r}"
            raise ValueError(msg) from error


def sort_column(sort: Sort) -> InstrumentedAttribute[Any]:
    """What photos are sorted by; ties by their ids, in the same direction."""
    return _columns[sort]


def beyond(sort: Sort, cursor: Cursor, *, descending: bool) -> ColumnElement[bool]:
    """The photos that follow the cursor in this direction.

    Raises:
        ValueError: the cursor is of another order.
    """
    if type(cursor.value) is not _kinds[sort]:
        msg = f"This place is of another order than {sort!r}; go back to the first page. Received: {cursor}"
        raise ValueError(msg)
    if sort == "newest":
        return Photo.id < cursor.photo_id if descending else Photo.id > cursor.photo_id
    column = _columns[sort]
    place = tuple_(column, Photo.id)
    there = tuple_(literal(cursor.value, column.type), literal(cursor.photo_id, Photo.id.type))
    return place < there if descending else place > there


def _decoded(text: str) -> tuple[Any, Any, Any]:
    if len(text) > MAX_CURSOR_CHARS:
        raise ValueError("too long")
    raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    kind, value, photo_id = json.loads(raw)
    return kind, value, photo_id


def _value_of(kind: Any, value: Any) -> CursorValue:
    wanted = _kinds[kind]
    if wanted is dt.datetime:
        moment = dt.datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            raise ValueError("a zone")
        return moment
    if type(value) is not wanted:
        raise ValueError("another type")
    if isinstance(value, str):
        value.encode()  # halves of characters are an error here
        if "\0" in value or len(value) > MAX_CURSOR_VALUE:
            raise ValueError("no name")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not finite")
    elif wanted is int:
        _checked_id(value)
    return value


def _checked_id(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_ID:
        raise ValueError("no id")
    return value
