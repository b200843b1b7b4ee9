"""Heads: from a photo's features to one logit a label. NumPy only: a matrix product needs no framework."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from worker.artifact import Artifact

Features = npt.NDArray[np.float16]
Floats = npt.NDArray[np.float32]


class Head(Protocol):
    """From features to logits."""

    def logits(self, features: Features) -> Floats:
        """(n, 7, 7, channels) to (n, labels)."""
        ...


@dataclass(frozen=True)
class LinearHead:
    """`flatten` and `gap`: one dense layer over all values, or over their means by channel."""

    weights: Floats  # (inputs, labels)
    bias: Floats  # (labels,)
    averages: bool
    unit_length: bool = False

    def logits(self, features: Features) -> Floats:
        return head_inputs(features, averages=self.averages, unit_length=self.unit_length) @ self.weights + self.bias


@dataclass(frozen=True)
class VggTop:
    """The top of VGG16 as published: fc1, fc2 and predictions, with ReLU between them."""

    layers: tuple[tuple[Floats, Floats], ...]  # (25088, 4096), (4096, 4096), (4096, 1000), each with its bias

    def logits(self, features: Features) -> Floats:
        values = head_inputs(features, averages=False)
        for number, (weights, bias) in enumerate(self.layers):
            values = values @ weights + bias
            if number + 1 < len(self.layers):
                np.maximum(values, 0.0, out=values)
        return values


def linear_head(artifact: Artifact) -> LinearHead:
    """The head of a checked artifact."""
    card = artifact.card
    averages = card.head == "gap"
    return LinearHead(artifact.head["weights"], artifact.head["bias"], averages, unit_length=card.unit_length)


def head_inputs(features: Features, *, averages: bool, unit_length: bool = False) -> Floats:
    """What a one-layer head reads: (n, channels) means, or all (n, h * w * channels) values; see `scaled`."""
    values = features.astype(np.float32)
    values = values.mean(axis=(1, 2)) if averages else values.reshape(len(values), -1)
    return scaled(values) if unit_length else values


def scaled(values: Floats) -> Floats:
    """Rows divided by their Euclidean length: a faint picture reads like a strong one of the same thing. (n, inputs)"""
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.maximum(lengths, np.finfo(np.float32).tiny)


def softmax(logits: Floats, temperature: float) -> Floats:
    """Probabilities, rows sum to 1."""
    scaled = logits / np.float32(temperature)
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True, initial=np.float32(-np.inf)))
    return powers / powers.sum(axis=1, keepdims=True)
