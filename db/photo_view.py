"""One photo as its page shows it: facts, what was said of it, where it came from, what happened to it."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.codes import reason_text
from db.errors import NotFoundError
from db.library_filter import SEES_ALL, owned_by
from db.merged_labels import Scored, best_of_each, said_labels
from db.review_history import Event, review_events
from db.schema import Archive, Batch, Camera, Item, Label, ModelVersion, Photo, PhotoHash, Prediction, User

# A photo that every nightly batch brings again has a place in each; nobody reads more of them.
MAX_PLACES = 200


class VersionLabels(NamedTuple):
    """What a version says of the photo, best first."""

    version: str
    scored: list[Scored]

    @property
    def labels(self) -> list[tuple[str, float]]:
        """Names and scores."""
        return [(one.name, one.score) for one in self.scored]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the photo came from.

    Attributes:
        archive: the archive's path, if it came in one.
        in_place: it was read where it lies, and not copied.
        gone_at: when a watched folder no longer had it.
        state: of the item.
    """

    batch_id: str
    batch: str
    path: str
    archive: str | None
    in_place: bool
    gone_at: dt.datetime | None
    state: str
    code: str | None
    detail: str | None
    version: str | None
    accepted_at: dt.datetime
    finished_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class PhotoView:
    """A photo with all that is known of it; columns as in `db.schema.Photo`.

    Attributes:
        camera: its name.
        shown: the shown label's name; None by a person: they said that no label fits.
        shown_version: the version that said it, if a model did.
        predictions: of each version, the newest first.
        places: those the person may see, the newest first, at most 200.
        history: of those places, and what people said, the oldest first.
        look_alikes: how many photos look alike, this one counted; 1 when it is alone.
    """

    photo_id: int
    sha256: str
    size_bytes: int
    created_at: dt.datetime
    name: str
    state: str
    dated_at: dt.datetime
    format: str | None
    width: int | None
    height: int | None
    taken_at: dt.datetime | None
    camera: str | None
    latitude: float | None
    longitude: float | None
    exif: dict[str, Any]
    notes: str | None
    has_previews: bool
    shown_label_id: int | None
    shown: str | None
    shown_score: float | None
    shown_origin: str | None
    shown_version: str | None
    not_sure: bool
    predictions: list[VersionLabels]
    places: list[Place]
    history: list[Event]
    look_alikes: int


def photo_view(session: Session, user: User, photo_id: int) -> PhotoView:
    """All of one photo. Seven queries, whatever there is to show.

    Raises:
        NotFoundError: it does not exist, or is not theirs to see.
    """
    query = (
        select(Photo, Camera.name, Label.name, ModelVersion.name)
        .outerjoin(Camera, Camera.id == Photo.camera_id)
        .outerjoin(Label, Label.id == Photo.shown_label_id)
        .outerjoin(ModelVersion, ModelVersion.id == Photo.shown_model_version_id)
        .where(Photo.id == photo_id)
        .execution_options(populate_existing=True)
    )
    if user.role not in SEES_ALL:
        query = query.where(owned_by(user))
    row = session.execute(query).one_or_none()
    if row is None:
        msg = f"There is no photo of this id that you may see; go back to the library. Received: {photo_id}"
        raise NotFoundError(msg)
    photo, camera, shown, version = row
    places = _places(session, user, photo_id)
    return PhotoView(
        photo_id=photo.id,
        sha256=photo.sha256,
        size_bytes=photo.size_bytes,
        created_at=photo.created_at,
        name=photo.name,
        state=photo.state,
        dated_at=photo.dated_at,
        format=photo.format,
        width=photo.width,
        height=photo.height,
        taken_at=photo.taken_at,
        camera=camera,
        latitude=photo.latitude,
        longitude=photo.longitude,
        exif=photo.exif or {},
        notes=photo.notes,
        has_previews=photo.has_previews,
        shown_label_id=photo.shown_label_id,
        shown=shown,
        shown_score=photo.shown_score,
        shown_origin=photo.shown_origin,
        shown_version=version if photo.shown_origin == "model" else None,
        not_sure=photo.not_sure and photo.shown_origin != "person",
        predictions=_predictions(session, photo_id),
        places=places,
        history=sorted([*_history(places), *review_events(session, photo_id)]),
        look_alikes=_look_alikes(session, photo_id),
    )


def _predictions(session: Session, photo_id: int) -> list[VersionLabels]:
    said = said_labels().where(Prediction.photo_id == photo_id).subquery()
    query = (
        select(ModelVersion.name.label("version"), said.c.label_id, said.c.name, said.c.score)
        .join(ModelVersion, ModelVersion.id == said.c.model_version_id)
        .order_by(ModelVersion.id.desc(), said.c.rank)
    )
    found: dict[str, list[Scored]] = {}
    for version, *scored in session.execute(query):
        found.setdefault(version, []).append(Scored(*scored))
    return [VersionLabels(version, best_of_each(scored)) for version, scored in found.items()]


def _places(session: Session, user: User, photo_id: int) -> list[Place]:
    query = (
        select(
            Item.batch_id,
            Batch.name.label("batch"),
            Item.path,
            Archive.path.label("archive"),
            Item.source_path.is_not(None).label("in_place"),
            Item.gone_at,
            Item.state,
            Item.code,
            Item.detail,
            ModelVersion.name.label("version"),
            Batch.created_at.label("accepted_at"),
            Item.finished_at,
        )
        .join(Batch, Batch.id == Item.batch_id)
        .outerjoin(Archive, (Archive.batch_id == Item.batch_id) & (Archive.number == Item.archive_number))
        .outerjoin(ModelVersion, ModelVersion.id == Item.model_version_id)
        .where(Item.photo_id == photo_id)
        .order_by(Item.id.desc())
        .limit(MAX_PLACES)
    )
    if user.role not in SEES_ALL:
        query = query.where(Batch.owner_id == user.id)
    return [Place(**row) for row in session.execute(query).mappings()]


def _history(places: list[Place]) -> list[Event]:
    events: list[Event] = []
    for place in places:
        events.append(Event(place.accepted_at, f"accepted in the batch “{place.batch}” as {place.path}"))
        if place.finished_at is not None:
            events.append(Event(place.finished_at, _ending(place)))
        if place.gone_at is not None:
            events.append(Event(place.gone_at, f"no longer found at {place.path}"))
    return events


def _ending(place: Place) -> str:
    if place.state == "tagged":
        return f"tagged by the version {place.version}" if place.version else "tagged"
    reason = reason_text(place.code, place.detail)
    return f"{place.state}: {reason}" if reason else place.state


def _look_alikes(session: Session, photo_id: int) -> int:
    group = select(PhotoHash.group_id).where(PhotoHash.photo_id == photo_id).scalar_subquery()
    return session.scalars(select(func.count()).select_from(PhotoHash).where(PhotoHash.group_id == group)).one() or 1
