"""A model version's files: what is written is read back, and whatever is wrong with them is refused with a remedy."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from db.errors import ArtifactError
from worker.artifact import (
    PACKAGE_DIR,
    artifact_folder,
    card_bytes,
    publish_artifact,
    read_artifact,
    read_card,
    write_artifact,
)
from worker.card import BackboneCard, Card
from worker.tiny import TINY_SHA256

LABELS = ["cat", "dog", "horse"]


def a_card(**changes: Any) -> Card:
    backbone = BackboneCard(architecture="tiny", weights="none", weights_sha256=TINY_SHA256, layer="pool")
    values: dict[str, Any] = {
        "name": "pets",
        "backbone": backbone,
        "decode_version": "squash-224-v1",
        "head": "gap",
        "labels": [["animal", label] for label in LABELS],
        "temperature": 1.5,
        "threshold": 0.4,
        "canary": [[(0, 0.5), (1, 0.25)]],
    }
    return Card(**(values | changes))


def a_head(inputs: int = 8, labels: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"weights": rng.normal(size=(inputs, labels)).astype(np.float32), "bias": np.zeros(labels, np.float32)}


def written(tmp_path: Path) -> Path:
    write_artifact(tmp_path / "pets", a_card(), a_head())
    return tmp_path / "pets"


def change_card(folder: Path, **changes: Any) -> None:
    raw = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(raw | changes))


def replace_head(folder: Path, head: dict[str, np.ndarray]) -> None:
    """A head that fits its hash: what a broken trainer would write, not what a broken disk would."""
    import hashlib

    data = save(head)
    (folder / "head.safetensors").write_bytes(data)
    change_card(folder, head_sha256=hashlib.sha256(data).hexdigest())


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Card and arrays, bit by bit."""
    artifact = read_artifact(written(tmp_path))

    assert artifact.card.labels == [["animal", label] for label in LABELS]
    assert artifact.card.canary == [[(0, 0.5), (1, 0.25)]]
    np.testing.assert_array_equal(artifact.head["weights"], a_head()["weights"])


def test_the_same_card_gives_the_same_bytes_and_survives_the_row(tmp_path: Path) -> None:
    """The card of a row (JSON) is equal to the card of the file."""
    card = read_card(written(tmp_path))

    again = Card.model_validate(json.loads(json.dumps(card.model_dump(mode="json"))))

    one, other = (a_card(metrics=metrics) for metrics in ({"a": 1, "b": 2}, {"b": 2, "a": 1}))

    assert again == card
    assert card_bytes(one) == card_bytes(other)
    assert card_bytes(again) == (tmp_path / "pets" / "card.json").read_bytes()


def test_a_published_artifact_lies_under_the_hash_of_its_card_and_cannot_be_written(tmp_path: Path) -> None:
    """Publishing twice is harmless; nothing half-written stays."""
    name, card = publish_artifact(tmp_path, a_card(), a_head())
    assert publish_artifact(tmp_path, a_card(), a_head()) == (name, card)

    folder = artifact_folder(tmp_path, name)
    assert read_artifact(folder).card == card
    assert [path.name for path in (tmp_path / "models").iterdir()] == [name]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}


def test_a_published_card_that_was_edited_is_refused(tmp_path: Path) -> None:
    """The folder's name holds the card's hash: nobody lowers a threshold by hand unnoticed."""
    name, _ = publish_artifact(tmp_path, a_card(), a_head())
    folder = artifact_folder(tmp_path, name)
    (folder / "card.json").chmod(0o644)
    change_card(folder, threshold=0.0)

    with pytest.raises(ArtifactError, match="not the one the folder is named after"):
        read_card(folder)


def _flip(folder: Path) -> None:
    data = bytearray((folder / "head.safetensors").read_bytes())
    data[-5] ^= 0x40
    (folder / "head.safetensors").write_bytes(data)


def _truncate(folder: Path) -> None:
    data = (folder / "head.safetensors").read_bytes()
    (folder / "head.safetensors").write_bytes(data[:-7])


def _not_a_number(folder: Path) -> None:
    head = a_head()
    head["weights"][3, 1] = np.nan
    replace_head(folder, head)


def _infinite(folder: Path) -> None:
    head = a_head()
    head["bias"][0] = np.inf
    replace_head(folder, head)


