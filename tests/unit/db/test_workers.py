"""Heartbeats."""

from sqlalchemy import select, update

from db.schema import Worker
from db.session import Database
from db.workers import KEEP_S, beat, forget, live_workers


def test_a_worker_lives_while_it_beats(database: Database) -> None:
    """The last beat counts, and what it said then."""
    with database.transaction() as session:
        beat(session, "a", "tagging", "CPU", "starting", None)
        beat(session, "b", "intake", "CPU")
        beat(session, "a", "tagging,intake", "GPU", "x" * 900, None)

        workers = live_workers(session)

        assert [(worker.id, worker.queues, worker.device) for worker in workers] == [
            ("a", "tagging,intake", "GPU"),
            ("b", "intake", "CPU"),
        ]
        assert workers[0].note == "x" * 400


def test_a_silent_worker_is_dead(database: Database) -> None:
    """After some seconds it is not shown, after a day its row is gone."""
    with database.transaction() as session:
        for name in ("silent", "old", "alive"):
            beat(session, name, "tagging", "CPU")
        for name, age_s in (("silent", 16.0), ("old", KEEP_S + 16.0)):
            late = update(Worker).where(Worker.id == name).values(heartbeat_at=Worker.heartbeat_at - age_s)
            session.execute(late)

        beat(session, "alive", "tagging", "CPU")

        assert [worker.id for worker in live_workers(session)] == ["alive"]
        assert set(session.scalars(select(Worker.id))) == {"silent", "alive"}


def test_a_worker_that_ends_takes_its_row_along(database: Database) -> None:
    """Twice is once."""
    with database.transaction() as session:
        beat(session, "a", "tagging", "CPU")
        forget(session, "a")
        forget(session, "a")

        assert live_workers(session) == []
