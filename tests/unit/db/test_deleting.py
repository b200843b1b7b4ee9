"""Deleting photos and batches: whose they are, what goes, what stays, and who may be in the middle of something."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.archives import claim_archive, finish_archive, refuse_archive, release_archive
from db.batches import (
    add_archive,
    add_items,
    create_batch,
    get_batch,
    list_batches,
    lock_open_batch,
    seal_batch,
)
from db.columns import Base
from db.deleting import Deleted, begin_deleting, delete_batch, delete_photos, delete_some
from db.errors import NotFoundError
from db.garbage import ARCHIVE, BATCH, PHOTO, batches_going
from db.items import claim_items, finish_items
from db.retrying import retry_batch
from db.schema import Batch, Garbage, Item, Photo, PhotoWord, Prediction, Upload, User, WatchedFile, WatchedFolder
from db.session import Database, utc_now
from db.uploads import open_upload
from db.users import local_admin
from tests.store import add_batch, add_version, fill_batch, new_items, sha256_of, states_of, tag_all


def test_a_batch_goes_with_all_that_is_known_of_its_photos(database: Database) -> None:
    """Rows of every table; the hashes of what is to go are left for the collector."""
    batch_id = tagged_batch(database, 3)
    with database.transaction() as session:
        photo_ids = session.scalars(select(Photo.id)).all()
        session.add_all(PhotoWord(word="holiday", photo_id=photo_id) for photo_id in photo_ids)
        add_watched_file(session, batch_id)

    deleted = delete_whole(database, batch_id)

    assert deleted == Deleted(items=3, photos=3)
    with database.reading() as session:
        assert [counted(session, table) for table in (Batch, Item, Photo, Prediction, PhotoWord)] == [0] * 5
        assert session.scalars(select(WatchedFile.batch_id)).one() is None
        assert garbage(session, PHOTO) == sorted(sha256_of(number) for number in range(3))
        assert garbage(session, BATCH) == []


def test_photos_that_another_batch_has_stay(database: Database) -> None:
    """With their labels; they go with the last batch that has them."""
    first = tagged_batch(database, [0, 1, 2])
    second = add_batch(database, [2, 3])

    deleted = delete_whole(database, first)

    assert deleted == Deleted(items=3, photos=2, kept=1)
    with database.reading() as session:
        assert set(session.scalars(select(Photo.sha256))) == {sha256_of(2), sha256_of(3)}
        assert counted(session, Prediction) == 5
    assert delete_whole(database, second) == Deleted(items=2, photos=2)


def test_a_photo_twice_in_a_batch_is_counted_once(database: Database) -> None:
    """Also when its two places go in different transactions."""
    with database.transaction() as session:
        batch_id = fill_batch(session, [0, 1], sealed=False)
        add_items(session, batch_id, [replace(one, position=one.position + 7) for one in new_items([0, 1])])
        other = fill_batch(session, [0])
        begin_deleting(session, batch_id)
    steps: list[Deleted] = []
    with database.transaction() as session:
        while step := delete_some(session, batch_id, limit=1):
            steps.append(step)

    assert sum(steps, Deleted()) == Deleted(items=4, photos=1, kept=1)
    with database.reading() as session:
        assert states_of(session, other) == {"ready": 1}


def test_a_batch_that_is_being_deleted_is_gone_for_people(database: Database) -> None:
    """From the first transaction on: no list, no page, no retry, no more files; the same files again are a new batch."""
    with database.transaction() as session:
        admin = local_admin(session)
        batch = create_batch(session, admin.id, "b", priority=5, idem_key="key", source_key="paths")
        add_items(session, batch.id, new_items([0, 1]))

        begin_deleting(session, batch.id)

        assert list_batches(session, admin, 9) == []
        for ask in (lambda: get_batch(session, batch.id, admin), lambda: lock_open_batch(session, batch.id)):
            with pytest.raises(NotFoundError):
                ask()
        for act in (lambda: retry_batch(session, batch.id, admin.id), lambda: begin_deleting(session, batch.id)):
            with pytest.raises(NotFoundError):
                act()
        assert claim_items(session, "w", 9, 60) == []
        assert create_batch(session, admin.id, "b", priority=5, idem_key="key").id != batch.id


def test_a_deletion_that_was_interrupted_is_found_and_goes_on(database: Database) -> None:
    """By the entry that the first transaction left; each group says that somebody is at it."""
    batch_id = tagged_batch(database, 5)
    with database.transaction() as session:
        begin_deleting(session, batch_id)
        delete_some(session, batch_id, limit=2)

    with database.reading() as session:
        assert batches_going(session, untouched_s=60) == []
        assert batches_going(session, untouched_s=0) == [batch_id]
        assert counted(session, Item) == counted(session, Photo) == 3
    assert delete_batch(database, batch_id) == Deleted(items=3, photos=3)
    with database.transaction() as session:
        assert delete_some(session, batch_id) is None
        assert batches_going(session, untouched_s=0) == []


def test_what_was_tried_again_outlives_the_first_try(database: Database) -> None:
    """A retried batch forgets which one it came from; uploads and archives go with theirs."""
    with database.transaction() as session:
        add_version(session)
        batch_id = fill_batch(session, 2, sealed=False)
        open_upload(session, batch_id, 7, "a.jpg", 10)
        add_archive(session, batch_id, 1, "a.zip", sha256=sha256_of(99))
        claimed = claim_archive(session, "w", 60)
        assert claimed is not None
        seal_batch(session, batch_id)
        finish_archive(session, claimed.id, claimed.attempt, "w")
        session.execute(update(Item).values(state="failed", code="MODEL_ERROR", finished_at=utc_now()))
        session.execute(update(Batch).values(state="finished"))
        new_id = retry_batch(session, batch_id, local_admin(session).id).id

    assert delete_whole(database, batch_id) == Deleted(items=2, kept=2)

    with database.reading() as session:
        assert session.scalars(select(Batch.retry_of_id).where(Batch.id == new_id)).one() is None
        assert counted(session, Upload) == 0
        assert garbage(session, ARCHIVE) == [sha256_of(99)]
        assert garbage(session, PHOTO) == []


def test_a_person_deletes_only_their_own_places_of_a_photo(database: Database) -> None:
    """Somebody else's stay, and with them the photo; an admin deletes everybody's."""
    with database.transaction() as session:
        ann, bob = add_user(session, "ann"), add_user(session, "bob")
        of_ann, of_bob = batch_of(session, ann, [0, 1]), batch_of(session, bob, [1, 2])
        ids = photo_ids(session)

        deleted = delete_photos(session, ann, list(ids.values()))

        assert deleted == Deleted(items=2, photos=1, kept=1, batch_ids=frozenset([of_ann]))
        assert photo_ids(session).keys() == {1, 2}
        assert states_of(session, of_bob) == {"ready": 2}
        everything = delete_photos(session, local_admin(session), list(ids.values()))
        assert (everything.photos, everything.batch_ids) == (2, {of_bob})
        assert garbage(session, PHOTO) == sorted(map(sha256_of, range(3)))


def test_batches_that_lose_photos_stay_and_open_ones_close(database: Database) -> None:
    """One with nothing left to do is finished, one without any photo is cancelled; a finished one only counts fewer."""
    finished = tagged_batch(database, [0, 1])
    with database.transaction() as session:
        admin = local_admin(session)
        version_id = add_version(session, "second")
        half = fill_batch(session, [2, 3])
        one, _two = claim_items(session, "w", 9, 60)
        finish_items(session, "w", tag_all(session, [one], version_id))
        empty = fill_batch(session, [4])
        coming = fill_batch(session, [5], sealed=False)
        ids = photo_ids(session)

        delete_photos(session, admin, [ids[number] for number in (1, 3, 4, 5)])

        state = {batch.id: batch.state for batch in session.scalars(select(Batch))}
        assert state == {finished: "finished", half: "finished", empty: "cancelled", coming: "receiving"}
        assert states_of(session, finished) == states_of(session, half) == {"tagged": 1}


def test_a_worker_that_hands_in_a_deleted_photo_writes_nothing(database: Database) -> None:
    """Its neighbours are written; the photo does not come back, and a new one of the same content is another."""
    add_batch(database, [0, 1])
    with database.transaction() as session:
        version_id = add_version(session)
        claimed = claim_items(session, "w", 9, 60)
    with database.transaction() as session:
        assert delete_photos(session, local_admin(session), [claimed[0].photo_id]).photos == 1
    again = add_batch(database, [0])

    with database.transaction() as session:
        written = finish_items(session, "w", tag_all(session, claimed, version_id))

    assert written == {claimed[1].item_id}
    with database.reading() as session:
        assert set(session.scalars(select(Prediction.photo_id))) == {claimed[1].photo_id}
        assert states_of(session, again) == {"ready": 1}
        assert photo_ids(session)[0] > max(item.photo_id for item in claimed)


def test_unpacking_ends_quietly_when_its_batch_is_deleted(database: Database) -> None:
    """Whether the worker comes to finish or to refuse the archive."""
    with database.transaction() as session:
        batch_id = fill_batch(session, 0, sealed=False)
        add_archive(session, batch_id, 1, "a.zip", sha256=sha256_of(99))
        claimed = claim_archive(session, "w", 60)
        assert claimed is not None

    delete_whole(database, batch_id)

    with database.transaction() as session:
        assert not finish_archive(session, claimed.id, claimed.attempt, "w")
        assert not refuse_archive(session, claimed.id, claimed.attempt, "w", "ARCHIVE_BROKEN")


def test_a_photo_deleted_while_its_archive_is_unpacked_does_not_come_again(database: Database) -> None:
    """The next worker goes on behind the last entry that was added, not behind as many as there are."""
    with database.transaction() as session:
        batch_id = fill_batch(session, 0, sealed=False)
        add_archive(session, batch_id, 1, "a.zip", source_path="/photos/a.zip")
        first = claim_archive(session, "w", 60)
        assert first is not None
        add_items(session, batch_id, [replace(one, archive_number=1) for one in new_items(range(4))])

        delete_photos(session, local_admin(session), [photo_ids(session)[1]])

        release_archive(session, first.id, first.attempt, "w")
        second = claim_archive(session, "w", 60)
        assert second is not None
        assert second.skip_positions == 4


def delete_whole(database: Database, batch_id: str) -> Deleted:
    with database.transaction() as session:
        begin_deleting(session, batch_id)
    return delete_batch(database, batch_id)


def tagged_batch(database: Database, numbers: Iterable[int] | int) -> str:
    batch_id = add_batch(database, numbers)
    with database.transaction() as session:
        version_id = add_version(session)
        finish_items(session, "w", tag_all(session, claim_items(session, "w", 99, 60), version_id))
    return batch_id


def batch_of(session: Session, owner: User, numbers: Iterable[int]) -> str:
    batch_id = create_batch(session, owner.id, "b", priority=5).id
    add_items(session, batch_id, new_items(numbers))
    seal_batch(session, batch_id)
    return batch_id


def add_user(session: Session, name: str) -> User:
    user = User(name=name, role="owner", created_at=utc_now())
    session.add(user)
    session.flush()
    return user


def add_watched_file(session: Session, batch_id: str) -> None:
    folder = WatchedFolder(
        owner_id=local_admin(session).id, path="/photos", path_sha256=sha256_of(1), created_at=utc_now()
    )
    session.add(folder)
    session.flush()
    session.add(
        WatchedFile(
            folder_id=folder.id, path_sha256=sha256_of(2), path="a.jpg", size_bytes=1, mtime_ns=1, batch_id=batch_id
        )
    )


def photo_ids(session: Session) -> dict[int, int]:
    """Ids of the photos by their number."""
    ids = {row.sha256: row.id for row in session.execute(select(Photo.sha256, Photo.id))}
    return {number: ids[sha256_of(number)] for number in range(10) if sha256_of(number) in ids}


def garbage(session: Session, kind: str) -> list[str]:
    return sorted(session.scalars(select(Garbage.key).where(Garbage.kind == kind)))


def counted(session: Session, table: type[Base]) -> int:
    return session.scalars(select(func.count()).select_from(table)).one()
