"""How the pages are served, from `PHOTOTAG_*` environment variables."""

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

GIB = 1024**3


class UiSettings(BaseSettings):
    """Settings of `ui`. Build one in the entry point and pass it down."""

    model_config = SettingsConfigDict(env_prefix="PHOTOTAG_", frozen=True, extra="ignore", env_ignore_empty=True)

    host: str = Field(
        default="127.0.0.1",
        description="Address the pages are served on; 127.0.0.1 is reachable from this machine only.",
    )
    port: int = Field(default=7860, ge=0, le=65535, description="Port the pages are served on; 0 takes a free one.")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Names the pages may be reached under besides this machine's own, comma separated.",
    )
    https: bool = Field(
        default=False,
        description="A proxy in front speaks https: cookies are then marked so that browsers never send them in clear.",
    )
    max_batch_files: int = Field(default=200_000, ge=1, description="Files a person may send as one batch.")
    max_batch_bytes: int = Field(default=200 * GIB, ge=1, description="Bytes a person may send as one batch.")
    login_link_valid_s: int = Field(
        default=3600, ge=60, description="Seconds after which a printed login link is void."
    )

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_by_comma(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
