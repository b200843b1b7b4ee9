"""Class folders in three parts: as the folders say, or drawn by the files' hash."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from db.errors import PhototagError
from db.names import is_junk
from training.dataset import ClassFolders, read_class_folders

# What folders of a split are called, in any case.
PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}
SHARES = {"validation": 0.15, "test": 0.15}
FEWEST_OF_LABEL = 3


@dataclass(frozen=True)
class Splits:
    """Photos to train on, to watch and to examine. All count in the same labels.

    Attributes:
        labels: in alphabetical order.
        parts: train, and validation and test where there are any.
        said: how the parts came to be, in one sentence.
        astride: files of the same content that lie in more than one part.
    """

    labels: list[str]
    parts: dict[str, ClassFolders]
    said: str
    astride: int


def read_splits(folder: Path) -> Splits:
    """The photos below `folder`. Folders train, validation and test are taken as they are.

    Without them 15 % of each label's photos go to validation and 15 % to test; where there are only train and test, 15 %
    of train go to validation. Which ones follows from their content alone, so it is the same every time.

    Raises:
        PhototagError: no class folders, too few photos of a label, or labels that train does not have.
    """
    named = _named_parts(folder)
    if not named:
        parts = _drawn(_without_junk(read_class_folders(folder)), SHARES)
        said = "The folder has no split: by the files' hash 70 % of each label are for training, 15 % for validation, 15 % for test."
        return _splits(parts, said)
    parts = {part: _without_junk(read_class_folders(path)) for part, path in named.items()}
    parts = {part: _in_labels_of(parts["train"], photos, part) for part, photos in parts.items()}
    if "validation" in parts:
        return _splits(parts, f"As the folders say: {', '.join(parts)}.")
    parts |= _drawn(parts["train"], {"validation": SHARES["validation"]})
    said = (
        f"As the folders say: {', '.join(named)}; 15 % of each label of train, by the files' hash, are for validation."
    )
    return _splits(parts, said)


def _named_parts(folder: Path) -> dict[str, Path]:
    """The folders of a split, if all folders are such and hold folders: a label may be called test."""
    children = [path for path in sorted(folder.iterdir()) if path.is_dir()] if folder.is_dir() else []
    children = [path for path in children if not path.name.startswith(".") and not is_junk(f"{path.name}/")]
    part_of = {name: part for part, names in PARTS.items() for name in names}
    found = [(part_of.get(path.name.casefold()), path) for path in children]
    if not all(part and any(child.is_dir() for child in path.iterdir()) for part, path in found):
        return {}
    for part, count in Counter(part for part, _ in found).items():
        if count > 1:
            twice = ", ".join(path.name for name, path in found if name == part)
            msg = f"One folder for {part} was expected. Merge or move away all but one. Received: {twice}"
            raise PhototagError(msg)
    named = {part: path for part, path in found if part}
    if named and "train" not in named:
        msg = f"A folder train was expected beside the others in {folder}. Received: {', '.join(named)}"
        raise PhototagError(msg)
    return {part: named[part] for part in PARTS if part in named}


def _without_junk(photos: ClassFolders) -> ClassFolders:
    return _chosen(photos, [number for number, path in enumerate(photos.paths) if not is_junk(path.name)])


def _in_labels_of(train: ClassFolders, photos: ClassFolders, part: str) -> ClassFolders:
    if unknown := sorted(set(photos.labels) - set(train.labels)):
        msg = f"The folder {part} has labels that train does not have: {', '.join(unknown)}. Use the same in both."
        raise PhototagError(msg)
    positions = np.array([train.labels.index(label) for label in photos.labels])
    return ClassFolders(train.labels, photos.paths, positions[photos.targets])


def _drawn(photos: ClassFolders, shares: dict[str, float]) -> dict[str, ClassFolders]:
    """Parts of these shares, at least one photo of each label in each; train has the rest.

    Files of the same content stay together.

    Raises:
        PhototagError: a label has fewer than three different photos.
    """
    digests = _digests(photos.paths)
    numbers: dict[str, list[int]] = {"train": [], **{part: [] for part in shares}}
    for position, label in enumerate(photos.labels):
        of_label = np.flatnonzero(photos.targets == position).tolist()
        contents = sorted({digests[number] for number in of_label})
        if len(contents) < FEWEST_OF_LABEL:
            msg = (
                f"At least {FEWEST_OF_LABEL} different photos of each label were expected, to train, watch and examine"
                f" with. Add some, or remove the folder. Received: {len(contents)} of {label}"
            )
            raise PhototagError(msg)
        part_of = _parts_of(contents, shares)
        for number in of_label:
            numbers[part_of[digests[number]]].append(number)
    return {part: _chosen(photos, chosen) for part, chosen in numbers.items()}


def _parts_of(contents: list[str], shares: dict[str, float]) -> dict[str, str]:
    part_of = dict.fromkeys(contents, "train")
    start = 0
    for part, share in shares.items():
        end = start + max(1, round(share * len(contents)))
        part_of |= dict.fromkeys(contents[start:end], part)
        start = end
    return part_of


def _chosen(photos: ClassFolders, numbers: list[int]) -> ClassFolders:
    return ClassFolders(photos.labels, [photos.paths[number] for number in numbers], photos.targets[numbers])


def _splits(parts: dict[str, ClassFolders], said: str) -> Splits:
    parts = {part: parts[part] for part in PARTS if part in parts}
    held = Counter(digest for photos in parts.values() for digest in set(_digests(photos.paths)))
    return Splits(parts["train"].labels, parts, said, sum(count > 1 for count in held.values()))


def _digests(paths: Sequence[Path]) -> list[str]:
    digests: list[str] = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests
