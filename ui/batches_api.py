"""JSON routes that read batches: the list, one batch's counts, its photos page by page."""

import time
from collections.abc import Iterable
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from sqlalchemy.orm import Session

from db.batch_view import batch_items, batch_progress, recent_tagged
from db.batches import get_batch, list_batches
from db.schema import Batch
from db.session import Database
from ui.access import Owner
from ui.shapes import Json, batch_shape, cursor_of, item_shape

BatchId = Annotated[str, PathParameter(pattern="^[a-z][a-z0-9]{11}$")]
ItemState = Literal["ready", "leased", "tagged", "refused", "failed", "cancelled"]

PAGE = 60
MAX_PAGE = 200
COVERS = 4
MAX_CLOSED = 2000
KEPT_S = 60.0


def batches_routes(database: Database, closed: "ClosedBatches") -> APIRouter:
    """What there is to read of batches. They are made in `ui.uploads_api` and changed in `ui.acting_api`."""
    router = APIRouter(prefix="/api/batches")

    @router.get("")
    def list_own(user: Owner, limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 30, before: str | None = None) -> Json:
        with database.reading() as session:
            batches = list_batches(session, user, limit, before)
            known = [closed.get(batch.id) for batch in batches]
            shapes = [shape or _list_shape(session, batch) for shape, batch in zip(known, batches, strict=True)]
        for shape, was_known in zip(shapes, known, strict=True):
            if was_known is None and shape["finished_at"] is not None:
                closed.keep(shape["id"], shape)
        return {"batches": shapes, "more": len(shapes) == limit}

    @router.get("/{batch_id}")
    def show(batch_id: BatchId, user: Owner) -> Json:
        with database.reading() as session:
            batch = get_batch(session, batch_id, user)
            return batch_shape(batch, batch_progress(session, batch_id))

    @router.get("/{batch_id}/items")
    def list_items(
        batch_id: BatchId,
        user: Owner,
        after: Annotated[str, Query(pattern=r"^(\d{1,9}\.\d{1,9})?$")] = "",
        state: Annotated[list[ItemState] | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = PAGE,
    ) -> Json:
        with database.reading() as session:
            get_batch(session, batch_id, user)
            items = batch_items(session, batch_id, states=state, after=cursor_of(after), limit=limit)
        return {"items": [item_shape(item) for item in items], "more": len(items) == limit}

    @router.get("/{batch_id}/recent")
    def list_recent(batch_id: BatchId, user: Owner, limit: Annotated[int, Query(ge=1, le=50)] = 12) -> Json:
        with database.reading() as session:
            get_batch(session, batch_id, user)
            return {"items": [item_shape(item) for item in recent_tagged(session, batch_id, limit)]}

    return router


class ClosedBatches:
    """What the list shows of closed batches: counting 100,000 photos takes 15 ms each time.

    It changes only when photos are deleted. This process then forgets it; others, and the command line's deletions,
    are seen after `KEPT_S`.
    """

    def __init__(self) -> None:
        self._shapes: dict[str, tuple[Json, float]] = {}

    def get(self, batch_id: str) -> Json | None:
        """The shape of a closed batch, if it was kept."""
        shape, until = self._shapes.get(batch_id, (None, 0.0))
        return shape if time.monotonic() < until else None

    def keep(self, batch_id: str, shape: Json) -> None:
        """Keeps a shape; the oldest goes when there are too many."""
        self._shapes.pop(batch_id, None)
        self._shapes[batch_id] = (shape, time.monotonic() + KEPT_S)
        if len(self._shapes) > MAX_CLOSED:
            del self._shapes[next(iter(self._shapes))]

    def forget(self, batch_ids: Iterable[str]) -> None:
        """Photos of these batches were deleted, or the batches themselves."""
        for batch_id in batch_ids:
            self._shapes.pop(batch_id, None)


def _list_shape(session: Session, batch: Batch) -> Json:
    newest = recent_tagged(session, batch.id, COVERS)
    covers = [item.photo_id for item in newest if item.has_previews]
    return batch_shape(batch, batch_progress(session, batch.id)) | {"covers": covers}
