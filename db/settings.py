"""Where phototag keeps its data, from `PHOTOTAG_*` environment variables."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class DataSettings(BaseSettings):
    """Settings of `db`. Build one in the entry point and pass it down."""

    model_config = SettingsConfigDict(env_prefix="PHOTOTAG_", frozen=True, extra="ignore", env_ignore_empty=True)

    data_dir: Path = Field(
        default=Path("phototag-data"),
        description="Folder for everything phototag keeps on this machine.",
    )
    database_url: str | None = Field(
        default=None,
        description="SQLAlchemy URL, postgresql+psycopg://user:password@host/name; SQLite in the data directory if unset.",
    )
    blobs_url: str | None = Field(
        default=None,
        description="Where photos' bytes lie: s3://, gs:// or az:// URL; a folder in the data directory if unset.",
    )

    @property
    def resolved_database_url(self) -> str:
        """`database_url`, or SQLite inside the data directory."""
        if self.database_url:
            return self.database_url
        return f"sqlite:///{self.data_dir.resolve() / 'phototag.sqlite3'}"

    @property
    def staging_dir(self) -> Path:
        """Half-received bytes; on the same file system as local blobs, so that a rename is atomic."""
        return self.data_dir / "staging"