def _garbage(folder: Path) -> None:
    import hashlib

    data = b"\xff" * (folder / "head.safetensors").stat().st_size
    (folder / "head.safetensors").write_bytes(data)
    change_card(folder, head_sha256=hashlib.sha256(data).hexdigest())


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (_flip, "SHA-256"),
    (_truncate, "SHA-256"),
    (_not_a_number, "weights holds values that are not finite"),
    (_infinite, "bias holds values that are not finite"),
    (_garbage, "not a safetensors file"),
    (lambda folder: replace_head(folder, a_head(inputs=7) | {"pad": np.zeros(3, np.float32)}), "must have the arr"),
    (
        lambda folder: replace_head(folder, {"weights": a_head()["weights"].T, "bias": np.zeros(3, np.float32)}),
        "mus",
    ),
    (lambda folder: replace_head(folder, a_head(inputs=9)), "must have the arrays"),
    (lambda folder: replace_head(folder, a_head(inputs=90_000)), "bytes where about"),
    (lambda folder: replace_head(folder, {k: v.view(np.int32) for k, v in a_head().items()}), "must be float32"),
    (lambda folder: change_card(folder, labels=[["cat"], ["dog"]]), "must have the arrays"),
    (lambda folder: change_card(folder, labels=[[f"label {n}"] for n in range(9000)]), "bytes where about"),
    (lambda folder: change_card(folder, labels=[["cat"], ["dog"], ["CAT"]]), "labels must differ"),
    (lambda folder: change_card(folder, labels=[["cat"], ["dog"], []]), "labels.2"),
    (lambda folder: change_card(folder, temperature=0), "temperature"),
    (lambda folder: change_card(folder, threshold=float("nan")), "threshold"),
    (lambda folder: change_card(folder, head="os.system"), "head"),
    (lambda folder: change_card(folder, head_sha256=None), "SHA-256"),
    (lambda folder: change_card(folder, head="vgg-top"), "vgg-top takes its weights"),
    (lambda folder: change_card(folder, format=2), "format"),
    (lambda folder: change_card(folder, unknown=1), "unknown"),
    (lambda folder: change_card(folder, labels_file="../../../etc/passwd"), "cannot be read|not a card"),
    (lambda folder: (folder / "card.json").write_text("[1, 2]"), "not a card"),
    (lambda folder: (folder / "card.json").write_text('{"format": 1'), "not a card"),
    (lambda folder: (folder / "card.json").write_text("[" * 100_000), "not a card"),
    (lambda folder: (folder / "card.json").write_bytes(b"\xff\xfe"), "not a card"),
    (lambda folder: (folder / "card.json").write_bytes(b" " * 9_000_000), "larger than"),
    (lambda folder: (folder / "card.json").unlink(), "cannot be read"),
    (lambda folder: (folder / "head.safetensors").unlink(), "cannot be read"),
]


@pytest.mark.parametrize(("breaks", "message"), BROKEN)
def test_a_broken_artifact_is_refused_with_what_to_do(
    tmp_path: Path, breaks: Callable[[Path], object], message: str
) -> None:
    """Flipped, cut, poisoned, of another shape, with another number of labels, or not what it says."""
    folder = written(tmp_path)
    breaks(folder)

    with pytest.raises(ArtifactError, match=message) as caught:
        read_artifact(folder)

    assert "Activate another version" in str(caught.value)


def test_a_head_of_another_shape_is_not_written(tmp_path: Path) -> None:
    """The trainer's own mistake is caught where it is made."""
    with pytest.raises(ArtifactError, match="must have the arrays"):
        write_artifact(tmp_path / "pets", a_card(), a_head(labels=4))


@pytest.mark.parametrize("name", ["package:../secrets", "package:", "../../etc", "/etc", "A" * 64, "", "package:a/b"])
def test_an_artifacts_name_cannot_lead_elsewhere(tmp_path: Path, name: str) -> None:
    """Only names that phototag gives become paths."""
    with pytest.raises(ArtifactError, match="SHA-256"):
        artifact_folder(tmp_path, name)


def test_everything_that_ships_is_whole() -> None:
    """The packaged versions pass their own checks, and say what they are."""
    cards = {folder.name: read_artifact(folder).card for folder in PACKAGE_DIR.iterdir()}

    assert set(cards) == {"imagenet", "starter", "tiny"}
    assert all(card.name == name and card.notice for name, card in cards.items())
    assert len(cards["imagenet"].labels) == 1000
    assert sum(file.stat().st_size for file in PACKAGE_DIR.rglob("*")) < 2_000_000
