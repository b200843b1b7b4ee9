"""A model version's files: a card that says what it is, and the weights of its head. Checked at every load.

Nothing that could run code is ever read: the card is JSON, the head is safetensors. An artifact lies in the
package (`package:starter`) or in the data directory under `models/`, in a folder named by the SHA-256 of its card;
the card in turn holds the SHA-256 of the head, and of block 5 where the version has trained that of its backbone.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from db.errors import ArtifactError
from worker.block5 import BLOCK5_BYTES, BLOCK5_FILE, Layer, block5_bytes, layers_of
from worker.card import Card

CARD_FILE = "card.json"
HEAD_FILE = "head.safetensors"
PACKAGE_DIR = Path(__file__).with_name("versions")
LABELS_DIR = Path(__file__).with_name("data")

# The card of 1,000 labels has 80 KB; a safetensors header for two arrays has a few hundred bytes.
MAX_CARD_BYTES = 8 * 1024**2
MAX_HEADER_BYTES = 64 * 1024

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Artifact:
    """A checked card and its head's arrays: `weights` (inputs, labels) and `bias` (labels,), float32.

    Attributes:
        block5: convolutions that were trained with the head or before it; None where the backbone is as it came.
    """

    card: Card
    head: Arrays
    block5: Sequence[Layer] | None = None


def artifact_folder(data_dir: Path, artifact: str) -> Path:
    """Where the files of `artifact` (as its row names it) lie.

    Raises:
        ArtifactError: the name is not one that phototag gives.
    """
    if match := re.fullmatch(r"package:([a-z0-9-]{1,64})", artifact):
        return PACKAGE_DIR / match[1]
    if re.fullmatch(r"[0-9a-f]{64}", artifact):
        return data_dir / "models" / artifact
    msg = f"An artifact is package:NAME or a SHA-256; activate another version. Received: {artifact!r}"
    raise ArtifactError(msg)


def read_card(folder: Path) -> Card:
    """The card in `folder`.

    Raises:
        ArtifactError: it is missing, not JSON, or does not hold what a card must.
    """
    path = folder / CARD_FILE
    try:
        if path.stat().st_size > MAX_CARD_BYTES:
            raise _broken(folder, f"{CARD_FILE} is larger than {MAX_CARD_BYTES} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise _broken(folder, f"{CARD_FILE} cannot be read ({error.strerror})") from error
    if _is_published(folder) and hashlib.sha256(data).hexdigest() != folder.name:
        raise _broken(folder, f"{CARD_FILE} is not the one the folder is named after")
    try:
        return Card.model_validate(_with_labels(json.loads(data)))
    except (ValueError, TypeError, KeyError, OSError, RecursionError) as error:
        raise _broken(folder, _why(error)) from error


def read_artifact(folder: Path) -> Artifact:
    """The artifact in `folder`, with hash, shapes and finiteness checked.

    Raises:
        ArtifactError: a check failed.
    """
    card = read_card(folder)
    if card.head == "vgg-top":  # it comes with the backbone's weights
        return Artifact(card, {})
    data = _read_head(folder, card)
    if hashlib.sha256(data).hexdigest() != card.head_sha256:
        raise _broken(folder, f"{HEAD_FILE} does not have the SHA-256 that its card names")
    try:
        head = load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise _broken(folder, f"{HEAD_FILE} is not a safetensors file ({error})") from error
    _check_head(folder, card, head)
    return Artifact(card, head, _read_block5(folder, card))


def write_artifact(folder: Path, card: Card, head: Arrays, block5: Sequence[Layer] | None = None) -> Card:
    """Writes card, head and block 5 into `folder`, which is made; returns the card with the head's hash in it."""
    folder.mkdir(parents=True, exist_ok=True)
    data = save({name: np.ascontiguousarray(array, dtype=np.float32) for name, array in head.items()})
    card = card.model_copy(update={"head_sha256": hashlib.sha256(data).hexdigest()})
    _check_head(folder, card, load(data))
    _write(folder / HEAD_FILE, data)
    if block5 is not None:
        _write(folder / BLOCK5_FILE, block5_bytes(block5))
    _write(folder / CARD_FILE, card_bytes(card))
    return card


