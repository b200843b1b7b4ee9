"""Spaces of features: one for each backbone's weights, layer and way to decode. Features of two never meet."""

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from db.feature_schema import VARIANTS
from db.garbage import SPACE
from db.schema import ActiveVersion, FeatureShard, Garbage, ModelVersion

# Part of the address of variants' features: raise it when a photo's variants (training.variants) become others.
VARIANTS_VERSION = "v1"


def feature_space(weights_sha256: str, layer: str, decode_version: str) -> str:
    """The address of features: a change of any part is another space."""
    return hashlib.sha256(f"{weights_sha256}\n{layer}\n{decode_version}".encode()).hexdigest()


def variant_space(space: str, number: int) -> str:
    """The address of features of the changed variants `number`, from 1, of photos whose own lie in `space`."""
    return hashlib.sha256(f"{space}\nvariant {number} {VARIANTS_VERSION}".encode()).hexdigest()


def active_space(session: Session) -> str | None:
    """The space of the active version's features; None while there are no features.

    A card that leaves the weights' hash to the file does not tell: then it is the space that was written to last, as
    all workers follow the active version; but none that a training began for a network of its own.
    """
    query = select(ModelVersion.card).join(ActiveVersion, ActiveVersion.model_version_id == ModelVersion.id)
    card: dict[str, Any] = session.scalars(query).one_or_none() or {}
    if space := _space_of(card):
        return space
    tagged = select(FeatureShard.space).where(
        ~FeatureShard.key.startswith(f"{VARIANTS}/"), FeatureShard.space.not_in(_trained_spaces(session))
    )
    return session.scalars(tagged.order_by(FeatureShard.id.desc()).limit(1)).one_or_none()


def version_spaces(session: Session) -> set[str]:
    """The spaces of all versions, but for those whose card leaves the weights' hash to the file."""
    cards: Sequence[dict[str, Any]] = session.scalars(select(ModelVersion.card)).all()
    return {space for card in cards if (space := _space_of(card))}


def has_features(session: Session, space: str) -> bool:
    """Whether features of any photo are kept there."""
    return session.scalar(select(exists().where(FeatureShard.space == space))) is True


def _trained_spaces(session: Session) -> set[str]:
    """Spaces of networks that versions have trained, or that runs are at or left behind."""
    cards: Sequence[dict[str, Any]] = session.scalars(select(ModelVersion.card)).all()
    tuned = {_space_of(card) for card in cards if (card.get("backbone") or {}).get("tuned")}
    return {*filter(None, tuned), *session.scalars(select(Garbage.key).where(Garbage.kind == SPACE))}


def _space_of(card: dict[str, Any]) -> str | None:
    backbone: dict[str, Any] = card.get("backbone") or {}
    weights = backbone.get("weights_sha256")
    return feature_space(weights, backbone["layer"], card["decode_version"]) if weights else None
