"""Photos of batches that one version has tagged, and a second version that is active: for tests of re-tags."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.activations import activate_version
from db.items import ClaimedItem, claim_items, finish_items
from db.model_versions import active_version, version_label_ids
from db.predictions import Tagged
from db.retags import start_retag
from db.schema import Batch, Photo
from db.session import Database
from db.users import local_admin
from tests.store import FACTS, THRESHOLD, add_batch, add_version, fill_batch, tag_all


def activate_next(session: Session, name: str) -> int:
    """The id of a new version that is active from now on."""
    before = active_version(session)
    version_id = add_version(session, name, active=False)
    expected_id = before.id if before else None
    activate_version(session, version_id, expected_id=expected_id, user=None, reason="test")
    return version_id


def tagged_library(database: Database, count: int, *, score: float = 0.9) -> int:
    """Tags photos 0 to `count` - 1 by a version that is active from now on; returns its id."""
    add_batch(database, count)
    with database.transaction() as session:
        version_id = activate_next(session, "first")
        finish_items(session, "w", tag_all(session, claim_items(session, "w", count, 60), version_id, score=score))
    return version_id


def begin_retag(database: Database) -> str:
    """The id of a re-tag with the active version."""
    with database.transaction() as session:
        return start_retag(session, local_admin(session)).id


def work_on_retag(session: Session, version_id: int, count: int = 100, *, shift: int = 1, score: float = 0.4) -> int:
    """Tags items of a re-tag: the version says the label that many further than the photo's own; returns how many."""
    items = claim_items(session, "w", count, 60)
    assert all(item.retag_version_id == version_id for item in items)
    return len(finish_items(session, "w", [say(session, item, version_id, shift, score) for item in items]))


def say(session: Session, item: ClaimedItem, version_id: int, shift: int = 1, score: float = 0.4) -> Tagged:
    """What a worker hands in for an item of a re-tag or of a batch."""
    labels = version_label_ids(session, version_id)
    start = (item.photo_id + shift) % len(labels)
    top = [(labels[(start + rank) % len(labels)], score / (rank + 1)) for rank in range(len(labels))]
    again = item.retag_version_id is not None
    return Tagged(item.item_id, item.attempt, item.photo_id, version_id, FACTS, top, score < THRESHOLD, again)


def batch_of(session: Session, batch_id: str) -> Batch:
    """The batch as it is now."""
    return session.get_one(Batch, batch_id, populate_existing=True)


def photo_ids(session: Session) -> list[int]:
    """All photos, by id."""
    return list(session.scalars(select(Photo.id).order_by(Photo.id)))


def tag_normally(session: Session, numbers: list[int], version_id: int, *, shift: int = 1, score: float = 0.4) -> None:
    """Tags photos in a new batch, as when a person sends them again."""
    fill_batch(session, numbers)
    items = claim_items(session, "w", len(numbers), 60, retags=False)
    finish_items(session, "w", [say(session, item, version_id, shift, score) for item in items])
