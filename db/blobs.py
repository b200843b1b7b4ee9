"""Bytes by SHA-256, previews and feature files: in a local folder, or in an object store (s3://, gs://, az://).

A row that refers to a blob is written after the blob is on the disk: files are fsynced before they are renamed to
their name, and their folder after it (obstore's own local store renames but does not fsync).
"""

import errno
import hashlib
import re
import shutil
import uuid
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from db.errors import BlobMissingError, StorageFullError
from db.folder_store import FolderStore
from db.settings import DataSettings

# SQLite cannot write a row once the disk is full, so this much stays free whatever is accepted.
RESERVED_BYTES = 1 << 30
# Said to people before it comes to that.
LOW_BYTES = 3 << 30
PREVIEW_SIZES = (320, 1024)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"[a-z0-9][a-z0-9_-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)+")


class ObjectStore(Protocol):
    """Where objects lie, by key. Keys are ours: lower-case folders, no dots in front."""

    def put_files(self, files: Sequence[tuple[Path, str]]) -> None:
        """Moves staged files to their keys, durably. One that exists already counts as written now."""
        ...

    def put(self, key: str, data: bytes, *, durable: bool) -> None:
        """Writes an object, all or nothing."""
        ...

    def get(self, key: str) -> bytes | None:
        """The object's bytes; None if it is missing."""
        ...

    def open(self, key: str) -> BinaryIO | None:
        """A seekable file; None if it is missing."""
        ...

    def size(self, key: str) -> int | None:
        """The object's size in bytes; None if it is missing."""
        ...

    def delete(self, key: str) -> None:
        """Removes the object, if it is there."""
        ...

    def delete_older(self, key: str, before: float) -> bool:
        """Removes the object if it was last written before that time (seconds since 1970); whether it is gone."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Keys of all objects below a folder, in no order, without holding them in memory."""
        ...


class Blobs:
    """What rows refer to by SHA-256 or by key."""

    def __init__(self, store: ObjectStore, staging_dir: Path) -> None:
        self._store = store
        self._staging_dir = staging_dir

    def add_file(self, staged: Path, sha256: str) -> None:
        """Moves a received file to its place. A repeat is harmless; `staged` is gone afterwards."""
        self.add_files([(staged, sha256)])

    def add_files(self, files: Iterable[tuple[Path, str]]) -> None:
        """Moves a group of received files at once: the disk writes them together instead of one by one."""
        self._store.put_files([(staged, _blob_key(sha256)) for staged, sha256 in files])

    def add_bytes(self, data: bytes) -> str:
        """Stores bytes and returns their SHA-256."""
        sha256 = hashlib.sha256(data).hexdigest()
        self._staging_dir.mkdir(parents=True, exist_ok=True)
        staged = self._staging_dir / uuid.uuid4().hex
        staged.write_bytes(data)
        self.add_file(staged, sha256)
        return sha256

    def read(self, sha256: str) -> bytes:
        """The photo's or archive's bytes.

        Raises:
            BlobMissingError: they are not there.
        """
        return self.read_object(_blob_key(sha256))

    def open(self, sha256: str) -> BinaryIO:
        """A seekable file; from an object store it is downloaded to a temporary file first.

        Raises:
            BlobMissingError: it is not there.
        """
        file = self._store.open(_blob_key(sha256))
        if file is None:
            raise _missing(sha256)
        return file

    def local_path(self, sha256: str) -> Path | None:
        """The file to read in place; None when an object store holds the bytes.

        Raises:
            BlobMissingError: it is not there.
        """
        if not isinstance(self._store, FolderStore):
            return None
        self.size(sha256)
        return self._store.path(_blob_key(sha256))

    def has(self, sha256: str) -> bool:
        """Whether the bytes are there."""
        return self._store.size(_blob_key(sha256)) is not None

    def size(self, sha256: str) -> int:
        """Their number.

        Raises:
            BlobMissingError: they are not there.
        """
        size = self._store.size(_blob_key(sha256))
        if size is None:
            raise _missing(sha256)
        return size

    def delete(self, sha256: str) -> None:
        """Removes the bytes, if they are there."""
        self._store.delete(_blob_key(sha256))

    def delete_photo_older(self, sha256: str, before: float) -> bool:
        """Removes a photo's or archive's bytes and previews unless some were written since `before`; whether all are gone."""
        keys = (_blob_key(sha256), *(_preview_key(sha256, size) for size in PREVIEW_SIZES))
        return all(self._store.delete_older(key, before) for key in keys)

    def delete_older(self, key: str, before: float) -> bool:
        """Removes what `list_keys` gave if it was last written before that time (seconds since 1970); whether it is gone."""
        return self._store.delete_older(key, before)

    def list_keys(self, folder: str) -> Iterator[str]:
        """Keys of all that lies in a folder ("blobs", "previews", "features", "variants"), in no order, one by one."""
        return self._store.list(folder)

    def write_object(self, key: str, data: bytes) -> None:
        """Stores what a row will refer to by key, e.g. "features/0f3a.../<uuid>.safetensors"."""
        self._store.put(_checked(key), data, durable=True)

    def read_object(self, key: str) -> bytes:
        """The object's bytes.

        Raises:
            BlobMissingError: it is not there.
        """
        data = self._store.get(_checked(key))
        if data is None:
            raise _missing(key)
        return data

    def delete_object(self, key: str) -> None:
        """Removes the object, if it is there."""
        self._store.delete(_checked(key))

    def write_preview(self, sha256: str, size: int, webp: bytes) -> None:
        """Stores a preview. Not synced to the disk: it can be made again from the photo."""
        self._store.put(_preview_key(sha256, size), webp, durable=False)

    def read_preview(self, sha256: str, size: int) -> bytes:
        """The preview as WebP; `size` is its longer side in pixels, 320 or 1024.

        Raises:
            BlobMissingError: it is not there.
        """
        return self.read_object(_preview_key(sha256, size))

    @property
    def is_shared(self) -> bool:
        """Whether other machines reach the same bytes: an object store holds them."""
        return not isinstance(self._store, FolderStore)

    def free_bytes(self) -> int | None:
        """Room left for blobs; None when an object store holds them."""
        return _free_bytes(self._staging_dir) if isinstance(self._store, FolderStore) else None


