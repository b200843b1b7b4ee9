"""Changed variants of the photos that a run trains on: read where they are kept, computed where they are missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from db.blobs import Blobs
from db.feature_spaces import variant_space
from db.features import feature_addresses
from training.feature_reading import Rows, read_into, read_means
from training.networks import Network
from training.run_photos import RunPhotos
from training.run_place import RunPlace
from training.run_progress import RunProgress
from training.variant_making import make_variants
from worker.heads import Floats


@dataclass(frozen=True)
class Variants:
    """Features of variants by their number less 1; none of a photo that is held out.

    Attributes:
        means: (channels,) by photo id. Of a photo whose bytes are gone there are none.
        addresses: where they lie, as `db.features.feature_addresses` tells.
        lacking: how many there are none of.
    """

    means: list[Mapping[int, Floats]]
    addresses: list[Rows]
    lacking: int

    def words(self, photos: int) -> dict[str, int]:
        """For the report of a run that was fitted on so many photos; of the variants some may be the photo unchanged."""
        return {"a_photo": len(self.means), "trained_on": len(self.means) * photos, "unchanged": self.lacking}


def gather_variants(
    place: RunPlace, network: Network, photos: RunPhotos, a_photo: int, progress: RunProgress
) -> Variants:
    """So many variants of each photo to train on.

    Raises:
        RunLostError: the run was cancelled or taken over.
        PhototagError: some must be computed, and the network or a decoder is missing.
    """
    if not a_photo:
        return Variants([], [], 0)
    wanted = {photo.photo_id for photo in photos.training}
    numbers = range(1, 1 + a_photo)
    progress.begin("variants", len(wanted) * a_photo)
    means = {
        number: read_means(place.blobs, _addresses(place, network, number, wanted), progress.advance)
        for number in numbers
    }
    lacking = {number: missing for number in numbers if (missing := wanted - means[number].keys())}
    if lacking:
        made = make_variants(place.database, place.blobs, network, lacking, progress.advance)
        for number, of_number in made.items():
            means[number] |= of_number
    addresses = [_addresses(place, network, number, wanted) for number in numbers]
    return Variants(list(means.values()), addresses, len(wanted) * a_photo - sum(map(len, means.values())))


def beside_variants(
    blobs: Blobs, photos: RunPhotos, variants: Variants, features: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """Blocks of n rows: the photos to train on as they are, then each of their variants in the same order.

    A photo of which there is no variant stands in its place itself, so that it counts as much as others.

    Args:
        blobs: where features are.
        photos: of the run.
        variants: of them.
        features: of the photos to train on, means (n, c) or all values (n, h, w, c).
    """
    if not variants.means:
        return features
    ids = [photo.photo_id for photo in photos.training]
    if features.ndim == 2:
        changed = (
            np.stack([means.get(photo_id, photos.means[photo_id]) for photo_id in ids]) for means in variants.means
        )
        return np.concatenate([features, *changed])
    count, position = len(ids), {photo_id: number for number, photo_id in enumerate(ids)}
    blocks = np.concatenate([features] * (1 + len(variants.addresses)))
    for number, addresses in enumerate(variants.addresses, 1):
        read_into(blocks[number * count : (number + 1) * count], blobs, addresses, position)
    return blocks


def _addresses(place: RunPlace, network: Network, number: int, photo_ids: set[int]) -> Rows:
    with place.database.reading() as session:
        return feature_addresses(session, variant_space(network.space, number), photo_ids)
