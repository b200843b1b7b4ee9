"""Groups of photos that look alike and files in several places: who sees which, which is kept, what a person said."""

import datetime as dt
import random
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import event, insert, text, update
from sqlalchemy.orm import Session

from db.batches import create_batch
from db.duplicates import Group, list_groups, tell_apart
from db.errors import NotFoundError
from db.near_duplicates import record_hashes
from db.same_files import list_same_files
from db.schema import Archive, Camera, Item, PhotoHash, User
from db.session import Database, utc_now
from db.users import local_admin
from tests.library_rows import add_photos, add_places, add_user, analyse

SOME, OTHER = 0x0F1E2D3C4B5A6978, 0x78695A4B3C2D1E0F


def add_group(session: Session, *rows: Mapping[str, Any], phash: int = SOME) -> list[int]:
    """Ids of photos with the same hash, which have no places yet."""
    ids = add_photos(session, [{"name": f"{number}.jpg", **row} for number, row in enumerate(rows)])
    record_hashes(session, dict.fromkeys(ids, phash))
    return ids


def batch_of(session: Session, user: User) -> str:
    """A batch of theirs without items."""
    return create_batch(session, user.id, "holiday", priority=5).id


def shown(groups: list[Group]) -> list[list[int]]:
    """The ids of each group, as they are shown."""
    return [[photo.photo_id for photo in group.photos] for group in groups]


@pytest.mark.parametrize(
    ("other", "best", "reason"),
    [
        ({"width": 4000, "height": 3000, "size_bytes": 9}, {"size_bytes": 1}, "most pixels"),
        ({"size_bytes": 5}, {"size_bytes": 6}, "largest file"),
        ({}, {"taken_at": dt.datetime(2024, 1, 1)}, "what the camera wrote"),
        ({}, {"camera_id": 7}, "what the camera wrote"),
    ],
)
def test_the_one_to_keep_is_first_with_the_reason(
    database: Database, other: dict[str, Any], best: dict[str, Any], reason: str
) -> None:
    """Most pixels, then the largest file, then what the camera wrote."""
    size = {"width": 4001, "height": 3000, "size_bytes": 5}
    with database.transaction() as session:
        session.add(Camera(id=7, name="Maker 7"))
        session.flush()
        first, second = add_group(session, size | other, size | best)

        (group,) = list_groups(session, local_admin(session)).groups

        assert [photo.photo_id for photo in group.photos] == [second, first]
        assert reason in group.reason


def test_of_equal_photos_the_first_is_kept(database: Database) -> None:
    """And every fact that a person compares is there."""
    with database.transaction() as session:
        first, second = add_group(session, {"name": "a.jpg"}, {"name": "b.jpg"})
        add_places(session, batch_of(session, local_admin(session)), [first, second])

        (group,) = list_groups(session, local_admin(session)).groups

        assert [photo.photo_id for photo in group.photos] == [first, second]
        assert (group.size, group.reason) == (2, "the best ones are equal, and it came first")
        assert (group.photos[0].name, group.photos[0].places) == ("a.jpg", 1)


def test_pages_follow_the_newest_photo_of_each_group(database: Database) -> None:
    """An old photo of which a copy came just now is on top; each group is on one page."""
    with database.transaction() as session:
        admin = local_admin(session)
        old = add_group(session, {}, phash=SOME)
        between = add_group(session, {}, {}, {}, phash=OTHER)
        copy = add_group(session, {}, phash=SOME)
        add_group(session, {}, phash=0x0F0F0F0F0F0F0F0F)

        first = list_groups(session, admin, limit=1)
        second = list_groups(session, admin, after=first.after, limit=1)
        last = list_groups(session, admin, after=second.after, limit=1)

        assert shown(first.groups) == [old + copy]
        assert shown(second.groups) == [between]
        assert (last.groups, last.after) == ([], None)


