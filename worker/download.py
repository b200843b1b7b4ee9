"""Fetches weights over HTTP: resumed where it was cut, and used only when length and hash are those published."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights that phototag knows.

    Attributes:
        name: under DATA/weights/.
        md5: upstream publishes this and no better hash; it proves an intact copy, TLS proves its origin.
    """

    name: str
    size_bytes: int
    md5: str


# As in keras/src/applications/vgg16.py (file_hash of WEIGHTS_PATH).
IMAGENET = WeightsFile(
    name="vgg16_weights_tf_dim_ordering_tf_kernels.h5",
    size_bytes=553_467_096,
    md5="64373286793e3c8b2b4e3219cbf3544b",
)
READ_BYTES = 1024**2


def weights_path(data_dir: Path, file: WeightsFile) -> Path:
    """Where `file` lies once it is fetched."""
    return data_dir / "weights" / file.name


def check_file(path: Path, file: WeightsFile, progress: Callable[[int], None] = lambda _: None) -> str | None:
    """What is wrong with `path`, or None when it is the whole of `file`. About 1 s for 553 MB."""
    size = path.stat().st_size
    if size != file.size_bytes:
        return f"it has {size:,} bytes where {file.size_bytes:,} were expected"
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(READ_BYTES):
            digest.update(block)
            progress(len(block))
    if digest.hexdigest() != file.md5:
        return f"its MD5 is {digest.hexdigest()} where {file.md5} was expected"
    return None
