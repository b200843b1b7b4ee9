"""Files of trained versions for other machines: put into the object store that machines share, and fetched from there.

Where blobs lie in a local folder, one machine has all there is and nothing is put or fetched.
"""

import hashlib
import logging
import re
import tempfile
from pathlib import Path

from db.blobs import Blobs, artifact_key, full_disk_noticed
from db.errors import ArtifactError, BlobMissingError
from worker.artifact import CARD_FILE, HEAD_FILE, artifact_folder, put_in_place, read_artifact, read_card
from worker.block5 import BLOCK5_FILE
from worker.card import Card

log = logging.getLogger(__name__)


def share_artifact(blobs: Blobs, data_dir: Path, artifact: str) -> None:
    """Puts the files of a version that was published here where other machines find them; the card, as the last."""
    if not blobs.is_shared:
        return
    folder = artifact_folder(data_dir, artifact)
    for path in sorted(folder.iterdir(), key=lambda path: path.name == CARD_FILE):
        blobs.write_object(artifact_key(artifact, path.name), path.read_bytes())


def ensure_artifact(blobs: Blobs, data_dir: Path, artifact: str) -> None:
    """Brings the files of a version to this machine, checked, all of them or none. Nothing happens where they are.

    Args:
        blobs: where another machine has put them.
        data_dir: of this machine.
        artifact: as the version's row names it.

    Raises:
        ArtifactError: they are not there, or fail a check.
        StorageFullError: this machine's disk has no room for them.
    """
    folder = artifact_folder(data_dir, artifact)
    if not blobs.is_shared or not re.fullmatch(r"[0-9a-f]{64}", artifact) or folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="new-") as temporary, full_disk_noticed():
        staged = Path(temporary) / "artifact"
        staged.mkdir()
        card = _fetch_card(blobs, artifact, staged)
        for name in (HEAD_FILE, *((BLOCK5_FILE,) if card.backbone.tuned is not None else ())):
            (staged / name).write_bytes(_fetched(blobs, artifact, name))
        read_artifact(staged)  # hashes, shapes, finite numbers
        put_in_place(staged, folder)
    log.info("The files of %s were fetched from the blob store.", card.name)


def _fetch_card(blobs: Blobs, artifact: str, staged: Path) -> Card:
    data = _fetched(blobs, artifact, CARD_FILE)
    if hashlib.sha256(data).hexdigest() != artifact:
        msg = (
            f"The card of version {artifact[:12]} in the blob store is damaged: it does not have the SHA-256 that its row"
            " names. Restore it from a backup, or activate another version."
        )
        raise ArtifactError(msg)
    (staged / CARD_FILE).write_bytes(data)
    return read_card(staged)


def _fetched(blobs: Blobs, artifact: str, name: str) -> bytes:
    try:
        return blobs.read_object(artifact_key(artifact, name))
    except BlobMissingError as error:
        msg = (
            f"The files of version {artifact[:12]} are neither on this machine nor in the blob store: {name} is missing."
            " Copy its folder in `models` from the machine that trained it, or activate another version."
        )
        raise ArtifactError(msg) from error
