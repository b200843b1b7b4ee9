"""How a worker infers: the network, its device and its limits, from `PHOTOTAG_*` environment variables."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.limits import Limits

# The file that Keras publishes; its length and hash are pinned in worker.download, whatever the address.
IMAGENET_WEIGHTS_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5"
)


class WorkerSettings(BaseSettings):
    """Settings of `worker`. Build one in the entry point and pass it down."""

    model_config = SettingsConfigDict(
        env_prefix="PHOTOTAG_", env_nested_delimiter="__", frozen=True, extra="ignore", env_ignore_empty=True
    )

    redis_url: str | None = Field(
        default=None,
        description="Redis or Valkey that carries the queues, redis://host:port/0; started in the data directory if unset.",
    )
    backbone: Literal["vgg16", "tiny"] = Field(
        default="vgg16",
        description="vgg16, or tiny: colours only, starts in a second; for tests and for trying things out.",
    )
    backbone_weights: Path | None = Field(
        default=None,
        description="VGG16 weights without the top (Keras notop .h5) for heads trained from now on; versions that exist"
        " keep the weights they were trained with.",
    )
    offline: bool = Field(
        default=False,
        description="Never fetch anything: without ImageNet weights on this machine the starter version is used.",
    )
    weights_url: str = Field(
        default=IMAGENET_WEIGHTS_URL,
        description="Where the ImageNet weights are fetched from (a mirror of Keras' file; its hash stays pinned).",
    )
    chunk_size: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Photos given to the network at once; 16 on CPU and 64 on GPU if unset.",
    )
    decoders: int | None = Field(
        default=None, ge=1, le=256, description="Processes that decode photos; one less than the cores if unset."
    )
    lease_s: float = Field(
        default=120.0, ge=1.0, description="Seconds after which another worker may take a photo of a silent worker."
    )
    chunk_limit_s: float = Field(
        default=90.0, ge=0.5, description="Seconds a chunk may take before its worker is ended; less than lease_s."
    )
    limits: Limits = Field(
        default=Limits(),
        description="What photos and archives may cost; one each as PHOTOTAG_LIMITS__MAX_PHOTO_BYTES=104857600.",
    )

    @model_validator(mode="after")
    def _chunk_ends_before_its_lease(self) -> Self:
        if self.chunk_limit_s >= self.lease_s:
            msg = (
                "A chunk must end before its lease does, or two workers would hold the same photos. Set"
                " PHOTOTAG_CHUNK_LIMIT_S below PHOTOTAG_LEASE_S."
                f" Received: {self.chunk_limit_s:g} and {self.lease_s:g}"
            )
            raise ValueError(msg)
        return self
