"""`phototag reviews`: numbers for people and scripts, and the history as a file that runs nothing."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from db.labels import ensure_labels
from db.model_versions import version_label_ids
from db.review_export import ReviewRow
from db.reviews import undo
from db.schema import Photo
from db.session import Database
from db.users import local_admin
from tests.review_rows import say, tagged_photos
from tests.store import add_version
from ui.cli import phototag


@pytest.fixture
def reviewed(sqlite_database: Database, data_dir: Path) -> Path:
    """A data directory with verdicts; a label's name and a photo's look like formulas."""
    with sqlite_database.transaction() as session:
        version_id = add_version(session)
        ids = tagged_photos(session, version_id, 4)
        cat = version_label_ids(session, version_id)[0]
        session.execute(update(Photo).where(Photo.id == ids[0]).values(draw=1, name="=cmd()|' /C calc'!A0"))
        admin = local_admin(session)
        say(session, admin, ids[:1], label_id=cat, reason="audit")
        say(session, admin, ids[1:2], label_id=ensure_labels(session, [["-2+3"]])[0])
        say(session, admin, ids[2:3], "none")
        undo(session, admin, token="undo")
    return data_dir


def run(*arguments: object, code: int = 0) -> Result:
    """The command, in this process."""
    result = CliRunner().invoke(phototag, ["reviews", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def test_numbers_are_shown_to_people_and_to_scripts(reviewed: Path) -> None:
    """The same both ways."""
    text = run("stats", "--data-dir", reviewed).output
    numbers = json.loads(run("stats", "--json", "--data-dir", reviewed).output)

    assert "reviewed     2 photos today, 2 in all" in text
    assert "undecided    2 photos" in text
    assert "agreement    100% (21% to 100%) of 1 audited photos" in text
    assert (numbers["today"], numbers["total"], numbers["undecided"]) == (2, 2, 2)
    assert numbers["people"][0]["name"] == "admin"
    assert [(label["label"], label["agreed"]) for label in numbers["agreement"]] == [(None, 1), ("cat", 1)]
    assert set(numbers["left"]) >= {"audit", "never", "second_opinion"}


def test_before_the_first_verdict_numbers_say_what_is_missing(sqlite_database: Database, data_dir: Path) -> None:
    """And where it comes from."""
    with sqlite_database.transaction() as session:
        local_admin(session)

    assert "not known yet" in run("stats", "--data-dir", data_dir).output


def test_the_history_is_exported_as_csv(reviewed: Path, tmp_path: Path) -> None:
    """With every column; what people wrote is no formula."""
    out = tmp_path / "reviews.csv"

    assert run("export", "--out", out, "--data-dir", reviewed).output == f"4 verdicts written to {out}.\n"

    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(ReviewRow._fields)
    assert [row["verdict"] for row in rows] == ["accept", "correct", "none", "undo"]
    assert (rows[0]["photo"], rows[1]["label"]) == ("'=cmd()|' /C calc'!A0", "'-2+3")
    assert [row["counts"] for row in rows] == ["True", "True", "False", "False"]
    assert (rows[0]["model_score"], rows[2]["label"]) == ("0.900000", "")


def test_the_history_is_exported_as_json_lines(reviewed: Path, tmp_path: Path) -> None:
    """Values as they are."""
    out = tmp_path / "reviews.jsonl"

    assert json.loads(run("export", "--json", "--out", out, "--data-dir", reviewed).output)["reviews"] == 4

    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert (rows[1]["label"], rows[1]["counts"], rows[1]["chosen_rank"]) == ("-2+3", True, None)
    assert rows[3]["undoes_id"] == rows[2]["action_id"]


def test_the_name_of_the_file_says_its_format(reviewed: Path, tmp_path: Path) -> None:
    """Anything else is wrong usage; so is a folder that is not there."""
    assert ".csv or .jsonl" in run("export", "--out", tmp_path / "x.xml", "--data-dir", reviewed, code=2).output
    assert "does not exist" in run("export", "--out", tmp_path / "no" / "x.csv", "--data-dir", reviewed, code=2).output
    assert list(tmp_path.glob("x*")) == []
