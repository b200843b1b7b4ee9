"""Spaces of features: one for each backbone's weights, layer and way to decode. Features of two never meet."""

import hashlib
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.schema import ActiveVersion, FeatureShard, ModelVersion


def feature_space(weights_sha256: str, layer: str, decode_version: str) -> str:
    """The address of features: a change of any part is another space."""
    return hashlib.sha256(f"{weights_sha256}\n{layer}\n{decode_version}".encode()).hexdigest()


def active_space(session: Session) -> str | None:
    """The space of the active version's features; None while there are no features.

    A card that leaves the weights' hash to the file does not tell: then it is the space that was written to last, as
    all workers follow the active version.
    """
    query = select(ModelVersion.card).join(ActiveVersion, ActiveVersion.model_version_id == ModelVersion.id)
    card: dict[str, Any] = session.scalars(query).one_or_none() or {}
    backbone: dict[str, Any] = card.get("backbone") or {}
    weights = backbone.get("weights_sha256")
    if weights:
        return feature_space(weights, backbone["layer"], card["decode_version"])
    return session.scalars(select(FeatureShard.space).order_by(FeatureShard.id.desc()).limit(1)).one_or_none()
