"""`phototag labels` from end to end: changes of the vocabulary, and class folders as labelled photos."""

import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.command_line import phototag, query, running
from tests.integration.processes import wait_until
from tests.samples import numbered_photo, zip_of

pytestmark = pytest.mark.timeout(300)

LABELLED = (
    "SELECT l.name || ' ' || count(*) FROM photos p JOIN labels l ON l.id = p.shown_label_id "
    "WHERE p.shown_origin = 'person' GROUP BY l.name ORDER BY l.name"
)


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A folder with these files."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def photos(names: list[str], start: int = 0) -> dict[str, bytes]:
    """A different photo for each name."""
    return {name: numbered_photo(start + number) for number, name in enumerate(names)}


def labels(data_dir: Path, *arguments: object) -> Any:
    """The JSON of a command that ends well."""
    result = phototag("labels", *arguments, "--data-dir", data_dir, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_class_folders_become_labelled_photos_and_labels_are_changed(tmp_path: Path) -> None:
    """Parents, conflicts, photos outside; then the vocabulary: list, rename, merge, retire, restore, undo."""
    data_dir = tmp_path / "data"
    first = photos(
        ["ice/icefall/1.jpg", "ice/icefall/2.jpg", "ice/3.jpg", "forest/4.jpg", "cover.jpg", "forest/no.txt"]
    )
    folder = write(tmp_path / "classes", first | {"forest/no.txt": b"hello"})

    result = phototag("labels", "import", folder, "--data-dir", data_dir)

    assert result.returncode == 3, result.stderr
    assert "4 photos labelled by their folders." in result.stdout
    assert "1 in no class folder: tagged, not labelled.\n  cover.jpg" in result.stdout
    assert "forest/no.txt: this kind of file" in result.stdout
    assert query(data_dir, LABELLED) == ["forest 1", "ice 1", "icefall 2"]
    assert query(data_dir, "SELECT DISTINCT source FROM review_actions") == ["import"]

    again = write(tmp_path / "other", {"sea/x.jpg": first["forest/4.jpg"], "forest/y.jpg": first["ice/3.jpg"]})
    kept = phototag("labels", "import", again, "--data-dir", data_dir)
    assert kept.returncode == 3
    assert "2 not labelled, because something else was said of them. --replace gives" in kept.stdout
    assert "  sea/x.jpg: sea, but admin said forest" in kept.stdout
    assert query(data_dir, LABELLED) == ["forest 1", "ice 1", "icefall 2"]
    replaced = labels(data_dir, "import", again, "--replace")
    assert replaced["import"]["labels"] == {"forest": 1, "sea": 1}
    assert query(data_dir, LABELLED) == ["forest 1", "icefall 2", "sea 1"]

    listed = {each["name"]: each for each in labels(data_dir, "list")}
    assert (listed["icefall"]["reviewed"], listed["icefall"]["parent"]) == (2, listed["ice"]["id"])
    labels(data_dir, "rename", "SEA", "ocean")
    asked = phototag("labels", "merge", "ocean", "forest", "--into", "icefall", "--data-dir", data_dir)
    assert (asked.returncode, "--yes" in asked.stderr) == (2, True)
    merged = labels(data_dir, "merge", "ocean", "forest", "--into", "icefall", "--yes")
    assert merged["photos"] == 2
    assert query(data_dir, LABELLED) == ["icefall 4"]
    assert [each["also"] for each in labels(data_dir, "list", "--search", "oce")] == [["forest", "ocean"]]
    labels(data_dir, "undo")
    labels(data_dir, "retire", "ocean", "--yes")
    assert query(data_dir, LABELLED) == ["forest 1", "icefall 2", "ocean 1"]
    assert "ocean" not in {each["name"] for each in labels(data_dir, "list")}
    taken = phototag("labels", "add", "Ocean", "--data-dir", data_dir)
    assert (taken.returncode, "Restore it" in taken.stderr) == (1, True)
    labels(data_dir, "restore", "ocean")
    unknown = phototag("labels", "retire", "nosuch", "--yes", "--data-dir", data_dir)
    assert (unknown.returncode, "`phototag labels list`" in unknown.stderr) == (1, True)


@pytest.mark.slow
def test_an_archive_of_class_folders(tmp_path: Path) -> None:
    """With an outer folder and parts of a data set; a label that is retired is given to nobody."""
    data_dir = tmp_path / "data"
    archive = tmp_path / "set.zip"
    names = ["set/train/cat/1.jpg", "set/train/dog/2.jpg", "set/test/cat/3.jpg", "set/test/old/4.jpg"]
    assert phototag("migrate", "--data-dir", data_dir).returncode == 0
    labels(data_dir, "add", "old")
    labels(data_dir, "retire", "old", "--yes")
    archive.write_bytes(zip_of(photos(names)))

    result = phototag("labels", "import", archive, "--data-dir", data_dir)

    assert result.returncode == 3, result.stderr
    assert query(data_dir, LABELLED) == ["cat 2", "dog 1"]
    assert "The folder set holds only folders" in result.stdout
    assert "Taken for parts of a data set, not for labels: test, train." in result.stdout
    assert "set/test/old/4.jpg: old, but old is retired" in result.stdout


@pytest.mark.slow
def test_ctrl_c_and_the_same_command_label_each_photo_once(tmp_path: Path) -> None:
    """What was accepted is labelled when it stops, and nothing twice."""
    data_dir = tmp_path / "data"
    folder = write(tmp_path / "classes", photos([f"{'ab'[n % 2]}{n % 2}/{n:04}.jpg" for n in range(900)]))

    with running("labels", "import", folder, "--data-dir", data_dir) as first:
        wait_until(lambda: bool((query(data_dir, "SELECT count(*) FROM reviews") or [0])[0]), 90, "some are labelled")
        first.process.send_signal(signal.SIGINT)
        code = first.end()
    assert (code, "Nothing is lost: the same command" in first.output) == (130, True), first.output

    second = phototag("labels", "import", folder, "--data-dir", data_dir, timeout_s=200)

    assert second.returncode == 0, second.stderr
    assert "900 photos labelled by their folders." in second.stdout
    assert query(data_dir, LABELLED) == ["a0 450", "b1 450"]
    assert query(data_dir, "SELECT count(*) FROM reviews") == [900]
    assert query(data_dir, "SELECT count(*) FROM batches") == [1]


def test_a_folder_without_class_folders_is_refused_at_once(tmp_path: Path) -> None:
    """Nothing is submitted; a single photo is no folder."""
    folder = write(tmp_path / "flat", photos(["1.jpg"]))

    flat = phototag("labels", "import", folder, "--data-dir", tmp_path / "data")
    single = phototag("labels", "import", folder / "1.jpg", "--data-dir", tmp_path / "data")

    assert (flat.returncode, "name the folder above" in flat.stderr) == (2, True)
    assert (single.returncode, "expected a folder" in single.stderr) == (2, True)
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_landmarks_are_imported(shared: Path, tmp_path: Path) -> None:
    """Real photos: five places, in train and test."""
    folder = shared / "photos" / "landmarks"
    if not folder.is_dir():
        pytest.skip("the photos of landmarks are not here")
    places = {path.name for path in (folder / "train").iterdir()}

    found = labels(tmp_path / "data", "import", folder)

    assert set(found["import"]["labels"]) == places
    assert found["import"]["labelled"] + len(found["import"]["outside"]) <= found["tagged"]
    assert found["import"]["skipped_folders"] == ["test", "train"]
