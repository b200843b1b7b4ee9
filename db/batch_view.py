"""A batch as people see it: progress, and its items page by page. Two queries a page, whatever it shows."""

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, case, func, literal, select, tuple_
from sqlalchemy.orm import Session

from db.codes import JUNK
from db.errors import NotFoundError
from db.library_filter import SEES_ALL
from db.merged_labels import Scored, best_of_each, said_labels
from db.schema import Archive, Batch, Camera, Item, Label, ModelVersion, Photo, Prediction, User
from db.session import utc_now

NOT_SURE = "not sure"
NONE_OF_THESE = "none of these"
# The rate is taken over this time: long enough to be steady, short enough to follow a second worker.
RATE_WINDOW_S = 30.0
PAGE = 500


class ArchiveView(NamedTuple):
    """An archive of a batch: its state, and why it was refused."""

    path: str
    state: str
    code: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far a batch is, counted now.

    Attributes:
        skipped: junk, of which nobody misses a photo; not among `refused`.
        reasons: how many items were refused or failed, by code; with junk.
        rate_per_s: items finished a second, lately; over all of its time once the batch is closed.
        seconds_left: None while it is not known.
    """

    state: str
    code: str | None
    total: int
    ready: int
    leased: int
    tagged: int
    refused: int
    skipped: int
    failed: int
    cancelled: int
    reasons: dict[str, int]
    archives: list[ArchiveView]
    created_at: dt.datetime
    finished_at: dt.datetime | None
    rate_per_s: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class ItemView:
    """An item with its photo and what is shown of it.

    Attributes:
        shown: the label's name; "not sure" when the version's first score is too low, "none of these" when a person
            said that no label fits; None before tagging.
        labels: (name, score) in the order of rank, by the version that tagged this item.
    """

    item_id: int
    archive_number: int
    position: int
    path: str
    state: str
    code: str | None
    detail: str | None
    photo_id: int | None
    sha256: str | None
    width: int | None
    height: int | None
    taken_at: dt.datetime | None
    camera: str | None
    latitude: float | None
    longitude: float | None
    has_previews: bool
    model_version: str | None
    shown: str | None
    not_sure: bool
    labels: list[tuple[str, float]]
    finished_at: dt.datetime | None

    @property
    def cursor(self) -> tuple[int, int]:
        """Where the next page starts: pass it as `after`."""
        return (self.archive_number, self.position)


def batch_progress(session: Session, batch_id: str) -> BatchProgress:
    """Counts a batch's items. Reads one index only: 100,000 items take about 15 ms.

    Raises:
        NotFoundError: there is no such batch.
    """
    query = select(Batch.state, Batch.code, Batch.created_at, Batch.finished_at).where(Batch.id == batch_id)
    batch = session.execute(query).one_or_none()
    if batch is None:
        msg = f"There is no batch of this id; `phototag batches list` shows them. Received: {batch_id!r}"
        raise NotFoundError(msg)
    now = utc_now()
    window_s = min(RATE_WINDOW_S, max(1.0, (now - batch.created_at).total_seconds()))
    states, reasons, recent = _counts(session, batch_id, now - dt.timedelta(seconds=window_s))
    total, still_open = sum(states.values()), states.get("ready", 0) + states.get("leased", 0)
    rate = recent / window_s
    if batch.finished_at is not None:
        rate = total / max(1.0, (batch.finished_at - batch.created_at).total_seconds())
    return BatchProgress(
        state=batch.state,
        code=batch.code,
        total=total,
        ready=states.get("ready", 0),
        leased=states.get("leased", 0),
        tagged=states.get("tagged", 0),
        refused=states.get("refused", 0) - reasons.get(JUNK, 0),
        skipped=reasons.get(JUNK, 0),
        failed=states.get("failed", 0),
        cancelled=states.get("cancelled", 0),
        reasons=reasons,
        archives=_archives(session, batch_id),
        created_at=batch.created_at,
        finished_at=batch.finished_at,
        rate_per_s=rate,
        seconds_left=still_open / rate if batch.state == "running" and rate > 0 else None,
    )


def batch_items(
    session: Session,
    batch_id: str,
    *,
    states: Collection[str] | None = None,
    after: tuple[int, int] | None = None,
    limit: int = PAGE,
) -> list[ItemView]:
    """A page of items in the order of archive and position; `after`: the last one's `cursor`."""
    query = _items_of(batch_id).order_by(Item.archive_number, Item.position).limit(limit)
    if states is not None:
        query = query.where(Item.state.in_(states))
    if after is not None:
        query = query.where(tuple_(Item.archive_number, Item.position) > tuple_(*map(literal, after)))
    return _views(session, query)


def iter_items(session: Session, batch_id: str, *, states: Collection[str] | None = None) -> Iterator[ItemView]:
    """All items in the same order, a page in memory at a time."""
    after: tuple[int, int] | None = None
    while page := batch_items(session, batch_id, states=states, after=after):
        yield from page
        after = page[-1].cursor


def recent_tagged(session: Session, batch_id: str, limit: int) -> list[ItemView]:
    """The items tagged last, newest first."""
    tagged = Item.state == "tagged", Item.code.is_(None)  # the code is part of the index, before the time
    return _views(session, _items_of(batch_id).where(*tagged).order_by(Item.finished_at.desc()).limit(limit))


