"""Results files: their columns, their text, and what keeps spreadsheets and scripts safe."""

import csv
import datetime as dt
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.batch_view import ItemView
from ui.results import COLUMNS, jsonl_lines, write_csv, write_jsonl, write_results

LABELS = [("dog", 0.91234567), ("cat", 0.05), ("bird", 0.02), ("fish", 0.01), ("horse", 0.0076)]
HEADER = (
    "path,sha256,width,height,taken_at,camera,latitude,longitude,model_version,label_1,score_1,label_2,score_2,label_3,score_3,"
    "label_4,score_4,label_5,score_5,shown,state,reason"
)


def item(**changes: Any) -> ItemView:
    """A tagged item; `changes` make it another one."""
    values: dict[str, Any] = {
        "item_id": 1, "archive_number": 0, "position": 0, "path": "2019/a b.jpg", "state": "tagged", "code": None,
        "detail": None, "photo_id": 1, "sha256": "ab" * 32, "width": 640, "height": 480,
        "taken_at": dt.datetime(2019, 5, 1, 12, 30, 5), "camera": "Canon EOS 40D", "latitude": 64.15, "longitude": -21.9,
        "has_previews": True, "model_version": "starter",
        "shown": "dog", "not_sure": False, "labels": LABELS, "finished_at": None,
    }  # fmt: skip
    return ItemView(**{**values, **changes})


REFUSED = item(
    path="x.txt", state="refused", code="UNSUPPORTED", detail="RAW", sha256=None, width=None, height=None,
    taken_at=None, camera=None, latitude=None, longitude=None, model_version=None, shown=None, labels=[],
)  # fmt: skip


def as_csv(*items: ItemView) -> str:
    """The items as a CSV file."""
    out = io.StringIO()
    write_csv(out, items)
    return out.getvalue()


def test_a_csv_file_is_exactly_this() -> None:
    """People build on it: a change of columns or formats is a change of the interface."""
    known = f"2019/a b.jpg,{'ab' * 32},640,480,2019-05-01 12:30:05,Canon EOS 40D,64.150000,-21.900000,starter,dog,0.912346,cat,0.050000"

    assert as_csv(item(), REFUSED, item(labels=LABELS[:2], shown="not sure")).splitlines() == [
        HEADER,
        known + ",bird,0.020000,fish,0.010000,horse,0.007600,dog,tagged,",
        "x.txt,,,,,,,,,,,,,,,,,,,,refused,this kind of file is not supported (see the list of formats) (RAW)",
        known + ",,,,,,,not sure,tagged,",
    ]


def test_a_json_line_has_every_column_in_order_and_null_for_what_is_unknown() -> None:
    """Scripts find the same keys in each line."""
    tagged, refused = [json.loads(line) for line in jsonl_lines([item(), REFUSED])]

    assert list(tagged) == list(refused) == list(COLUMNS) == HEADER.split(",")
    assert (tagged["label_1"], tagged["score_1"], tagged["width"]) == ("dog", 0.912346, 640)
    assert refused["label_1"] is refused["score_1"] is refused["sha256"] is refused["taken_at"] is None


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
@pytest.mark.parametrize("column", ["path", "shown", "label_1"])
def test_a_cell_that_a_spreadsheet_would_run_is_made_text(start: str, column: str) -> None:
    """A file named =HYPERLINK(...) must not call anyone when the results are opened."""
    evil = f"{start}1+1"
    changed = item(labels=[(evil, 0.5)]) if column == "label_1" else item(**{column: evil})

    row = next(csv.DictReader(io.StringIO(as_csv(changed), newline="")))

    assert row[column] == f"'{evil}"


def test_json_lines_keep_names_as_they_are() -> None:
    """Nothing runs JSON; a changed name could not be found again."""
    assert json.loads(next(jsonl_lines([item(path="=1+1")])))["path"] == "=1+1"


def test_names_with_commas_quotes_and_line_breaks_come_back_as_they_were() -> None:
    """The csv module of any language reads them."""
    name = 'a,"b"\nc.jpg'

    assert next(csv.DictReader(io.StringIO(as_csv(item(path=name)), newline="")))["path"] == name


def test_writers_count_photos_not_lines() -> None:
    """The number is shown to a person."""
    assert write_csv(io.StringIO(), [item(), item()]) == 2
    assert write_jsonl(io.StringIO(), [item(), item()]) == 2


def test_a_results_file_is_complete_or_as_it_was(tmp_path: Path) -> None:
    """Half a file looks like all of it."""
    path = tmp_path / "results.csv"
    path.write_text("before")

    def fails() -> Iterator[ItemView]:
        yield item()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_results(path, fails(), "csv")

    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_results_are_utf8_with_line_feeds_wherever_they_are_written(tmp_path: Path) -> None:
    """The same bytes on every system."""
    path = tmp_path / "results.csv"

    written = write_results(path, [item(path="Zürich/日本.jpg")], "csv")

    assert written == 1
    assert b"\r" not in path.read_bytes()
    assert "Zürich/日本.jpg" in path.read_text(encoding="utf-8")
