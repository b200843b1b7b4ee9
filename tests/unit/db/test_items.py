"""The lease store, one promise a test. Random sequences of events are in test_lease_machine."""

from typing import Any

import pytest
from sqlalchemy import ClauseElement, select, text, update

from db import item_statements
from db.batches import NewItem, add_items, create_batch, seal_batch
from db.item_statements import MAX_STRIKES
from db.items import (
    ClaimedItem,
    Refused,
    already_tagged,
    claim_items,
    extend_leases,
    finish_items,
    finish_known,
    has_ready_items,
    open_item_count,
    release_items,
    sweep,
)
from db.schema import Item
from db.session import Database
from db.users import local_admin
from tests.store import add_batch, add_version, pass_time, prediction_count, sha256_of, states_of, tag_all

LEASE_S = 60.0


def test_items_are_claimed_by_priority_then_position(database: Database) -> None:
    """Batches of one priority take turns; a single photo goes first."""
    one, two = add_batch(database, 3, priority=5), add_batch(database, 3, priority=5)
    single = add_batch(database, [2], priority=0)

    with database.transaction() as session:
        items = claim_items(session, "w", 5, LEASE_S)

    assert [(item.batch_id, item.path) for item in items] == [
        (single, "2.jpg"),
        (one, "0.jpg"),
        (two, "0.jpg"),
        (one, "1.jpg"),
        (two, "1.jpg"),
    ]


def test_a_claim_says_where_the_photo_is(database: Database) -> None:
    """In the blob store by its hash, or in place."""
    with database.transaction() as session:
        batch = create_batch(session, local_admin(session).id, "b", priority=3)
        add_items(session, batch.id, [NewItem(7, "a/b.jpg", sha256_of(7), 1, source_path="/photos/a/b.jpg")])
        seal_batch(session, batch.id)

        (item,) = claim_items(session, "w", 5, LEASE_S)

    assert item == ClaimedItem(
        item.item_id, batch.id, 1, item.photo_id, sha256_of(7), "/photos/a/b.jpg", "a/b.jpg", suspect=False, priority=3
    )


def test_nothing_is_handed_out_twice(database: Database) -> None:
    """While its lease runs."""
    add_batch(database, 3)
    with database.transaction() as session:
        first, rest = claim_items(session, "a", 2, LEASE_S), claim_items(session, "b", 9, LEASE_S)

        assert len(first) == 2
        assert len(rest) == 1
        assert claim_items(session, "a", 9, LEASE_S) == []


def test_a_late_finisher_writes_nothing(database: Database) -> None:
    """Not by another's lease, not by an old attempt, not twice; whoever holds the lease does."""
    add_batch(database, 1)
    with database.transaction() as session:
        version_id = add_version(session)
        (old,) = claim_items(session, "a", 9, LEASE_S)
        pass_time(session, LEASE_S + 1)
        sweep(session)
        (new,) = claim_items(session, "a", 9, LEASE_S)
        assert (old.attempt, new.attempt) == (1, 2)

        assert finish_items(session, "a", tag_all(session, [old], version_id)) == set()
        assert finish_items(session, "b", tag_all(session, [new], version_id)) == set()
        assert prediction_count(session) == 0

        assert finish_items(session, "a", tag_all(session, [new], version_id)) == {new.item_id}
        assert finish_items(session, "a", [Refused(new.item_id, new.attempt, "UNREADABLE")]) == set()
        assert states_of(session) == {"tagged": 1}


def test_a_finish_after_the_lease_counts_until_somebody_else_has_it(database: Database) -> None:
    """Work is not thrown away because a chunk took long."""
    add_batch(database, 1)
    with database.transaction() as session:
        items = claim_items(session, "a", 9, LEASE_S)
        pass_time(session, LEASE_S + 1)

        assert len(finish_items(session, "a", tag_all(session, items, add_version(session)))) == 1


def test_a_mixed_chunk_is_written_in_one_go(database: Database) -> None:
    """Tagged, refused with our own words, failed by our fault."""
    batch_id = add_batch(database, 4)
    with database.transaction() as session:
        one, two, three, _ = items = claim_items(session, "a", 9, LEASE_S)
        results = [
            *tag_all(session, [one], add_version(session)),
            Refused(two.item_id, two.attempt, "UNREADABLE", "cut\0 off " + "x" * 300),
            Refused(three.item_id, three.attempt, "MODEL_ERROR"),
        ]

        assert finish_items(session, "a", results) == {item.item_id for item in items[:3]}

        assert states_of(session, batch_id) == {"tagged": 1, "refused": 1, "failed": 1, "leased": 1}
        row = session.get_one(Item, two.item_id)
        assert (row.code, row.detail) == ("UNREADABLE", ("cut off " + "x" * 300)[:200])
        assert (row.lease_owner, row.lease_until) == (None, None)
        assert finish_items(session, "a", []) == set()


