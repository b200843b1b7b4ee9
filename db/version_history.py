"""Model versions with what they were made from, who made them, and when they were active."""

import datetime as dt
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from db.activations import last_activation
from db.schema import (
    Activation,
    ActiveVersion,
    ModelVersion,
    ModelVersionLabel,
    Photo,
    ShownBefore,
    Snapshot,
    TrainingRun,
    User,
)


class VersionView(NamedTuple):
    """A version for the history.

    Attributes:
        labels: how many it knows.
        run_id: the run that made it; None: it was not trained here.
        made_by: who asked for the run; None: the command line, or it was not trained here.
        recipe: the run's.
        snapshot: the digest of the photos and labels that it was made from.
        snapshot_photos: how many photos those are.
        activated_at: when it was last made the active one.
        activated_by: by whom; None: the command line, or phototag itself.
        active: it is the one that tags.
        card: as it was written.
    """

    version_id: int
    name: str
    origin: str
    created_at: dt.datetime
    labels: int
    run_id: int | None
    made_by: str | None
    recipe: str | None
    snapshot: str | None
    snapshot_photos: int | None
    activated_at: dt.datetime | None
    activated_by: str | None
    active: bool
    card: dict[str, Any]


class WayBack(NamedTuple):
    """What a roll back would do.

    Attributes:
        version: the one that is active.
        before: the one that would be.
        photos: how many photos would show again what they showed before a re-tag.
    """

    version_id: int
    version: str
    before: str
    photos: int


def version_history(session: Session) -> list[VersionView]:
    """All versions, newest first."""
    maker, activator, known = aliased(User), aliased(User), aliased(Activation)
    labels = (
        select(func.count()).where(ModelVersionLabel.model_version_id == ModelVersion.id).correlate(ModelVersion)
    ).scalar_subquery()
    last = select(func.max(known.id)).where(known.version_id == ModelVersion.id).correlate(ModelVersion)
    columns = (
        *(ModelVersion.id, ModelVersion.name, ModelVersion.origin, ModelVersion.created_at, labels),
        *(TrainingRun.id, maker.name, TrainingRun.recipe["name"].as_string(), Snapshot.digest, Snapshot.photos),
        *(Activation.at, activator.name, ActiveVersion.id.is_not(None), ModelVersion.card),
    )
    query = (
        select(*columns)
        .select_from(ModelVersion)
        .outerjoin(TrainingRun, TrainingRun.version_id == ModelVersion.id)
        .outerjoin(maker, maker.id == TrainingRun.user_id)
        .outerjoin(Snapshot, Snapshot.id == TrainingRun.snapshot_id)
        .outerjoin(Activation, Activation.id == last.scalar_subquery())
        .outerjoin(activator, activator.id == Activation.user_id)
        .outerjoin(ActiveVersion, ActiveVersion.model_version_id == ModelVersion.id)
        .order_by(ModelVersion.id.desc())
    )
    return [VersionView(*row) for row in session.execute(query)]


def way_back(session: Session) -> WayBack | None:
    """What a roll back would do now; None: no version was active before."""
    last = last_activation(session)
    if last is None or last.before_id is None:
        return None
    # both names are of rows that stay as long as the activation does
    names = {
        row.id: row.name
        for row in session.execute(
            select(ModelVersion.id, ModelVersion.name).where(ModelVersion.id.in_((last.version_id, last.before_id)))
        )
    }
    kept = ShownBefore.activation_id == last.id, Photo.shown_model_version_id == last.version_id
    query = select(func.count()).select_from(ShownBefore).join(Photo, Photo.id == ShownBefore.photo_id).where(*kept)
    photos = session.scalars(query).one()
    return WayBack(last.version_id, names[last.version_id], names[last.before_id], photos)


def photos_to_restore(session: Session) -> int:
    """Photos of versions that were rolled back which `restore_some` has not looked at yet."""
    undone = select(Activation.undoes_id).where(Activation.undoes_id.is_not(None))
    query = select(func.count()).select_from(ShownBefore).where(ShownBefore.activation_id.in_(undone))
    return session.scalars(query).one()
