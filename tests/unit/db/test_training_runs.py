"""Training runs: queued, claimed one at a time, fenced, cancelled, swept; and what pages show of them."""

import pytest
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from db.audit import list_audit
from db.errors import ConflictError, NotFoundError, PhototagError, RunLostError
from db.schema import HoldoutAnswer, Snapshot, TrainingRun, User
from db.session import Database, utc_now
from db.training_runs import (
    MAX_ATTEMPTS,
    ClaimedRun,
    cancel_run,
    claim_run,
    expire_runs_of,
    extend_run,
    fail_run,
    finish_run,
    has_open_run,
    held_run,
    mark_activated,
    reject_candidate,
    release_run,
    report_progress,
    run_owners,
    start_run,
    sweep_runs,
)
from db.training_views import answers_of, get_run, list_runs, run_of_version
from db.users import add_user, local_admin
from tests.library_rows import add_photos
from tests.store import add_version, run_together

CURVES = [{"number": 1, "loss": 0.5}]


def test_runs_wait_for_each_other(database: Database) -> None:
    """The oldest begins; the next one only when it has ended, whoever asks."""
    with database.transaction() as session:
        first, second = start(session), start(session)
        assert [view.ahead for view in list_runs(session)] == [1, 0]
        assert has_open_run(session)

        held = claim(session)

        assert held == ClaimedRun(first, {"name": "gap"}, "never", local_admin(session).id, 1, "w")
        assert claim_run(session, "other", 60) is None
        finish_run(session, held, report={"a": 1}, gate="thin", gate_words={"reasons": []})
        assert claim(session).id == second
        assert claim_run(session, "other", 60) is None
        finish_run(session, claim_of(session, second), gate="thin")
        assert not has_open_run(session)


def test_two_workers_that_ask_together_do_not_both_get_a_run(database: Database) -> None:
    """Two runs wait; of eight workers one gets one."""
    with database.transaction() as session:
        start(session)
        start(session)
    claimed: list[ClaimedRun] = []

    def ask(owner: str) -> None:
        with database.transaction() as session:
            if run := claim_run(session, owner, 60):
                claimed.append(run)

    run_together([lambda number=number: ask(f"w{number}") for number in range(8)])

    assert len(claimed) == 1


def test_a_run_that_is_asked_for_again_with_its_key_is_one(database: Database) -> None:
    """Eight requests at once with one key ask once, and once is logged; another person's same key is another run."""
    with database.transaction() as session:
        admin, other = local_admin(session), add_user(session, "other", "admin")
    runs: list[int] = []

    def ask(user: User, key: str | None) -> None:
        with database.transaction() as session:
            runs.append(start_run(session, user, {"name": "gap"}, "never", key).id)

    run_together([lambda: ask(admin, "one key") for _ in range(8)])
    ask(other, "one key")
    ask(admin, "another key")
    ask(admin, None)
    ask(admin, None)

    assert len(runs) == 12
    assert len(set(runs[:8])) == 1
    assert len(set(runs[7:])) == 5
    with database.reading() as session:
        assert len([entry for entry in list_audit(session) if entry.action == "training.start"]) == 5


def test_progress_is_shown_and_kept_to_the_one_who_holds_the_run(database: Database) -> None:
    """Somebody else, an earlier attempt, and whoever was cancelled write nothing."""
    with database.transaction() as session:
        run_id = start(session)
        held = claim(session)
        assert report_progress(session, held, "head", 3, 40, CURVES)
        assert report_progress(session, held, "exam", 0, 1)
        view = get_run(session, run_id)
        assert (view.run.state, view.run.stage, view.run.done, view.run.total) == ("running", "exam", 0, 1)
        assert (view.curves, view.recipe, view.report) == (CURVES, {"name": "gap"}, None)
        assert view.run.is_open

        for late in (ClaimedRun(run_id, {}, "never", None, 1, "other"), ClaimedRun(run_id, {}, "never", None, 2, "w")):
            assert not report_progress(session, late, "head", 0, 0)
            assert not extend_run(session, late, 60)
            assert held_run(session, run_id, late.attempt, late.owner) is None
            with pytest.raises(RunLostError):
                finish_run(session, late)
        assert extend_run(session, held, 60)
        assert held_run(session, run_id, 1, "w") == held

        cancel_run(session, local_admin(session), run_id)

        assert not extend_run(session, held, 60)
        with pytest.raises(RunLostError):
            fail_run(session, held, "no")
        assert get_run(session, run_id).run.state == "cancelled"
        with pytest.raises(ConflictError):
            cancel_run(session, None, run_id)


