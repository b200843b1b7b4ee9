"""The photos of a run: features where they are missing, subsets where they are not decided, and the frozen snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Row

from db.errors import PhototagError
from db.feature_spaces import has_features, version_spaces
from db.garbage import SPACE, is_queued, queue_garbage
from db.labels import label_paths
from db.snapshots import USED, SnapshotEntry, freeze_snapshot, labelled_now, snapshot_photos
from db.subsets import labelled_ever, record_subsets
from db.training_runs import ClaimedRun, hold_run
from training.feature_making import make_features
from training.feature_reading import by_shard, read_means
from training.holdout import Fingerprints, alike_distance, assign
from training.networks import Network
from training.run_place import RunPlace
from training.run_progress import RunProgress
from training.same_picture import Pictures
from worker.heads import Floats

FEWEST_LABELS = 2

PhotoRow = Row[*tuple[Any, ...]]


@dataclass(frozen=True)
class RunPhotos:
    """What a head is trained and examined on.

    Attributes:
        digest: of the snapshot.
        label_ids: what the head tells apart, in the order of its outputs; each has a photo to train on.
        paths: their names, the topmost first.
        training: rows of photos with their label and where their features lie, in the order of their hashes: the same
            photos are the same data, wherever their features lie.
        holdout: likewise; a photo's label may be one that the head does not know.
        means: of features, (channels,) by photo id.
        left_out: labelled photos that are in neither, because they cannot be read or look like photos of both.
    """

    snapshot_id: int
    digest: str
    label_ids: list[int]
    paths: dict[int, tuple[str, ...]]
    training: list[PhotoRow]
    holdout: list[PhotoRow]
    means: Mapping[int, Floats]
    left_out: int

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """Of each photo to train on the position of its label."""
        positions = {label_id: position for position, label_id in enumerate(self.label_ids)}
        return np.array([positions[photo.label_id] for photo in self.training])


def gather_photos(place: RunPlace, run: ClaimedRun, network: Network, progress: RunProgress) -> RunPhotos:
    """Computes what is missing, decides what is open, and freezes the rest.

    Raises:
        RunLostError: the run was cancelled or taken over.
        PhototagError: there is too little to train on; or a network or a decoder is missing.
    """
    means = _means(place, network, progress)
    _decide(place, run, network, means, progress)
    photos = _freeze(place, run, network.space, means)
    progress.advance()
    return photos


def photos_in_space(place: RunPlace, photos: RunPhotos, space: str) -> RunPhotos:
    """The same photos with their features of another space; those that have none there are left out."""
    with place.database.reading() as session:
        rows = snapshot_photos(session, photos.snapshot_id, space)
    means = read_means(place.blobs, by_shard(rows), lambda _count: None)
    known = [row for row in rows if row.photo_id in means]
    return replace(
        photos,
        training=[row for row in known if row.subset == "training"],
        holdout=[row for row in known if row.subset == "holdout"],
        means=means,
        left_out=photos.left_out + len(rows) - len(known),
    )


def groups_of(photos: Sequence[PhotoRow]) -> npt.NDArray[np.int64]:
    """Near-duplicates have the same number."""
    numbers = (photo.group_id if photo.group_id is not None else -photo.photo_id for photo in photos)
    return np.fromiter(numbers, np.int64, len(photos))


def _means(place: RunPlace, network: Network, progress: RunProgress) -> dict[int, Floats]:
    """Means of the features of all photos that were ever labelled, as far as they can be read or computed."""
    with place.database.reading() as session:
        photos = labelled_ever(session, network.space)
    progress.begin("features", len(photos))
    means = read_means(place.blobs, by_shard(photos), progress.advance)
    lacking = [photo.photo_id for photo in photos if photo.photo_id not in means]
    if lacking:
        _begin_space(place, network)
        means |= make_features(place.database, place.blobs, network, lacking, progress.advance)
    return means


def _begin_space(place: RunPlace, network: Network) -> None:
    """Features of weights from a file are let go of if no version comes to have them: this run may end before.

    But not if there are features already that no run began: they may be the library's, whose version does not name them.
    """
    if network.card.weights != "file":
        return
    with place.database.transaction() as session:
        is_a_runs = is_queued(session, SPACE, network.space) or not has_features(session, network.space)
        if is_a_runs and network.space not in version_spaces(session):
            queue_garbage(session, SPACE, [network.space])


def _decide(
    place: RunPlace, run: ClaimedRun, network: Network, means: Mapping[int, Floats], progress: RunProgress
) -> None:
    """Puts photos that were labelled since into subsets. The fence keeps a second run from deciding at the same time."""
    with place.database.reading() as session:
        photos = labelled_ever(session, network.space)
    while subsets := _subsets(place, photos, network, means, progress):
        with place.database.transaction() as session:
            hold_run(session, run)
            then, photos = photos, labelled_ever(session, network.space)
            if _decided(photos) == _decided(then):  # an import of reviews may have brought some: they come first
                record_subsets(session, subsets)
                return


def _decided(photos: Sequence[PhotoRow]) -> dict[int, str]:
    return {photo.photo_id: photo.subset for photo in photos if photo.subset is not None}


def _subsets(
    place: RunPlace,
    photos: Sequence[PhotoRow],
    network: Network,
    means: Mapping[int, Floats],
    progress: RunProgress,
) -> dict[int, str]:
    """Of each photo that is not decided yet, by its id."""
    new = [photo for photo in photos if photo.subset is None and photo.photo_id in means]
    decided = [photo for photo in photos if photo.subset is not None]
    progress.begin("snapshot", len(new) + 1)
    if not new:
        return {}
    pictures = Pictures(place.blobs, [photo.sha256 for photo in (*decided, *new)])
    subsets = assign(
        _fingerprints(new, means, network),
        _fingerprints(decided, means, network),
        [photo.subset for photo in decided],
        alike=alike_distance(network.card),
        are_one=pictures.are_one,
        on_photo=progress.advance,
    )
    return {photo.photo_id: subset for photo, subset in zip(new, subsets, strict=True)}


def _fingerprints(photos: Sequence[PhotoRow], means: Mapping[int, Floats], network: Network) -> Fingerprints:
    unknown = np.full(network.feature_shape[-1], np.nan, np.float32)
    return Fingerprints(
        sha256s=[photo.sha256 for photo in photos],
        phashes=[photo.phash for photo in photos],
        vectors=np.stack([means.get(photo.photo_id, unknown) for photo in photos]) if photos else None,
        groups=[photo.group_id for photo in photos],
    )


def _freeze(place: RunPlace, run: ClaimedRun, space: str, means: Mapping[int, Floats]) -> RunPhotos:
    with place.database.transaction() as session:
        hold_run(session, run)
        photos = sorted(labelled_now(session, space), key=lambda photo: photo.sha256)
        used = [photo for photo in photos if photo.subset in USED and photo.photo_id in means]
        training = [photo for photo in used if photo.subset == "training"]
        paths = label_paths(session, {photo.label_id for photo in used})
        label_ids = sorted({photo.label_id for photo in training}, key=lambda label_id: paths[label_id])
        _require_labels(label_ids, len(photos), len(used))
        entries = [SnapshotEntry(photo.photo_id, photo.sha256, photo.label_id, photo.subset) for photo in used]
        snapshot = freeze_snapshot(session, entries)
    holdout = [photo for photo in used if photo.subset == "holdout"]
    return RunPhotos(snapshot.id, snapshot.digest, label_ids, paths, training, holdout, means, len(photos) - len(used))


def _require_labels(label_ids: Sequence[int], labelled: int, used: int) -> None:
    if len(label_ids) < FEWEST_LABELS:
        msg = (
            f"A model tells labels apart, so photos of at least {FEWEST_LABELS} labels are needed to train on. Review"
            " photos, or import class folders with `phototag labels import`."
            f" Received: {labelled:,} labelled photos, {used:,} of use, {len(label_ids)} labels among those to train on"
        )
        raise PhototagError(msg)
