"""A training run from its photos to a candidate: features, snapshot, head, exam, gate, version."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np

from db.activations import activate_version
from db.doubts import Doubt
from db.errors import ConflictError, PhototagError, RunLostError
from db.model_versions import active_version, register_version
from db.schema import ModelVersion, User
from db.training_runs import ClaimedRun, finish_run, name_version
from training.candidate import TRAINED, Published, head_of, make_card, next_name, publish
from training.exam import Exam, Examinee, examine, load_base
from training.exam_report import judge_exam, report_of
from training.feature_reading import read_all
from training.gate import Gate
from training.head_fit import Fitted, fit_head
from training.networks import Network, canary_features, network_for_training
from training.recipe import Recipe
from training.run_photos import RunPhotos, gather_photos, groups_of
from training.run_place import RunPlace
from training.run_progress import RunProgress
from training.run_variants import Variants, beside_variants, gather_variants
from training.tuning import Ground, tune, weights_to_tune
from worker.card import Card
from worker.shared_artifacts import share_artifact

log = logging.getLogger(__name__)

# `flatten` reads all values of its photos' features: 1 GB for so many of VGG16. Means are 2 KB a photo.
MOST_FLATTENED = 20_000


@dataclass(frozen=True)
class _Base:
    """The version that the candidate is compared with."""

    version: ModelVersion
    examinee: Examinee


@dataclass(frozen=True)
class _Trained:
    """A head, and what it was made from.

    Attributes:
        labelled: the photos with features of the active version's network, which was not trained on them.
    """

    recipe: Recipe
    ground: Ground
    labelled: RunPhotos
    variants: Variants
    fitted: Fitted


@dataclass(frozen=True)
class _Made:
    """What a run has made, before it is written."""

    base: ModelVersion
    photos: RunPhotos
    exam: Exam
    report: dict[str, Any]
    gate: Gate
    published: Published


def train(place: RunPlace, run: ClaimedRun) -> str:
    """Does a run from beginning to end; returns the name of the candidate.

    Killed at any point it leaves features that the next one uses, and at most files that the janitor deletes.

    Raises:
        RunLostError: it was cancelled or taken over; nothing of it is kept.
        PhototagError: it cannot be done, and why.
    """
    recipe = Recipe.model_validate(run.recipe)
    progress = RunProgress(place.database, run)
    base = _load_base(place)
    card = Card.model_validate(base.version.card)
    network = network_for_training(place.settings, place.data_dir, card, base.version.artifact)
    weights = weights_to_tune(network) if recipe.tuning is not None else []
    photos = gather_photos(place, run, network, progress)
    _require_room(photos, recipe)
    ground = Ground(network, photos, None, {})
    if recipe.tuning is not None:
        ground = tune(place, network, weights, photos, recipe, recipe.tuning, progress)
    variants = gather_variants(place, ground.network, ground.photos, recipe.augmented, progress)
    fitted = _fit(place, ground, variants, recipe, progress)
    made = _examine(place, base, _Trained(recipe, ground, photos, variants, fitted), progress)
    _write(place, run, made)
    return made.published.card.name


def _load_base(place: RunPlace) -> _Base:
    with place.database.reading() as session:
        version = active_version(session)
        if version is None:
            msg = "No model version is active, so it is not known which network to train on. Run `phototag up` once."
            raise PhototagError(msg)
        return _Base(version, load_base(session, place, version))


def _require_room(photos: RunPhotos, recipe: Recipe) -> None:
    rows = len(photos.training) * (1 + recipe.augmented)
    if recipe.head == "flatten" and rows > MOST_FLATTENED:
        msg = (
            f"The head flatten reads all values of its photos' features, which fits into memory for {MOST_FLATTENED:,}"
            f" photos at most, variants counted. Train with `--recipe gap`. Received: {rows:,}"
        )
        raise PhototagError(msg)


def _fit(place: RunPlace, ground: Ground, variants: Variants, recipe: Recipe, progress: RunProgress) -> Fitted:
    progress.begin("head", recipe.steps)
    photos = ground.photos
    features = beside_variants(place.blobs, photos, variants, _inputs(place, photos, ground.network, recipe))
    groups = groups_of(photos.training)
    return fit_head(
        features,
        photos.targets,
        groups,
        len(photos.label_ids),
        recipe,
        # where block 5 was trained its epochs are shown: two curves in one would say nothing
        on_epoch=lambda epoch: progress.add_epoch(epoch._asdict()) if recipe.tuning is None else progress.advance(),
        unseen=ground.unseen,
    )


def _inputs(place: RunPlace, photos: RunPhotos, network: Network, recipe: Recipe) -> Any:
    """Means (n, c), or all values (n, h, w, c), in the order of the photos."""
    if recipe.head == "gap":
        return np.stack([photos.means[photo.photo_id] for photo in photos.training])
    return read_all(place.blobs, photos.training, network.feature_shape)


def _examine(place: RunPlace, base: _Base, trained: _Trained, progress: RunProgress) -> _Made:
    network, photos, fitted = trained.ground.network, trained.ground.photos, trained.fitted
    head = head_of(fitted, trained.recipe)
    candidate = Examinee(photos.label_ids, head, fitted.temperature, fitted.threshold, network)
    exam = examine(place, photos, candidate, base.examinee, progress)
    report = report_of(exam, candidate, base.examinee) | {
        "doubts": _doubts(trained.labelled),
        "left_out": photos.left_out,
        "variants": trained.variants.words(fitted.photos),
    }
    canaries = canary_features(place.blobs, network)
    with place.database.reading() as session:
        name = next_name(session)
    card = make_card(name, trained.ground, trained.recipe, fitted, canaries, _metrics(report))
    published = publish(place.data_dir, card, fitted, canaries, network)
    share_artifact(place.blobs, place.data_dir, published.artifact)
    return _Made(base.version, photos, exam, report, judge_exam(exam), published)


def _metrics(report: dict[str, Any]) -> dict[str, Any]:
    """What of the report stands in the card: figures of the candidate, without lists of photos."""
    wanted = ("photos", "top1", "top5", "macro_f1", "coverage", "accuracy_when_sure", "calibration_error")
    return {"holdout": {name: report["candidate"][name] for name in wanted}}


def _doubts(photos: RunPhotos) -> list[dict[str, Any]]:
    """The labels that hurt most, the worst first: judged by heads that do not know the photo."""
    from training.doubts import LabelledPhotos, find_doubts  # noqa: PLC0415 - cleanlab: 2 s and 100 MB

    known = [*photos.training, *photos.holdout]
    labelled = LabelledPhotos(
        photo_ids=np.array([photo.photo_id for photo in known]),
        label_ids=np.array([photo.label_id for photo in known]),
        groups=groups_of(known),
        vectors=np.stack([photos.means[photo.photo_id] for photo in known]),
    )
    found = sorted(find_doubts(labelled).found, key=_worst_first)
    return [{"photo_id": one.photo_id, "label_id": one.label_id, "urgency": round(one.urgency, 4)} for one in found]


def _worst_first(doubt: Doubt) -> tuple[float, int]:
    return -doubt.urgency, doubt.photo_id


def _write(place: RunPlace, run: ClaimedRun, made: _Made) -> None:
    """All rows in one transaction. If another version was activated meanwhile, a person decides."""
    if run.activate == "auto" and made.gate.verdict == "better":
        try:
            _write_rows(place, run, made, activate=True)
        except RunLostError:
            raise
        except ConflictError as error:
            log.warning("The candidate is not activated: %s", error)
        else:
            return
    _write_rows(place, run, made, activate=False)


def _write_rows(place: RunPlace, run: ClaimedRun, made: _Made, *, activate: bool) -> None:
    artifact, card = made.published
    gate = made.gate
    with place.database.transaction() as session:
        found = {"snapshot_id": made.photos.snapshot_id, "base_version_id": made.base.id, "report": made.report}
        words = {"reasons": gate.reasons, "checks": gate.checks, "photos_needed": gate.photos_needed}
        finish_run(session, run, **found, gate=gate.verdict, gate_words=words)
        row = card.model_dump(mode="json")
        version = register_version(session, card.name, TRAINED, artifact, row, made.photos.label_ids)
        name_version(session, run.id, version.id)
        session.add_all(made.exam.answers(run.id))
        if activate:
            user = session.get(User, run.user_id) if run.user_id is not None else None
            reason = f"run {run.id}: better than {made.base.name} on {len(made.exam.photos):,} held-out photos"
            activate_version(session, version.id, expected_id=made.base.id, user=user, reason=reason)
