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

    def logits(self, features: Features) -> Floats:
        return head_inputs(features, averages=self.averages) @ self.weights + self.bias


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
    return LinearHead(artifact.head["weights"], artifact.head["bias"], averages=artifact.card.head == "gap")


def head_inputs(features: Features, *, averages: bool) -> Floats:
    """What a one-layer head reads: (n, channels) means, or all (n, h * w * channels) values."""
    values = features.astype(np.float32)
    return values.mean(axis=(1, 2)) if averages else values.reshape(len(values), -1)


def softmax(logits: Floats, temperature: float) -> Floats:
    """Probabilities, rows sum to 1."""
    scaled = logits / np.float32(temperature)
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True, initial=np.float32(-np.inf)))
    return powers / powers.sum(axis=1, keepdims=True)
