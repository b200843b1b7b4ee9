"""The lease store: items are claimed, worked on outside any transaction, and finished behind a fence.

Every claim raises `attempt`. Whoever finishes must still hold the lease of that very attempt, so a worker that was
thought dead writes nothing. Leases compare with the database's own clock only.
"""

from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, select, update
from sqlalchemy.orm import Session

from db import item_statements as statements
from db.archives import sweep_archives
from db.batches import MAX_DETAIL, fit_text, lock_items
from db.closing import close_emptied_batches, close_finished_batches
from db.codes import FAILED
from db.item_statements import LEASED, READY
from db.near_duplicates import record_hashes
from db.photos import mark_not_tagged
from db.predictions import Tagged, first_labels, show_known, write_predictions
from db.priorities import FOLDER, RETAG
from db.schema import Item
from db.session import db_now, is_sqlite, utc_now
from db.shown import lock_photos
from db.statements import as_json, count_changed


@dataclass(frozen=True, slots=True)
class ClaimedItem:
    """A leased item.

    Attributes:
        attempt: fences late finishers; pass it back.
        sha256: of the photo; empty in a re-tag whose photo was deleted meanwhile.
        source_path: where to read the photo; None: from the blob store by `sha256`, in a re-tag: see `db.places`.
        suspect: a worker died while it held this item: work on it alone.
        retag_version_id: in a re-tag, the version that shall tag it, and no other.
    """

    item_id: int
    batch_id: str
    attempt: int
    photo_id: int
    sha256: str
    source_path: str | None
    path: str
    suspect: bool
    priority: int
    retag_version_id: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A claimed item that is not tagged, with a code of `db.codes.REASONS`."""

    item_id: int
    attempt: int
    code: str
    detail: str = ""


Finished = Tagged | Refused


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep found: leases that ran out, photos given up for it, batches closed."""

    expired: int
    parked: int
    closed: int


def claim_items(
    session: Session, owner: str, limit: int, lease_s: float, *, suspects: bool = True, retags: bool = True
) -> list[ClaimedItem]:
    """Leases up to `limit` ready items, by priority, then position, which interleaves batches.

    A suspect whose turn has come is handed out alone, so that it cannot take neighbours down. Pass `suspects=False`
    while holding other items: then nothing is handed out when a suspect is next, so that the caller finishes what it
    holds instead of passing the suspect by for ever. Pass `retags=False` while another version than the active one is
    loaded: it may tag photos that people send, but all open re-tags are the active version's.
    """
    sqlite = is_sqlite(session)
    lowest = {"lowest": RETAG if retags else FOLDER}
    suspect_id = session.execute(statements.next_suspect(sqlite=sqlite), lowest).scalar_one_or_none()
    lease = {"owner": owner, "lease_s": lease_s}
    if suspect_id is not None:
        if not suspects:
            return []
        alone = session.execute(statements.claim_one(sqlite=sqlite), {"item_id": suspect_id, **lease}).all()
        if alone:  # else another worker was quicker
            return _in_turn(alone)
    return _in_turn(session.execute(statements.claim_many(sqlite=sqlite), {"limit": limit, **lowest, **lease}).all())


def finish_items(session: Session, owner: str, results: Sequence[Finished]) -> set[int]:
    """Writes what a worker found. Items whose lease it has lost are left as they are.

    Returns:
        Ids of the items of which something was written; not of those in a re-tag whose photo was deleted meanwhile.
    """
    written = _end_items(session, owner, [_ending(result) for result in results])
    tagged = [result for result in results if isinstance(result, Tagged) and result.item_id in written]
    gone = _without_photo(session, tagged)
    tagged = [result for result in tagged if result.item_id not in gone]
    if tagged:
        write_predictions(session, tagged)
    _mark_not_tagged(session, [result for result in results if isinstance(result, Refused)], written)
    close_emptied_batches(session, set(written.values()))
    record_hashes(
        session, {one.photo_id: one.facts.phash for one in tagged if one.facts and one.facts.phash is not None}
    )
    return written.keys() - gone


def already_tagged(session: Session, photo_ids: Collection[int], model_version_id: int) -> dict[int, float]:
    """Those photos that this version has tagged before, with their first label's score."""
    known = first_labels(session, photo_ids, model_version_id)
    return {photo_id: score for photo_id, (_, score) in known.items()}


