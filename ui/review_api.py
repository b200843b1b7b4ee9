"""JSON routes of the page Review that give photos: the next ones, a page of a label, look-alikes, counts."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter

from db.labels import with_ancestors
from db.look_alikes import LookAlikes
from db.review_cards import review_cards
from db.review_counts import grid_labels, most_counted, queue_counts
from db.review_leases import release
from db.review_queue import claim_grid, claim_photos
from db.session import Database
from ui.access import Reviewer
from ui.library_view import View
from ui.review_requests import GridPage, InSeat, NextPhotos, OfView
from ui.review_shapes import card_shape
from ui.shapes import Json

PhotoPath = Annotated[int, PathParameter(ge=1, le=2**62)]

ALIKE = 12


def review_routes(database: Database, look_alikes: LookAlikes) -> APIRouter:
    """All of them need the role reviewer. POST where photos are leased, too: a page is not to be read twice."""
    router = APIRouter(prefix="/api/review")

    @router.post("/next")
    def next_photos(asked: NextPhotos, user: Reviewer) -> Json:
        with database.transaction() as session:
            queued = claim_photos(
                session,
                user,
                asked.seat,
                queue=asked.queue,
                chosen=asked.view.chosen,
                keep=asked.keep,
                count=asked.count,
            )
        reasons = {one.photo_id: one.reason for one in queued}
        with database.reading() as session:
            return {
                "photos": [card_shape(card, reasons[card.photo_id]) for card in review_cards(session, list(reasons))]
            }

    @router.post("/grid")
    def grid(asked: GridPage, user: Reviewer) -> Json:
        with database.transaction() as session:
            photo_ids = claim_grid(
                session,
                user,
                asked.seat,
                label_id=asked.label,
                chosen=asked.view.chosen,
                keep=asked.keep,
                count=asked.count,
                after=asked.after,
            )
        with database.reading() as session:
            return {"photos": [card_shape(card) for card in review_cards(session, photo_ids)]}

    @router.post("/release")
    def leave(asked: InSeat, user: Reviewer) -> Json:
        """The tab is closed: its photos are free for others."""
        with database.transaction() as session:
            release(session, user, asked.seat)
        return {}

    @router.get("/counts")
    def counts(view: Annotated[View, Query()], user: Reviewer) -> Json:
        """Photos in each queue, `most` or more counted as that many, and the name of the label that the view is of."""
        with database.reading() as session:
            names = {} if view.label is None else with_ancestors(session, [view.label])
            name, _ = names.get(view.label or 0, (None, None))
            queues = queue_counts(session, user, view.chosen)
        return {"queues": queues, "most": most_counted(view.chosen), "label": name}

    @router.post("/labels")
    def labels(asked: OfView, user: Reviewer) -> Json:
        """Labels with photos that nobody has decided, those with most photos first."""
        with database.reading() as session:
            found = grid_labels(session, user, asked.view.chosen)
        return {"labels": [{"id": one.label_id, "name": one.name, "photos": one.photos} for one in found]}

    @router.get("/photos/{photo_id}/alike")
    def alike(photo_id: PhotoPath, user: Reviewer) -> Json:
        """The photos nearest to it by features, with how alike they are, from 0 to 1."""
        with database.reading() as session:
            near = {one.photo_id: one.likeness for one in look_alikes.nearest(session, user, photo_id, limit=ALIKE)}
            cards = review_cards(session, list(near))
        return {"photos": [card_shape(card) | {"likeness": round(near[card.photo_id], 3)} for card in cards]}

    return router
