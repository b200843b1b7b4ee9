"""The JSON route of the numbers of review: how much, how fast, how often the model is right."""

import datetime as dt
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from db.review_stats import review_stats
from db.session import Database, utc_now
from ui.access import Reviewer
from ui.shapes import Json

LONGEST_DAY = dt.timedelta(hours=26)


def review_numbers_routes(database: Database) -> APIRouter:
    """GET /api/review/numbers."""
    router = APIRouter(prefix="/api/review")

    @router.get("/numbers")
    def numbers(user: Reviewer, day_begins: Annotated[dt.datetime | None, Query()] = None) -> Json:
        """As `db.review_stats.ReviewStats`. `day_begins`: the last midnight where the reader is, with its zone."""
        with database.reading() as session:
            stats = review_stats(session, user, _within_a_day(day_begins))
        return asdict(stats) | {
            "people": [person._asdict() for person in stats.people],
            "agreement": [one._asdict() for one in stats.agreement],
        }

    return router


def _within_a_day(day_begins: dt.datetime | None) -> dt.datetime:
    """The moment, if it is of today anywhere; else the last midnight of UTC."""
    now = utc_now()
    if day_begins is not None and day_begins.tzinfo is not None and now - LONGEST_DAY < day_begins <= now:
        return day_begins.astimezone(dt.UTC)
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
