"""A block 5 that a version brings: written, read back, and refused when it is not what the version was made with."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from db.errors import ArtifactError
from tests.unit.worker.test_artifact import a_card, a_head
from worker.artifact import artifact_folder, publish_artifact, read_artifact
from worker.backbone import load_backbone
from worker.block5 import Layer, block5_bytes, layers_of, with_block5
from worker.card import BackboneCard, TunedCard
from worker.settings import WorkerSettings
from worker.weights import LAYER, SEEDED_SHA256, seeded_weights, weights_sha256

FILE = "block5.safetensors"


@cache
def a_block5(scale: float = 0.01) -> list[Layer]:
    chance = np.random.RandomState(0)
    return [
        ((scale * chance.standard_normal((3, 3, 512, 512))).astype(np.float32), np.zeros(512, np.float32))
        for _ in range(3)
    ]


def card_of(block5: list[Layer], **changes: str) -> BackboneCard:
    """Of the seeded network with this block 5."""
    values = {
        "weights_sha256": weights_sha256(with_block5(seeded_weights(), block5)),
        "base_sha256": SEEDED_SHA256,
        "block5_sha256": hashlib.sha256(block5_bytes(block5)).hexdigest(),
    } | changes
    whole = values.pop("weights_sha256")
    return BackboneCard(
        architecture="vgg16",
        weights="seeded",
        weights_sha256=whole,
        layer=LAYER,
        tuned=TunedCard.model_validate(values),
    )


def published(data_dir: Path) -> Path:
    card = a_card(backbone=card_of(a_block5()))
    name, _ = publish_artifact(data_dir, card, a_head(inputs=512), a_block5())
    return artifact_folder(data_dir, name)


def test_it_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """Beside the card, in a file that nobody can write."""
    folder = published(tmp_path)

    found = read_artifact(folder)

    assert found.block5 is not None
    for read, wanted in zip(found.block5, a_block5(), strict=True):
        np.testing.assert_array_equal(read[0], wanted[0])
        np.testing.assert_array_equal(read[1], wanted[1])
    assert (folder / FILE).stat().st_mode & 0o777 == 0o444
    assert block5_bytes(found.block5) == (folder / FILE).read_bytes()


def test_a_card_without_one_is_written_as_ever(tmp_path: Path) -> None:
    """Rows and files of versions that exist stay equal to their cards."""
    name, card = publish_artifact(tmp_path, a_card(), a_head())

    assert "tuned" not in card.model_dump(mode="json")["backbone"]
    assert read_artifact(artifact_folder(tmp_path, name)).block5 is None
    assert not (artifact_folder(tmp_path, name) / FILE).exists()


BROKEN: list[tuple[Callable[[bytes], bytes | None], str]] = [
    (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "does not have the SHA-256 that its card names"),
    (lambda data: data[: len(data) // 2], "bytes where about"),
    (lambda _: None, "cannot be read"),
]


@pytest.mark.parametrize(("changed", "message"), BROKEN)
def test_a_damaged_file_is_refused_with_what_to_do(
    tmp_path: Path, changed: Callable[[bytes], bytes | None], message: str
) -> None:
    """One bit, half of it, all of it."""
    folder = published(tmp_path)
    data = changed((folder / FILE).read_bytes())
    (folder / FILE).unlink()
    if data is not None:
        (folder / FILE).write_bytes(data)

    with pytest.raises(ArtifactError, match=message) as caught:
        read_artifact(folder)

    assert "restore the folder from a backup" in str(caught.value)


def test_what_is_not_block_5_is_neither_written_nor_read() -> None:
    """Values that are no numbers, other shapes, another kind of file."""
    kernel, bias = a_block5()[0]
    with pytest.raises(ArtifactError, match="finite"):
        block5_bytes([*a_block5()[:2], (kernel * np.float32(np.nan), bias)])
    with pytest.raises(ArtifactError, match="must have the arrays"):
        block5_bytes([*a_block5()[:2], (kernel[:, :, :4], bias)])
    with pytest.raises(ArtifactError, match="not a safetensors file"):
        layers_of(b"\x80\x04pickle")


def test_the_network_is_refused_where_any_of_its_weights_are_others() -> None:
    """Below block 5, in block 5, or none at all: before TensorFlow is imported."""
    block5 = a_block5()

    with pytest.raises(ArtifactError, match="trained on other backbone weights"):
        load_backbone(WorkerSettings(), Path(), card_of(block5, base_sha256="0" * 64), block5)
    with pytest.raises(ArtifactError, match="not what the version was made with"):
        load_backbone(WorkerSettings(), Path(), card_of(block5), a_block5(0.02))
    with pytest.raises(ArtifactError, match="its files hold none"):
        load_backbone(WorkerSettings(), Path(), card_of(block5))
