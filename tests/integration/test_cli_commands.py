"""The commands that look at what was submitted: batches, models, export, doctor, migrate."""

import csv
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.command_line import phototag, query
from tests.samples import encoded, jpeg, photo_folder, scene

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a finished batch of three photos, one of them refused."""
    place = tmp_path_factory.mktemp("commands")
    photo_folder(place / "photos", 2)
    (place / "photos" / "note.txt").write_text("hello")
    result = phototag("tag", place / "photos", "--data-dir", place / "data")
    assert result.returncode == 3, result.stderr
    return place / "data"


def as_json(*arguments: object, code: int = 0) -> Any:
    """What a command prints with --json."""
    result = phototag(*arguments, "--json")
    assert result.returncode == code, result.stderr
    return json.loads(result.stdout)


def test_batches_are_listed_and_shown_for_people_and_for_scripts(tagged: Path) -> None:
    """The same facts both ways."""
    (batch,) = as_json("batches", "list", "--data-dir", tagged)
    shown = as_json("batches", "show", batch["id"], "--data-dir", tagged)
    text = phototag("batches", "show", batch["id"], "--data-dir", tagged).stdout

    assert (batch["name"], batch["state"], batch["tagged"], batch["refused"]) == ("photos", "finished", 2, 1)
    assert shown["not_tagged"] == [
        {
            "path": "note.txt",
            "state": "refused",
            "reason": "this kind of file is not supported (see the list of formats)",
        }
    ]
    assert batch["id"] in phototag("batches", "list", "--data-dir", tagged).stdout
    assert "note.txt: this kind of file is not supported" in text


def test_a_batch_that_does_not_exist_is_one_clear_line(tagged: Path) -> None:
    """And says how to find those that do."""
    for command in ("show", "retry", "cancel"):
        result = phototag("batches", command, "nosuchbatch", "--data-dir", tagged)

        assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)
        assert "phototag batches list" in result.stderr


def test_refused_photos_are_not_tried_again(tagged: Path) -> None:
    """They would be refused again; the message says so instead of making an empty batch."""
    (batch,) = as_json("batches", "list", "--data-dir", tagged)

    result = phototag("batches", "retry", batch["id"], "--data-dir", tagged)

    assert result.returncode == 1
    assert "nothing to retry" in result.stderr


def test_a_waiting_batch_is_cancelled_at_once_and_a_finished_one_stays(tmp_path: Path) -> None:
    """What is tagged stays tagged."""
    photo_folder(tmp_path / "photos", 3)
    data_dir = tmp_path / "data"
    batch_id = phototag("tag", tmp_path / "photos", "--data-dir", data_dir, "--no-wait").stdout.strip()

    first = as_json("batches", "cancel", batch_id, "--data-dir", data_dir)
    again = as_json("batches", "cancel", batch_id, "--data-dir", data_dir)

    assert first == {"batch": batch_id, "state": "cancelled", "cancelled": 3}
    assert again == {"batch": batch_id, "state": "cancelled", "cancelled": 0}
    assert query(data_dir, "SELECT DISTINCT state FROM items") == ["cancelled"]


def test_a_batch_is_deleted_with_its_photos_but_not_the_persons_files(tmp_path: Path) -> None:
    """Only after a yes; a photo that another batch has stays; a wrong id deletes nothing."""
    folder, data = tmp_path / "photos", ("--data-dir", tmp_path / "data")
    photo_folder(folder, 3)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    both = [phototag("tag", path, *data, "--no-wait").stdout.strip() for path in (folder, files[0])]

    unasked = phototag("batches", "delete", both[0], *data)
    wrong = phototag("batches", "delete", both[0], "nosuchbatch", "--yes", *data)
    before = query(tmp_path / "data", "SELECT count(*) FROM items")
    deleted = as_json("batches", "delete", both[0], "--yes", *data)
    said = phototag("batches", "delete", both[1], "--yes", *data)

    assert (unasked.returncode, wrong.returncode, said.returncode) == (2, 1, 0)
    assert "--yes" in unasked.stderr
    assert before == [4]
    assert deleted == [{"batch": both[0], "photos": 2, "kept": 1}]
    assert said.stdout == f"Batch {both[1]} is deleted with 1 photos.\n"
    for table in ("batches", "items", "photos"):
        assert query(tmp_path / "data", f"SELECT count(*) FROM {table}") == [0]
    assert all(path.is_file() for path in files)


def test_model_versions_are_listed_and_shown(tagged: Path) -> None:
    """The one that tags is marked, and says what it is good for."""
    versions = as_json("models", "list", "--data-dir", tagged)
    (active,) = [version["name"] for version in versions if version["active"]]
    shown = as_json("models", "show", active, "--data-dir", tagged)

    assert active == "tiny"
    assert shown["labels"] == len(shown["label_paths"]) > 1
    assert "* tiny" in phototag("models", "list", "--data-dir", tagged).stdout
    assert shown["notice"] in phototag("models", "show", active, "--data-dir", tagged).stdout

    missing = phototag("models", "show", "nosuchversion", "--data-dir", tagged)

    assert (missing.returncode, len(missing.stderr.splitlines())) == (1, 1)


def test_export_writes_every_photo_as_csv_and_as_json_lines(tagged: Path, tmp_path: Path) -> None:
    """To a file, or to standard output for a pipe."""
    written = as_json("export", "jsonl", "--out", tmp_path / "r.jsonl", "--data-dir", tagged)
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    piped = phototag("export", "csv", "--out", "-", "--data-dir", tagged).stdout

    assert written["photos"] == len(rows) == 3
    assert [row["path"] for row in csv.DictReader(io.StringIO(piped))] == [row["path"] for row in rows]
    assert [row["state"] for row in rows] == ["tagged", "tagged", "refused"]


def test_export_takes_the_filters_of_the_library(tagged: Path) -> None:
    """Each photo once, and only those that are asked for."""
    rows = list(csv.DictReader(io.StringIO(exported(tagged, "--format", "jpeg", "--sort", "name").stdout)))
    label = rows[0]["label_1"]

    assert [row["path"].rpartition("/")[2] for row in rows] == ["photo-00000.jpg", "photo-00001.jpg"]
    for some in (("--name", "00001"), ("--name", "photo 00001", "--from", "2000-01-01")):
        assert [row["path"] for row in as_rows(tagged, *some)] == [rows[1]["path"]]
    assert rows[0]["path"] in [row["path"] for row in as_rows(tagged, "--label", label.upper())]
    assert as_rows(tagged, "--to", "1999-12-31") == as_rows(tagged, "--state", "refused") == []
    scores = [float(row["score_1"]) for row in as_rows(tagged, "--sort", "score", "--min-score", "0.1")]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("filters", "code", "says"),
    [
        (("--label", "no such label"), 1, "There is no label of this name"),
        (("--camera", "No Such Camera"), 1, "There is no camera of this name"),
        (("--min-score", "2"), 2, "0<=x<=1"),
        (("--from", "yesterday"), 2, "%Y-%m-%d"),
        (("--state", "lost"), 2, "tagged"),
        (("--name", "x", "--batch", "aaaaaaaaaaaa", "--batch", "bbbbbbbbbbbb"), 2, "one batch at a time"),
        (("--name", "x", "--batch", "aaaaaaaaaaaa"), 1, "There is no batch of this id"),
    ],
)
def test_a_filter_that_cannot_be_is_one_clear_line(
    tagged: Path, filters: tuple[str, ...], code: int, says: str
) -> None:
    """It says what there is, or what was expected."""
    result = exported(tagged, *filters)

    assert result.returncode == code
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def exported(tagged: Path, *filters: str) -> subprocess.CompletedProcess[str]:
    return phototag("export", "csv", "--out", "-", *filters, "--data-dir", tagged)


def as_rows(tagged: Path, *filters: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exported(tagged, *filters).stdout)))


def test_doctor_finds_this_installation_in_order(tagged: Path) -> None:
    """Every part is looked at, also when no services run."""
    report = as_json("doctor", "--data-dir", tagged)
    found = {finding["about"]: finding for finding in report["findings"]}

    assert report["works"]
    assert {"Python", "TensorFlow", "database", "model version", "broker", "blob store", "disk", "workers"} <= set(
        found
    )
    assert "revision" in found["database"]["text"]
    assert "50 KB each" in found["disk"]["text"]


def test_doctor_says_what_to_do_and_fails_when_something_needed_does(tmp_path: Path) -> None:
    """A broker that is away, a data directory that cannot be made: each one line; nothing is created by looking."""
    blocker = tmp_path / "file"
    blocker.write_text("x")

    result = phototag("doctor", "--data-dir", blocker / "data", PHOTOTAG_REDIS_URL="redis://127.0.0.1:1/0")

    assert result.returncode == 1
    problems = [line for line in result.stdout.splitlines() if line.startswith("TO DO")]
    assert [line.split()[2] for line in problems] == ["broker:", "blob"]
    assert list(tmp_path.iterdir()) == [blocker]


def test_migrate_is_done_once(tmp_path: Path) -> None:
    """The second time there is nothing to do."""
    first = as_json("migrate", "--data-dir", tmp_path / "data")
    second = as_json("migrate", "--data-dir", tmp_path / "data")

    assert first["before"] is None
    assert second["before"] == second["after"] == first["after"]


def test_duplicates_are_listed_and_nothing_is_deleted(tmp_path: Path) -> None:
    """Photos that look alike with the one to keep, a file in two folders; the same facts as JSON."""
    large = scene(5)
    for name, data in {
        "large.jpg": encoded(large, "JPEG", quality=90),
        "small.png": encoded(large.resize((320, 240)), "PNG"),
        "a/same.jpg": jpeg(),
        "b/same.jpg": jpeg(),
    }.items():
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    data_dir = tmp_path / "data"
    assert phototag("tag", tmp_path / "photos", "--data-dir", data_dir).returncode == 0

    found = as_json("duplicates", "--data-dir", data_dir)
    text = phototag("duplicates", "--data-dir", data_dir).stdout

    (group,) = found["look_alikes"]
    assert [photo["name"] for photo in group["photos"]] == ["large.jpg", "small.png"]
    (same,) = found["same_files"]
    assert [Path(place["path"]).parent.name for place in same["places"]] == ["a", "b"]
    assert "large.jpg  keep: it has the most pixels" in text
    assert query(data_dir, "SELECT count(*) FROM photos") == [3]
