"""The card of a model version: everything but its weights. Stored as card.json and in the version's row."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
LabelPath = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1, max_length=20)]
Score = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]

# Shape of what each architecture hands to its head.
FEATURE_SHAPES: dict[str, tuple[int, int, int]] = {"vgg16": (7, 7, 512), "tiny": (7, 7, 8)}


class TunedCard(BaseModel):
    """Block 5 of VGG16, trained for this version or for one that it builds on. Blocks 1 to 4 stay as they were.

    Attributes:
        base_sha256: over the arrays that the training began with, as `BackboneCard.weights_sha256` of those.
        block5_sha256: of block5.safetensors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_sha256: Sha256
    block5_sha256: Sha256


class BackboneCard(BaseModel):
    """Which frozen network the head was trained on.

    Attributes:
        weights: `seeded` (drawn with a fixed seed), `imagenet` (fetched), `file` (PHOTOTAG_BACKBONE_WEIGHTS),
            `none` (the architecture has none).
        weights_sha256: over the arrays up to `layer`; None where the file as a whole is pinned instead.
        tuned: where block 5 lies beside the card, and `weights` are those of blocks 1 to 4; None: all are `weights`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Literal["vgg16", "tiny"]
    weights: Literal["seeded", "imagenet", "file", "none"]
    weights_sha256: Sha256 | None
    layer: str
    # left out where there is none: the cards of other versions stay what they were, byte for byte
    tuned: Annotated[TunedCard | None, Field(exclude_if=lambda tuned: tuned is None)] = None


class Card(BaseModel):
    """What a model version is.

    Attributes:
        head: `flatten` and `gap` are one softmax layer; `vgg-top` is fc1, fc2 and predictions of VGG16.
        unit_length: whether what a one-layer head reads is divided by its length first.
        head_sha256: of head.safetensors; None when the head comes with the backbone's weights.
        labels: outputs in order, each with its parents first.
        temperature: logits are divided by it before softmax.
        threshold: a photo whose first score is under it is shown as "not sure".
        notice: what a person should know before trusting it, in plain words.
        canary: for each generated photo of `worker.canary` its first outputs as (position, score).
        trained_from: counts and class names, later the snapshot's digest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
    backbone: BackboneCard
    decode_version: str
    head: Literal["flatten", "gap", "vgg-top"]
    unit_length: bool = False
    head_sha256: Sha256 | None = None
    labels: Annotated[list[LabelPath], Field(min_length=2)]
    temperature: Annotated[float, Field(gt=0.0, le=100.0, allow_inf_nan=False)]
    threshold: Score
    notice: str = ""
    canary: list[list[tuple[int, Score]]] = []
    trained_from: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    recipe: dict[str, Any] = {}
    versions: dict[str, str] = {}

    @property
    def feature_shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels of one photo's features."""
        return FEATURE_SHAPES[self.backbone.architecture]

    @property
    def head_shape(self) -> tuple[int, int]:
        """Inputs and labels of a one-layer head."""
        height, width, channels = self.feature_shape
        return (height * width * channels if self.head == "flatten" else channels), len(self.labels)

    @model_validator(mode="after")
    def _labels_differ(self) -> Self:
        names = [path[-1].casefold() for path in self.labels]
        if len(set(names)) != len(names):
            msg = f"labels must differ; twice: {sorted({name for name in names if names.count(name) > 1})}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _head_has_its_weights(self) -> Self:
        if self.head == "vgg-top" and (self.head_sha256 or self.backbone.weights != "imagenet"):
            msg = "vgg-top takes its weights from the ImageNet file and has no head_sha256"
            raise ValueError(msg)
        return self
