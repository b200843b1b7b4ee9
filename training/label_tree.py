"""A program: puts the 1,000 ImageNet classes under parents that photo owners understand, from WordNet 3.0."""

import json
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from db.errors import PhototagError
from db.labels import name_key

PLACES_FILE = Path(__file__).with_name("label_places.toml")
PATH_SEPARATOR = " > "
HYPERNYM_POINTERS = frozenset({"@", "@i"})  # wninput(5WN): hypernym and instance hypernym


class LabelTreeError(PhototagError):
    """Raised when a class, a synset or the table of places cannot be used as it is."""


@dataclass(frozen=True)
class Synset:
    """One entry of WordNet's data.noun."""

    words: tuple[str, ...]
    parents: tuple[str, ...]


@dataclass(frozen=True)
class ImageNetClass:
    """One line of the list of classes: `n02099601 golden retriever, ...`."""

    wnid: str
    first_word: str


@dataclass(frozen=True)
class Places:
    """The table of `label_places.toml`.

    Attributes:
        paths: synset id to parent path, outermost first.
        words: synset id to the word that stands beside it, to check the id by.
        names: class id to the leaf name that replaces WordNet's first word.
    """

    paths: Mapping[str, tuple[str, ...]]
    words: Mapping[str, str]
    names: Mapping[str, str]


@click.command()
@click.argument("classes_txt", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("data_noun", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The JSON file to write.")
def main(classes_txt: Path, data_noun: Path, out: Path) -> None:
    """Writes the label paths of the classes in CLASSES_TXT, found through WordNet's DATA_NOUN."""
    try:
        text = render(build_tree(read_classes(classes_txt), read_synsets(data_noun), read_places()))
    except LabelTreeError as error:
        sys.exit(f"phototag: {error}")
    out.write_text(text, encoding="utf-8")
    click.echo(f"{out}: {text.count('wnid')} classes")


def read_classes(path: Path) -> list[ImageNetClass]:
    """The classes in the order of the network's outputs."""
    lines = path.read_text(encoding="utf-8").splitlines()
    parts = [line.split(None, 1) for line in lines if line.strip()]
    return [ImageNetClass(wnid, words.split(",")[0].strip()) for wnid, words in parts]


def read_synsets(path: Path) -> dict[str, Synset]:
    """All nouns of WordNet by id, `n` and the eight digits of the offset (format: wndb(5WN))."""
    with path.open(encoding="utf-8") as lines:
        return dict(_parse_synset(line) for line in lines if not line.startswith(" "))  # the licence is indented


def _parse_synset(line: str) -> tuple[str, Synset]:
    fields = line.split(" | ", 1)[0].split()
    word_count = int(fields[3], 16)
    words = tuple(fields[4 + 2 * i].replace("_", " ") for i in range(word_count))
    start = 4 + 2 * word_count
    pointers = [fields[start + 1 + 4 * i : start + 5 + 4 * i] for i in range(int(fields[start]))]
    parents = tuple(f"n{offset}" for symbol, offset, _, _ in pointers if symbol in HYPERNYM_POINTERS)
    return f"n{fields[0]}", Synset(words, parents)


def read_places(path: Path = PLACES_FILE) -> Places:
    """The table that stands beside this file."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    paths: dict[str, tuple[str, ...]] = {}
    words: dict[str, str] = {}
    for joined, entries in table["places"].items():
        for entry in entries:
            wnid, word = entry.split(" ", 1)
            if wnid in paths:
                msg = f"{wnid} ({word}) stands twice in {path.name}. Keep it under one path."
                raise LabelTreeError(msg)
            paths[wnid], words[wnid] = tuple(joined.split(PATH_SEPARATOR)), word
    return Places(paths, words, table["names"])


def build_tree(
    classes: Sequence[ImageNetClass], synsets: Mapping[str, Synset], places: Places
) -> list[dict[str, str | list[str]]]:
    """One entry per class, in order: its id and its path, the leaf last.

    Raises:
        LabelTreeError: the table names a wrong or unused synset, a class reaches no place, or a name is used twice.
    """
    _check_words(synsets, places)
    used: set[str] = set()
    tree: list[dict[str, str | list[str]]] = []
    for one in classes:
        place = _nearest_place(one, synsets, places.paths)
        used.add(place)
        tree.append({"wnid": one.wnid, "path": [*places.paths[place], places.names.get(one.wnid, one.first_word)]})
    unused = sorted((places.paths.keys() - used) | (places.names.keys() - {one.wnid for one in classes}))
    if unused:
        msg = f"No class needs these entries of the table; remove them: {', '.join(unused)}"
        raise LabelTreeError(msg)
    _check_names(entry["path"] for entry in tree)
    return tree


def _check_words(synsets: Mapping[str, Synset], places: Places) -> None:
    for wnid, word in places.words.items():
        known = synsets[wnid].words if wnid in synsets else ()
        if word.casefold() not in {w.casefold() for w in known}:
            msg = f"The table says {wnid} is {word!r}, but WordNet has {', '.join(known) or 'no such synset'}."
            raise LabelTreeError(msg)


def _nearest_place(one: ImageNetClass, synsets: Mapping[str, Synset], paths: Mapping[str, object]) -> str:
    for wnid in _upwards(one.wnid, synsets):
        if wnid in paths:
            return wnid
    msg = f"{one.wnid} ({one.first_word}) reaches no synset of the table. Add one of its parents to {PLACES_FILE.name}."
    raise LabelTreeError(msg)


def _upwards(wnid: str, synsets: Mapping[str, Synset]) -> Iterator[str]:
    """The synset itself, then its parents, level by level."""
    level, seen = [wnid], {wnid}
    while level:
        yield from level
        parents = dict.fromkeys(parent for known in level if known in synsets for parent in synsets[known].parents)
        level = [parent for parent in parents if parent not in seen]
        seen.update(level)


def _check_names(tree_paths: Iterable[Sequence[str]]) -> None:
    """Labels are found by name alone, so a name stands in one place of the tree only."""
    places: dict[str, tuple[str, ...]] = {}
    leaves: set[str] = set()
    for path in tree_paths:
        for depth in range(1, len(path) + 1):
            key = name_key(path[depth - 1])
            place = tuple(path[:depth])
            if places.setdefault(key, place) != place or (depth == len(path) and key in leaves):
                msg = f"{path[depth - 1]!r} is used twice: {place} and {places[key]}. Add a name to {PLACES_FILE.name}."
                raise LabelTreeError(msg)
        leaves.add(name_key(path[-1]))


def render(tree: Sequence[Mapping[str, object]]) -> str:
    """JSON with one class per line, so that a change reads well in a diff."""
    return "[\n" + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in tree) + "\n]\n"


if __name__ == "__main__":
    main()
