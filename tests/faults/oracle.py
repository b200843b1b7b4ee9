"""What must hold after every fault: one oracle for all tests of this folder.

accepted = tagged + refused or failed + cancelled; each tagged photo has one top five per model version, and it is the
one of a run without faults; nothing is leased or ready; a last state never changed; no blob is an orphan after the
janitor; logs hold no traceback and no secret.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from sqlalchemy import func, select, text

from db.blobs import Blobs
from db.orphans import delete_orphan_bytes
from db.schema import Archive, Batch, Item, Label, Photo, Prediction
from db.session import Database

# The labels and scores of a photo, best first: what a run without faults said of it.
Top = Sequence[tuple[str, float]]
Reference = Callable[[int, str], Top]

# In the password of a database URL; no log may hold it.
SECRET = "planted-9f2c-password"
SCORE_TOLERANCE = 1e-5

_LAST_ITEM_STATES = "('tagged', 'refused', 'failed', 'cancelled')"
_LAST_BATCH_STATES = "('finished', 'cancelled', 'refused')"
_CHANGES = (
    ("items", "UPDATE", f"OLD.state IN {_LAST_ITEM_STATES} AND NEW.state <> OLD.state"),
    ("items", "DELETE", f"OLD.state IN {_LAST_ITEM_STATES}"),
    ("batches", "UPDATE", f"OLD.state IN {_LAST_BATCH_STATES} AND NEW.state <> OLD.state"),
    ("predictions", "UPDATE", "OLD.label_id = OLD.label_id"),
    ("predictions", "DELETE", "OLD.label_id = OLD.label_id"),
)


def watch_last_states(database: Database) -> None:
    """From now on the database itself notes whoever changes what has ended, whichever process it is."""
    with database.transaction() as session:
        session.execute(text("CREATE TABLE forbidden_changes (what TEXT NOT NULL)"))
        for table, event, condition in _CHANGES:
            name = f"watch_{table}_{event.lower()}"
            note = f"INSERT INTO forbidden_changes VALUES ('{event} of {table} that had ended')"
            if database.is_sqlite:
                session.execute(
                    text(f"CREATE TRIGGER {name} AFTER {event} ON {table} WHEN {condition} BEGIN {note}; END")
                )
                continue
            session.execute(
                text(
                    f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {note}; RETURN NULL; END $$"
                )
            )
            session.execute(
                text(
                    f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW WHEN ({condition})"
                    f" EXECUTE FUNCTION {name}()"
                )
            )


def check_rows(database: Database, accepted: Mapping[str, int], reference: Reference) -> dict[str, int]:
    """Checks what the database holds once all work has ended.

    Args:
        database: after `watch_last_states`.
        accepted: how many items each batch was answered to have; there must be no other batch.
        reference: the top five of a photo by its id and hash.

    Returns:
        How many items ended in which state.
    """
    with database.reading() as session:
        changes = session.execute(text("SELECT what FROM forbidden_changes")).scalars().all()
        batches = {row.id: row.state for row in session.execute(select(Batch.id, Batch.state))}
        counted = session.execute(select(Item.batch_id, func.count()).group_by(Item.batch_id))
        items = {row[0]: row[1] for row in counted}
        states = {row[0]: row[1] for row in session.execute(select(Item.state, func.count()).group_by(Item.state))}
        archives = set(session.scalars(select(Archive.state)))
        leases = session.scalars(select(func.count()).select_from(Item).where(Item.lease_owner.is_not(None))).one()
    assert not changes, f"what had ended was changed: {changes[:5]}"
    assert batches.keys() == accepted.keys(), "there are other batches than those that were answered"
    assert items == {batch_id: count for batch_id, count in accepted.items() if count}, "items were lost or doubled"
    assert states.keys() <= {"tagged", "refused", "failed", "cancelled"}, f"work was left: {states}"
    assert set(batches.values()) <= {"finished", "cancelled", "refused"}, f"open batches: {batches}"
    assert archives <= {"unpacked", "refused", "cancelled"}, f"open archives: {archives}"
    assert leases == 0, "a lease was left behind"
    _check_predictions(database, reference)
    return states


def check_blobs(database: Database, blobs: Blobs) -> None:
    """Every photo that is not read in place has its bytes, and they are the right ones."""
    in_place = select(Item.photo_id).where(Item.source_path.is_not(None), Item.photo_id.is_not(None))
    with database.reading() as session:
        hashes = session.scalars(select(Photo.sha256).where(Photo.id.not_in(in_place))).all()
    for sha256 in hashes:
        assert hashlib.sha256(blobs.read(sha256)).hexdigest() == sha256, "a blob is torn"


def check_no_orphans(database: Database, blobs: Blobs) -> None:
    """After the janitor every stored object belongs to a row, and every photo still has its bytes."""
    delete_orphan_bytes(database, blobs, older_than_s=-1)  # as if a day had passed
    with database.reading() as session:
        photos = set(session.scalars(select(Photo.sha256)))
    stored = {key.rsplit("/", 1)[-1] for key in blobs.list_keys("blobs")}
    assert stored <= photos, "the janitor left orphans"
    check_blobs(database, blobs)


def check_logs(logs: Collection[Path], expected: str | None = None) -> None:
    """No log holds the planted secret, nor a traceback.

    Args:
        logs: files, each of which was written by one or several processes.
        expected: a pattern of the last line of tracebacks that belong to the fault.
    """
    for log in logs:
        written = log.read_text(errors="replace") if log.exists() else ""
        assert SECRET not in written, f"{log.name} holds a secret"
        for traceback in re.findall(
            r"^Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*(.*)$", written, re.MULTILINE
        ):
            assert expected is not None, f"{log.name} holds a traceback: {traceback}"
            assert re.search(expected, traceback), f"{log.name} holds a traceback: {traceback}"


def _check_predictions(database: Database, reference: Reference) -> None:
    """Photos of tagged items have one top five a version, as the reference says, and no other photo has any."""
    with database.reading() as session:
        tagged = session.execute(
            select(Item.photo_id, Item.model_version_id).where(Item.state == "tagged").distinct()
        ).all()
        rows = session.execute(
            select(Prediction.photo_id, Prediction.model_version_id, Photo.sha256, Label.name, Prediction.score)
            .join(Photo, Photo.id == Prediction.photo_id)
            .join(Label, Label.id == Prediction.label_id)
            .order_by(Prediction.rank)
        ).all()
    found: dict[tuple[int, int], list[tuple[str, float]]] = defaultdict(list)
    expected: dict[tuple[int, int], Top] = {}
    for photo_id, version_id, sha256, label, score in rows:
        found[photo_id, version_id].append((label, score))
        expected[photo_id, version_id] = reference(photo_id, sha256)
    assert found.keys() == {tuple(row) for row in tagged}, "predictions and tagged items do not match"
    for key, top in found.items():
        assert [label for label, _ in top] == [label for label, _ in expected[key]], (
            "another top five than the reference"
        )
        for (_, score), (_, wanted) in zip(top, expected[key], strict=True):
            assert abs(score - wanted) < SCORE_TOLERANCE
