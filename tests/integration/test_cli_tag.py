"""`phototag tag` from end to end: real processes, a real broker, a real database."""

import csv
import io
import json
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.integration.command_line import phototag, query, results, running
from tests.integration.processes import wait_until
from tests.samples import jpeg, photo_folder, tar_of, zip_of

PHOTOS = 24

# Real processes beside other tests: each command takes 4 s alone.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 24 different photos."""
    folder = tmp_path_factory.mktemp("tag") / "photos"
    photo_folder(folder, PHOTOS)
    return folder


@pytest.fixture(scope="module")
def tagged(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory in which the folder was tagged, and its results beside it."""
    data_dir = tmp_path_factory.mktemp("tagged") / "data"
    result = phototag("tag", photos, "--data-dir", data_dir, "--out", data_dir.parent / "results.jsonl")
    assert result.returncode == 0, result.stderr
    return data_dir


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` by its relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_folder_is_tagged_and_each_photo_is_there_once(photos: Path, tagged: Path) -> None:
    """The first thing anyone does."""
    rows = results(tagged.parent / "results.jsonl")

    assert list(rows) == sorted(contents(photos))
    assert all(row["state"] == "tagged" and row["label_1"] and row["score_1"] > 0 for row in rows.values())
    assert all((row["width"], row["height"]) == (64, 48) for row in rows.values())


@pytest.mark.parametrize(
    "kind", ["zip", pytest.param("tar.gz", marks=pytest.mark.slow), pytest.param("copy", marks=pytest.mark.slow)]
)
def test_the_same_photos_in_an_archive_or_copied_get_the_same_labels_and_scores(
    photos: Path, tagged: Path, tmp_path: Path, kind: str
) -> None:
    """How photos arrive must not change what they are."""
    source = photos
    if kind != "copy":
        source = tmp_path / f"photos.{kind}"
        source.write_bytes(zip_of(contents(photos)) if kind == "zip" else tar_of(contents(photos), "gz"))
    options = ["--copy"] if kind == "copy" else []

    result = phototag("tag", source, *options, "--data-dir", tmp_path / "data", "--out", tmp_path / "r.jsonl")

    assert result.returncode == 0, result.stderr
    assert results(tmp_path / "r.jsonl") == results(tagged.parent / "results.jsonl")


def test_a_second_run_costs_only_hashes(photos: Path, tagged: Path, tmp_path: Path) -> None:
    """Photos that the same version has tagged are not given to the network again, and cost no copy."""
    before = query(tagged, "SELECT count(*) FROM predictions"), query(tagged, "SELECT count(*) FROM feature_shards")

    result = phototag("tag", photos, "--data-dir", tagged, "--out", tmp_path / "again.jsonl")

    assert result.returncode == 0, result.stderr
    assert results(tmp_path / "again.jsonl") == results(tagged.parent / "results.jsonl")
    after = query(tagged, "SELECT count(*) FROM predictions"), query(tagged, "SELECT count(*) FROM feature_shards")
    assert after == before
    assert not any((tagged / "blobs").rglob("*")) if (tagged / "blobs").exists() else True


def test_known_photos_need_no_worker(photos: Path, tagged: Path) -> None:
    """They end while they are accepted: nothing is started, and the batch is finished at once."""
    submitted = phototag("tag", photos, "--no-wait", "--data-dir", tagged, "--json")

    batch_id = json.loads(submitted.stdout)["batch"]
    batch = json.loads(phototag("batches", "show", batch_id, "--data-dir", tagged, "--json").stdout)
    assert (batch["state"], batch["tagged"]) == ("finished", PHOTOS)


def test_the_summary_says_what_came_of_it(photos: Path, tagged: Path) -> None:
    """Counts, labels, the model version and its notice, for a person and for a script."""
    text = phototag("tag", photos, "--data-dir", tagged).stdout
    summary = json.loads(phototag("tag", photos, "--data-dir", tagged, "--json").stdout)

    assert f"{PHOTOS} of {PHOTOS} photos tagged" in text
    assert "photos/s" in text
    assert "Commonest labels: " in text
    assert "The tiny version: it names the main colour" in text
    assert (summary["tagged"], summary["not_tagged"], summary["refused"]) == (PHOTOS, [], 0)


def test_refused_photos_are_listed_and_the_exit_code_is_3(tmp_path: Path) -> None:
    """The good ones are tagged all the same; system files are not missed by anyone."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    names = {"good.jpg": jpeg(), "cut.jpg": jpeg()[:900], "note.txt": b"hello", ".DS_Store": b"x", "=1+1.jpg": b""}
    for name, content in names.items():
        (folder / name).write_bytes(content)

    result = phototag("tag", folder, "--data-dir", tmp_path / "data", "--out", tmp_path / "r.csv")

    assert result.returncode == 3
    assert "1 of 4 photos tagged" in result.stdout
    for line in ("  cut.jpg: the file is damaged", "  note.txt: this kind of file", "  =1+1.jpg: the file is empty"):
        assert line in result.stdout
    rows = {row["path"]: row for row in csv.DictReader(io.StringIO((tmp_path / "r.csv").read_text()))}
    assert rows["'=1+1.jpg"]["state"] == "refused"
    assert rows["good.jpg"]["state"] == "tagged"
    assert rows[".DS_Store"]["reason"].startswith("a file of the system")


def test_an_archive_that_is_damaged_is_named_with_its_reason(tmp_path: Path) -> None:
    """Exit code 3: what could be done is done."""
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and nothing that follows")

    result = phototag("tag", tmp_path / "broken.zip", "--data-dir", tmp_path / "data")

    assert result.returncode == 3
    assert "broken.zip: the archive is damaged" in result.stdout


def test_ctrl_c_stops_and_the_same_command_goes_on_to_each_photo_once(tmp_path: Path) -> None:
    """Stopped in the middle, nothing is lost and nothing is done twice."""
    folder, data_dir = tmp_path / "photos", tmp_path / "data"
    photo_folder(folder, 700)

    with running("tag", folder, "--data-dir", data_dir) as first:
        wait_for_tagged(data_dir, 1)
        first.process.send_signal(signal.SIGINT)
        stopped_at = time.monotonic()
        code = first.end()

    assert (code, time.monotonic() - stopped_at < 20) == (130, True), first.output
    assert "Stopped. Nothing is lost: the same command" in first.output
    assert query(data_dir, "SELECT count(*) FROM items WHERE state = 'tagged'")[0] < 700

    second = phototag("tag", folder, "--data-dir", data_dir, "--out", tmp_path / "r.jsonl")

    assert second.returncode == 0, second.stderr
    assert "Going on with batch" in second.stderr
    assert list(results(tmp_path / "r.jsonl")) == sorted(contents(folder))
    assert query(data_dir, "SELECT count(*) FROM batches") == [1]
    assert query(data_dir, "SELECT count(*) FROM predictions WHERE rank = 1") == [700]


def wait_for_tagged(data_dir: Path, count: int) -> None:
    """Returns when so many items are tagged."""
    tagged = "SELECT count(*) FROM items WHERE state = 'tagged'"
    wait_until(lambda: (query(data_dir, tagged) or [0])[0] >= count, 60, f"{count} tagged")


@pytest.mark.slow
def test_no_wait_submits_for_services_that_run_later(tmp_path: Path, photos: Path) -> None:
    """The batch's id alone is on standard output; what must run is said beside it."""
    data_dir = tmp_path / "data"

    result = phototag("tag", photos, "--data-dir", data_dir, "--no-wait")

    batch_id = result.stdout.strip()
    assert result.returncode == 0, result.stderr
    assert "`phototag up`" in result.stderr
    assert query(data_dir, "SELECT id FROM batches") == [batch_id]

    waited = phototag("tag", photos, "--data-dir", data_dir, "--json")

    assert json.loads(waited.stdout)["batch"] == batch_id


@pytest.mark.slow
def test_a_photo_that_vanishes_after_it_was_accepted_fails_with_its_reason_and_can_be_retried(tmp_path: Path) -> None:
    """Files read in place may be moved; the others are tagged."""
    folder, data_dir = tmp_path / "photos", tmp_path / "data"
    paths = photo_folder(folder, 3)
    batch_id = phototag("tag", folder, "--data-dir", data_dir, "--no-wait").stdout.strip()
    shutil.move(paths[1], tmp_path / "away.jpg")

    result = phototag("tag", folder, "--data-dir", data_dir)

    assert result.returncode == 3
    assert "photo-00001.jpg: the file was moved or deleted" in result.stdout

    shutil.move(tmp_path / "away.jpg", paths[1])
    retried = phototag("batches", "retry", batch_id, "--data-dir", data_dir, "--json")

    assert retried.returncode == 0, retried.stderr
    assert query(data_dir, f"SELECT count(*) FROM items WHERE batch_id = '{json.loads(retried.stdout)['batch']}'") == [
        1
    ]
