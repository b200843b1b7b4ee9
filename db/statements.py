"""Set-based statements: what SQLAlchemy spells differently for each database, or types too loosely."""

import json
from collections.abc import Iterable, Sequence
from typing import Any
from typing import cast as typed

from sqlalchemy import (
    CTE,
    ColumnElement,
    CursorResult,
    Delete,
    Table,
    Text,
    Update,
    bindparam,
    cast,
    column,
    func,
    select,
    text,
    type_coerce,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as lite
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from db.columns import Base
from db.session import is_sqlite

# Rows that the session has loaded before are not refreshed, which would cost a query each.
IN_DATABASE_ONLY = {"synchronize_session": False}


def table_of(row: type[Base]) -> Table:
    """The table of a row class. Statements on it skip the unit of work: several times faster for many rows."""
    return typed("Table", row.__table__)


def insert_missing(session: Session, row: type[Base], values: Sequence[dict[str, Any]]) -> None:
    """Inserts those rows that break no unique constraint, and leaves existing ones as they are.

    Pass `values` in the order of the constraint when others may insert the same rows at the same time: PostgreSQL
    waits for a concurrent insert, and two waiting for each other is a deadlock.
    """
    if values:
        session.execute(insert_on(row, sqlite=is_sqlite(session)).on_conflict_do_nothing(), list(values))


def insert_or_update(session: Session, row: type[Base], values: dict[str, Any], key: Sequence[str]) -> None:
    """Inserts one row, or replaces its columns when `key` exists already. Values may be SQL expressions."""
    statement = insert_on(row, sqlite=is_sqlite(session)).values(values)
    changed = {name: statement.excluded[name] for name in values if name not in key}
    session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=changed))


def count_changed(session: Session, statement: Update | Delete) -> int:
    """Executes a statement and returns how many rows it changed. Rows loaded before are not refreshed.

    Not for a statement that begins with WITH: Python 3.11 does not count those on SQLite.
    """
    result = session.execute(statement, execution_options=IN_DATABASE_ONLY)
    return typed("CursorResult[Any]", result).rowcount


def json_rows(*, sqlite: bool, **columns: TypeEngine[Any]) -> CTE:
    """A CTE over the rows of the parameter `rows`, which travel as JSON (see `as_json`).

    The statement is the same for any number of rows, so it is built and compiled once, and the time of finishing 64
    items is spent in the database instead of on two thousand parameters.

    Args:
        sqlite: for SQLite, else PostgreSQL.
        columns: name and type of each column, in the order of a row's values.
    """
    array = bindparam("rows", type_=Text())
    if sqlite:
        each = func.json_each(array).table_valued("value")
        parts = [func.json_extract(each.c.value, text(f"'$[{n}]'")) for n in range(len(columns))]
    else:
        each = func.jsonb_array_elements(cast(array, postgresql.JSONB)).table_valued(column("value", postgresql.JSONB))
        parts = [func.jsonb_extract_path_text(each.c.value, text(f"'{n}'")) for n in range(len(columns))]
    typed_parts = zip(columns.items(), parts, strict=True)
    return select(*(_as_type(part, kind, sqlite=sqlite).label(name) for (name, kind), part in typed_parts)).cte("new")


def as_json(rows: Iterable[Sequence[Any]]) -> dict[str, str]:
    """The parameter of a statement over `json_rows`. Values are what JSON has; not NaN."""
    return {"rows": json.dumps(list(rows), allow_nan=False)}


def _as_type(part: ColumnElement[Any], kind: TypeEngine[Any], *, sqlite: bool) -> ColumnElement[Any]:
    # json_extract gives SQLite's own types back; a cast would cost time, and break times, which are text there
    return type_coerce(part, kind) if sqlite else cast(part, kind)


def insert_on(row: type[Base], *, sqlite: bool) -> lite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT, for the rows' table."""
    return lite.insert(table_of(row)) if sqlite else postgresql.insert(table_of(row))
