"""Batches: accepted once, filled again without doubles, closed when nothing is open, cancelled at once."""

import re
import threading

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.archives import claim_archive, finish_archive
from db.batches import (
    BatchPlace,
    NewItem,
    add_archive,
    add_items,
    cancel_batch,
    create_batch,
    find_resumable,
    get_batch,
    list_batches,
    new_batch_id,
    seal_batch,
)
from db.closing import close_finished_batches
from db.deleting import begin_deleting
from db.errors import ConflictError, NotFoundError
from db.items import Refused, claim_items, finish_items
from db.retrying import retry_batch
from db.schema import Batch, Item, Photo, User
from db.session import Database, utc_now
from db.users import local_admin
from tests.store import add_batch, add_version, new_items, prediction_count, sha256_of, states_of, tag_all


def test_ids_are_harmless_and_differ() -> None:
    """They stand in addresses and on command lines."""
    ids = {new_batch_id() for _ in range(2000)}

    assert len(ids) == 2000
    assert all(re.fullmatch(r"[a-z][a-z2-9]{11}", batch_id) for batch_id in ids)
    assert not set("".join(ids)) & set("il10ou")


def test_a_repeated_key_is_the_same_batch(database: Database) -> None:
    """Also a long one; another owner's is another batch; without a key each is new."""
    with database.transaction() as session:
        admin, other = local_admin(session).id, add_user(session, "ann").id
        long = "k" * 500

        ids = [
            create_batch(session, owner, "b", priority=5, idem_key=key).id
            for owner, key in [
                (admin, "k"),
                (admin, "k"),
                (other, "k"),
                (admin, long),
                (admin, long),
                (admin, None),
                (admin, None),
            ]
        ]

    assert ids[0] == ids[1]
    assert ids[3] == ids[4]
    assert len(set(ids)) == 5


