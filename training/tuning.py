"""The part of a run that trains block 5 of VGG16 on the library's photos: a network of its own, with its own features."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from db.errors import PhototagError
from db.garbage import SPACE, queue_garbage
from db.tuning_cost import require_vgg16
from training.block4 import Block4File
from training.feature_making import SHARD, Shard, decoded_chunks, keep_shard, make_features
from training.networks import Network, tuned_network
from training.recipe import Recipe, Tuning
from training.run_photos import PhotoRow, RunPhotos, groups_of, photos_in_space
from training.run_place import RunPlace
from training.run_progress import RunProgress
from worker.backbone import base_weights
from worker.block5 import NAMES, Layer
from worker.decoder_pool import DecoderPool
from worker.hanging import ends_when_hung

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ground:
    """What a head is fitted on.

    Attributes:
        network: whose features it reads.
        photos: with where those lie.
        unseen: of the photos to train on those that the network was not trained on, (n,); None: it was on none.
        tuned: what a card tells of the network's training.
    """

    network: Network
    photos: RunPhotos
    unseen: npt.NDArray[np.bool_] | None
    tuned: dict[str, Any]


def weights_to_tune(network: Network) -> list[Layer]:
    """All convolutions of VGG16 as they were before anybody trained block 5: versions do not build upon each other.

    Raises:
        ArtifactError: they are missing, or not those of the network.
        ConflictError: the network is not VGG16.
    """
    require_vgg16(network.card.architecture)
    return base_weights(network.settings, network.data_dir, network.card)


def tune(
    place: RunPlace,
    network: Network,
    base: Sequence[Layer],
    photos: RunPhotos,
    recipe: Recipe,
    tuning: Tuning,
    progress: RunProgress,
) -> Ground:
    """Trains block 5 on the photos to train on, and computes what it makes of them and of those held out for the exam.

    Raises:
        RunLostError: the run was cancelled or taken over.
        StorageFullError: there is no room for what blocks 1 to 4 make of the photos.
        PhototagError: too few of them can be read.
    """
    from training.tuning_fit import TuningPhotos, tune_block5, tuning_steps  # noqa: PLC0415 - TensorFlow: 5 s
    from training.tuning_network import Block5  # noqa: PLC0415 - as above

    with Block4File(place.data_dir, len(photos.training)) as file:
        rows = _through_frozen_part(place, base, photos, file, progress)
        _require_photos(rows, len(photos.training))
        block = Block5(base[-len(NAMES) :], file.shape)
        targets = dict(zip((row.photo_id for row in photos.training), photos.targets, strict=True))
        trained_on = TuningPhotos(
            file.outputs(),
            np.array([targets[row.photo_id] for row in rows], np.int64),
            groups_of(rows),
            len(photos.label_ids),
        )
        progress.begin("tuning", tuning.epochs * tuning_steps(len(rows), tuning))
        began = time.monotonic()
        tuned = tune_block5(
            block,
            trained_on,
            recipe,
            tuning,
            on_epoch=lambda epoch: progress.tell_epoch(epoch._asdict()),
            on_steps=progress.advance,
        )
        log.info("Block 5 was trained on %d photos in %.1f s.", len(rows), time.monotonic() - began)
        made = tuned_network(network, base, tuned.block5)
        progress.begin("features", len(rows) + len(photos.holdout))
        _keep_features(place, made, block, file, rows, progress)
    lacking = _lacking(place, photos, made)
    if lacking:
        make_features(place.database, place.blobs, made, lacking, progress.advance)
    moved = photos_in_space(place, photos, made.space)
    unseen = {row.photo_id for row, is_unseen in zip(rows, tuned.unseen, strict=True) if is_unseen}
    flags = np.array([row.photo_id in unseen for row in moved.training], np.bool_)
    return Ground(made, moved, flags, {"tuned_photos": len(rows) - len(unseen), "tuned_epoch": tuned.best})


def _through_frozen_part(
    place: RunPlace, base: Sequence[Layer], photos: RunPhotos, file: Block4File, progress: RunProgress
) -> list[PhotoRow]:
    """Fills the file; returns the photos in it, in order. Those that cannot be decoded any more are left out."""
    from training.tuning_network import frozen_part  # noqa: PLC0415 - TensorFlow: 5 s

    progress.begin("frozen", len(photos.training))
    settings = place.settings
    compute = frozen_part(base, settings.chunk_size)
    by_id = {row.photo_id: row for row in photos.training}
    done: list[PhotoRow] = []
    with DecoderPool(settings.limits, settings.decoders or 1, previews=()) as pool:
        for chunk in decoded_chunks(place.database, place.blobs, pool, list(by_id), progress.advance):
            with ends_when_hung(settings.chunk_limit_s):
                outputs = compute(np.stack([photo.pixels for _, photo in chunk]))  # (n, 14, 14, 512)
            file.append(outputs)
            done += [by_id[found.photo_id] for found, _ in chunk]
            progress.advance(len(chunk))
    return done


def _require_photos(rows: Sequence[PhotoRow], wanted: int) -> None:
    if not rows:
        msg = (
            "None of the photos to train on can be read any more, and block 5 is trained on the photos themselves."
            f" Restore their files, or take a recipe for heads, such as gap. Received: 0 of {wanted:,}"
        )
        raise PhototagError(msg)


def _keep_features(
    place: RunPlace, network: Network, block: Any, file: Block4File, rows: Sequence[PhotoRow], progress: RunProgress
) -> None:
    """What the trained block makes of the photos it was trained with: a tenth of the way through the whole network."""
    from training.tuning_fit import features_of  # noqa: PLC0415 - TensorFlow: 5 s

    with place.database.transaction() as session:
        # until a version has this space; a run that ends before that leaves features that nobody will read
        queue_garbage(session, SPACE, [network.space])
    outputs = file.outputs()
    for start in range(0, len(rows), SHARD):
        ids = [row.photo_id for row in rows[start : start + SHARD]]
        keep_shard(
            place.database,
            place.blobs,
            network.space,
            Shard(ids, [features_of(block, outputs[start : start + SHARD])]),
        )
        progress.advance(len(ids))


def _lacking(place: RunPlace, photos: RunPhotos, network: Network) -> list[int]:
    moved = photos_in_space(place, photos, network.space)
    return [row.photo_id for row in photos.holdout if row.photo_id not in moved.means]