def test_a_lease_lost_among_others_is_no_strike(database: Database) -> None:
    """One of them may have killed the worker; all come back as suspects."""
    add_batch(database, 3)
    with database.transaction() as session:
        claim_items(session, "a", 9, LEASE_S)
        pass_time(session, LEASE_S + 1)

        report = sweep(session)

        assert (report.expired, report.parked) == (3, 0)
        assert session.execute(select(Item.suspect, Item.strikes)).all() == [(True, 0)] * 3


def test_suspects_are_worked_on_alone(database: Database) -> None:
    """So that the one which kills takes no neighbour with it, again."""
    add_batch(database, 3)
    with database.transaction() as session:
        claim_items(session, "a", 2, LEASE_S)
        pass_time(session, LEASE_S + 1)
        sweep(session)

        claims = [claim_items(session, "a", 9, LEASE_S) for _ in range(3)]

        assert [[item.path for item in claim] for claim in claims] == [["0.jpg"], ["1.jpg"], ["2.jpg"]]
        assert [claim[0].suspect for claim in claims] == [True, True, False]


def test_a_suspect_keeps_its_turn(database: Database) -> None:
    """Before what comes after it, so that it does not starve; after what is more urgent."""
    add_batch(database, 2, priority=5)
    with database.transaction() as session:
        claim_items(session, "a", 1, LEASE_S)
        pass_time(session, LEASE_S + 1)
        sweep(session)
    add_batch(database, [1], priority=0)

    with database.transaction() as session:
        claims = [claim_items(session, "a", 9, LEASE_S) for _ in range(3)]

    assert [[(item.priority, item.suspect) for item in claim] for claim in claims] == [
        [(0, False), (5, False)],
        [(5, True)],
        [],
    ]


def test_whoever_holds_items_waits_for_a_suspect_to_pass(database: Database) -> None:
    """Otherwise a busy worker would pass it by for ever."""
    add_batch(database, 3)
    with database.transaction() as session:
        claim_items(session, "a", 1, LEASE_S)
        pass_time(session, LEASE_S + 1)
        sweep(session)

        assert claim_items(session, "b", 9, LEASE_S, suspects=False) == []

        assert [item.suspect for item in claim_items(session, "b", 9, LEASE_S)] == [True]
        assert len(claim_items(session, "c", 9, LEASE_S, suspects=False)) == 2


def test_a_photo_that_kills_its_worker_is_parked_after_three_strikes(database: Database) -> None:
    """Its neighbours are tagged; the batch ends."""
    batch_id = add_batch(database, 3)
    with database.transaction() as session:
        version_id = add_version(session)
        deaths = 0
        while items := claim_items(session, "a", 9, LEASE_S):
            if any(item.path == "1.jpg" for item in items):
                deaths += 1
                pass_time(session, LEASE_S + 1)
                sweep(session)
            else:
                finish_items(session, "a", tag_all(session, items, version_id))

        assert deaths == MAX_STRIKES + 1, "once among others, three times alone"
        assert states_of(session, batch_id) == {"tagged": 2, "failed": 1}
        (parked,) = session.scalars(select(Item).where(Item.state == "failed"))
        assert (parked.path, parked.code, parked.strikes) == ("1.jpg", "WORKER_LOST", MAX_STRIKES)
        assert open_item_count(session) == 0


def test_the_sweep_leaves_running_leases_alone(database: Database) -> None:
    """And says that it found none."""
    add_batch(database, 2)
    with database.transaction() as session:
        claim_items(session, "a", 9, LEASE_S)
        pass_time(session, LEASE_S - 5)

        assert sweep(session).expired == 0
        assert states_of(session) == {"leased": 2}


def test_giving_back_is_no_strike_and_may_take_its_time(database: Database) -> None:
    """Only by whoever holds it."""
    add_batch(database, 2)
    with database.transaction() as session:
        items = claim_items(session, "a", 9, LEASE_S)

        assert release_items(session, "b", items) == 0
        assert release_items(session, "a", items[:1], delay_s=30) == 1
        assert release_items(session, "a", items) == 1

        assert [item.path for item in claim_items(session, "b", 9, LEASE_S)] == ["1.jpg"]
        assert not has_ready_items(session)
        pass_time(session, 31)
        assert has_ready_items(session)
        (again,) = claim_items(session, "b", 9, LEASE_S)
        assert (again.path, again.suspect, again.attempt) == ("0.jpg", False, 2)


