"""Which photo is on whose screen. A lease ends by itself: a closed tab keeps nothing.

Photos that are being deleted are passed over, never waited for: whoever deletes waits for the leases of others.
"""

from collections.abc import Collection, Sequence
from functools import cache

from sqlalchemy import BigInteger, Executable, Float, String, bindparam, delete, func, select, true, update
from sqlalchemy.orm import Session

from db.schema import Photo, ReviewLease, User
from db.session import database_clock, db_now, is_sqlite
from db.statements import as_json, count_changed, insert_on, json_rows, table_of

# Any fixed number: those who take leases wait for each other on it, so that none waits for one who waits for it.
ADVISORY_LOCK = 7_206_142_033

LEASE = table_of(ReviewLease).c


def release(session: Session, user: User, seat: str) -> None:
    """Gives back all that this seat has on its screen."""
    keep_only(session, user, seat, (), 0)


def keep_only(session: Session, user: User, seat: str, photo_ids: Collection[int], lease_s: float) -> None:
    """Prolongs those of the photos that are still this seat's, and gives its others back."""
    theirs = select(LEASE.photo_id).where(LEASE.user_id == user.id, LEASE.seat == seat).order_by(LEASE.photo_id)
    held = set(session.scalars(theirs.with_for_update(skip_locked=True)))
    kept, others = held & set(photo_ids), held - set(photo_ids)
    if kept:
        until = db_now(session) + lease_s
        count_changed(session, update(ReviewLease).where(LEASE.photo_id.in_(kept)).values(until=until))
    if others:
        count_changed(session, delete(ReviewLease).where(LEASE.photo_id.in_(others)))


def take(session: Session, user: User, seat: str, photo_ids: Sequence[int], lease_s: float) -> set[int]:
    """Leases those of the photos that are on nobody's screen; returns them."""
    if not photo_ids:
        return set()
    sqlite = is_sqlite(session)
    there = photo_ids if sqlite else _free_now(session, photo_ids)
    who = {"user_id": user.id, "seat": seat, "lease_s": lease_s}
    return set(session.scalars(_take(sqlite=sqlite), as_json([photo_id] for photo_id in there) | who))


def _free_now(session: Session, photo_ids: Sequence[int]) -> list[int]:
    """Photos that can be leased without waiting for anybody, on PostgreSQL: only who holds the lock adds leases."""
    session.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK)))
    held = select(Photo.id).where(Photo.id.in_(photo_ids)).order_by(Photo.id)
    there = session.scalars(held.with_for_update(read=True, key_share=True, skip_locked=True)).all()
    leased = select(LEASE.photo_id).where(LEASE.photo_id.in_(there))
    taken = set(session.scalars(leased))
    over = set(session.scalars(leased.where(LEASE.until <= db_now(session)).with_for_update(skip_locked=True)))
    return [photo_id for photo_id in there if photo_id not in taken or photo_id in over]


@cache
def _take(*, sqlite: bool) -> Executable:
    new = json_rows(sqlite=sqlite, photo_id=BigInteger())
    now = database_clock(sqlite=sqlite)
    user_id, seat = bindparam("user_id", type_=BigInteger()), bindparam("seat", type_=String())
    # the condition: without one SQLite takes ON CONFLICT for part of a join
    source = select(new.c.photo_id, user_id, seat, now + bindparam("lease_s", type_=Float())).where(true())
    insert = insert_on(ReviewLease, sqlite=sqlite).from_select(["photo_id", "user_id", "seat", "until"], source)
    mine = {name: insert.excluded[name] for name in ("user_id", "seat", "until")}
    taking = insert.on_conflict_do_update(index_elements=["photo_id"], set_=mine, where=LEASE.until <= now)
    return taking.returning(LEASE.photo_id)
