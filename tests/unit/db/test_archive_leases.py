"""Archives: leased, fenced and refused like items."""

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.archives import (
    MAX_ATTEMPTS,
    ClaimedArchive,
    claim_archive,
    extend_archive_lease,
    finish_archive,
    ready_archive_batches,
    refuse_archive,
    release_archive,
)
from db.batches import NewItem, add_archive, add_items, create_batch, seal_batch
from db.items import claim_items, finish_items, sweep
from db.schema import Archive, Batch
from db.session import Database
from db.users import local_admin
from tests.store import add_version, pass_time, sha256_of, states_of, tag_all


def test_archives_are_claimed_once_by_priority_and_age(database: Database) -> None:
    """Two workers never unpack the same one."""
    large, small = add_archives(database, 1, priority=5), add_archives(database, 2, priority=2)
    with database.transaction() as session:
        assert ready_archive_batches(session) == [small, large]

        claimed = [claim(session) for _ in range(3)]

        assert [(archive.batch_id, archive.number) for archive in claimed] == [(small, 1), (small, 2), (large, 1)]
        assert claim_archive(session, "w", 60) is None
        assert ready_archive_batches(session) == []


def test_the_batch_runs_when_all_its_archives_are_unpacked(database: Database) -> None:
    """And is finished when their photos are."""
    batch_id = add_archives(database, 2)
    with database.transaction() as session:
        one, two = claim(session), claim(session)
        unpack(session, one, 3)
        assert finish_archive(session, one.id, one.attempt, "w")
        assert state_of(session, batch_id) == ("unpacking", None)
        assert not finish_archive(session, one.id, one.attempt, "w"), "a second time"

        assert finish_archive(session, two.id, two.attempt, "w")
        assert state_of(session, batch_id) == ("running", None)

        finish_items(session, "w", tag_all(session, claim_items(session, "w", 9, 60), add_version(session)))
        assert state_of(session, batch_id) == ("finished", None)


def test_a_refused_archive_takes_its_open_items_back(database: Database) -> None:
    """What was tagged stays; late finishers of the others write nothing."""
    batch_id = add_archives(database, 1)
    with database.transaction() as session:
        version_id = add_version(session)
        archive = claim(session)
        unpack(session, archive, 4)
        items = claim_items(session, "t", 2, 60)
        finish_items(session, "t", tag_all(session, items[:1], version_id))

        assert refuse_archive(session, archive.id, archive.attempt, "w", "ARCHIVE_BOMB", "too large")

        assert states_of(session) == {"tagged": 1}
        assert finish_items(session, "t", tag_all(session, items, version_id)) == set()
        assert state_of(session, batch_id) == ("finished", None)
        row = session.scalars(select(Archive)).one()
        assert (row.state, row.code, row.detail) == ("refused", "ARCHIVE_BOMB", "too large")


@pytest.mark.parametrize(
    ("codes", "expected"),
    [(["ARCHIVE_BROKEN"], "ARCHIVE_BROKEN"), ([None], "ARCHIVE_EMPTY"), ([None, "ARCHIVE_BOMB"], "ARCHIVE_BOMB")],
)
def test_a_batch_of_which_nothing_came_is_refused_with_the_archives_reason(
    database: Database, codes: list[str | None], expected: str
) -> None:
    """None: unpacked, and nothing was in it."""
    batch_id = add_archives(database, len(codes))
    with database.transaction() as session:
        for code in codes:
            archive = claim(session)
            if code is None:
                finish_archive(session, archive.id, archive.attempt, "w")
            else:
                refuse_archive(session, archive.id, archive.attempt, "w", code)

        assert state_of(session, batch_id) == ("refused", expected)


def test_a_lost_archive_is_unpacked_again_behind_a_fence(database: Database) -> None:
    """The first worker is late: it extends, finishes and refuses nothing. The second goes on where it was."""
    add_archives(database, 1)
    with database.transaction() as session:
        first = claim(session)
        unpack(session, first, 2)
        assert extend_archive_lease(session, first.id, first.attempt, "w", 60)
        pass_time(session, 61)
        assert not extend_archive_lease(session, first.id, first.attempt, "w", 60)
        sweep(session)

        second = claim(session)

        assert (second.attempt, second.skip_positions) == (2, 2)
        assert not finish_archive(session, first.id, first.attempt, "w")
        assert not refuse_archive(session, first.id, first.attempt, "w", "ARCHIVE_BROKEN")
        assert states_of(session) == {"ready": 2}
        assert finish_archive(session, second.id, second.attempt, "w")


def test_an_archive_given_back_is_claimed_by_the_next(database: Database) -> None:
    """A worker that ends in good order; that is no lost lease, however often it happens."""
    add_archives(database, 1)
    with database.transaction() as session:
        archive = claim(session)

        assert release_archive(session, archive.id, archive.attempt, "w")

        assert claim(session).attempt == 1


def test_an_archive_that_kills_its_worker_is_given_up(database: Database) -> None:
    """After many lost leases; the batch ends with what it has."""
    batch_id = add_archives(database, 1)
    with database.transaction() as session:
        claim(session)
        session.execute(update(Archive).values(attempt=MAX_ATTEMPTS))
        pass_time(session, 61)

        sweep(session)

        assert state_of(session, batch_id) == ("refused", "WORKER_LOST")


def add_archives(database: Database, count: int, *, priority: int = 5) -> str:
    with database.transaction() as session:
        batch = create_batch(session, local_admin(session).id, "b", priority=priority)
        for number in range(1, count + 1):
            add_archive(session, batch.id, number, f"{number}.zip", sha256=sha256_of(number))
            add_archive(session, batch.id, number, "again.zip", sha256=sha256_of(number))
        seal_batch(session, batch.id)
    return batch.id


def claim(session: Session) -> ClaimedArchive:
    archive = claim_archive(session, "w", 60)
    assert archive is not None
    return archive


def unpack(session: Session, archive: ClaimedArchive, count: int) -> None:
    items = [NewItem(n, f"{n}.jpg", sha256_of(n), 1, archive_number=archive.number) for n in range(count)]
    add_items(session, archive.batch_id, items)


def state_of(session: Session, batch_id: str) -> tuple[str, str | None]:
    session.expire_all()
    batch = session.get_one(Batch, batch_id)
    return (batch.state, batch.code)
