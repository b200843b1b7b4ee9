"""Photos that models have tagged, and what is shown of them, for tests of review."""

import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.model_versions import version_label_ids
from db.photos import NewPhoto, ensure_photos
from db.predictions import Tagged, write_predictions
from db.reviews import Outcome, Said, record_verdicts
from db.schema import Label, Photo, User
from tests.store import THRESHOLD, sha256_of

_numbers = itertools.count(1)
SHOWN = (
    *("shown_label_id", "shown_score", "shown_origin", "shown_model_version_id", "not_sure", "margin"),
    *("review_state", "reviewed_at"),
)


def new_photos(session: Session, count: int) -> list[int]:
    """Ids of photos that nobody has tagged, in rising order; never the same hash twice in a run."""
    photos = [NewPhoto(sha256_of(next(_numbers)), 1000, f"{number}.jpg") for number in range(count)]
    return sorted(ensure_photos(session, photos).values())


def tag(session: Session, photo_id: int, version_id: int, top: Sequence[tuple[int, float]]) -> None:
    """Writes what a version says, as a worker does."""
    known = Tagged(0, 1, photo_id, version_id, None, top, not_sure=top[0][1] < THRESHOLD)
    write_predictions(session, [known])


def tagged_photos(session: Session, version_id: int, count: int, score: float = 0.9) -> list[int]:
    """Ids of photos of which the version says its labels in their order, with `score`, a half, a third of it."""
    ids, label_ids = new_photos(session, count), version_label_ids(session, version_id)
    for photo_id in ids:
        tag(session, photo_id, version_id, [(label_id, score / (n + 1)) for n, label_id in enumerate(label_ids)])
    return ids


def say(session: Session, user: User, photo_ids: Iterable[int], verdict: Any = "label", **more: Any) -> Outcome:
    """Records one verdict on photos, with a new token."""
    label_id, seen, reason = (more.get(name) for name in ("label_id", "seen", "reason"))
    said = [Said(photo_id, verdict, label_id, seen, reason) for photo_id in photo_ids]
    return record_verdicts(session, user, said, token=f"token {next(_numbers)}", source=more.get("source", "single"))


def shown_of(session: Session, photo_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """What the rows say now, by photo."""
    query = select(Photo.id, *(getattr(Photo, name) for name in SHOWN)).where(Photo.id.in_(photo_ids))
    return {row["id"]: {name: row[name] for name in SHOWN} for row in session.execute(query).mappings()}


def shown_name(session: Session, photo_id: int) -> str | None:
    """The shown label's name."""
    query = select(Label.name).join(Photo, Photo.shown_label_id == Label.id).where(Photo.id == photo_id)
    return session.scalars(query).one_or_none()
