"""A Hypothesis state machine over the real lease store: workers claim, finish, crash and come back in any order.

It keeps no second implementation of the store: it asserts what must hold, from what each worker believes and from the
rows themselves.
"""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import Row, bindparam, delete, select, update
from sqlalchemy.orm import Session

from db.batches import add_items, cancel_batch, create_batch, seal_batch
from db.item_statements import MAX_STRIKES
from db.items import (
    ClaimedItem,
    Finished,
    Refused,
    already_tagged,
    claim_items,
    extend_leases,
    finish_items,
    finish_known,
    release_items,
    sweep,
)
from db.labels import ensure_labels
from db.model_versions import activate, version_label_ids
from db.schema import OPEN_ITEM_STATES, ActiveVersion, Batch, Item, Photo, Prediction
from db.session import Database, db_now
from db.statements import table_of
from db.users import local_admin
from tests.store import add_version, new_items, pass_time, tag_all, top_of

LEASE_S = 10.0
WORKERS = st.sampled_from(["w1", "w2", "w3"])
INDEX = st.integers(0, 9)
BATCHES = st.integers(0, 3)

Rows = dict[int, Row[*tuple[Any, ...]]]
# Built once: this module runs them thousands of times.
BATCH, PREDICTION, PHOTO = table_of(Batch).c, table_of(Prediction).c, table_of(Photo).c
ITEMS_NOW = select(table_of(Item))
BATCHES_NOW = select(BATCH.id, BATCH.state)
PREDICTIONS_NOW = select(PREDICTION.photo_id, PREDICTION.model_version_id, PREDICTION.label_id).order_by(
    PREDICTION.rank
)
SPOKEN_NOW = select(PHOTO.id).where(PHOTO.shown_origin == "person", PHOTO.shown_label_id == bindparam("word_id"))
PERSONS_WORD = "what the person said"