def test_a_finished_run_names_its_version_and_its_exam(database: Database) -> None:
    """Snapshot, base, candidate, report, gate, the photos of a cell; then it is rejected or activated, once."""
    with database.transaction() as session:
        run_id, base, version = (
            start(session, "auto"),
            add_version(session),
            add_version(session, "head-1", active=False),
        )
        photos = add_photos(session, [{} for _ in range(3)])
        snapshot = Snapshot(digest="d" * 64, photos=20, created_at=utc_now())
        session.add(snapshot)
        session.flush()
        held = claim(session)

        finish_run(
            session, held, snapshot_id=snapshot.id, base_version_id=base, version_id=version,
            report={"photos": 3}, gate="better", gate_words={"reasons": ["good"]},
        )  # fmt: skip
        session.add_all(
            HoldoutAnswer(
                run_id=run_id, photo_id=photo_id, label_id=1, candidate_label_id=1 + number % 2,
                candidate_score=0.5, base_label_id=None, base_score=None,
            )
            for number, photo_id in enumerate(photos)
        )  # fmt: skip
        session.flush()

        found = get_run(session, run_id)
        view = found.run
        assert (view.base, view.version, view.snapshot, view.snapshot_photos) == ("first", "head-1", "d" * 64, 20)
        assert (view.state, view.gate, view.outcome, view.finished_at is not None) == ("done", "better", None, True)
        assert (found.report, found.gate_words) == ({"photos": 3}, {"reasons": ["good"]})
        assert [one.photo_id for one in answers_of(session, run_id, candidate_label_id=1)] == photos[::2]
        assert run_of_version(session, version) == found
        assert run_of_version(session, base) is None
        reject_candidate(session, local_admin(session), run_id)
        with pytest.raises(ConflictError):
            reject_candidate(session, None, run_id)
        assert get_run(session, run_id).run.outcome == "rejected"
        mark_activated(session, version)
        assert get_run(session, run_id).run.outcome == "activated"
        actions = [entry.action for entry in list_audit(session)]
        assert actions == ["training.reject", "training.start"]


def test_a_run_whose_worker_died_begins_anew_and_at_last_fails(database: Database) -> None:
    """Three lost leases are enough; a run that is given back at shutdown does not count."""
    with database.transaction() as session:
        run_id = start(session)
        held = claim(session)
        report_progress(session, held, "head", 3, 40, CURVES)
        assert sweep_runs(session) == 0
        assert release_run(session, held)
        assert not release_run(session, held)
        assert get_run(session, run_id).curves == []

        for attempt in range(1, MAX_ATTEMPTS + 1):
            held = claim(session)
            assert (held.attempt, run_owners(session)) == (attempt, {"w"})
            pass_time(session)
            assert not extend_run(session, held, 60)
            assert sweep_runs(session) == 1
            assert not report_progress(session, held, "exam", 0, 0)

        view = get_run(session, run_id).run
        assert (view.state, "ended 3 times" in view.reason, view.finished_at is not None) == ("failed", True, True)
        assert claim_run(session, "w", 60) is None


def test_the_lease_of_a_worker_known_to_be_dead_ends_at_once(database: Database) -> None:
    """Its successor need not wait for it."""
    with database.transaction() as session:
        start(session)
        claim(session)

        assert (expire_runs_of(session, {"other"}), sweep_runs(session)) == (0, 0)
        assert (expire_runs_of(session, {"w"}), sweep_runs(session)) == (1, 1)

        assert claim(session).attempt == 2


def test_what_cannot_be_is_said_in_words(database: Database) -> None:
    """A run that does not exist, and a candidate that is neither activated nor kept."""
    with database.transaction() as session:
        for look in (get_run, lambda session, run_id: cancel_run(session, None, run_id)):
            with pytest.raises(NotFoundError, match="no such training run"):
                look(session, 7)
        with pytest.raises(PhototagError, match="auto or never"):
            start(session, "perhaps")


def test_a_queued_run_is_cancelled_before_it_begins(database: Database) -> None:
    """The next one is claimed instead."""
    with database.transaction() as session:
        first, second = start(session), start(session)

        cancel_run(session, None, first)

        assert claim(session).id == second
        assert [view.state for view in list_runs(session)] == ["running", "cancelled"]
        assert [view.id for view in list_runs(session, before=second)] == [first]


def start(session: Session, activate: str = "never") -> int:
    """The id of a run that waits."""
    return start_run(session, local_admin(session), {"name": "gap"}, activate).id


def claim(session: Session) -> ClaimedRun:
    """The run that the worker w has now."""
    run = claim_run(session, "w", 60)
    assert run is not None
    return run


def claim_of(session: Session, run_id: int) -> ClaimedRun:
    """The run as the worker w has it."""
    run = held_run(session, run_id, 1, "w")
    assert run is not None
    return run


def pass_time(session: Session) -> None:
    """Until no lease holds."""
    session.execute(update(TrainingRun).values(lease_until=text("lease_until - 1000")))
