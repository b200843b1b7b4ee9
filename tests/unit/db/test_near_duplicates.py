"""Photos that look alike: which become a group, whatever the order, and that floods of one picture stay cheap."""

import random
import time
from collections.abc import Iterable, Mapping

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from db.facts import PhotoFacts
from db.items import claim_items, finish_items
from db.model_versions import version_label_ids
from db.near_duplicates import ALIKE_BITS, MOST_OF_A_QUARTER, has_structure, record_hashes
from db.predictions import Tagged
from db.schema import Photo, PhotoHash
from db.session import Database, utc_now
from tests.store import add_batch, add_version, run_together, sha256_of, top_of

# Of these 64 bits 32 are set, as in the hash of a photo.
SOME = 0x0F1E2D3C4B5A6978
BITS = 64


def differing(phash: int, *bits: int) -> int:
    """The hash with these bits changed; signed, as it is kept."""
    for bit in bits:
        phash ^= 1 << bit
    phash %= 1 << BITS
    return phash - (1 << BITS) if phash >> (BITS - 1) else phash


def any_hash(chance: random.Random) -> int:
    """The hash of some photo: half of its bits are set."""
    return differing(0, *chance.sample(range(BITS), BITS // 2))


def add_photos(session: Session, photo_ids: Iterable[int]) -> None:
    """Photos with these ids."""
    rows = [
        {"id": n, "sha256": sha256_of(n), "size_bytes": 9, "created_at": utc_now(), "has_previews": True}
        for n in photo_ids
    ]
    if rows:
        session.execute(insert(Photo), rows)


def record(database: Database, *chunks: Mapping[int, int]) -> dict[int, int | None]:
    """Records each chunk in a transaction of its own, as workers do; returns the groups of all photos."""
    with database.transaction() as session:
        known = set(session.scalars(select(Photo.id)))
        add_photos(session, sorted({photo_id for chunk in chunks for photo_id in chunk} - known))
    for chunk in chunks:
        with database.transaction() as session:
            record_hashes(session, chunk)
    return groups_of(database)


def groups_of(database: Database) -> dict[int, int | None]:
    with database.reading() as session:
        rows = session.execute(select(PhotoHash.photo_id, PhotoHash.group_id))
        return {row.photo_id: row.group_id for row in rows}


def test_photos_that_look_alike_become_a_group(database: Database) -> None:
    """In one chunk and from chunk to chunk; the group has the smallest id; what is different stays alone."""
    groups = record(
        database,
        {5: SOME, 6: differing(SOME, 0, 63), 7: differing(SOME, *range(0, 64, 2))},
        {3: differing(SOME, 1, 2), 9: SOME},
    )

    assert groups == {5: 5, 6: 5, 7: None, 3: 5, 9: 5}


@pytest.mark.parametrize(("bits", "alike"), [(range(ALIKE_BITS), True), (range(ALIKE_BITS + 2), False)])
def test_the_limit_is_what_was_measured(database: Database, bits: range, *, alike: bool) -> None:
    """Six bits are alike, eight are not, whether in one chunk or in two."""
    together = record(database, {1: SOME, 2: differing(SOME, *bits)})
    apart = record(database, {3: ~SOME}, {4: ~differing(SOME, *bits)})

    assert together[2] == (1 if alike else None)
    assert apart[4] == (3 if alike else None)


def test_up_to_three_bits_anywhere_are_found(database: Database) -> None:
    """One quarter is the same then, whichever bits they are."""
    chance = random.Random(5)
    pairs: dict[int, int] = {}
    for number in range(1, 101):
        phash = any_hash(chance)
        pairs[number], pairs[1000 + number] = phash, differing(phash, *chance.sample(range(BITS), 3))

    first, second = ({n: phash for n, phash in pairs.items() if (n > 1000) is late} for late in (False, True))
    groups = record(database, first, second)

    assert [n for n in range(1, 101) if groups[1000 + n] != n] == []


def test_a_photo_between_two_groups_joins_them(database: Database) -> None:
    """The larger one stays, and whoever was alone comes along."""
    near, far = differing(SOME, 0, 1, 2, 3), differing(SOME, 20, 21, 22, 23)

    before = record(database, {1: near, 2: near}, {3: far, 4: far, 5: far})
    after = record(database, {6: SOME})

    assert before == {1: 1, 2: 1, 3: 3, 4: 3, 5: 3}
    assert set(after.values()) == {3}


def test_recording_again_changes_nothing(database: Database) -> None:
    """A photo that is decoded once more keeps its hash and its group."""
    once = record(database, {1: SOME, 2: SOME, 3: ~SOME})
    again = record(database, {1: SOME, 2: differing(~SOME, 5), 3: ~SOME})

    assert again == once == {1: 1, 2: 1, 3: None}


def test_pictures_without_structure_are_no_duplicates(database: Database) -> None:
    """One colour or a plain gradient: at most five bits are set, and all of them look the same to the hash."""
    flat, gradient = -(1 << 63), differing(0, 63, 55, 31, 23, 7)

    assert record(database, {1: flat, 2: flat, 3: gradient, 4: gradient, 5: 0}) == {}
    assert [has_structure(phash) for phash in (0, flat, gradient, SOME, -1)] == [False, False, False, True, True]


def test_a_flood_of_one_picture_costs_no_more_at_its_end(database: Database) -> None:
    """Each is looked up once, by its hash; the group stays one. Measured against chunks of different photos."""
    chance = random.Random(7)
    flood = [{n * 64 + k: SOME for k in range(64)} for n in range(1, 41)]
    others = [{100_000 + n * 64 + k: any_hash(chance) for k in range(64)} for n in range(1, 11)]

    record(database, *others[:5])
    began = time.perf_counter()
    record(database, *others[5:])
    ordinary_s = (time.perf_counter() - began) / 5
    record(database, *flood[:35])
    began = time.perf_counter()
    groups = record(database, *flood[35:])
    flood_s = (time.perf_counter() - began) / 5

    assert {groups[n] for chunk in flood for n in chunk} == {64}
    assert flood_s < 20 * ordinary_s + 0.2


def test_a_quarter_that_many_share_is_looked_at_in_part(database: Database) -> None:
    """What is beyond is still found by another quarter; without the bound this would grow with the square."""
    chance = random.Random(3)
    crowd: dict[int, int] = {}
    while len(crowd) < MOST_OF_A_QUARTER + 50:
        phash = differing(0, *chance.sample(range(16, 64), 24), *range(8))  # the lowest quarter is the same in all
        crowd[len(crowd) + 1] = phash
    original = max(crowd.values())  # the last of the quarter's index

    groups = record(database, crowd, {9000: differing(original, 40, 41)})

    assert groups[9000] is not None


def test_the_finish_of_a_chunk_records_what_decoding_found(database: Database) -> None:
    """A photo without a hash, or whose item was lost meanwhile, is left out."""
    add_batch(database, 3)
    hashes = [SOME, differing(SOME, 4), None]
    with database.transaction() as session:
        version_id = add_version(session)
        top = top_of(1, version_label_ids(session, version_id))
        items = claim_items(session, "w", 9, 60)
        results = [
            Tagged(item.item_id, item.attempt, item.photo_id, version_id, PhotoFacts("JPEG", 9, 9, phash=phash), top)
            for item, phash in zip(items, hashes, strict=True)
        ]
        finish_items(session, "w", results)
        finish_items(session, "w", results)

    assert groups_of(database) == {items[0].photo_id: items[0].photo_id, items[1].photo_id: items[0].photo_id}


def test_workers_that_record_at_once_miss_nothing(database: Database) -> None:
    """Each writes one photo of each of ten pictures; in the end there are ten groups of four."""
    chance = random.Random(11)
    pictures = [any_hash(chance) for _ in range(10)]
    with database.transaction() as session:
        add_photos(session, range(1, 41))
    failed: list[Exception] = []

    def work(worker: int) -> None:
        try:
            for number, phash in enumerate(pictures):
                with database.transaction() as session:
                    record_hashes(session, {worker * 10 + number + 1: differing(phash, worker, 63 - worker)})
        except Exception as error:  # noqa: BLE001 - told below
            failed.append(error)

    run_together([lambda worker=worker: work(worker) for worker in range(4)])

    groups = groups_of(database)
    assert failed == []
    assert [len({groups[worker * 10 + n + 1] for worker in range(4)} - {None}) for n in range(10)] == [1] * 10


def test_hashes_go_with_their_photo(database: Database) -> None:
    """Nothing of a deleted photo stays; the next one like it begins a group with those that are left."""
    record(database, {1: SOME, 2: ~SOME})
    with database.transaction() as session:
        session.execute(text("DELETE FROM photos WHERE id = 1"))

    assert record(database, {3: SOME, 4: ~SOME}) == {2: 2, 3: None, 4: 2}
