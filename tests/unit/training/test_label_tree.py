"""The label tree: the program on a tiny WordNet, and what the shipped file promises."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from db.labels import name_key
from training.label_tree import (
    LabelTreeError,
    Places,
    build_tree,
    main,
    read_classes,
    read_places,
    read_synsets,
    render,
)

SHIPPED = Path(__file__).parents[3] / "worker" / "data" / "imagenet_labels.json"
DEBIAN_WORDNET = Path("/usr/share/wordnet/data.noun")

# id, words, parents: two ways up from the greyhound, of which the shorter one is taken.
TINY = (
    ("00000001", ("animal",), ()),
    ("00000002", ("dog", "domestic_dog"), ("00000001",)),
    ("00000003", ("hound",), ("00000002",)),
    ("00000004", ("greyhound",), ("00000005", "00000003")),
    ("00000005", ("racer",), ("00000006",)),
    ("00000006", ("fast_animal",), ("00000007",)),
    ("00000007", ("thing",), ()),
    ("00000008", ("crane",), ("00000001",)),
    ("00000009", ("crane",), ("00000007",)),
    ("00000010", ("crane",), ("00000001",)),
)
TINY_PLACES = Places(
    paths={"n00000001": ("animal",), "n00000002": ("animal", "dog"), "n00000007": ("thing",)},
    words={"n00000001": "animal", "n00000002": "domestic dog", "n00000007": "thing"},
    names={"n00000009": "crane (machine)"},
)


def write_wordnet(path: Path) -> Path:
    """A file in the format of data.noun, with the licence lines at its head."""
    lines = ["  1 This software and database is being provided to you"]
    for offset, words, parents in TINY:
        spelled = " ".join(f"{word} 0" for word in words)
        pointers = "".join(f"@ {parent} n 0000 " for parent in parents)
        lines.append(f"{offset} 05 n {len(words):02x} {spelled} {len(parents):03d} {pointers}| a gloss | with a bar")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_classes(path: Path, *lines: str) -> Path:
    """A list of classes as ImageNet has it."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def wordnet(tmp_path: Path) -> Path:
    """The tiny WordNet."""
    return write_wordnet(tmp_path / "data.noun")


@pytest.fixture(scope="module")
def shipped() -> list[dict[str, Any]]:
    """The file that ships with the worker."""
    return json.loads(SHIPPED.read_text(encoding="utf-8"))


def test_a_class_goes_under_the_nearest_place_and_keeps_the_order_of_the_list(tmp_path: Path, wordnet: Path) -> None:
    """Names come from the table where it has one, else from WordNet's first word."""
    classes = write_classes(
        tmp_path / "c.txt", "n00000009 crane", "n00000008 crane, bird", "n00000004 greyhound", "n00000003 hound"
    )

    tree = build_tree(read_classes(classes), read_synsets(wordnet), TINY_PLACES)

    assert [entry["path"] for entry in tree] == [
        ["thing", "crane (machine)"],
        ["animal", "crane"],
        ["animal", "dog", "greyhound"],
        ["animal", "dog", "hound"],
    ]
    assert [entry["wnid"] for entry in tree] == ["n00000009", "n00000008", "n00000004", "n00000003"]


@pytest.mark.parametrize("other", ["n00000009", "n00000010"])
def test_a_leaf_name_used_twice_is_an_error(tmp_path: Path, wordnet: Path, other: str) -> None:
    """Two classes called crane cannot be told apart on a photo, be it under another parent or the same."""
    classes = write_classes(tmp_path / "c.txt", f"{other} crane", "n00000008 crane", "n00000003 hound", "n00000007 it")
    places = Places(TINY_PLACES.paths, TINY_PLACES.words, names={})

    with pytest.raises(LabelTreeError, match="used twice"):
        build_tree(read_classes(classes), read_synsets(wordnet), places)


def test_a_leaf_named_like_a_parent_elsewhere_is_an_error(tmp_path: Path, wordnet: Path) -> None:
    """A label has one parent, so its name stands in one place."""
    classes = write_classes(tmp_path / "c.txt", "n00000009 Dog", "n00000008 crane", "n00000003 hound")
    places = Places(TINY_PLACES.paths, TINY_PLACES.words, names={})

    with pytest.raises(LabelTreeError, match="used twice"):
        build_tree(read_classes(classes), read_synsets(wordnet), places)