def publish_artifact(
    data_dir: Path, card: Card, head: Arrays, block5: Sequence[Layer] | None = None
) -> tuple[str, Card]:
    """Puts an artifact into the data directory, all of it or nothing; returns its name and its card."""
    models = data_dir / "models"
    models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models, prefix="new-") as temporary:
        staged = Path(temporary) / "artifact"
        card = write_artifact(staged, card, head, block5)
        name = hashlib.sha256(card_bytes(card)).hexdigest()
        put_in_place(staged, models / name)
    return name, card


def put_in_place(staged: Path, folder: Path) -> None:
    """Gives complete files their place, durably; files that are there already stay."""
    for file in staged.iterdir():
        with file.open("rb") as written:
            os.fsync(written.fileno())
        file.chmod(0o444)
    _sync_folder(staged)
    if not folder.exists():
        staged.rename(folder)
    _sync_folder(folder.parent)


def card_bytes(card: Card) -> bytes:
    """The card as it is written: the same card gives the same bytes."""
    text = json.dumps(card.model_dump(mode="json"), indent=1, ensure_ascii=False, sort_keys=True)
    return text.encode() + b"\n"


def _read_head(folder: Path, card: Card) -> bytes:
    inputs, labels = card.head_shape
    return _read_arrays(folder, HEAD_FILE, (inputs + 1) * labels * 4)  # float32


def _read_block5(folder: Path, card: Card) -> list[Layer] | None:
    if card.backbone.tuned is None:
        return None
    data = _read_arrays(folder, BLOCK5_FILE, BLOCK5_BYTES)
    if hashlib.sha256(data).hexdigest() != card.backbone.tuned.block5_sha256:
        raise _broken(folder, f"{BLOCK5_FILE} does not have the SHA-256 that its card names")
    try:
        return layers_of(data)
    except ArtifactError as error:
        raise _broken(folder, str(error)) from error


def _read_arrays(folder: Path, name: str, expected: int) -> bytes:
    """A safetensors file that holds `expected` bytes of numbers."""
    path = folder / name
    try:
        size = path.stat().st_size
        if not expected < size <= expected + MAX_HEADER_BYTES:
            raise _broken(folder, f"{name} has {size} bytes where about {expected} were expected")
        return path.read_bytes()
    except OSError as error:
        raise _broken(folder, f"{name} cannot be read ({error.strerror})") from error


def _check_head(folder: Path, card: Card, head: Arrays) -> None:
    inputs, labels = card.head_shape
    expected = {"weights": (inputs, labels), "bias": (labels,)}
    received = {name: array.shape for name, array in head.items()}
    if received != expected:
        raise _broken(folder, f"the head must have the arrays {expected}, but has {received}")
    for name, array in head.items():
        if array.dtype != np.float32:
            raise _broken(folder, f"{name} must be float32, but is {array.dtype}")
        if not np.isfinite(array).all():
            raise _broken(folder, f"{name} holds values that are not finite numbers")


def _with_labels(raw: dict[str, Any]) -> dict[str, Any]:
    # The labels of `imagenet` are a file of their own: a thousand of them would bury the rest of the card.
    if name := raw.pop("labels_file", None):
        entries = json.loads((LABELS_DIR / Path(name).name).read_bytes())
        raw["labels"] = [entry["path"] for entry in entries]
    return raw


def _is_published(folder: Path) -> bool:
    return folder.parent.name == "models" and re.fullmatch(r"[0-9a-f]{64}", folder.name) is not None


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{CARD_FILE}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return f"{CARD_FILE} is not a card ({error})"


def _broken(folder: Path, what: str) -> ArtifactError:
    remedy = "Activate another version, or restore the folder from a backup"
    if folder.parent == PACKAGE_DIR:
        remedy = "Install phototag again"
    return ArtifactError(f"The files of a model version in {folder} fail a check: {what}. {remedy}.")


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
