"""The tables of features: files of them, and where each photo's row lies."""

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from db.columns import Base, Instant, PrimaryKey, Reference, Sha256, when

# Folders of the blob store: of photos as they are, and of changed variants that are trained on and nothing else.
FEATURES, VARIANTS = "features", "variants"


class FeatureShard(Base):
    """An immutable file of features: float16 (rows, *shape) of one finished chunk."""

    __tablename__ = "feature_shards"

    id: Mapped[PrimaryKey]
    space: Mapped[Sha256] = mapped_column(index=True, comment="hash of backbone weights, layer and decode version")
    key: Mapped[str] = mapped_column(String(120), unique=True, comment="name in the blob store")
    rows: Mapped[int]
    created_at: Mapped[Instant]


class FeatureCentre(Base):
    """What the features of a space have in common; codes are made about it. Never changed: codes would not compare."""

    __tablename__ = "feature_centres"

    space: Mapped[Sha256] = mapped_column(primary_key=True)
    centre: Mapped[bytes] = mapped_column(comment="float32 of each channel, little endian")
    created_at: Mapped[Instant]


class PhotoFeatures(Base):
    """Where a photo's features lie: row `row` of shard `shard_id`."""

    __tablename__ = "photo_features"
    # features from before there were codes; all others cost nothing here
    __table_args__ = (when("ix_photo_features_without_code", "code IS NULL", "shard_id"),)

    photo_id: Mapped[Reference] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True)
    space: Mapped[Sha256] = mapped_column(primary_key=True)
    shard_id: Mapped[Reference] = mapped_column(ForeignKey("feature_shards.id", ondelete="CASCADE"), index=True)
    row: Mapped[int]
    code: Mapped[bytes | None] = mapped_column(
        LargeBinary(64),
        comment="512 bits of which photos with like features have most in common; empty where the file is gone",
    )
