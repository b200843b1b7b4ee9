"""Trains a network epoch by epoch, and tells after each how it does on photos it is not trained on."""
# pyright: basic

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.experiment_photos import PhotoArray, Progress, chunks
from worker import device

import keras  # isort: skip

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Phase:
    """Some epochs in a row.

    Attributes:
        trains: names of the layers after the cut that are trained; None for all of them.
    """

    epochs: int
    learning_rate: float
    trains: Sequence[str] | None = None


@dataclass(frozen=True)
class Trainee:
    """What is trained, and the same weights behind another input.

    Attributes:
        network: reads the values of `train`.
        examined: reads the values of `validation`.
    """

    network: keras.Model
    examined: keras.Model
    train: PhotoArray
    validation: PhotoArray
    chunk: int


def fit(
    trainee: Trainee, phases: Sequence[Phase], *, seed: int, progress: Progress, note: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Trains, and returns loss, accuracy and seconds of each epoch. `progress` counts photos."""
    chance = np.random.RandomState(seed)
    total = sum(phase.epochs for phase in phases)
    epochs: list[dict[str, Any]] = []
    for phase in phases:
        _prepare(trainee, phase)
        for _ in range(phase.epochs):
            started = time.monotonic()
            epoch = {"epoch": len(epochs) + 1, **_one_epoch(trainee, chance, len(epochs), total, progress)}
            epoch |= _watched(trainee) | {"seconds": round(time.monotonic() - started, 2)}
            epochs.append(epoch)
            note(line_of(epoch, total))
    return epochs


def scores_of(network: keras.Model, photos: PhotoArray, chunk: int, progress: Progress | None = None) -> Scores:
    """Scores (n, labels); each row sums to 1."""
    parts: list[Scores] = [np.zeros((0, network.output_shape[-1]), np.float32)]
    done = 0
    for values, targets in chunks(photos, chunk):
        parts.append(np.asarray(network.predict_on_batch(values), np.float32))
        done += len(targets)
        if progress is not None:
            progress(done, len(photos.targets))
    return np.concatenate(parts)


def loss_of(scores: Scores, targets: npt.NDArray[np.int64]) -> float:
    """Mean of -log of the true label's score; NaN without photos."""
    true = scores[np.arange(len(targets)), targets]
    return float(-np.log(np.maximum(true, 1e-7)).mean()) if len(targets) else float("nan")


def line_of(epoch: dict[str, Any], total: int) -> str:
    """`epoch 2 of 5: loss 0.412, accuracy 0.870; validation 0.551, 0.810; 12.3 s`."""
    watched = ""
    if epoch["validation_loss"] is not None:
        watched = f"; validation {epoch['validation_loss']:.3f}, {epoch['validation_accuracy']:.3f}"
    figures = f"loss {epoch['loss']:.3f}, accuracy {epoch['accuracy']:.3f}{watched}; {epoch['seconds']:.1f} s"
    return f"epoch {epoch['epoch']} of {total}: {figures}"


def _prepare(trainee: Trainee, phase: Phase) -> None:
    for layer in trainee.examined.layers:
        layer.trainable = phase.trains is None or layer.name in phase.trains
    trainee.network.compile(
        keras.optimizers.Adam(phase.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=device.prepare(),  # as for tagging: XLA on a GPU only
    )


def _one_epoch(
    trainee: Trainee, chance: np.random.RandomState, done: int, total: int, progress: Progress
) -> dict[str, float]:
    photos = len(trainee.train.targets)
    trainee.network.reset_metrics()
    seen, figures = 0, {}
    for values, targets in chunks(trainee.train, trainee.chunk, chance.permutation(photos)):
        figures = trainee.network.train_on_batch(values, targets, return_dict=True)
        seen += len(targets)
        progress(done * photos + seen, total * photos)
    return {"loss": float(figures["loss"]), "accuracy": float(figures["accuracy"])}


def _watched(trainee: Trainee) -> dict[str, float | None]:
    targets = trainee.validation.targets
    if len(targets) == 0:
        return {"validation_loss": None, "validation_accuracy": None}
    scores = scores_of(trainee.examined, trainee.validation, trainee.chunk)
    accuracy = float((scores.argmax(axis=1) == targets).mean())
    return {"validation_loss": loss_of(scores, targets), "validation_accuracy": accuracy}
