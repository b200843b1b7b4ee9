"""JSON routes of the page Review that write: verdicts on one photo, on a page, on a selection of the Library, and undo."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from db.errors import LimitExceededError, NotFoundError
from db.review_cards import review_cards
from db.reviews import Conflict, Said, counting_ids, record_verdicts, undo
from db.session import Database
from ui.access import Reviewer
from ui.library_acting_api import selected_ids
from ui.review_requests import SelectionVerdict, Stroke, TakeBack
from ui.review_shapes import card_shape, said_words
from ui.shapes import Json

# One transaction: SQLite's other writers wait for it.
MAX_SELECTED = 10_000
# Of an undone stroke: the page shows one photo, or says how many there were.
SHOWN_UNDONE = 10


def review_acting_routes(database: Database) -> APIRouter:
    """All of them need the role reviewer, and take the client's token: sent again it is the same stroke."""
    router = APIRouter(prefix="/api/review")

    @router.post("/verdicts")
    def decide(stroke: Stroke, user: Reviewer) -> Json:
        """Sent again with the same token it is the same stroke. What others have decided meanwhile stays."""
        said = [one.said for one in stroke.verdicts]
        with database.transaction() as session:
            outcome = record_verdicts(session, user, said, token=stroke.token, source=stroke.source)
            seen = counting_ids(session, outcome.photo_ids)
        return {
            "done": _done(seen),
            "conflicts": [_conflict(conflict) for conflict in outcome.conflicts],
        }

    @router.post("/selection")
    def decide_selection(asked: SelectionVerdict, user: Reviewer) -> Json:
        """One verdict on all selected photos, as one stroke that one undo takes back."""
        with database.reading() as session:
            photo_ids = selected_ids(session, user, asked.selection)
        if len(photo_ids) > MAX_SELECTED:
            msg = (
                f"At most {MAX_SELECTED:,} photos can be labelled at once; narrow the filters."
                f" Received: {len(photo_ids):,}"
            )
            raise LimitExceededError(msg)
        said = [Said(photo_id, asked.verdict, asked.label) for photo_id in photo_ids]
        with database.transaction() as session:
            outcome = record_verdicts(session, user, said, token=asked.token, source="library")
        return {"photos": len(outcome.photo_ids)}

    @router.post("/undo")
    def take_back(asked: TakeBack, user: Reviewer) -> Json:
        with database.transaction() as session:
            try:
                undone = undo(session, user, token=asked.token)
            except NotFoundError:  # nothing of theirs is left
                return {"photos": [], "done": [], "count": 0}
            cards = review_cards(session, undone.photo_ids[:SHOWN_UNDONE])
            seen = counting_ids(session, undone.photo_ids)
        return {"photos": [card_shape(card) for card in cards], "done": _done(seen), "count": len(undone.photo_ids)}

    return router


def _done(seen: Mapping[int, int]) -> list[dict[str, int]]:
    """Which verdict counts for each photo now: the page names it with the next one."""
    return [{"photo": photo_id, "seen": review_id} for photo_id, review_id in seen.items()]


def _conflict(conflict: Conflict) -> dict[str, Any]:
    return {
        "photo": conflict.photo_id,
        "by": conflict.by,
        "words": said_words(conflict.verdict, conflict.label),
    }
