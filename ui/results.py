"""Results as files: one row per photo of a batch, as CSV or JSON lines. For `tag --out`, `export` and the pages."""

import csv
import io
import json
import os
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TextIO

from db.batch_view import ItemView
from db.codes import reason_text

LABELS_PER_PHOTO = 5
COLUMNS = (
    "path",
    "sha256",
    "width",
    "height",
    "taken_at",
    "camera",
    "latitude",
    "longitude",
    "model_version",
    *(f"{part}_{rank}" for rank in range(1, LABELS_PER_PHOTO + 1) for part in ("label", "score")),
    "shown",
    "state",
    "reason",
)
# Spreadsheets run a cell that starts so as a formula (OWASP, CSV injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
# What people and cameras wrote. The other columns are ours; a number is one, whatever it starts with.
FROM_PEOPLE = frozenset({"path", "camera", "shown", *(f"label_{rank}" for rank in range(1, LABELS_PER_PHOTO + 1))})

Format = Literal["csv", "jsonl"]
Value = str | int | float | None


def row_of(item: ItemView) -> dict[str, Value]:
    """The row of one item, in the order of `COLUMNS`. What is not known is None."""
    row: dict[str, Value] = dict.fromkeys(COLUMNS)
    row |= {
        "path": item.path,
        "sha256": item.sha256,
        "width": item.width,
        "height": item.height,
        "taken_at": item.taken_at.isoformat(sep=" ") if item.taken_at is not None else None,
        "camera": item.camera,
        "latitude": item.latitude,
        "longitude": item.longitude,
        "model_version": item.model_version,
        "shown": item.shown,
        "state": item.state,
        "reason": reason_text(item.code, item.detail) or None,
    }
    for rank, (label, score) in enumerate(item.labels[:LABELS_PER_PHOTO], start=1):
        row[f"label_{rank}"] = label
        row[f"score_{rank}"] = round(score, 6)
    return row


def csv_lines(items: Iterable[ItemView]) -> Iterator[str]:
    """The lines of a CSV file of results."""
    return csv_table(COLUMNS, map(row_of, items), FROM_PEOPLE)


def jsonl_lines(items: Iterable[ItemView]) -> Iterator[str]:
    """The lines of a JSON lines file of results."""
    return json_lines(map(row_of, items))


def csv_table(
    columns: Sequence[str], rows: Iterable[Mapping[str, Value]], from_people: Collection[str]
) -> Iterator[str]:
    """The lines of a CSV file (UTF-8, comma, quoted where needed), the header first.

    Args:
        columns: their names, in the order of each row's values.
        rows: values by column.
        from_people: columns that people or cameras wrote: no spreadsheet takes what stands there for a formula.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)  # its \r\n makes it quote cells with either of them
    writer.writerow(columns)
    yield _taken(buffer)
    for row in rows:
        writer.writerow([_cell(value, harmless=column not in from_people) for column, value in row.items()])
        yield _taken(buffer)


def json_lines(rows: Iterable[Mapping[str, Value]]) -> Iterator[str]:
    """The lines of a JSON lines file: one object per row with every column as a key, null where unknown."""
    for row in rows:
        yield json.dumps(row, ensure_ascii=False) + "\n"


def write_csv(stream: TextIO, items: Iterable[ItemView]) -> int:
    """Writes `csv_lines` to `stream`; returns the number of photos."""
    return write_lines(stream, csv_lines(items)) - 1


def write_jsonl(stream: TextIO, items: Iterable[ItemView]) -> int:
    """Writes `jsonl_lines` to `stream`; returns the number of photos."""
    return write_lines(stream, jsonl_lines(items))


def write_results(path: Path, items: Iterable[ItemView], form: Format) -> int:
    """Writes a results file in one step: it is complete or not there. Returns the number of photos."""
    with replacing(path) as stream:
        return write_csv(stream, items) if form == "csv" else write_jsonl(stream, items)


@contextmanager
def replacing(path: Path) -> Generator[TextIO]:
    """A text file that takes the place of `path` when the block ends well, and vanishes when it does not."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_lines(stream: TextIO, lines: Iterable[str]) -> int:
    """Writes lines; returns how many."""
    written = 0
    for line in lines:
        stream.write(line)
        written += 1
    return written


def _taken(buffer: io.StringIO) -> str:
    line = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return line.removesuffix("\r\n") + "\n"


def _cell(value: Value, *, harmless: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6f}"
    text = str(value)
    return text if harmless or not text.startswith(FORMULA_STARTS) else f"'{text}"