def test_a_class_that_reaches_no_place_is_an_error(tmp_path: Path, wordnet: Path) -> None:
    """The message names the class and the file to mend."""
    classes = write_classes(tmp_path / "c.txt", "n00000008 crane")
    places = Places({"n00000002": ("dog",)}, {"n00000002": "dog"}, {})

    with pytest.raises(LabelTreeError, match=r"n00000008 \(crane\) reaches no synset.*label_places\.toml"):
        build_tree(read_classes(classes), read_synsets(wordnet), places)


def test_an_id_with_the_wrong_word_beside_it_is_an_error(tmp_path: Path, wordnet: Path) -> None:
    """A mistyped id would silently put classes elsewhere."""
    classes = write_classes(tmp_path / "c.txt", "n00000008 crane")
    places = Places({"n00000001": ("animal",)}, {"n00000001": "plant"}, {})

    with pytest.raises(LabelTreeError, match="n00000001 is 'plant', but WordNet has animal"):
        build_tree(read_classes(classes), read_synsets(wordnet), places)


def test_entries_that_no_class_needs_are_an_error(tmp_path: Path, wordnet: Path) -> None:
    """The table stays as small as it can be."""
    classes = write_classes(tmp_path / "c.txt", "n00000008 crane")

    with pytest.raises(LabelTreeError, match="n00000002, n00000007, n00000009"):
        build_tree(read_classes(classes), read_synsets(wordnet), TINY_PLACES)


def test_the_program_says_what_is_wrong_in_one_line(tmp_path: Path, wordnet: Path) -> None:
    """No traceback for a list that does not fit the table, and no file is written."""
    classes = write_classes(tmp_path / "c.txt", "n00000008 crane")
    out = tmp_path / "out.json"

    result = CliRunner().invoke(main, [str(classes), str(wordnet), "--out", str(out)])

    assert result.exit_code == 1
    assert "The table says" in str(result.output)
    assert not out.exists()


def test_the_shipped_file_has_the_thousand_classes_once_each(shipped: list[dict[str, Any]]) -> None:
    """Ids are unique and in ascending groups of ImageNet's order: the first and last are known."""
    assert len(shipped) == len({entry["wnid"] for entry in shipped}) == 1000
    assert shipped[0]["wnid"] == "n01440764"
    assert shipped[207] == {"wnid": "n02099601", "path": ["animal", "dog", "golden retriever"]}
    assert shipped[999]["wnid"] == "n15075141"


def test_the_shipped_names_are_unique_and_stand_in_one_place(shipped: list[dict[str, Any]]) -> None:
    """A name is a leaf or a parent, never both, and always under the same parents."""
    leaves = [name_key(entry["path"][-1]) for entry in shipped]
    places: dict[str, set[tuple[str, ...]]] = {}
    for entry in shipped:
        for depth in range(1, len(entry["path"])):
            places.setdefault(name_key(entry["path"][depth - 1]), set()).add(tuple(entry["path"][: depth - 1]))

    assert len(set(leaves)) == 1000
    assert not set(leaves) & places.keys()
    assert {name: at for name, at in places.items() if len(at) > 1} == {}


def test_the_shipped_tree_is_two_to_four_levels_under_at_most_twenty_words(shipped: list[dict[str, Any]]) -> None:
    """A person can read the top of the tree at a glance."""
    assert {len(entry["path"]) for entry in shipped} == {2, 3, 4}
    assert len({entry["path"][0] for entry in shipped}) <= 20


def test_the_shipped_names_are_tidy(shipped: list[dict[str, Any]]) -> None:
    """No underscores, no stray blanks, nothing longer than the column for names, no words of scholars."""
    names = {name for entry in shipped for name in entry["path"]}

    assert [name for name in names if name != " ".join(name.split()) or "_" in name or len(name) > 40] == []
    assert not names & {"instrumentality", "artifact", "entity", "whole", "conveyance", "placental", "vertebrate"}


def test_the_notice_of_wordnet_stands_beside_the_shipped_file() -> None:
    """Its licence asks for it on all copies."""
    notice = (SHIPPED.parent / "NOTICE").read_text(encoding="utf-8")

    assert "WordNet 3.0 Copyright 2006 by Princeton University" in notice


def test_the_shipped_file_is_what_the_program_makes() -> None:
    """Rebuilt from the original lists, where this machine has them."""
    classes = Path(os.environ.get("PHOTOTAG_SHARED", "")) / "labels" / "imagenet_classes.txt"
    if not (classes.is_file() and DEBIAN_WORDNET.is_file()):
        pytest.skip("needs PHOTOTAG_SHARED/labels/imagenet_classes.txt and Debian's wordnet-base")

    rebuilt = render(build_tree(read_classes(classes), read_synsets(DEBIAN_WORDNET), read_places()))

    assert rebuilt == SHIPPED.read_text(encoding="utf-8")