class LeaseMachine(RuleBasedStateMachine):
    """Set `database` in a subclass. Rows of an earlier example are deleted at the start."""

    database: ClassVar[Database]

    def __init__(self) -> None:
        super().__init__()
        self.believed: dict[str, list[ClaimedItem]] = {"w1": [], "w2": [], "w3": []}
        self.batch_ids: dict[int, str] = {}
        self.item_count = 0
        self.ended: dict[int, str] = {}
        self.attempts: dict[int, int] = {}
        self.spoken: set[int] = set()
        with self._transaction() as session:
            for table in (Prediction, Item, Batch, Photo):
                session.execute(delete(table))
            self.version_id = add_version(session)
            self.other_version_id = add_version(session, "second", active=False)
            self.label_ids = version_label_ids(session, self.version_id)
            session.execute(update(ActiveVersion).values(model_version_id=self.version_id))
            self.owner_id = local_admin(session).id
            self.word_id = ensure_labels(session, [[PERSONS_WORD]])[0]

    def _transaction(self) -> AbstractContextManager[Session]:
        return self.database.transaction()

    @rule(key=BATCHES, first=st.integers(0, 2), count=st.integers(1, 5), priority=st.sampled_from([0, 5]))
    def submit(self, key: int, first: int, count: int, priority: int) -> None:
        """The same key again is the same batch; batches have photos in common."""
        with self._transaction() as session:
            batch = create_batch(session, self.owner_id, "b", priority=priority, idem_key=str(key))
            assert self.batch_ids.setdefault(key, batch.id) == batch.id, "a repeated key made a second batch"
            if batch.state == "receiving":
                add_items(session, batch.id, new_items(range(first, first + count)))
                self.item_count += count
                seal_batch(session, batch.id)

    @rule(worker=WORKERS, limit=st.integers(1, 4))
    def claim(self, worker: str, limit: int) -> None:
        """What is handed out was ready, and a suspect comes alone."""
        with self._transaction() as session:
            before = _rows(session)
            items = claim_items(session, worker, limit, LEASE_S)
        assert len(items) <= limit
        assert len(items) == 1 or not any(item.suspect for item in items), "a suspect was handed out with neighbours"
        for item in items:
            assert before[item.item_id].state == "ready", "an item was handed out twice"
            assert item.attempt > self.attempts.get(item.item_id, 0), "two claims have the same attempt"
            self.attempts[item.item_id] = item.attempt
        self.believed[worker] += items

    @rule(worker=WORKERS, index=INDEX, count=st.integers(1, 4), refuse=st.booleans())
    def finish(self, worker: str, index: int, count: int, *, refuse: bool) -> None:
        """Whoever still holds the lease of that attempt writes; nobody else does, however often they try."""
        items = self._some(worker, index, count)
        with self._transaction() as session:
            rows = _rows(session)
            rightful = {item.item_id for item in items if _holds(rows[item.item_id], worker, item)}
            results: list[Finished] = tag_all(session, items, self.version_id)
            if refuse:
                results = [Refused(item.item_id, item.attempt, "UNREADABLE") for item in items]
            written = finish_items(session, worker, results)
        assert written == rightful, f"{worker} wrote {written}, but held {rightful}"

    @rule(worker=WORKERS, index=INDEX, count=st.integers(1, 4))
    def finish_those_known(self, worker: str, index: int, count: int) -> None:
        """Photos that the version has tagged finish at once, behind the same fence."""
        with self._transaction() as session:
            items = self._some(worker, index, count)
            known = already_tagged(session, [item.photo_id for item in items], self.version_id)
            items = [item for item in items if item.photo_id in known]
            rows = _rows(session)
            rightful = {item.item_id for item in items if _holds(rows[item.item_id], worker, item)}
            assert finish_known(session, worker, items, self.version_id) == rightful

    @rule(worker=WORKERS, index=INDEX, delay_s=st.integers(0, 20))
    def release(self, worker: str, index: int, delay_s: int) -> None:
        """Giving back is no strike."""
        items = self._some(worker, index, 1)
        with self._transaction() as session:
            before = _rows(session)
            release_items(session, worker, items, delay_s)
            after = _rows(session)
        for item in items:
            assert before[item.item_id].strikes == after[item.item_id].strikes
        self.believed[worker] = [item for item in self.believed[worker] if item not in items]

    @rule(worker=WORKERS)
    def extend(self, worker: str) -> None:
        """Only leases that have not run out are prolonged."""
        with self._transaction() as session:
            before = _rows(session)
            extend_leases(session, worker, [item.item_id for item in self.believed[worker]], LEASE_S)
            after = _rows(session)
        for item_id, row in after.items():
            if row.lease_until != before[item_id].lease_until:
                assert before[item_id].lease_owner == worker

    @rule()
    def activate_the_other_version(self) -> None:
        """From now on workers tag with it, and what it says is shown."""
        with self._transaction() as session:
            assert activate(session, self.other_version_id, self.version_id, "test")
        self.version_id, self.other_version_id = self.other_version_id, self.version_id

    @rule(worker=WORKERS)
    def crash(self, worker: str) -> None:
        """The process is gone, and what it knew; the next one has the same name here, which is harder."""
        self.believed[worker] = []

    @rule(seconds=st.sampled_from([1, 5, 11, 30]))
    def tick(self, seconds: int) -> None:
        """Time passes."""
        with self._transaction() as session:
            pass_time(session, seconds)

    @rule()
    def sweep_up(self) -> None:
        """Leases that ran out become ready; a strike is counted only for an item that was alone."""
        with self._transaction() as session:
            before = _rows(session)
            sweep(session)
            after = _rows(session)
            now = session.scalars(select(db_now(session))).one()
        for item_id, row in after.items():
            was = before[item_id]
            if was.state != "leased" or row.state == "leased":
                assert row.state == was.state, f"the sweep turned {was.state} into {row.state}"
                continue
            assert was.lease_until <= now, "the sweep took a running lease"
            assert row.strikes == was.strikes + was.suspect, "a lease lost among others counted as a strike"
            assert row.suspect
            assert row.state == ("failed" if row.strikes >= MAX_STRIKES else "ready")

    @rule()
    def outage(self) -> None:
        """All leases run out at once."""
        self.tick(11)
        self.sweep_up()

    @rule(worker=WORKERS, times=st.integers(1, 4))
    def freeze(self, worker: str, times: int) -> None:
        """A worker stands still longer than its lease, again and again, and believes that it holds all it claimed."""
        for _ in range(times):
            self.claim(worker, 1)
            self.outage()

    @rule(worker=WORKERS)
    def wake(self, worker: str) -> None:
        """It claims anew, and only then hands in what it has believed to hold for longest."""
        self.claim(worker, 1)
        self.finish(worker, 0, 1, refuse=False)

    @rule(key=BATCHES)
    def cancel(self, key: int) -> None:
        """Nothing of the batch stays open."""
        batch_ids = list(self.batch_ids.values())
        if batch_ids:
            with self._transaction() as session:
                cancel_batch(session, batch_ids[key % len(batch_ids)])

    @rule(number=st.integers(0, 9))
    def speak(self, number: int) -> None:
        """A person says what a photo shows."""
        with self._transaction() as session:
            photos = session.scalars(select(Photo).order_by(Photo.id)).all()
            if photos:
                photo = photos[number % len(photos)]
                photo.shown_label_id, photo.shown_origin, photo.shown_score = self.word_id, "person", None
                self.spoken.add(photo.id)

    @invariant()
    def everything_holds(self) -> None:
        """Accepted means kept, once, and what a person has said stays."""
        with self.database.reading() as session:
            rows = _rows(session)
            batch_states = {row.id: row.state for row in session.execute(BATCHES_NOW)}
            predictions = session.execute(PREDICTIONS_NOW).all()
            spoken = {row.id for row in session.execute(SPOKEN_NOW, {"word_id": self.word_id})}
        self._check_items(rows, batch_states)
        tagged = {(row.photo_id, row.model_version_id) for row in rows.values() if row.state == "tagged"}
        self._check_predictions(tagged, predictions)
        assert spoken == self.spoken, "a model overwrote a person"

    def _check_items(self, rows: Rows, batch_states: dict[str, str]) -> None:
        assert len(rows) == self.item_count
        for item_id, row in rows.items():
            assert row.strikes <= MAX_STRIKES
            assert (row.state == "leased") == (row.lease_owner is not None)
            assert row.state in OPEN_ITEM_STATES or row.finished_at is not None
            assert self.ended.get(item_id, row.state) == row.state, "an item's last state changed"
            if row.state not in OPEN_ITEM_STATES:
                self.ended[item_id] = row.state
            else:
                assert batch_states[row.batch_id] == "running", f"a closed batch has an item that is {row.state}"

    def _check_predictions(self, tagged: set[tuple[int, int]], predictions: Sequence[Row[*tuple[Any, ...]]]) -> None:
        """A version has five labels of each photo that it tagged, once, in order, and none of any other."""
        found: dict[tuple[int, int], list[int]] = defaultdict(list)
        for row in predictions:
            found[row.photo_id, row.model_version_id].append(row.label_id)
        assert found.keys() == tagged, "predictions and tagged items do not match"
        for (photo_id, _), labels in found.items():
            assert labels == [label for label, _ in top_of(photo_id, self.label_ids)]

    def teardown(self) -> None:
        """With one healthy worker everything ends, and every batch is closed."""
        unfinished = 1
        for _ in range(30 + 4 * self.item_count):
            with self._transaction() as session:
                pass_time(session, 50)
                sweep(session)
                items = claim_items(session, "healthy", 4, LEASE_S)
                finish_items(session, "healthy", tag_all(session, items, self.version_id))
                unfinished = len(session.scalars(select(Batch.id).where(Batch.state == "running")).all())
            if not unfinished:
                break
        assert not unfinished, f"{unfinished} batches never end"
        self.everything_holds()

    def _some(self, worker: str, index: int, count: int) -> list[ClaimedItem]:
        believed = self.believed[worker]
        if not believed:
            return []
        start = index % len(believed)
        # what it claimed twice counts as its last claim of it, or as an old one: both orders occur
        return list({item.item_id: item for item in believed[start : start + count]}.values())


def _rows(session: Session) -> Rows:
    return {row.id: row for row in session.execute(ITEMS_NOW)}


def _holds(row: Row[*tuple[Any, ...]], worker: str, item: ClaimedItem) -> bool:
    return (row.state, row.lease_owner, row.attempt) == ("leased", worker, item.attempt)