def open_blobs(settings: DataSettings) -> Blobs:
    """The blob store that the settings name."""
    if settings.blobs_url is None:
        return Blobs(FolderStore(settings.data_dir), settings.staging_dir)
    from db.remote_store import RemoteStore  # noqa: PLC0415 - obstore is loaded only by those who use it

    return Blobs(RemoteStore(settings.blobs_url), settings.staging_dir)


def require_space(settings: DataSettings, incoming_bytes: int) -> None:
    """Checks that the data directory's disk has room, before bytes are accepted.

    Raises:
        StorageFullError: less than 1 GiB would stay free.
    """
    require_room(settings.data_dir, incoming_bytes)


def require_room(data_dir: Path, incoming_bytes: int) -> None:
    """As `require_space`, where only the folder is known.

    Raises:
        StorageFullError: less than 1 GiB would stay free.
    """
    free = _free_bytes(data_dir)
    if free >= incoming_bytes + RESERVED_BYTES:
        return
    msg = (
        f"The disk of {data_dir} has no room for this: {incoming_bytes:,} bytes are coming and"
        f" {RESERVED_BYTES:,} must stay free. Free some space or choose another PHOTOTAG_DATA_DIR. Received: {free:,} bytes free"
    )
    raise StorageFullError(msg)


def space_trouble(settings: DataSettings) -> str:
    """What a person should know of the data directory's disk; empty while there is room."""
    free = _free_bytes(settings.data_dir)
    if free < RESERVED_BYTES:
        return (
            f"The disk is full: {free / 1e9:.1f} GB are free and {RESERVED_BYTES / 1e9:.1f} GB must stay so. Nothing new"
            " is accepted and archives wait to be unpacked. What was accepted is kept and goes on by itself once there is"
            " room: free some space."
        )
    if free < LOW_BYTES:
        return f"The disk is nearly full: {free / 1e9:.1f} GB are free. Below {RESERVED_BYTES / 1e9:.1f} GB nothing new is accepted."
    return ""


@contextmanager
def full_disk_noticed() -> Generator[None]:
    """Turns the system's word that a disk or a quota is full into ours.

    Raises:
        StorageFullError: it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        msg = f"The disk is full. Free some space, then try again. Received: {error.strerror}"
        raise StorageFullError(msg) from error


def _free_bytes(folder: Path) -> int:
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


def artifact_key(artifact: str, name: str) -> str:
    """Where a file of a trained version lies for other machines; `artifact` is the SHA-256 of its card."""
    return f"artifacts/{_hex(artifact)}/{name}"


def _blob_key(sha256: str) -> str:
    return f"blobs/{_hex(sha256)[:2]}/{sha256}"


def _preview_key(sha256: str, size: int) -> str:
    return f"previews/{size}/{_hex(sha256)[:2]}/{sha256}.webp"


def _hex(sha256: str) -> str:
    if not _SHA256.fullmatch(sha256):
        msg = f"A blob is named by 64 lower-case hex digits. Received: {sha256[:80]!r}"
        raise ValueError(msg)
    return sha256


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        msg = f"An object's key is a path of harmless names below a folder. Received: {key[:80]!r}"
        raise ValueError(msg)
    return key


def _missing(name: str) -> BlobMissingError:
    msg = (
        f"These bytes are not in the blob store; restore them from a backup or submit the photo again. Received: {name}"
    )
    return BlobMissingError(msg)
