"""Which label a photo's folders name."""

import pytest

from ui.class_folders import folders_of, layout_of


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (["glacier/a.jpg", "forest/b.jpg"], ["glacier", "forest"]),
        (["ice/glacier/a.jpg", "ice/b.jpg", "sea/c.jpg"], ["ice/glacier", "ice", "sea"]),
        (["set/glacier/a.jpg", "set/forest/b.jpg"], ["glacier", "forest"]),
        (["set/glacier/a.jpg", "set/b.jpg"], ["set/glacier", "set"]),
        (["set/glacier/a.jpg"], ["glacier"]),
        (["glacier/a.jpg"], ["glacier"]),
        (["train/cat/a.jpg", "Validation/cat/b.jpg", "test/dog/c.jpg"], ["cat", "cat", "dog"]),
        (["set/train/cat/a.jpg", "set/test/dog/b.jpg"], ["cat", "dog"]),
        (["train/cat/tabby/a.jpg", "train/b.jpg"], ["cat/tabby", ""]),
        (["train/a.jpg", "bus/b.jpg"], ["train", "bus"]),
        (["train/a.jpg", "test/b.jpg"], ["train", "test"]),
        (["train/a.jpg"], ["train"]),
        (["train/steam/a.jpg", "bus/b.jpg"], ["train/steam", "bus"]),
        (["a.jpg", "glacier/b.jpg"], ["", "glacier"]),
        (["cover.jpg", "set/glacier/b.jpg", "set/sea/c.jpg"], ["", "glacier", "sea"]),
        (["a.jpg"], [""]),
        ([], []),
    ],
)
def test_the_layout_is_decided_by_where_photos_lie(paths: list[str], labels: list[str]) -> None:
    """Classes, below parents, in an outer folder, in parts of a data set, or none at all."""
    layout = layout_of({folders_of(path) for path in paths})

    assert ["/".join(layout.labels_of(path)) for path in paths] == labels
