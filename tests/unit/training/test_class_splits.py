"""Class folders in three parts: as folders say, or drawn by content."""

from pathlib import Path

import numpy as np
import pytest

from db.errors import PhototagError
from training.class_splits import Splits, read_splits
from training.dataset import ClassFolders


def some_files(folder: Path, count: int, *, first: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        (folder / f"{number}.jpg").write_bytes(f"{folder.name} {number}".encode())


def contents(photos: ClassFolders) -> set[bytes]:
    return {path.read_bytes() for path in photos.paths}


def counts(splits: Splits) -> dict[str, dict[str, int]]:
    return {part: photos.counts for part, photos in splits.parts.items()}


def test_folders_named_as_parts_are_taken_as_they_are_in_any_case(tmp_path: Path) -> None:
    """Targets count in the labels of train, also where a part lacks one."""
    for label, count in (("a", 5), ("b", 4), ("c", 3)):
        some_files(tmp_path / "Train" / label, count)
    for label in ("b", "c"):
        some_files(tmp_path / "VAL" / label, 2, first=10)
        some_files(tmp_path / "testing" / label, 1, first=20)
    (tmp_path / "README.txt").write_text("not a folder")

    splits = read_splits(tmp_path)

    assert splits.labels == ["a", "b", "c"]
    assert counts(splits) == {
        "train": {"a": 5, "b": 4, "c": 3},
        "validation": {"a": 0, "b": 2, "c": 2},
        "test": {"a": 0, "b": 1, "c": 1},
    }
    assert splits.said == "As the folders say: train, validation, test."
    assert splits.astride == 0


def test_without_a_split_one_is_drawn_by_label_and_content(tmp_path: Path) -> None:
    """70, 15 and 15 % of each label; the same files whatever they are called; none in two parts."""
    some_files(tmp_path / "one" / "a", 20)
    some_files(tmp_path / "one" / "b", 6)
    splits = read_splits(tmp_path / "one")
    for path in sorted((tmp_path / "one").rglob("*.jpg")):
        target = tmp_path / "two" / path.parent.name / f"renamed-{100 - int(path.stem)}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())

    again = read_splits(tmp_path / "two")

    assert counts(splits) == {
        "train": {"a": 14, "b": 4},
        "validation": {"a": 3, "b": 1},
        "test": {"a": 3, "b": 1},
    }
    assert "70 %" in splits.said
    assert splits.astride == 0
    for part, photos in splits.parts.items():
        assert contents(again.parts[part]) == contents(photos)


def test_copies_of_a_photo_stay_together(tmp_path: Path) -> None:
    """Or a photo would be trained on and examined."""
    some_files(tmp_path / "a", 8)
    some_files(tmp_path / "b", 8)
    for number in range(8):
        (tmp_path / "a" / f"copy-{number}.jpg").write_bytes((tmp_path / "a" / f"{number}.jpg").read_bytes())

    splits = read_splits(tmp_path)

    assert splits.astride == 0
    assert {part: photos.counts["a"] for part, photos in splits.parts.items()} == {
        "train": 12,
        "validation": 2,
        "test": 2,
    }


def test_validation_is_drawn_from_train_where_there_is_only_a_test(tmp_path: Path) -> None:
    """The test stays whole."""
    for label in ("a", "b"):
        some_files(tmp_path / "train" / label, 20)
        some_files(tmp_path / "test" / label, 7, first=50)

    splits = read_splits(tmp_path)

    assert list(splits.parts) == ["train", "validation", "test"]
    assert [len(photos.paths) for photos in splits.parts.values()] == [34, 6, 14]
    assert "for validation" in splits.said
    assert contents(splits.parts["train"]).isdisjoint(contents(splits.parts["validation"]))


def test_a_photo_in_two_given_parts_is_counted(tmp_path: Path) -> None:
    """The folders are taken as they are, and what that means is said."""
    for label in ("a", "b"):
        some_files(tmp_path / "train" / label, 5)
        some_files(tmp_path / "val" / label, 3, first=4)

    assert read_splits(tmp_path).astride == 2


def test_labels_may_be_called_as_parts_are(tmp_path: Path) -> None:
    """A folder train that holds photos, or stands beside a bus, shows trains."""
    some_files(tmp_path / "train", 4)
    some_files(tmp_path / "bus" / "red", 4)

    assert read_splits(tmp_path).labels == ["bus", "train"]


def test_files_of_systems_are_no_photos(tmp_path: Path) -> None:
    """Nobody misses them among what was left out."""
    for label in ("a", "b"):
        some_files(tmp_path / label, 3)
        (tmp_path / label / "Thumbs.db").write_bytes(b"x")

    assert sum(len(photos.paths) for photos in read_splits(tmp_path).parts.values()) == 6


@pytest.mark.parametrize(
    ("folders", "says"),
    [
        ({"val/a": 3, "val/b": 3}, "A folder train was expected"),
        ({"train/a": 3, "train/b": 3, "val/a": 1, "val/c": 1}, "does not have: c"),
        ({"train/a": 3, "train/b": 3, "val/a": 1, "val/b": 1, "valid/a": 1}, "Received: val, valid"),
        ({"a": 3, "b": 2}, "Received: 2 of b"),
        ({"a": 3}, "At least two folders"),
        ({}, "At least two folders"),
    ],
)
def test_folders_that_cannot_be_used_say_why(tmp_path: Path, folders: dict[str, int], says: str) -> None:
    """Before anything is read for long."""
    for name, count in folders.items():
        some_files(tmp_path / name, count)

    with pytest.raises(PhototagError, match=says):
        read_splits(tmp_path)


def test_every_file_is_in_exactly_one_part(tmp_path: Path) -> None:
    """Whatever the number of photos."""
    for number in range(3, 24):
        some_files(tmp_path / f"label-{number:02}", number)

    splits = read_splits(tmp_path)

    paths = [path for photos in splits.parts.values() for path in photos.paths]
    assert len(paths) == len(set(paths)) == sum(range(3, 24))
    for photos in splits.parts.values():
        names = [path.parent.name for path in photos.paths]
        assert names == [splits.labels[target] for target in photos.targets]
        assert np.bincount(photos.targets, minlength=len(splits.labels)).min() >= 1