def test_twenty_at_once_with_one_key_make_one_batch(database: Database) -> None:
    """An impatient client."""
    with database.transaction() as session:
        admin = local_admin(session).id
    ids: list[str] = []

    def submit() -> None:
        with database.transaction() as session:
            ids.append(create_batch(session, admin, "b", priority=5, idem_key="same").id)

    threads = [threading.Thread(target=submit) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(ids) == 20
    assert len(set(ids)) == 1


def test_adding_items_again_changes_nothing(database: Database) -> None:
    """An interrupted submission or unpacking goes on from the start."""
    batch_id = add_batch(database, 5, sealed=False)

    with database.transaction() as session:
        add_items(session, batch_id, new_items(range(8)))

        assert states_of(session) == {"ready": 8}
        assert session.scalars(select(func.count()).select_from(Photo)).one() == 8


def test_the_same_bytes_are_one_photo(database: Database) -> None:
    """Within a batch and in another."""
    with database.transaction() as session:
        batch = create_batch(session, local_admin(session).id, "b", priority=5)
        add_items(session, batch.id, [NewItem(position, f"{position}", sha256_of(1), 10) for position in range(3)])
    add_batch(database, [1, 2])

    with database.reading() as session:
        assert session.scalars(select(func.count()).select_from(Photo)).one() == 2
        assert states_of(session) == {"ready": 5}


def test_a_file_refused_before_tagging_is_an_item_with_its_reason(database: Database) -> None:
    """Named, counted, never claimed; what is our fault is failed, so that it can be retried."""
    with database.transaction() as session:
        batch = create_batch(session, local_admin(session).id, "b", priority=5)
        refused = [
            NewItem(0, "a.txt", refused="NOT_AN_IMAGE", detail="te\0xt" * 100),
            NewItem(1, "b.jpg", sha256_of(1), 1, refused="SOURCE_GONE"),
        ]
        add_items(session, batch.id, refused)
        seal_batch(session, batch.id)

        rows = session.scalars(select(Item).order_by(Item.position)).all()

    assert [(row.state, row.code) for row in rows] == [("refused", "NOT_AN_IMAGE"), ("failed", "SOURCE_GONE")]
    assert rows[0].detail == ("text" * 100)[:200]
    assert rows[0].photo_id is None
    assert all(row.finished_at for row in rows)
    assert state_of(database, batch.id) == ("finished", None)


@pytest.mark.parametrize(
    ("archives", "photos", "expected"),
    [
        (0, 0, ("refused", "BATCH_EMPTY")),
        (0, 2, ("running", None)),
        (1, 0, ("unpacking", None)),
        (1, 2, ("unpacking", None)),
    ],
)
def test_sealing_says_what_comes_next(
    database: Database, archives: int, photos: int, expected: tuple[str, str | None]
) -> None:
    """Nothing, tagging or unpacking; sealing again changes nothing."""
    batch_id = add_batch(database, photos, sealed=False)
    with database.transaction() as session:
        for number in range(archives):
            add_archive(session, batch_id, number + 1, "a.zip", sha256=sha256_of(9))

    for _ in range(2):
        with database.transaction() as session:
            seal_batch(session, batch_id)

        assert state_of(database, batch_id) == expected


def test_a_batch_is_finished_with_its_last_item(database: Database) -> None:
    """In the same transaction; not before."""
    batch_id = add_batch(database, 3)
    with database.transaction() as session:
        version_id = add_version(session)
        items = claim_items(session, "w", 9, 60)
        finish_items(session, "w", tag_all(session, items[:2], version_id))
    assert state_of(database, batch_id) == ("running", None)

    with database.transaction() as session:
        finish_items(session, "w", tag_all(session, items[2:], version_id))

    assert state_of(database, batch_id) == ("finished", None)
    with database.reading() as session:
        assert session.scalars(select(Batch.finished_at)).one() is not None


def test_a_batch_that_receives_is_not_finished_by_its_items(database: Database) -> None:
    """More may come."""
    batch_id = add_batch(database, 1, sealed=False)
    with database.transaction() as session:
        finish_items(session, "w", tag_all(session, claim_items(session, "w", 9, 60), add_version(session)))

        assert close_finished_batches(session) == 0

    assert state_of(database, batch_id) == ("receiving", None)


def test_a_closed_batch_takes_no_more(database: Database) -> None:
    """The message says what to do."""
    batch_id = add_batch(database, 1)
    with database.transaction() as session:
        cancel_batch(session, batch_id)

        with pytest.raises(ConflictError, match="new one"):
            add_items(session, batch_id, new_items([7]))
        with pytest.raises(ConflictError, match="new one"):
            add_archive(session, batch_id, 1, "a.zip")
        with pytest.raises(NotFoundError, match="nosuchbatch"):
            add_items(session, "nosuchbatch", new_items([7]))


def test_after_cancelling_no_prediction_is_written(database: Database) -> None:
    """Whatever workers hold; tagged items stay tagged; the archive is left alone too."""
    batch_id = add_batch(database, 4, sealed=False)
    with database.transaction() as session:
        add_archive(session, batch_id, 1, "a.zip", sha256=sha256_of(9))
        seal_batch(session, batch_id)
        version_id = add_version(session)
        archive = claim_archive(session, "w", 60)
        items = claim_items(session, "w", 3, 60)
        finish_items(session, "w", tag_all(session, items[:1], version_id))
        predictions = prediction_count(session)

        assert cancel_batch(session, batch_id) == 3
        assert cancel_batch(session, batch_id) == 0

    with database.transaction() as session:
        assert finish_items(session, "w", tag_all(session, items, version_id)) == set()
        assert archive is not None
        assert not finish_archive(session, archive.id, archive.attempt, "w")
        assert prediction_count(session) == predictions
        assert states_of(session) == {"tagged": 1, "cancelled": 3}
        assert claim_items(session, "w", 9, 60) == []
    assert state_of(database, batch_id) == ("cancelled", None)


def test_cancelling_a_finished_batch_leaves_it_finished(database: Database) -> None:
    """Terminal states never change."""
    batch_id = add_batch(database, 0)
    with database.transaction() as session:
        assert cancel_batch(session, batch_id) == 0
        with pytest.raises(NotFoundError):
            cancel_batch(session, "nosuchbatch")

    assert state_of(database, batch_id)[0] == "refused"


def test_retrying_makes_a_batch_of_those_that_failed(database: Database) -> None:
    """Refused ones would be refused again; the old batch stays as it is."""
    batch_id = add_batch(database, 3, priority=2)
    with database.transaction() as session:
        one, two, three = claim_items(session, "w", 9, 60)
        results = [
            Refused(one.item_id, one.attempt, "MODEL_ERROR", "why"),
            Refused(two.item_id, two.attempt, "UNREADABLE"),
            *tag_all(session, [three], add_version(session)),
        ]
        finish_items(session, "w", results)
        admin = local_admin(session)

        new = retry_batch(session, batch_id, admin.id)
        again = retry_batch(session, batch_id, admin.id)

        assert again.id == new.id, "a second click makes no second batch"
        assert (new.state, new.retry_of_id, new.priority) == ("running", batch_id, 2)
        (item,) = claim_items(session, "w", 9, 60)
        assert (item.photo_id, item.path, item.attempt) == (one.photo_id, one.path, 1)
        assert states_of(session, batch_id) == {"failed": 1, "refused": 1, "tagged": 1}


def test_there_must_be_something_to_retry(database: Database) -> None:
    """Not while the batch is open, and not when nothing failed; no empty batch stays behind."""
    batch_id = add_batch(database, 1)
    with database.transaction() as session:
        admin = local_admin(session)
        with pytest.raises(ConflictError, match="still open"):
            retry_batch(session, batch_id, admin.id)
        finish_items(session, "w", tag_all(session, claim_items(session, "w", 9, 60), add_version(session)))

        with pytest.raises(ConflictError, match="nothing to retry"):
            retry_batch(session, batch_id, admin.id)

        assert [batch.id for batch in list_batches(session, admin, 9)] == [batch_id]


def test_owners_see_their_own_batches_and_an_admin_all(database: Database) -> None:
    """Somebody else's is as good as missing."""
    with database.transaction() as session:
        admin, ann, bob = local_admin(session), add_user(session, "ann"), add_user(session, "bob")
        of_ann = create_batch(session, ann.id, "b", priority=5).id
        of_bob = create_batch(session, bob.id, "b", priority=5).id

        assert [batch.id for batch in list_batches(session, ann, 9)] == [of_ann]
        assert {batch.id for batch in list_batches(session, admin, 9)} == {of_ann, of_bob}
        assert get_batch(session, of_ann, ann).id == get_batch(session, of_ann, admin).id == of_ann
        with pytest.raises(NotFoundError):
            get_batch(session, of_bob, ann)
        with pytest.raises(NotFoundError):
            list_batches(session, ann, 9, before=of_bob)


def test_lists_go_on_where_a_page_ended(database: Database) -> None:
    """Newest first, none twice, also when all were made in the same instant."""
    ids = [add_batch(database, 0) for _ in range(7)]
    with database.transaction() as session:
        session.execute(update(Batch).where(Batch.id.in_(ids[3:])).values(created_at=utc_now()))
        admin = local_admin(session)
        seen: list[str] = []
        while page := list_batches(session, admin, 2, before=seen[-1] if seen else None):
            seen += [batch.id for batch in page]

    assert len(seen) == 7
    assert set(seen) == set(ids)
    assert seen[4:] == ids[2::-1]


def test_a_place_in_the_list_stays_when_its_batch_is_deleted(database: Database) -> None:
    """The next page begins behind it."""
    ids = [add_batch(database, 0) for _ in range(3)]
    with database.transaction() as session:
        admin = local_admin(session)
        first = list_batches(session, admin, 1)[0]
        begin_deleting(session, first.id)

        rest = list_batches(session, admin, 9, after=BatchPlace(first.created_at, first.id))

        assert [batch.id for batch in rest] == ids[1::-1]


def test_an_interrupted_submission_is_found_again(database: Database) -> None:
    """While it is open; the newest of the same sources."""
    with database.transaction() as session:
        admin = local_admin(session)
        batch = create_batch(session, admin.id, "b", priority=5, source_key="paths")

        found = find_resumable(session, admin.id, "paths")

        assert found is not None
        assert found.id == batch.id
        assert find_resumable(session, admin.id, "others") is None
        cancel_batch(session, batch.id)
        assert find_resumable(session, admin.id, "paths") is None


def add_user(session: Session, name: str) -> User:
    user = User(name=name, role="owner", created_at=utc_now())
    session.add(user)
    session.flush()
    return user


def state_of(database: Database, batch_id: str) -> tuple[str, str | None]:
    with database.reading() as session:
        batch = session.get_one(Batch, batch_id)
        return (batch.state, batch.code)
