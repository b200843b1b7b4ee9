"""The exam: candidate and active version answer for the same held-out photos, which neither was trained on here."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from db.errors import ArtifactError
from db.labels import label_paths
from db.model_versions import standing_label_ids
from db.schema import HoldoutAnswer, ModelVersion
from db.snapshots import labelled_now
from training.feature_making import make_features
from training.feature_reading import Rows, by_shard, read_means, scores_of
from training.networks import Network, network_of
from training.run_photos import PhotoRow, RunPhotos
from training.run_place import RunPlace
from training.run_progress import RunProgress
from worker.card import Card
from worker.classifier import load_head
from worker.heads import Floats, Head, softmax
from worker.shared_artifacts import ensure_artifact

log = logging.getLogger(__name__)

Ints = npt.NDArray[np.int64]

# So many labels of a version are shown of a photo, and count for top-5.
FIRST = 5


@dataclass(frozen=True)
class Examinee:
    """A version that is asked.

    Attributes:
        label_ids: of its outputs in order, merged ones as their target; some may be equal.
        network: whose features it reads.
    """

    label_ids: Sequence[int]
    head: Head
    temperature: float
    threshold: float
    network: Network


@dataclass(frozen=True)
class Exam:
    """What both say.

    Attributes:
        photos: the held-out photos, in the order of their hashes.
        label_ids: columns of scores: those that the candidate tells apart, others that are true of a photo, and of those
            that the base alone knows the ones that it has among its first five for some photo.
        asked: how many of them are the candidate's or true of a photo.
        paths: their names, the topmost first.
        targets: of each photo the column that is true, (n,).
        candidate: scores, (n, labels); 0 for a label that the version does not know.
        base: likewise; None where there is nothing to compare with.
        base_knows: whether it knows one of the labels that are asked.
    """

    photos: list[PhotoRow]
    label_ids: list[int]
    asked: int
    paths: Mapping[int, tuple[str, ...]]
    targets: Ints
    candidate: Floats
    base: Floats | None
    base_knows: bool

    def answers(self, run_id: int) -> list[HoldoutAnswer]:
        """A row for each photo."""
        firsts, scores = self.candidate.argmax(axis=1), self.candidate.max(axis=1, initial=0.0)
        base_firsts = self.base.argmax(axis=1) if self.base is not None else None
        base_scores = self.base.max(axis=1, initial=0.0) if self.base is not None else None
        return [
            HoldoutAnswer(
                run_id=run_id,
                photo_id=photo.photo_id,
                label_id=photo.label_id,
                candidate_label_id=self.label_ids[firsts[n]],
                candidate_score=float(scores[n]),
                base_label_id=self.label_ids[base_firsts[n]] if base_firsts is not None else None,
                base_score=float(base_scores[n]) if base_scores is not None else None,
            )
            for n, photo in enumerate(self.photos)
        ]


def load_base(session: Session, place: RunPlace, version: ModelVersion) -> Examinee:
    """The active version, from its files.

    Raises:
        ArtifactError: they are missing or damaged.
    """
    ensure_artifact(place.blobs, place.data_dir, version.artifact)
    card, head = load_head(place.data_dir, version.artifact, version.card)
    label_ids = standing_label_ids(session, version.id)
    network = network_of(place.settings, place.data_dir, Card.model_validate(version.card), version.artifact)
    return Examinee(label_ids, head, card.temperature, card.threshold, network)


def examine(
    place: RunPlace, photos: RunPhotos, candidate: Examinee, base: Examinee | None, progress: RunProgress
) -> Exam:
    """Asks both. Photos that one of them cannot read are left out for both.

    Raises:
        RunLostError: the run was cancelled or taken over.
    """
    progress.begin("exam", len(photos.holdout) * (1 if base is None else 2))
    answers = _ask(place, candidate, photos.holdout, progress)
    base_answers = _ask_base(place, base, photos, candidate.network.space, progress) if base is not None else None
    held_out = [
        photo
        for photo in photos.holdout
        if photo.photo_id in answers and (base_answers is None or photo.photo_id in base_answers)
    ]
    asked = list(dict.fromkeys([*candidate.label_ids, *(photo.label_id for photo in held_out)]))
    base_ids: Sequence[int] = base.label_ids if base is not None and base_answers is not None else []
    label_ids = list(dict.fromkeys([*asked, *_first_five(held_out, base_answers or {}, base_ids)]))
    column = {label_id: number for number, label_id in enumerate(label_ids)}
    with place.database.reading() as session:
        paths = label_paths(session, label_ids)
    return Exam(
        photos=held_out,
        label_ids=label_ids,
        asked=len(asked),
        paths=paths,
        targets=np.array([column[photo.label_id] for photo in held_out], np.int64),
        candidate=_table(held_out, answers, candidate.label_ids, column),
        base=_table(held_out, base_answers, base_ids, column) if base_answers is not None else None,
        base_knows=bool(set(asked) & set(base_ids)),
    )


def _ask(place: RunPlace, examinee: Examinee, photos: Rows, progress: RunProgress) -> dict[int, Floats]:
    """Scores (outputs,) by photo id."""

    def predict(features: npt.NDArray[np.float16]) -> Floats:
        scores = softmax(examinee.head.logits(features), examinee.temperature)
        progress.advance(len(features))
        return scores

    ids, scores = scores_of(place.blobs, by_shard(photos), predict, len(examinee.label_ids))
    return dict(zip(ids, scores, strict=True))


def _ask_base(
    place: RunPlace, base: Examinee, photos: RunPhotos, space: str, progress: RunProgress
) -> dict[int, Floats] | None:
    """As `_ask`; None where its features lie in another space and cannot be computed."""
    if base.network.space == space:
        return _ask(place, base, photos.holdout, progress)
    wanted = {photo.photo_id for photo in photos.holdout}
    known = read_means(place.blobs, by_shard(_rows(place, base, wanted)), lambda _count: None)
    lacking = sorted(wanted - known.keys())
    try:
        if lacking:
            make_features(place.database, place.blobs, base.network, lacking, progress.advance)
    except ArtifactError as error:
        log.warning("The active version is not examined: %s", error)
        return None
    return _ask(place, base, _rows(place, base, wanted), progress)


def _rows(place: RunPlace, base: Examinee, wanted: set[int]) -> list[PhotoRow]:
    with place.database.reading() as session:
        return [photo for photo in labelled_now(session, base.network.space) if photo.photo_id in wanted]


def _first_five(photos: Sequence[PhotoRow], answers: Mapping[int, Floats], label_ids: Sequence[int]) -> Iterator[int]:
    """Labels that are among the first five of some photo: others of a thousand change no figure."""
    if photos and label_ids:
        outputs = np.stack([answers[photo.photo_id] for photo in photos])
        for position in np.unique(np.argsort(-outputs, axis=1, kind="stable")[:, :FIRST]):
            yield label_ids[position]


def _table(
    photos: Sequence[PhotoRow], answers: Mapping[int, Floats], label_ids: Sequence[int], column: Mapping[int, int]
) -> Floats:
    """Scores by column, (n, labels). Of two outputs that are one label now the greater counts, as on pages."""
    table = np.zeros((len(photos), len(column)), np.float32)
    if photos:
        kept = [position for position, label_id in enumerate(label_ids) if label_id in column]
        columns = np.array([column[label_ids[position]] for position in kept])
        outputs = np.stack([answers[photo.photo_id] for photo in photos])[:, kept]
        np.maximum.at(table, (np.arange(len(photos))[:, None], columns[None, :]), outputs)
    return table