def finish_known(session: Session, owner: str, items: Sequence[ClaimedItem], model_version_id: int) -> set[int]:
    """Finishes claimed items whose photos this version has tagged before; returns the ids that were written."""
    if not items:
        return set()
    endings = [(item.item_id, item.attempt, "tagged", None, None, model_version_id) for item in items]
    written = _end_items(session, owner, endings)
    photo_ids = [item.photo_id for item in items if item.item_id in written and item.retag_version_id is None]
    if photo_ids:
        show_known(session, photo_ids, model_version_id)
    close_emptied_batches(session, set(written.values()))
    return set(written)


def release_items(session: Session, owner: str, items: Sequence[ClaimedItem | Finished], delay_s: float = 0) -> int:
    """Gives items back without a strike, to be claimed after `delay_s`; returns how many were still the owner's."""
    held = as_json((item.item_id, item.attempt, None, None, None, None) for item in items)
    return len(
        session.execute(
            statements.release(sqlite=is_sqlite(session)), {"owner": owner, "delay_s": delay_s, **held}
        ).all()
    )


def extend_leases(session: Session, owner: str, item_ids: Collection[int], lease_s: float) -> int:
    """Prolongs the owner's leases that have not run out; returns how many."""
    held = Item.id.in_(item_ids), Item.state == LEASED, Item.lease_owner == owner, Item.lease_until >= db_now(session)
    lock_items(session, *held)
    return count_changed(session, update(Item).where(*held).values(lease_until=db_now(session) + lease_s))


def sweep(session: Session) -> SweepReport:
    """Makes items whose lease has run out ready again, as suspects. Safe from any process at any time.

    Only a lease lost while alone is a strike: an outage or a neighbour may have cost the others. With `MAX_STRIKES`
    the item is parked as WORKER_LOST.
    """
    swept = session.execute(statements.sweep(sqlite=is_sqlite(session)), {"now": utc_now()}).all()
    parked = [row.id for row in swept if row.state == "failed"]
    if parked:
        mark_not_tagged(session, parked, "failed")
    sweep_archives(session)
    return SweepReport(len(swept), len(parked), close_finished_batches(session))


def open_item_count(session: Session) -> int:
    """How many items of all batches wait or are being worked on."""
    return sum(
        session.scalars(select(func.count()).select_from(Item).where(Item.state == state)).one()
        for state in (READY, LEASED)
    )


def has_ready_items(session: Session) -> bool:
    """Whether something can be claimed now."""
    return session.execute(statements.ready(sqlite=is_sqlite(session)).limit(1)).first() is not None


def _without_photo(session: Session, tagged: Sequence[Tagged]) -> set[int]:
    """Items of a re-tag whose photo is gone: nothing but the item itself knew of it. All others keep their photos."""
    if not any(one.is_retag for one in tagged):
        return set()
    present = set(lock_photos(session, [one.photo_id for one in tagged]))
    return {one.item_id for one in tagged if one.photo_id not in present}


def _mark_not_tagged(session: Session, refused: Sequence[Refused], written: Container[int]) -> None:
    for state in ("refused", "failed"):
        item_ids = [one.item_id for one in refused if one.item_id in written and _state_of(one) == state]
        if item_ids:
            mark_not_tagged(session, item_ids, state)


def _in_turn(claimed: Sequence[Row[*tuple[Any, ...]]]) -> list[ClaimedItem]:
    return [ClaimedItem(*row[:-1]) for row in sorted(claimed, key=lambda row: (row.priority, row.position, row.id))]


def _ending(result: Finished) -> tuple[int, int, str, str | None, str | None, int | None]:
    """(item id, attempt, state, code, detail, model version id) of a result."""
    if isinstance(result, Tagged):
        return (result.item_id, result.attempt, "tagged", None, None, result.model_version_id)
    return (
        result.item_id,
        result.attempt,
        _state_of(result),
        result.code,
        fit_text(result.detail, MAX_DETAIL) or None,
        None,
    )


def _state_of(refused: Refused) -> str:
    return "failed" if refused.code in FAILED else "refused"


def _end_items(
    session: Session, owner: str, endings: Sequence[tuple[int, int, str, str | None, str | None, int | None]]
) -> dict[int, str]:
    """Ends leased items; returns the batch of each that was still the owner's."""
    held = {"owner": owner, **as_json(endings)}
    ended = session.execute(statements.end(sqlite=is_sqlite(session)), {"now": utc_now(), **held})
    return {row.id: row.batch_id for row in ended}