def test_a_page_that_may_look_no_further_has_a_next_one(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many photos are in between that are not to be shown."""
    monkeypatch.setattr("db.duplicates.LOOKED_AT", 3)
    with database.transaction() as session:
        admin = local_admin(session)
        wanted = add_group(session, {}, {}, phash=OTHER)
        alone = add_group(session, *[{}] * 8)
        tell_apart(session, admin, alone[1:-1])
        found: list[list[int]] = []
        after, pages = None, 0
        while pages == 0 or after is not None:
            page = list_groups(session, admin, after=after)
            found += shown(page.groups)
            after, pages = page.after, pages + 1

        assert found == [[alone[0], alone[-1]], wanted]
        assert pages > 1


def test_an_owner_sees_own_photos_only(database: Database) -> None:
    """Of a group with other people's photos their own two; of one with a single photo of theirs nothing."""
    with database.transaction() as session:
        alice, bob, reviewer = add_user(session, "alice"), add_user(session, "bob"), add_user(session, "r", "reviewer")
        mixed = add_group(session, {}, {}, {})
        single = add_group(session, {}, {}, phash=OTHER)
        add_places(session, batch_of(session, alice), [*mixed[:2], single[0]])
        add_places(session, batch_of(session, bob), [mixed[2], single[1]])

        assert shown(list_groups(session, alice).groups) == [mixed[:2]]
        assert list_groups(session, bob).groups == []
        assert len(list_groups(session, reviewer).groups) == 2
        with pytest.raises(NotFoundError, match="reload the page"):
            tell_apart(session, bob, mixed)


def test_what_a_person_told_apart_is_gone_until_another_photo_joins(database: Database) -> None:
    """It can be taken back; a new copy may be a duplicate of any of them, so all are shown with it."""
    with database.transaction() as session:
        admin = local_admin(session)
        ids = add_group(session, {}, {}, {})

        assert tell_apart(session, admin, ids[2:]) == 1
        two = shown(list_groups(session, admin).groups)
        assert tell_apart(session, admin, ids) == 2
        none = list_groups(session, admin).groups
        assert tell_apart(session, admin, ids, apart=False) == 3
        back = shown(list_groups(session, admin).groups)
        tell_apart(session, admin, ids)
        (new,) = add_group(session, {})

        assert (two, none, back) == ([ids[:2]], [], [ids])
        assert shown(list_groups(session, admin).groups) == [[*ids, new]]


def test_a_group_of_very_many_is_shown_in_part(database: Database) -> None:
    """With the number of all."""
    with database.transaction() as session:
        add_group(session, *[{}] * 130)

        (group,) = list_groups(session, local_admin(session)).groups

        assert (len(group.photos), group.size) == (100, 130)


def test_files_with_the_same_bytes_are_listed_with_their_places(database: Database) -> None:
    """Not the same path sent or tagged again, not what failed, not what a watched folder lost."""
    with database.transaction() as session:
        admin = local_admin(session)
        twice, again, lost, failed, archived, in_place = add_photos(session, [{"name": f"{n}.jpg"} for n in range(6)])
        one, two = batch_of(session, admin), batch_of(session, admin)
        for number in (1, 2):
            columns = {"batch_id": one, "number": number, "path": f"{number}.zip", "state": "unpacked"}
            session.execute(insert(Archive), [columns | {"created_at": utc_now()}])
        for batch, photo_id, columns in (
            (one, twice, {"path": "a/x.jpg"}), (two, twice, {"path": "b/y.jpg"}),
            (one, again, {"path": "a/again.jpg"}), (two, again, {"path": "a/again.jpg"}),
            (one, lost, {"path": "l.jpg"}), (two, lost, {"path": "m.jpg", "gone_at": utc_now()}),
            (one, failed, {"path": "f.jpg"}), (two, failed, {"path": "g.jpg", "state": "failed"}),
            (one, archived, {"path": "z.jpg", "archive_number": 1}), (one, archived, {"path": "z.jpg", "archive_number": 2}),
            (one, in_place, {"path": "p.jpg", "source_path": "/photos/p.jpg"}),
            (two, in_place, {"path": "q.jpg", "source_path": "/photos/p.jpg"}),
        ):  # fmt: skip
            add_file(session, batch, photo_id, columns)

        page = list_same_files(session, admin)

        assert [(photo.photo_id, photo.count) for photo in page.photos] == [(archived, 2), (twice, 2)]
        assert [(place.archive, place.path) for place in page.photos[0].places] == [
            ("1.zip", "z.jpg"),
            ("2.zip", "z.jpg"),
        ]
        assert [(place.archive, place.path) for place in page.photos[1].places] == [
            (None, "a/x.jpg"),
            (None, "b/y.jpg"),
        ]


def test_files_of_others_are_not_listed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same photo at two people is nobody's duplicate; pages go on through those in between."""
    monkeypatch.setattr("db.same_files.LOOKED_AT", 1)
    with database.transaction() as session:
        alice, bob = add_user(session, "alice"), add_user(session, "bob")
        mine, shared = add_photos(session, [{"name": "a.jpg"}, {"name": "b.jpg"}])
        batches = batch_of(session, alice), batch_of(session, bob)
        for batch, photo_id, path in (
            (batches[0], mine, "1.jpg"), (batches[0], mine, "2.jpg"), (batches[0], shared, "3.jpg"), (batches[1], shared, "4.jpg"),
        ):  # fmt: skip
            add_file(session, batch, photo_id, {"path": path})

        first = list_same_files(session, alice)
        second = list_same_files(session, alice, after=first.after)

        assert (first.photos, first.after) == ([], shared)
        assert [photo.photo_id for photo in second.photos] == [mine]
        assert list_same_files(session, bob, after=first.after).photos == []


def test_a_page_reads_as_much_as_it_shows(sqlite_database: Database) -> None:
    """No table from end to end and no sorting, with the plan that a large library gets."""
    with sqlite_database.transaction() as session:
        ids = add_photos(session, [{"name": f"{n}.jpg"} for n in range(4000)])
        add_places(session, batch_of(session, local_admin(session)), ids)
        chance = random.Random(1)
        record_hashes(session, {photo_id: chance.getrandbits(63) for photo_id in ids})
        grouped = update(PhotoHash).where(PhotoHash.photo_id % 20 < 2)
        session.execute(grouped.values(group_id=PhotoHash.photo_id - PhotoHash.photo_id % 20))
        users = local_admin(session), add_user(session, "alice")
    analyse(sqlite_database)
    with sqlite_database.reading() as session:
        plans = [
            plan
            for user in users
            for ask in (list_groups, list_same_files)
            for plan in plans_of(session, lambda ask=ask, user=user: ask(session, user, after=ids[-1], limit=5))
        ]

    lines = [line for plan in plans for line in plan.splitlines()]
    bad = re.compile(r"SCAN (photos|photo_hashes|items|batches)(_\d)?\b|AUTOMATIC")
    assert [line for line in lines if bad.search(line)] == []
    # what is asked of each photo that is looked at goes to one place of an index
    asked = [line for line in lines if re.match(r"SEARCH (photo_hashes|items)_\d ", line)]
    assert {line for line in asked if not re.search(r"\((group_id|photo_id|rowid)=\?", line)} == set()
    assert len(asked) >= 8


def plans_of(session: Session, ask: Callable[[], object]) -> list[str]:
    """SQLite's plan of each statement of a call."""
    engine, found = session.get_bind(), []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.startswith(("EXPLAIN", "BEGIN")):
            rows = connection.connection.driver_connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            found.append("\n".join(row[3] for row in rows))

    event.listen(engine, "before_cursor_execute", explain)
    try:
        ask()
    finally:
        event.remove(engine, "before_cursor_execute", explain)
    return found


def add_file(session: Session, batch_id: str, photo_id: int, columns: dict[str, Any]) -> None:
    """An item of the batch at the next position."""
    position = session.execute(text("SELECT count(*) FROM items")).scalar_one()
    row = {"batch_id": batch_id, "position": position, "photo_id": photo_id, "state": "tagged", "priority": 5}
    session.execute(insert(Item), [row | columns])
