"""Wrong usage: one clear line, the right exit code, and nothing half done left behind."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.command_line import environment, phototag
from tests.integration.processes import ROOT
from tests.samples import jpeg
from ui.cli import run

# arguments, exit code, what the message must say; {t} is a folder with the files that `place` makes
CASES = [
    ("tag", 2, "Missing argument"),
    ("tag {t}/missing.jpg", 2, "does not exist"),
    ("tag {t}/empty", 1, "holds no photos"),
    ("tag {t}/only-junk", 1, "holds no photos"),
    ("tag {t}/photos.rar", 1, "Pack the photos as .zip or .tar"),
    ("tag {t}/a.jpg --out {t}/results.xlsx", 2, ".csv or .jsonl"),
    ("tag {t}/a.jpg --out {t}/missing/results.csv", 2, "does not exist"),
    ("tag {t}/a.jpg --no-wait --out {t}/results.csv", 2, "phototag export"),
    ("tag {t}/a.jpg --data-dir {t}/a.jpg", 2, "is a file"),
    ("tag {t}/a.jpg --data-dir {t}/a.jpg/data", 1, "cannot be used"),
    ("tag {t}/a.jpg --recursive", 2, "No such option"),
    ("batches show xxxx", 1, "no phototag data"),
    ("batches retry", 2, "Missing argument"),
    ("train", 1, "no phototag data"),
    ("train --experiment {t}/missing", 2, "does not exist"),
    ("train --experiment {t}/empty", 2, "--recipe vgg16-transfer"),
    ("models show", 2, "Missing argument"),
    ("models fetch resnet", 2, "imagenet"),
    ("models fetch imagenet --from {t}/missing.h5", 2, "does not exist"),
    ("export xml --out {t}/r.xml", 2, "csv"),
    ("export csv", 2, "Missing option '--out'"),
    ("export csv --out {t}/missing/r.csv", 2, "does not exist"),
    ("export csv --out {t}/r.csv", 1, "no phototag data"),
    ("up --port 99999", 2, "99999"),
    ("up --host not.an.address.invalid --port 0", 1, "--host"),
    ("web", 1, "PHOTOTAG_REDIS_URL"),
    ("web --login-link", 1, "no phototag data"),
    ("worker --queues tagging,cooking", 2, "cooking"),
    ("worker --queues tagging,training", 2, "training alone"),
    ("worker", 1, "no phototag data"),
    ("labels list", 1, "no phototag data"),
    ("labels burn", 2, "No such command"),
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with something to name; no setting is made outside."""
    for name in [name for name in os.environ if name.startswith("PHOTOTAG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PHOTOTAG_BACKBONE", "tiny")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "only-junk").mkdir()
    (tmp_path / "only-junk" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (tmp_path / "photos.rar").write_bytes(b"Rar!\x1a\x07\0")
    return tmp_path


@pytest.mark.parametrize(("command", "code", "says"), CASES, ids=[case[0] for case in CASES])
def test_wrong_usage_is_one_clear_line_and_leaves_nothing_behind(
    place: Path, command: str, code: int, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The data directory is not even made."""
    before = sorted(place.rglob("*"))

    ended_with = run(command.replace("{t}", str(place)).split())

    out, err = capfd.readouterr()
    assert ended_with == code, err
    assert says in err
    assert out == ""
    assert [line for line in err.splitlines() if line.startswith("Error: ")] == [err.splitlines()[-1]]
    assert sorted(place.rglob("*")) == before


SETTINGS = [
    ("PHOTOTAG_BACKBONE", "resnet", "PHOTOTAG_BACKBONE"),
    ("PHOTOTAG_CHUNK_SIZE", "many", "PHOTOTAG_CHUNK_SIZE"),
    ("PHOTOTAG_LEASE_S", "-1", "PHOTOTAG_LEASE_S"),
    ("PHOTOTAG_REDIS_URL", "http://127.0.0.1", "redis://"),
    ("PHOTOTAG_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none", "database"),
]


@pytest.mark.parametrize(("name", "value", "says"), SETTINGS, ids=[case[0] for case in SETTINGS])
def test_a_setting_that_is_wrong_is_named_in_one_line(
    place: Path, name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The person sees the variable's name, not a validation report."""
    monkeypatch.setenv(name, value)

    assert run(["tag", str(place / "a.jpg"), "--data-dir", str(place / "data")]) == 1

    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("Error: ")
    assert says in line


def test_debug_shows_the_traceback(place: Path) -> None:
    """For those who repair it."""
    by_option = phototag("--debug", "tag", place / "empty")
    by_variable = phototag("tag", place / "empty", PHOTOTAG_DEBUG="1")

    assert "Traceback" in by_option.stderr
    assert "Traceback" in by_variable.stderr


def test_a_file_that_is_no_database_is_one_clear_line(tmp_path: Path) -> None:
    """A wrong folder, or a disk that lost something: nothing is overwritten."""
    path = tmp_path / "phototag.sqlite3"
    path.write_bytes(b"not a database" * 100)

    result = phototag("batches", "list", "--data-dir", tmp_path)

    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert path.read_bytes().startswith(b"not a database")


def test_a_reader_that_goes_away_hears_no_complaint(tmp_path: Path) -> None:
    """`phototag export csv --out - | head -1`."""
    assert phototag("migrate", "--data-dir", tmp_path).returncode == 0
    with closing(sqlite3.connect(tmp_path / "phototag.sqlite3")) as connection, connection:
        connection.execute("INSERT INTO users (id, name, role, created_at) VALUES (1, 'admin', 'admin', '2026-01-01')")
        connection.execute(
            "INSERT INTO batches (id, owner_id, name, state, priority, created_at)"
            " VALUES ('abc', 1, 'n', 'finished', 5, '2026-01-01 00:00:00.000000')"
        )
        rows = (("abc", 0, number, f"{number:0>900}.jpg", "cancelled", 5, 0, 0, 0, 0) for number in range(3000))
        connection.executemany(
            "INSERT INTO items (batch_id, archive_number, position, path, state, priority, suspect, strikes, attempt,"
            " not_before) VALUES (?,?,?,?,?,?,?,?,?,?)",
            rows,
        )

    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        result = subprocess.run(
            [sys.executable, "-m", "ui", "export", "csv", "--out", "-", "--data-dir", tmp_path],
            cwd=ROOT, env=environment(), stdout=closed, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip

    assert result.stderr == ""