def _counts(session: Session, batch_id: str, since: dt.datetime) -> tuple[dict[str, int], dict[str, int], int]:
    recently = func.count().filter(Item.finished_at >= since)
    query = (
        select(Item.state, Item.code, func.count().label("items"), recently.label("recent"))
        .where(Item.batch_id == batch_id)
        .group_by(Item.state, Item.code)
    )
    states: dict[str, int] = {}
    reasons: dict[str, int] = {}
    recent = 0
    for row in session.execute(query):
        states[row.state] = states.get(row.state, 0) + row.items
        if row.code is not None:
            reasons[row.code] = reasons.get(row.code, 0) + row.items
        recent += row.recent
    return states, reasons, recent


def _archives(session: Session, batch_id: str) -> list[ArchiveView]:
    query = select(Archive.path, Archive.state, Archive.code, Archive.detail).where(Archive.batch_id == batch_id)
    return [ArchiveView(*row) for row in session.execute(query.order_by(Archive.number))]


def photo_items(session: Session, user: User, photo_ids: Sequence[int]) -> list[ItemView]:
    """The newest place of each photo that this person may see, tagged ones first, in the order of `photo_ids`."""
    newest = func.row_number().over(partition_by=Item.photo_id, order_by=(Item.state != "tagged", Item.id.desc()))
    ranked = select(Item.id, newest.label("rank")).where(Item.photo_id.in_(photo_ids))
    if user.role not in SEES_ALL:
        ranked = ranked.join(Batch, Batch.id == Item.batch_id).where(Batch.owner_id == user.id)
    places = ranked.subquery()
    chosen = Item.id.in_(select(places.c.id).where(places.c.rank == 1))
    found = {view.photo_id: view for view in _views(session, _items().where(chosen))}
    return [found[photo_id] for photo_id in photo_ids if photo_id in found]


def iter_photo_items(session: Session, user: User, photo_ids: Sequence[int]) -> Iterator[ItemView]:
    """As `photo_items`, for any number of photos, a page in memory at a time."""
    for start in range(0, len(photo_ids), PAGE):
        yield from photo_items(session, user, photo_ids[start : start + PAGE])


def _items_of(batch_id: str) -> Select[*tuple[Any, ...]]:
    return _items().where(Item.batch_id == batch_id)


def _items() -> Select[*tuple[Any, ...]]:
    """With their photos; the items of a re-tag have no path of their own, and may have lost their photo."""
    photo_id = func.coalesce(Item.photo_id, Item.retag_photo_id)
    path = case((Item.retag_photo_id.is_not(None), func.coalesce(Photo.name, "")), else_=Item.path)
    return (
        select(
            Item.id.label("item_id"),
            Item.archive_number,
            Item.position,
            path.label("path"),
            Item.state,
            Item.code,
            Item.detail,
            Photo.id.label("photo_id"),
            Photo.sha256,
            Photo.width,
            Photo.height,
            Photo.taken_at,
            Camera.name.label("camera"),
            Photo.latitude,
            Photo.longitude,
            Photo.has_previews,
            ModelVersion.name.label("model_version"),
            Label.name.label("label"),
            Photo.not_sure,
            Photo.shown_origin,
            Item.finished_at,
            Item.model_version_id,
        )
        .outerjoin(Photo, Photo.id == photo_id)
        .outerjoin(Camera, Camera.id == Photo.camera_id)
        .outerjoin(ModelVersion, ModelVersion.id == Item.model_version_id)
        .outerjoin(Label, Label.id == Photo.shown_label_id)
    )


def _views(session: Session, query: Select[*tuple[Any, ...]]) -> list[ItemView]:
    rows = session.execute(query).all()
    labels = _labels(session, [(row.photo_id, row.model_version_id) for row in rows])
    return [_view(row, labels.get((row.photo_id, row.model_version_id), [])) for row in rows]


def _view(row: Row[*tuple[Any, ...]], labels: list[tuple[str, float]]) -> ItemView:
    by_person = row.shown_origin == "person"
    unsure = bool(row.not_sure) and not by_person
    return ItemView(
        item_id=row.item_id,
        archive_number=row.archive_number,
        position=row.position,
        path=row.path,
        state=row.state,
        code=row.code,
        detail=row.detail,
        photo_id=row.photo_id,
        sha256=row.sha256,
        width=row.width,
        height=row.height,
        taken_at=row.taken_at,
        camera=row.camera,
        latitude=row.latitude,
        longitude=row.longitude,
        has_previews=bool(row.has_previews),
        model_version=row.model_version,
        shown=NOT_SURE if unsure else row.label or (NONE_OF_THESE if by_person else None),
        not_sure=unsure,
        labels=labels,
        finished_at=row.finished_at,
    )


def _labels(
    session: Session, tagged: Sequence[tuple[int | None, int | None]]
) -> dict[tuple[int, int], list[tuple[str, float]]]:
    photo_ids = {photo_id for photo_id, version_id in tagged if version_id is not None}
    version_ids = {version_id for _, version_id in tagged if version_id is not None}
    query = (
        said_labels()
        .where(Prediction.photo_id.in_(photo_ids), Prediction.model_version_id.in_(version_ids))
        .order_by(Prediction.photo_id, Prediction.model_version_id, Prediction.rank)
    )
    found: dict[tuple[int, int], list[Scored]] = {}
    for row in session.execute(query) if photo_ids else ():
        scored = Scored(row.label_id, row.name, row.score)
        found.setdefault((row.photo_id, row.model_version_id), []).append(scored)
    return {key: [(one.name, one.score) for one in best_of_each(scored)] for key, scored in found.items()}
