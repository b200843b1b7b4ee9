"""Class folders: which label a photo's folders name. `glacier/a.jpg` is a glacier, `ice/glacier/a.jpg` one below ice."""

from collections.abc import Collection
from dataclasses import dataclass

# Folders that say what photos are for, and not what they show.
SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})

Folders = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """What of the folders is no label.

    Attributes:
        outer: the one folder that holds all the others, if it is skipped.
        splits: folders such as train and test, if the classes lie below them.
    """

    outer: str | None = None
    splits: frozenset[str] = frozenset()

    def labels_of(self, path: str) -> Folders:
        """The label of a photo with those above it, topmost first; empty where it lies outside any class folder."""
        folders = folders_of(path)
        if self.outer is not None:
            folders = folders[1:] if folders[:1] == (self.outer,) else ()
        if self.splits:
            folders = folders[1:] if folders and folders[0] in self.splits else ()
        return folders


def folders_of(path: str) -> Folders:
    """The folders of a path, topmost first."""
    return tuple(path.split("/")[:-1])


def layout_of(folders: Collection[Folders]) -> Layout:
    """Decides what is no label.

    A single outer folder is skipped if it holds folders and no photos itself: it is the data set's name. Then train,
    validation and test are skipped, if there is no other folder beside them and each holds folders: a folder "train"
    that holds photos, or stands beside "bus", shows trains.

    Args:
        folders: those that hold photos directly.
    """
    found = {each for each in folders if each}
    splits = _splits(found)
    tops = {each[0] for each in found}
    if splits or len(tops) != 1 or not all(len(each) > 1 for each in found):
        return Layout(None, splits)
    return Layout(tops.pop(), _splits({each[1:] for each in found}))


def _splits(found: Collection[Folders]) -> frozenset[str]:
    tops = {each[0] for each in found}
    holding = {each[0] for each in found if len(each) > 1}
    return frozenset(tops) if tops == holding and all(top.casefold() in SPLITS for top in tops) else frozenset()
