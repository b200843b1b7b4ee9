"""What every column is made of: the naming convention, identifiers, times."""

import datetime as dt
from typing import Annotated, Any

from sqlalchemy import BigInteger, DateTime, Index, Integer, MetaData, String, text
from sqlalchemy.orm import DeclarativeBase, mapped_column
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[dt.datetime]):
    """An aware UTC datetime; SQLite drops the zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Any) -> dt.datetime | None:
        if value is not None and value.tzinfo is None:
            msg = f"Naive datetime where an aware one was expected. Received: {value!r}"
            raise ValueError(msg)
        return None if value is None else value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: Any) -> dt.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class Base(DeclarativeBase):
    """Naming convention: constraints can be dropped by name on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def in_byte_order(length: int) -> String:
    """Text that sorts by its bytes on both databases, so that the words which begin alike are one range of an index."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def one_of(column: str, values: tuple[str, ...]) -> str:
    """The condition of a check: the column has one of these values."""
    return f"{column} IN ({', '.join(repr(v) for v in values)})"


def when(name: str, condition: str, *columns: str) -> Index:
    """An index of those rows only that meet a condition."""
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


# SQLite makes only an INTEGER primary key its row id; PostgreSQL wants 64 bits.
BigId = BigInteger().with_variant(Integer(), "sqlite")
PrimaryKey = Annotated[int, mapped_column(BigId, primary_key=True, autoincrement=True)]
Reference = Annotated[int, mapped_column(BigId)]
Sha256 = Annotated[str, mapped_column(String(64), comment="lower-case hex SHA-256")]
BatchReference = Annotated[str, mapped_column(String(12))]
Instant = Annotated[dt.datetime, mapped_column(UtcDateTime())]
# Leases compare with the database's own clock, as seconds since 1970 (see session.db_now).
DbSeconds = Annotated[float, mapped_column()]
