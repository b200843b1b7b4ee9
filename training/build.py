"""From features to an artifact: fit, calibrate, measure, write."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from training.dataset import FeatureSet
from training.evaluate import measure
from training.fit import Fitting, choose_temperature, choose_threshold, held_out_logits, log_loss
from worker.artifact import write_artifact
from worker.backbone import Backbone
from worker.canary import canary_pixels, expected_scores
from worker.card import BackboneCard, Card
from worker.decoding import DECODE_VERSION
from worker.heads import LinearHead, head_inputs, softmax

PACKAGES = ("numpy", "scikit-learn", "keras", "pillow")

HeadKind = Literal["gap", "flatten"]


@dataclass(frozen=True)
class Trials:
    """What is tried; the best on held-out folds of the training photos is taken.

    Attributes:
        strengths: L2 penalties on standardised inputs, per photo.
        wanted_accuracy: how often a label that is shown as sure should be right.
    """

    heads: Sequence[HeadKind] = ("gap", "flatten")
    strengths: Sequence[float] = (1e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
    wanted_accuracy: float = 0.8


@dataclass(frozen=True)
class Draft:
    """A version that is about to be made: what it is called and what it stands on."""

    name: str
    notice: str
    backbone: Backbone
    backbone_card: BackboneCard


@dataclass(frozen=True)
class Choice:
    """A head kind and a penalty, and how it did on held-out folds."""

    head: HeadKind
    strength: float
    logits: Any  # (n, labels), each photo's from a head fitted without it
    loss: float


def build_version(
    folder: Path,
    draft: Draft,
    train: FeatureSet,
    validation: FeatureSet,
    trials: Trials,
    report: Callable[[str], None],
) -> Card:
    """Writes the artifact of a new version into `folder` and returns its card.

    Temperature and threshold come from held-out folds of the training photos; `validation` is only measured.
    """
    choice = choose(train, trials, report)
    temperature = choose_temperature(choice.logits, train.targets)
    scores = softmax(choice.logits, temperature)
    right = scores.argmax(axis=1) == train.targets
    threshold = choose_threshold(scores.max(axis=1), right, trials.wanted_accuracy)
    averages = choice.head == "gap"
    fitted = Fitting(head_inputs(train.features, averages=averages), train.targets).fit(choice.strength)
    head = LinearHead(fitted.weights, fitted.bias, averages=averages)
    card = Card(
        name=draft.name,
        backbone=draft.backbone_card,
        decode_version=DECODE_VERSION,
        head=choice.head,
        labels=[[label] for label in train.labels],
        temperature=temperature,
        threshold=threshold,
        notice=draft.notice,
        canary=expected_scores(softmax(head.logits(draft.backbone.features(canary_pixels())), temperature)),
        trained_from=_counts(train),
        metrics={
            "held_out_folds": measure(scores, train.targets, train.labels, threshold),
            "validation": measure(
                softmax(head.logits(validation.features), temperature), validation.targets, train.labels, threshold
            ),
        },
        recipe={"head": choice.head, "l2": choice.strength, "standardised": True, "optimizer": "lbfgs"},
        versions={package: version(package) for package in PACKAGES},
    )
    return write_artifact(folder, card, {"weights": fitted.weights, "bias": fitted.bias})


def choose(train: FeatureSet, trials: Trials, report: Callable[[str], None]) -> Choice:
    """The head and penalty with the smallest loss on held-out folds, after calibration."""
    choices: list[Choice] = []
    for head in trials.heads:
        inputs = head_inputs(train.features, averages=head == "gap")
        for strength, logits in held_out_logits(inputs, train.targets, trials.strengths).items():
            loss = log_loss(logits / choose_temperature(logits, train.targets), train.targets)
            accuracy = float((logits.argmax(axis=1) == train.targets).mean())
            report(f"{head}, L2 {strength:g}: loss {loss:.4f}, accuracy {accuracy:.3f} on held-out folds")
            choices.append(Choice(head, strength, logits, loss))
    return min(choices, key=lambda choice: choice.loss)


def _counts(train: FeatureSet) -> dict[str, Any]:
    photos = np.bincount(train.targets, minlength=len(train.labels))
    return {
        "class_folders": {label: int(count) for label, count in zip(train.labels, photos, strict=True)},
        "photos": len(train.targets),
        "refused": train.refused,
    }
