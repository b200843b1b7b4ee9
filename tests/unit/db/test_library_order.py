"""Cursors travel in addresses: what comes back is a place in the library, or an error that says what to do."""

import base64
import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.library_order import MAX_ID, Cursor, beyond

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=255)
VALUES = st.one_of(st.datetimes(), st.floats(allow_nan=False, allow_infinity=False), NAMES, st.integers(0, MAX_ID))


@given(value=VALUES, photo_id=st.integers(0, MAX_ID))
def test_a_cursor_comes_back_from_an_address_as_it_was(value: str | float | dt.datetime, photo_id: int) -> None:
    """Of the same type, and made of characters that need no escape."""
    cursor = Cursor(value, photo_id)

    text = cursor.to_text()

    assert Cursor.from_text(text) == cursor
    assert type(Cursor.from_text(text).value) is type(value)
    assert text.isascii()
    assert text.replace("-", "").replace("_", "").isalnum()


@given(
    text=st.one_of(st.text(max_size=60), st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
)
def test_hostile_text_is_refused_in_words(text: str) -> None:
    """Whatever is typed into the address."""
    with pytest.raises(ValueError, match="go back to its first page"):
        Cursor.from_text(text)


@pytest.mark.parametrize(
    "content",
    [
        ["score", "0.5", 1],
        ["score", 1e999, 1],
        ["score", float("nan"), 1],
        ["score", True, 1],
        ["newest", 1.0, 1],
        ["newest", 2**63, 1],
        ["name", "a\0b", 1],
        ["name", "\ud800", 1],
        ["name", "x" * 1001, 1],
        ["date", "2020-01-01T00:00:00+00:00", 1],
        ["date", 5, 1],
        ["date", "yesterday", 1],
        ["price", 5, 1],
        [["date"], 5, 1],
        ["newest", 1, -1],
        ["newest", 1, 2**63],
        ["newest", 1, "1"],
        ["newest", 1, True],
        ["newest", 1],
        {"newest": 1, "b": 2, "c": 3},
        [],
        None,
    ],
    ids=str,
)
def test_a_forged_cursor_is_refused_in_words(content: object) -> None:
    """Before a database sees it."""
    text = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    with pytest.raises(ValueError, match="go back to its first page"):
        Cursor.from_text(text)


def test_json_that_is_nested_without_end_is_refused_in_words() -> None:
    """It would end the parser with another error."""
    with pytest.raises(ValueError, match="go back to its first page"):
        Cursor.from_text(base64.urlsafe_b64encode(b"[" * 1400).decode().rstrip("="))


def test_a_cursor_of_another_order_is_refused() -> None:
    """The order was changed in the address, the cursor was not."""
    with pytest.raises(ValueError, match="of another order than 'date'"):
        beyond("date", Cursor("a name", 1), descending=False)
