"""Progress and pages of a batch."""

import datetime as dt
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, select, update

from db.archives import claim_archive, refuse_archive
from db.batch_view import batch_items, batch_progress, iter_items, recent_tagged
from db.batches import NewItem, add_archive, add_items, cancel_batch, create_batch, seal_batch
from db.errors import NotFoundError
from db.items import Refused, claim_items, finish_items
from db.labels import ensure_labels
from db.schema import Batch, Item, Photo
from db.session import Database, utc_now
from db.users import local_admin
from tests.store import LABELS, add_batch, add_version, sha256_of, tag_all


def test_progress_counts_every_item_once(database: Database) -> None:
    """By state; junk apart; reasons by code; archives with theirs."""
    with database.transaction() as session:
        version_id = add_version(session)
        batch = create_batch(session, local_admin(session).id, "b", priority=5)
        files = [NewItem(n, f"{n}.jpg", sha256_of(n), 1) for n in range(6)]
        junk = [NewItem(n, ".DS_Store", refused="SKIPPED_JUNK") for n in (6, 7)]
        add_items(session, batch.id, [*files, *junk, NewItem(8, "x", refused="EMPTY")])
        add_archive(session, batch.id, 1, "a.zip", sha256=sha256_of(99))
        seal_batch(session, batch.id)
        archive = claim_archive(session, "w", 60)
        assert archive is not None
        refuse_archive(session, archive.id, archive.attempt, "w", "ARCHIVE_BROKEN", "cut off")
        items = claim_items(session, "w", 4, 60)
        finish_items(session, "w", tag_all(session, items[:2], version_id))
        finish_items(session, "w", [Refused(items[2].item_id, items[2].attempt, "WORKER_LOST")])

        progress = batch_progress(session, batch.id)

    assert (progress.total, progress.ready, progress.leased, progress.tagged) == (9, 2, 1, 2)
    assert (progress.refused, progress.skipped, progress.failed, progress.cancelled) == (1, 2, 1, 0)
    assert progress.reasons == {"SKIPPED_JUNK": 2, "EMPTY": 1, "WORKER_LOST": 1}
    assert progress.archives == [("a.zip", "refused", "ARCHIVE_BROKEN", "cut off")]
    assert progress.state == "running"
    assert progress.finished_at is None


def test_the_rate_is_that_of_the_last_half_minute(database: Database) -> None:
    """And tells the time left; what was finished earlier does not count."""
    batch_id = add_batch(database, 100)
    with database.transaction() as session:
        version_id = add_version(session)
        finish_items(session, "w", tag_all(session, claim_items(session, "w", 10, 60), version_id))
        session.execute(
            update(Item).where(Item.state == "tagged").values(finished_at=utc_now() - dt.timedelta(minutes=2))
        )
        session.execute(update(Batch).values(created_at=utc_now() - dt.timedelta(minutes=5)))
        assert batch_progress(session, batch_id).seconds_left is None
        finish_items(session, "w", tag_all(session, claim_items(session, "w", 60, 60), version_id))

        progress = batch_progress(session, batch_id)

        assert progress.rate_per_s == pytest.approx(2.0)
        assert progress.seconds_left == pytest.approx(15.0)
        cancel_batch(session, batch_id)
        closed = batch_progress(session, batch_id)
        assert closed.seconds_left is None
        assert closed.rate_per_s == pytest.approx(100 / 300, rel=0.05)


def test_an_unknown_batch_is_not_found(database: Database) -> None:
    """The message names it."""
    with database.reading() as session, pytest.raises(NotFoundError, match="nosuchbatch"):
        batch_progress(session, "nosuchbatch")


def test_a_page_shows_what_is_known_of_each_item(database: Database) -> None:
    """Facts, the version's five labels by rank, the shown label, the reason."""
    batch_id = add_batch(database, 4)
    with database.transaction() as session:
        version_id = add_version(session)
        one, two, three, _ = claim_items(session, "w", 9, 60)
        finish_items(session, "w", tag_all(session, [one], version_id))
        finish_items(session, "w", tag_all(session, [two], version_id, score=0.2))
        finish_items(session, "w", [Refused(three.item_id, three.attempt, "UNREADABLE", "cut off")])

        sure, unsure, refused, leased = batch_items(session, batch_id)

    assert (sure.path, sure.sha256, sure.width, sure.height) == ("0.jpg", sha256_of(0), 640, 480)
    assert (sure.state, sure.model_version, sure.has_previews) == ("tagged", "first", True)
    assert [score for _, score in sure.labels] == pytest.approx([0.9, 0.45, 0.3, 0.225, 0.18])
    assert {name for name, _ in sure.labels} == set(LABELS)
    assert (sure.shown, sure.not_sure) == (sure.labels[0][0], False)
    assert (unsure.shown, unsure.not_sure) == ("not sure", True)
    assert (refused.state, refused.code, refused.detail, refused.labels) == ("refused", "UNREADABLE", "cut off", [])
    assert (leased.state, leased.shown, leased.model_version) == ("leased", None, None)


def test_a_persons_label_is_shown_by_its_name(database: Database) -> None:
    """However unsure the model was."""
    batch_id = add_batch(database, 1)
    with database.transaction() as session:
        finish_items(session, "w", tag_all(session, claim_items(session, "w", 9, 60), add_version(session), score=0.2))
        photo = session.scalars(select(Photo)).one()
        photo.shown_label_id, photo.shown_origin = ensure_labels(session, [["said"]])[0], "person"
        session.flush()

        assert batch_items(session, batch_id)[0].shown == "said"


def test_pages_follow_the_order_of_archives_and_positions(database: Database) -> None:
    """None is left out or shown twice; states can be chosen."""
    with database.transaction() as session:
        batch = create_batch(session, local_admin(session).id, "b", priority=5)
        places = [(archive, position) for archive in (2, 0, 1) for position in range(5)]
        add_items(
            session,
            batch.id,
            [
                NewItem(p, f"{a}/{p}", sha256_of(p), 1, archive_number=a, refused="EMPTY" if p == 0 else None)
                for a, p in places
            ],
        )
        seen: list[tuple[int, int]] = []
        while page := batch_items(session, batch.id, after=seen[-1] if seen else None, limit=4):
            seen += [item.cursor for item in page]

        assert seen == sorted(places)
        assert [item.cursor for item in iter_items(session, batch.id)] == sorted(places)
        assert [item.cursor for item in batch_items(session, batch.id, states=["refused"])] == [(0, 0), (1, 0), (2, 0)]


def test_the_newest_come_first(database: Database) -> None:
    """For the strip of photos that grows while a batch runs."""
    batch_id = add_batch(database, 5)
    with database.transaction() as session:
        version_id = add_version(session)
        for _ in range(3):
            finish_items(session, "w", tag_all(session, claim_items(session, "w", 1, 60), version_id))

        assert [item.path for item in recent_tagged(session, batch_id, 2)] == ["2.jpg", "1.jpg"]


def test_a_page_takes_two_queries_however_long_it_is(database: Database) -> None:
    """And progress three."""
    batch_id = add_batch(database, 50)
    with database.transaction() as session:
        finish_items(session, "w", tag_all(session, claim_items(session, "w", 40, 60), add_version(session)))
    with database.reading() as session:
        for ask, most in ((lambda: batch_items(session, batch_id), 2), (lambda: batch_progress(session, batch_id), 3)):
            with counted(session.get_bind()) as statements:
                ask()
            assert len(statements) <= most, statements


@contextmanager
def counted(engine: Any) -> Generator[list[str]]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement != "BEGIN":
            statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)
