"""Photos that look alike, by perceptual hash: put into groups in the transaction that writes what was found of them.

Measured with 4,002 copies of 250 photos (JPEG quality 30 to 95, 25 to 200 % of the size, WebP, PNG, brighter, darker,
more contrast, more colour, grey): no copy differs from its photo in more than 6 bits. No two different ones of 2,839
photos differ in less than 10. Two hashes of this kind nearly always differ in an even number of bits: half of the bits
are set in each.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Executable,
    Integer,
    Text,
    bindparam,
    case,
    cast,
    exists,
    func,
    null,
    select,
    true,
    update,
)
from sqlalchemy.orm import Session

from db.schema import PhotoHash
from db.session import is_sqlite
from db.statements import IN_DATABASE_ONLY, as_json, insert_on, json_rows, table_of

ALIKE_BITS = 6
# Of a photo 32 bits are set. Of one colour it is one bit at most, of a plain gradient five: those all look the same to
# the hash, and none is a duplicate of the next.
FEWEST_BITS = 8
QUARTERS = range(4)
# Looking at photos that share a quarter finds all hashes that differ in up to 3 bits, and of the copies above 3,994 of
# 4,002. Where more share it than this, only so many are looked at: the other quarters find a copy as a rule.
MOST_OF_A_QUARTER = 400
# Any fixed number: those who put photos into groups wait for each other on it, or each would miss what the other adds.
ADVISORY_LOCK = 7_206_142_032

MASK_64, MASK_16 = 2**64 - 1, 2**16 - 1
HASH = table_of(PhotoHash).c
QUARTER = [HASH[f"quarter_{number}"] for number in QUARTERS]


class _First(NamedTuple):
    """The first photo of a hash: all others that have it are in its group."""

    photo_id: int
    group_id: int | None


class _Group(NamedTuple):
    """Photos that are to be in one group, and the groups that it takes over."""

    group_id: int
    photo_ids: list[int]
    others: set[int]


def record_hashes(session: Session, hashes: Mapping[int, int]) -> None:
    """Keeps the hashes of photos and puts those that look alike into groups. Photos that have a hash keep it.

    Call it at the end of a transaction: on PostgreSQL others that record hashes wait until it is over.

    Args:
        session: of a write transaction.
        hashes: `PhotoFacts.phash` by photo id. Hashes of pictures without structure are left out.
    """
    kept = {photo_id: phash for photo_id, phash in sorted(hashes.items()) if has_structure(phash)}
    if not kept:
        return
    lock_groups(session)
    alike = _find_alike(session, sorted(set(kept.values())))
    firsts = _first_photos(session, alike)
    new = _insert(session, kept)
    groups = list(_form_groups(session, alike, firsts, new))
    if groups:
        _write_groups(session, groups)


def has_structure(phash: int) -> bool:
    """Whether a hash says something of a picture: it is not of one colour, and not a plain gradient."""
    return (phash & MASK_64).bit_count() >= FEWEST_BITS


def lock_groups(session: Session) -> None:
    """Whoever changes groups is alone with them until the transaction ends; SQLite has one writer anyway."""
    if not is_sqlite(session):
        session.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK)))


def _find_alike(session: Session, phashes: Sequence[int]) -> dict[int, set[int]]:
    """For each hash those of the database, and of `phashes`, that look alike; itself if the database has it.

    What has a known hash is looked up no further: whatever looks like it is in its group by now.
    """
    rows = as_json((phash, *_quarters(phash)) for phash in phashes)
    found = session.execute(_search(sqlite=is_sqlite(session)), {"most": MOST_OF_A_QUARTER, **rows}).all()
    alike: dict[int, set[int]] = {phash: set() for phash in phashes}
    for phash, known, *in_quarters in found:
        if known:
            alike[phash].add(phash)
            continue
        candidates = {int(text) for joined in in_quarters if joined for text in joined.split(",")}
        alike[phash] |= {other for other in candidates if _is_alike(phash, other)}
    for phash, other in combinations(phashes, 2):
        if _is_alike(phash, other):
            alike[phash].add(other)
            alike[other].add(phash)
    return alike


def _is_alike(phash: int, other: int) -> bool:
    return ((phash ^ other) & MASK_64).bit_count() <= ALIKE_BITS


def _quarters(phash: int) -> list[int]:
    return [(phash >> 16 * number) & MASK_16 for number in QUARTERS]


def _first_photos(session: Session, alike: Mapping[int, set[int]]) -> dict[int, _First]:
    """Of each hash that is in the database its first photo. Asked before new ones are added."""
    phashes = sorted({phash for found in alike.values() for phash in found})
    if not phashes:
        return {}
    rows = as_json((phash, phash & MASK_16) for phash in phashes)
    found = session.execute(_first(sqlite=is_sqlite(session)), rows)
    return {row.phash: _First(row.photo_id, row.group_id) for row in found}


def _insert(session: Session, hashes: Mapping[int, int]) -> dict[int, list[int]]:
    """Adds those that are new; returns their photos by hash."""
    rows = as_json((photo_id, phash, *_quarters(phash)) for photo_id, phash in hashes.items())
    new: dict[int, list[int]] = {}
    for photo_id, phash in session.execute(_insert_statement(sqlite=is_sqlite(session)), rows):
        new.setdefault(phash, []).append(photo_id)
    return new


def _form_groups(
    session: Session, alike: Mapping[int, set[int]], firsts: Mapping[int, _First], new: Mapping[int, list[int]]
) -> Iterator[_Group]:
    for phashes in _connected(alike, new):
        added = [photo_id for phash in phashes for photo_id in new.get(phash, ())]
        known = [firsts[phash] for phash in phashes if phash in firsts]
        alone = [first.photo_id for first in known if first.group_id is None]
        groups = {first.group_id for first in known if first.group_id is not None}
        if added and len(added) + len(known) > 1:
            group_id = _largest(session, groups) if groups else min(added + alone)
            yield _Group(group_id, added + alone, groups - {group_id})


def _connected(alike: Mapping[int, set[int]], new: Mapping[int, list[int]]) -> list[set[int]]:
    """The hashes of each group that gets new photos: what looks alike, directly or through others."""
    parts: list[set[int]] = []
    for phash in new:
        joined = {phash} | alike[phash]
        touching = [part for part in parts if part & joined]
        parts = [part for part in parts if not part & joined]
        parts.append(joined.union(*touching))
    return parts


def _largest(session: Session, group_ids: set[int]) -> int:
    """The one of the groups that stays: changing the smaller ones costs less."""
    if len(group_ids) == 1:
        return min(group_ids)
    size = func.count()
    query = select(HASH.group_id).where(HASH.group_id.in_(sorted(group_ids))).group_by(HASH.group_id)
    return session.scalars(query.order_by(size.desc(), HASH.group_id).limit(1)).one()


def _write_groups(session: Session, groups: Sequence[_Group]) -> None:
    """A photo that joins is news to the whole group: what a person told apart before is shown with it again."""
    sqlite = is_sqlite(session)
    joining = sorted((photo_id, group.group_id) for group in groups for photo_id in group.photo_ids)
    session.execute(_join(sqlite=sqlite), as_json(joining), execution_options=IN_DATABASE_ONLY)
    merging = [(other, group.group_id) for group in groups for other in group.others]
    if merging:
        session.execute(_merge(sqlite=sqlite), as_json(merging), execution_options=IN_DATABASE_ONLY)
    session.execute(_forget_told_apart(sqlite=sqlite), as_json([group.group_id] for group in groups))


@cache
def _search(*, sqlite: bool) -> Executable:
    """Of each new hash whether it is known; else the hashes that share a quarter with it, as text: one row a hash."""
    new = json_rows(sqlite=sqlite, phash=BigInteger(), **{column.name: column.type for column in QUARTER})
    known = exists().where(HASH.quarter_0 == new.c.quarter_0, HASH.phash == new.c.phash)
    most = bindparam("most", type_=Integer())
    in_quarters: list[ColumnElement[str]] = []
    for column in QUARTER:
        some = select(HASH.phash).where(column == new.c[column.name]).order_by(HASH.phash).limit(most)
        phash = some.correlate(new).subquery().c.phash
        joined = select(func.aggregate_strings(cast(phash, Text), ",")).scalar_subquery()
        in_quarters.append(case((known, null()), else_=joined))
    return select(new.c.phash, known, *in_quarters)


@cache
def _first(*, sqlite: bool) -> Executable:
    new = json_rows(sqlite=sqlite, phash=BigInteger(), quarter_0=Integer())
    same = HASH.quarter_0 == new.c.quarter_0, HASH.phash == new.c.phash
    photo_id = select(HASH.photo_id).where(*same).order_by(HASH.photo_id).limit(1).correlate(new).scalar_subquery()
    first = table_of(PhotoHash).alias("first")
    return select(new.c.phash, first.c.photo_id, first.c.group_id).join_from(new, first, first.c.photo_id == photo_id)


@cache
def _insert_statement(*, sqlite: bool) -> Executable:
    names = ("photo_id", "phash", *(column.name for column in QUARTER))
    new = json_rows(sqlite=sqlite, **{name: HASH[name].type for name in names})
    source = select(*(new.c[name] for name in names)).where(true())
    insert = insert_on(PhotoHash, sqlite=sqlite).from_select(list(names), source).on_conflict_do_nothing()
    return insert.returning(HASH.photo_id, HASH.phash)


@cache
def _join(*, sqlite: bool) -> Executable:
    new = json_rows(sqlite=sqlite, photo_id=BigInteger(), group_id=BigInteger())
    return update(table_of(PhotoHash)).where(HASH.photo_id == new.c.photo_id).values(group_id=new.c.group_id)


@cache
def _merge(*, sqlite: bool) -> Executable:
    new = json_rows(sqlite=sqlite, group_id=BigInteger(), into=BigInteger())
    return update(table_of(PhotoHash)).where(HASH.group_id == new.c.group_id).values(group_id=new.c.into)


@cache
def _forget_told_apart(*, sqlite: bool) -> Executable:
    new = json_rows(sqlite=sqlite, group_id=BigInteger())
    told_apart = HASH.group_id.in_(select(new.c.group_id)), HASH.told_apart_at.is_not(None)
    return update(table_of(PhotoHash)).where(*told_apart).values(told_apart_at=None)