def test_only_own_running_leases_are_prolonged(database: Database) -> None:
    """A worker that was asleep must not take back what is lost."""
    add_batch(database, 3)
    with database.transaction() as session:
        mine, other = claim_items(session, "a", 2, LEASE_S), claim_items(session, "b", 1, LEASE_S)
        ids = [item.item_id for item in mine + other]
        session.execute(update(Item).where(Item.id == mine[0].item_id).values(lease_until=1.0))

        assert extend_leases(session, "a", ids, 1000) == 1

        pass_time(session, 900)
        assert sweep(session).expired == 2


def test_a_photo_that_the_version_has_tagged_finishes_at_once(database: Database) -> None:
    """Without another prediction; behind the same fence; an older version does not count."""
    add_batch(database, 2)
    with database.transaction() as session:
        version_id = add_version(session)
        finish_items(session, "a", tag_all(session, claim_items(session, "a", 9, LEASE_S), version_id))
        predictions = prediction_count(session)
        other_version = add_version(session, "second", active=False)
    again = add_batch(database, 3)

    with database.transaction() as session:
        items = claim_items(session, "a", 9, LEASE_S)
        known = already_tagged(session, [item.photo_id for item in items], version_id)
        assert len(known) == 2
        assert already_tagged(session, known, other_version) == {}
        known_items = [item for item in items if item.photo_id in known]

        assert finish_known(session, "b", known_items, version_id) == set()
        assert finish_known(session, "a", known_items, version_id) == {item.item_id for item in known_items}

        assert prediction_count(session) == predictions
        assert states_of(session, again) == {"tagged": 2, "leased": 1}


def test_ids_of_deleted_items_never_come_back(database: Database) -> None:
    """Else a late finisher of a deleted item could pass the fence of a new one."""
    add_batch(database, 3)
    with database.transaction() as session:
        items = claim_items(session, "a", 9, LEASE_S)
        session.execute(text("DELETE FROM items"))
    add_batch(database, 3)

    with database.transaction() as session:
        new = claim_items(session, "a", 9, LEASE_S)

    assert {item.item_id for item in items}.isdisjoint(item.item_id for item in new)


def test_a_claim_finds_what_it_picked_by_id_before_anything_was_counted(postgres_database: Database) -> None:
    """PostgreSQL counts rows a minute later: until then it would compare all ready items with all that were picked."""
    with postgres_database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ALTER TABLE items SET (autovacuum_enabled = false)")
        add_batch(postgres_database, 2000)
        connection.exec_driver_sql("UPDATE items SET state = 'tagged'")
        connection.exec_driver_sql("VACUUM ANALYZE items")
        connection.exec_driver_sql("UPDATE items SET state = 'ready'")
        claim = item_statements.claim_many(sqlite=False)
        assert isinstance(claim, ClauseElement)
        compiled = claim.compile(connection)
        parameters = bound(compiled, {"limit": 256, "lowest": 8, "owner": "w", "lease_s": 60.0})

        plan = "\n".join(str(row[-1]) for row in connection.exec_driver_sql("EXPLAIN " + str(compiled), parameters))

    assert plan.count("Index Scan using ix_items_ready") == 1, plan


@pytest.mark.parametrize("statement", ["claim_many", "next_suspect"])
def test_the_claim_reads_its_index_only(database: Database, statement: str) -> None:
    """The partial index of ready items, in its order: the number of other items does not matter."""
    add_batch(database, 3000)
    build = item_statements.claim_many if statement == "claim_many" else item_statements.next_suspect
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
        sql = build(sqlite=database.is_sqlite)
        assert isinstance(sql, ClauseElement)
        compiled = sql.compile(connection)
        explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        parameters = bound(compiled, {"limit": 64, "lowest": 8, "owner": "w", "lease_s": 60.0})

        plan = "\n".join(str(row[-1]) for row in connection.exec_driver_sql(explain + str(compiled), parameters))

    assert "USING INDEX ix_items_ready" in plan or "Index Scan using ix_items_ready" in plan, plan
    assert "SCAN items" not in plan, plan
    assert "USE TEMP B-TREE" not in plan, plan
    assert "Sort" not in plan, plan


def bound(compiled: Any, parameters: dict[str, Any]) -> Any:
    """Parameters as the driver wants them."""
    values = compiled.construct_params({name: parameters[name] for name in parameters if name in compiled.params})
    if compiled.positional:
        return tuple(values[name] for name in compiled.positiontup)
    return values
