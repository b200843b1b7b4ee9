"""Features of class folders and of changed photos, kept in a folder so that a second run does without the network."""

import hashlib
import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from training.dataset import FeatureSet, read_class_folders
from training.variants import draw_variant
from worker.backbone import Backbone, load_backbone
from worker.card import BackboneCard
from worker.decoding import SIZE, decode
from worker.limits import Limits
from worker.settings import WorkerSettings
from worker.weights import LAYER

BLOCK = 48  # photos in a file of the cache
CROP_FROM = 256  # px of the shorter side, from whose middle SIZE x SIZE are cut

Decoder = Callable[[bytes], np.ndarray]


def squash(data: bytes) -> np.ndarray:
    """As tagging decodes."""
    return decode(data, Limits(), previews=()).pixels


def crop(data: bytes) -> np.ndarray:
    """Shorter side to 256 px and the middle of it: the other usual way, for the comparison only."""
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (2 * CROP_FROM, 2 * CROP_FROM))
        upright = ImageOps.exif_transpose(image).convert("RGB")
    scale = CROP_FROM / min(upright.size)
    upright = upright.resize((round(upright.width * scale), round(upright.height * scale)), Image.Resampling.BILINEAR)
    left, top = (upright.width - SIZE) // 2, (upright.height - SIZE) // 2
    return np.asarray(upright.crop((left, top, left + SIZE, top + SIZE)))


GEOMETRIES: dict[str, Decoder] = {"squash": squash, "crop": crop}


def variant(number: int) -> Decoder:
    """Changed variant `number` of a photo, as a run with `augmented` trains on."""
    return lambda data: draw_variant(squash(data), hashlib.sha256(data).hexdigest(), number)


DECODERS: dict[str, Decoder] = {**GEOMETRIES, **{f"variant-{number}": variant(number) for number in (1, 2, 3)}}


def backbone_of(weights: Path | None) -> Backbone:
    """VGG16 with the weights of a file, or with seeded ones."""
    kind = "seeded" if weights is None else "file"
    card = BackboneCard(architecture="vgg16", weights=kind, weights_sha256=None, layer=LAYER)
    return load_backbone(WorkerSettings(backbone_weights=weights), Path(), card)


def class_features(folder: Path, geometry: str, a_label: int, weights: Path, cache: Path) -> FeatureSet:
    """Features of the first `a_label` photos of each label; from `cache` as far as they are there."""
    photos = read_class_folders(folder)
    place = np.concatenate([np.arange(count) for count in photos.counts.values()])  # of each photo in its folder
    order = np.lexsort((photos.targets, place))  # in turn: taking more a label leaves the first blocks as they are
    order = order[place[order] < a_label]
    files = [photos.paths[row].read_bytes() for row in order]
    name = f"{folder.parent.name}-{folder.name}-{geometry}"
    features = kept_features(name, files, DECODERS[geometry], weights, cache)
    return FeatureSet(photos.labels, features, photos.targets[order], refused=0)


def kept_features(name: str, files: Sequence[bytes], decoder: Decoder, weights: Path | None, cache: Path) -> np.ndarray:
    """(n, 7, 7, 512) float16, in files of `BLOCK` photos that are named by the content of photos and weights."""
    cache.mkdir(parents=True, exist_ok=True)
    of_weights = hashlib.sha256(weights.read_bytes() if weights else b"seeded").digest()
    parts: list[np.ndarray] = []
    backbone: Backbone | None = None
    for start in range(0, len(files), BLOCK):
        block = files[start : start + BLOCK]
        digest = hashlib.sha256(of_weights + b"".join(hashlib.sha256(data).digest() for data in block))
        path = cache / f"{name}-{digest.hexdigest()[:16]}.npy"
        if not path.exists():
            backbone = backbone or backbone_of(weights)
            began = time.monotonic()
            np.save(path, backbone.features(np.stack([decoder(data) for data in block])))
            print(f"{name}: {start} of {len(files)} photos, {time.monotonic() - began:.0f} s", flush=True)
        parts.append(np.load(path))
    return np.concatenate(parts)
