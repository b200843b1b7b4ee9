"""Class folders: the folder's name is the label."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from db.errors import PhototagError
from training.dataset import FeatureSet, compute_features, in_order_of, read_class_folders
from worker.backbone import TinyBackbone


def a_photo(path: Path, colour: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), colour).save(path)


def test_folders_become_labels_in_alphabetical_order(tmp_path: Path) -> None:
    """Photos at any depth count; hidden files, empty folders and loose files do not."""
    a_photo(tmp_path / "b" / "2019" / "1.jpg", "red")
    a_photo(tmp_path / "b" / "2.jpg", "red")
    a_photo(tmp_path / "a" / "3.jpg", "blue")
    (tmp_path / "a" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "loose.jpg").write_bytes(b"x")

    photos = read_class_folders(tmp_path)

    assert photos.labels == ["a", "b"]
    assert [path.name for path in photos.paths] == ["3.jpg", "2.jpg", "1.jpg"]
    assert photos.counts == {"a": 1, "b": 2}


@pytest.mark.parametrize("names", [[], ["only"]])
def test_fewer_than_two_labels_are_an_error(tmp_path: Path, names: list[str]) -> None:
    """The message names the folder it looked into."""
    for name in names:
        a_photo(tmp_path / name / "1.jpg", "red")

    with pytest.raises(PhototagError, match="At least two folders"):
        read_class_folders(tmp_path)
    with pytest.raises(PhototagError, match="At least two folders"):
        read_class_folders(tmp_path / "missing")


def test_photos_that_cannot_be_decoded_are_left_out_and_counted(tmp_path: Path) -> None:
    """Features and targets stay in step, and the progress ends at the number of files."""
    for number in range(20):
        a_photo(tmp_path / "blue" / f"{number:02}.png", "blue")
    a_photo(tmp_path / "red" / "1.png", "red")
    (tmp_path / "blue" / "05.png").write_bytes(b"no photo")
    seen: list[tuple[int, int]] = []

    features = compute_features(
        read_class_folders(tmp_path), TinyBackbone(), lambda done, total: seen.append((done, total))
    )

    assert features.refused == 1
    assert features.features.shape == (20, 7, 7, 8)
    assert features.features.dtype == np.float16
    red = features.features[:, 0, 0, 0] > 0.9
    np.testing.assert_array_equal(red, features.targets == features.labels.index("red"))
    assert seen == [(16, 21), (21, 21)]


def test_validation_counts_in_the_labels_of_training() -> None:
    """A label without validation photos shifts nothing; an unknown one is an error."""
    features = FeatureSet(["b", "c"], np.zeros((3, 1, 1, 1), np.float16), np.array([0, 1, 1]), 0)

    assert in_order_of(["a", "b", "c"], features).targets.tolist() == [1, 2, 2]
    with pytest.raises(PhototagError, match="do not have: c"):
        in_order_of(["a", "b"], features)
