"""What it costs to train a network of one's own: photos that must run through it before it can tag, and afterwards."""

import datetime as dt
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.errors import ConflictError
from db.feature_schema import VARIANTS
from db.feature_spaces import active_space
from db.model_versions import active_version
from db.readiness import readiness
from db.schema import FeatureShard, Photo

# float16 of 7 x 7 x 512 features of a photo, and of the 14 x 14 x 512 values that block 5 is trained on.
FEATURE_BYTES = 7 * 7 * 512 * 2
TEMPORARY_BYTES = 14 * 14 * 512 * 2
# Photos a second of VGG16 on 2 cores, where nothing was measured here.
STATED_RATE = 4.0
# Of those whose subset is not decided, about this share will be held out.
HOLDOUT_SHARE = 0.2
# Shards of a rate: the newest, as far as each came within a minute of the one before. Fewer would be chance.
NEWEST, FEWEST = 200, 5
PAUSE_S = 60.0
# Of a pass through the whole network, what a photo costs in an epoch: block 5 there and back, its steps and held-out photos.
# Measured: 10 s an epoch of 50 photos where a pass of them took 22 s.
EPOCH_SHARE = 0.45


@dataclass(frozen=True, slots=True)
class TuningCost:
    """What a run by this recipe costs, as far as can be told before.

    Attributes:
        to_train: photos that block 5 is trained on.
        to_examine: photos of the exam.
        to_retag: photos of the library that have no features of the new network then: a re-tag decodes them.
        feature_bytes: room that features of all these take, for good.
        temporary_bytes: room that is taken while block 5 is trained.
        rate: photos a second through the whole network.
        is_measured: whether the rate is that of photos that were tagged here lately.
        train_s: seconds of the run, at most.
        retag_s: seconds of the re-tag.
    """

    to_train: int
    to_examine: int
    to_retag: int
    feature_bytes: int
    temporary_bytes: int
    rate: float
    is_measured: bool
    train_s: float
    retag_s: float


def tuning_cost(session: Session, recipe: dict[str, Any]) -> TuningCost | None:
    """What a run by the recipe costs; None where it only trains a head, from features that are there.

    Args:
        session: to read.
        recipe: all its values.

    Raises:
        ConflictError: the active version stands on a network that the recipe cannot train.
    """
    tuning: dict[str, Any] | None = recipe.get("tuning")
    if tuning is None:
        return None
    active = active_version(session)
    backbone: dict[str, Any] = (active.card.get("backbone") or {}) if active is not None else {}
    require_vgg16(backbone.get("architecture", "vgg16"))
    labels = readiness(session).labels
    undecided = sum(label.undecided for label in labels)
    held_out = round(undecided * HOLDOUT_SHARE)
    to_train = sum(label.training for label in labels) + undecided - held_out
    to_examine = sum(label.holdout for label in labels) + held_out
    tagged = session.scalars(select(func.count()).select_from(Photo).where(Photo.state == "tagged")).one()
    to_retag = max(0, tagged - to_train - to_examine)
    measured = measured_rate(session)
    rate = measured or STATED_RATE
    return TuningCost(
        to_train=to_train,
        to_examine=to_examine,
        to_retag=to_retag,
        feature_bytes=(to_train + to_examine + to_retag) * FEATURE_BYTES,
        temporary_bytes=to_train * TEMPORARY_BYTES,
        rate=rate,
        is_measured=measured is not None,
        train_s=(to_train * (1.0 + EPOCH_SHARE * int(tuning["epochs"])) + to_examine) / rate,
        retag_s=to_retag / rate,
    )


def measured_rate(session: Session) -> float | None:
    """Photos a second that ran through the active version's network lately, all machines together; None: too few."""
    own = FeatureShard.space == active_space(session), ~FeatureShard.key.startswith(f"{VARIANTS}/")
    newest = select(FeatureShard.created_at, FeatureShard.rows).where(*own).order_by(FeatureShard.id.desc())
    shards = session.execute(newest.limit(NEWEST)).all()
    photos, seconds, counted = 0, 0.0, 0
    for later, before in pairwise(shards):
        gap: dt.timedelta = later.created_at - before.created_at
        if 0.0 < gap.total_seconds() <= PAUSE_S:
            photos, seconds, counted = photos + later.rows, seconds + gap.total_seconds(), counted + 1
    return photos / seconds if counted >= FEWEST else None


def require_vgg16(network: str) -> None:
    """Says that no other architecture can be trained.

    Raises:
        ConflictError: it is another.
    """
    if network != "vgg16":
        msg = (
            "This recipe trains block 5 of VGG16, and the active version stands on another network. Activate a version"
            f" that stands on VGG16, or choose another recipe. Received: {network}"
        )
        raise ConflictError(msg)
