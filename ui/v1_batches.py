"""Routes of the programming interface that follow batches, and cancel, retry and delete them."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response

from db.batch_view import batch_items, batch_progress
from db.batches import BatchPlace, get_batch, list_batches
from db.retrying import retry_batch
from db.session import Database
from ui.acting_api import cancel_open_batch
from ui.deleting_api import BatchDeleter
from ui.nudge import Nudger
from ui.shapes import cursor_of
from ui.v1_batch_shapes import BatchAnswer, BatchPage, ItemPage, ItemState, batch_answer, item_answer
from ui.v1_fields import (
    BatchId,
    Cursor,
    Limit,
    Reader,
    Submitter,
    batch_cursor,
    batch_place,
    next_page,
    said,
)

PAGE, ITEMS_PAGE = 30, 100


def batch_routes(database: Database, nudger: Nudger, deleter: BatchDeleter) -> APIRouter:
    """GET of the list, one batch and its items; POST cancel and retry; DELETE."""
    router = APIRouter(prefix="/batches", tags=["batches"])
    _add_reading(router, database)

    @router.post("/{batch_id}/cancel", responses={409: said("The batch has finished, or was refused.")})
    def cancel_batch(batch_id: BatchId, user: Submitter) -> BatchAnswer:
        """Cancels a batch: what is not tagged yet never is. Twice is once."""
        with database.transaction() as session:
            batch = get_batch(session, batch_id, user)
            if batch.state != "cancelled":
                batch = cancel_open_batch(session, user, batch_id)
            return batch_answer(batch, batch_progress(session, batch_id))

    @router.post(
        "/{batch_id}/retry", status_code=201, responses={409: said("The batch is still open, or nothing of it failed.")}
    )
    def retry_batch_(batch_id: BatchId, response: Response, user: Submitter) -> BatchAnswer:
        """Makes a new batch of the photos that failed by our fault. While that one runs, the same again gives it."""
        with database.transaction() as session:
            get_batch(session, batch_id, user)
            batch = retry_batch(session, batch_id, user.id)
            answer = batch_answer(batch, batch_progress(session, batch.id))
        nudger.tag()
        response.headers["Location"] = f"/api/v1/batches/{batch.id}"
        return answer

    @router.delete("/{batch_id}", status_code=204)
    def delete_batch(batch_id: BatchId, user: Submitter, after_the_answer: BackgroundTasks) -> None:
        """Deletes a batch, and its photos unless another batch has them. It cannot be undone."""
        deleter.delete(user, batch_id, after_the_answer)

    return router


def _add_reading(router: APIRouter, database: Database) -> None:
    @router.get("")
    def list_batches_(request: Request, user: Reader, cursor: Cursor = None, limit: Limit = PAGE) -> BatchPage:
        """Your batches, the newest first; an admin sees all."""
        with database.reading() as session:
            batches = list_batches(session, user, limit, after=batch_place(cursor))
            answers = [batch_answer(batch, batch_progress(session, batch.id)) for batch in batches]
        last = batch_cursor(BatchPlace(batches[-1].created_at, batches[-1].id)) if len(batches) == limit else None
        return BatchPage(batches=answers, next=next_page(request, last))

    @router.get("/{batch_id}")
    def get_batch_(batch_id: BatchId, user: Reader) -> BatchAnswer:
        """How far a batch is. While it is open, ask again every second or two."""
        with database.reading() as session:
            return batch_answer(get_batch(session, batch_id, user), batch_progress(session, batch_id))

    @router.get("/{batch_id}/items")
    def list_items(
        request: Request,
        batch_id: BatchId,
        user: Reader,
        cursor: Annotated[
            str, Query(pattern=r"^(\d{1,9}\.\d{1,9})?$", description="Where the page begins; leave it to `next`.")
        ] = "",
        state: Annotated[
            list[ItemState] | None, Query(description="Only items in one of these states; repeat it for several.")
        ] = None,
        limit: Limit = ITEMS_PAGE,
    ) -> ItemPage:
        """The files of a batch and the entries of its archives, each with its labels or the reason why it has none."""
        with database.reading() as session:
            get_batch(session, batch_id, user)
            items = batch_items(session, batch_id, states=state, after=cursor_of(cursor), limit=limit)
        last = ".".join(map(str, items[-1].cursor)) if len(items) == limit else None
        return ItemPage(items=[item_answer(item) for item in items], next=next_page(request, last))
