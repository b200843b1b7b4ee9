"""How a training worker works, from `PHOTOTAG_*` environment variables."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class TrainingSettings(BaseSettings):
    """Settings of `training`. Build one in the entry point and pass it down."""

    model_config = SettingsConfigDict(env_prefix="PHOTOTAG_", frozen=True, extra="ignore", env_ignore_empty=True)

    doubts_every_s: float = Field(
        default=60.0,
        ge=0.1,
        description="Seconds between two looks for new verdicts, after which labels that look wrong are searched for.",
    )
