"""A re-tag is a batch of all photos: it writes predictions, and neither keeps photos nor changes what they show."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from db.activations import roll_back
from db.batch_view import batch_items, batch_progress, photo_items
from db.batches import cancel_batch, get_batch, list_batches
from db.blobs import Blobs, open_blobs
from db.deleting import begin_deleting, delete_batch, delete_photos
from db.errors import ConflictError, NotFoundError
from db.features import record_shard, store_shard
from db.items import Refused, claim_items, finish_items, finish_known, sweep
from db.photo_view import photo_view
from db.places import best_places
from db.retags import open_retag, start_retag
from db.retrying import retry_batch
from db.same_files import list_same_files
from db.schema import Item, Photo, Prediction
from db.session import Database
from db.settings import DataSettings
from db.users import local_admin
from tests.library_rows import add_user
from tests.retag_rows import (
    activate_next,
    batch_of,
    begin_retag,
    photo_ids,
    say,
    tag_normally,
    tagged_library,
    work_on_retag,
)
from tests.review_rows import shown_of
from tests.store import add_batch, fill_batch, states_of

SPACE = "5" * 64


@pytest.fixture
def blobs(data_dir: Path) -> Blobs:
    return open_blobs(DataSettings(data_dir=data_dir))


def test_a_retag_writes_predictions_and_changes_nothing_that_is_shown(database: Database) -> None:
    """Until a person applies it. It ends like any batch."""
    first = tagged_library(database, 4)
    with database.transaction() as session:
        before = shown_of(session, photo_ids(session))
        second = activate_next(session, "second")
    batch_id = begin_retag(database)

    with database.transaction() as session:
        assert work_on_retag(session, second, 3) == 3
        progress = batch_progress(session, batch_id)
        assert (progress.state, progress.tagged, progress.ready) == ("running", 3, 1)
        assert work_on_retag(session, second) == 1

    with database.transaction() as session:
        assert shown_of(session, photo_ids(session)) == before
        assert said_by(session) == {first: 4, second: 4}
        batch = batch_of(session, batch_id)
        assert (batch.name, batch.state, batch.retag_version_id) == ("Re-tag with second", "finished", second)


def test_a_retag_from_features_leaves_the_rows_of_photos_alone(postgres_database: Database) -> None:
    """PostgreSQL would write each anew with all its index entries; one that shows nothing yet is written."""
    tagged_library(postgres_database, 4)
    with postgres_database.transaction() as session:
        second = activate_next(session, "second")
        bare = photo_ids(session)[0]
        session.execute(update(Photo).where(Photo.id == bare).values(shown_model_version_id=None, shown_label_id=None))
    begin_retag(postgres_database)
    written = text("SELECT id, CAST(xmin AS text) FROM photos")
    with postgres_database.transaction() as session:
        before = {row.id: row.xmin for row in session.execute(written)}

        said = [replace(say(session, item, second), facts=None) for item in claim_items(session, "w", 9, 60)]
        assert len(finish_items(session, "w", said)) == 4

        after = {row.id: row.xmin for row in session.execute(written)}
        assert [photo_id for photo_id in before if before[photo_id] != after[photo_id]] == [bare]
        assert session.get_one(Photo, bare).shown_model_version_id == second


def test_one_retag_of_a_version_is_open_at_a_time(database: Database) -> None:
    """Asked for again it is the same batch, from however many at once; when all is tagged there is nothing to do."""
    tagged_library(database, 3)
    with database.transaction() as session:
        second = activate_next(session, "second")
    started: list[str] = []

    def start() -> None:
        started.append(begin_retag(database))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(started) == 4
    assert len(set(started)) == 1
    with database.transaction() as session:
        assert states_of(session, started[0]) == {"ready": 3}
        work_on_retag(session, second)
        with pytest.raises(ConflictError, match="nothing is left"):
            start_retag(session, local_admin(session))
        assert open_retag(session) is None
        assert len(list_batches(session, local_admin(session), 10)) == 2


def test_a_retag_takes_photos_in_the_order_of_their_features(database: Database, blobs: Blobs) -> None:
    """File by file, row by row; those without features, or with features of another kind, come last."""
    tagged_library(database, 6)
    with database.transaction() as session:
        activate_next(session, "second")
        ids = photo_ids(session)
        for part in ([ids[4], ids[1]], [ids[2], ids[0]]):
            record_shard(session, SPACE, store_shard(blobs, SPACE, np.ones((2, 1, 1, 8), np.float16)), part)

    batch_id = begin_retag(database)

    with database.transaction() as session:
        wanted = [ids[4], ids[1], ids[2], ids[0], ids[3], ids[5]]
        assert [item.photo_id for item in batch_items(session, batch_id)] == wanted
        assert [item.photo_id for item in claim_items(session, "w", 9, 60)] == wanted


def test_an_activation_cancels_the_retag_of_another_version(database: Database) -> None:
    """What a worker holds is not written; what was written stays, and a re-tag later goes on from there."""
    first = tagged_library(database, 4)
    with database.transaction() as session:
        second = activate_next(session, "second")
    batch_id = begin_retag(database)
    with database.transaction() as session:
        work_on_retag(session, second, 1)
        held = claim_items(session, "late", 2, 60)
    with database.transaction() as session:
        third = activate_next(session, "third")

    with database.transaction() as session:
        late = [Refused(item.item_id, item.attempt, "MODEL_ERROR") for item in held]
        assert finish_items(session, "late", late) == set()
        assert batch_of(session, batch_id).state == "cancelled"
        assert states_of(session, batch_id) == {"tagged": 1, "cancelled": 3}
        assert said_by(session) == {first: 4, second: 1}
        roll_back(session, None)
    again = begin_retag(database)
    with database.transaction() as session:
        assert batch_of(session, again).retag_version_id == second != third
        assert states_of(session, again) == {"ready": 3}


def test_a_worker_with_another_version_gets_no_items_of_a_retag(database: Database) -> None:
    """But what people send."""
    tagged_library(database, 2)
    with database.transaction() as session:
        activate_next(session, "second")
    begin_retag(database)
    sent = add_batch(database, [7], priority=5)

    with database.transaction() as session:
        claimed = claim_items(session, "old", 9, 60, retags=False)

        assert [item.batch_id for item in claimed] == [sent]
        assert claim_items(session, "old", 9, 60, retags=False) == []
        assert len(claim_items(session, "new", 9, 60)) == 2


def test_a_suspect_of_a_retag_waits_for_a_worker_with_its_version(database: Database) -> None:
    """It is handed out alone, and keeps no other from what people send."""
    tagged_library(database, 1)
    with database.transaction() as session:
        activate_next(session, "second")
    begin_retag(database)
    with database.transaction() as session:
        claim_items(session, "dies", 9, -1)
        sweep(session)

        assert claim_items(session, "old", 9, 60, retags=False) == []
        (alone,) = claim_items(session, "new", 9, 60)
        assert alone.suspect


def test_a_photo_that_another_batch_had_tagged_meanwhile_ends_at_once(database: Database) -> None:
    """And what it shows is that batch's doing."""
    tagged_library(database, 2)
    with database.transaction() as session:
        second = activate_next(session, "second")
        ids = photo_ids(session)
    batch_id = begin_retag(database)
    with database.transaction() as session:
        tag_normally(session, [0], second)
        before = shown_of(session, ids)
        items = claim_items(session, "w", 9, 60)
        known = [item for item in items if item.photo_id == ids[0]]

        assert finish_known(session, "w", known, second) == {known[0].item_id}

        assert shown_of(session, ids) == before
        assert before[ids[0]]["shown_model_version_id"] == second
        assert states_of(session, batch_id) == {"tagged": 1, "leased": 1}


def test_a_photo_goes_with_its_owners_batch_while_it_is_re_tagged(database: Database) -> None:
    """Its item in the re-tag does not keep it: claimed before or after, nothing is written of it."""
    first = tagged_library(database, 3)
    with database.transaction() as session:
        second = activate_next(session, "second")
        ids = photo_ids(session)
    batch_id = begin_retag(database)
    with database.transaction() as session:
        (held,) = claim_items(session, "w", 1, 60)

        assert delete_photos(session, local_admin(session), ids[:2]).photos == 2

    with database.transaction() as session:
        tagged = [say(session, held, second)]
        assert finish_items(session, "w", tagged) == set()
        (gone, there) = sorted(claim_items(session, "w", 9, 60), key=lambda item: item.photo_id)
        assert (gone.sha256, bool(there.sha256)) == ("", True)
        finish_items(session, "w", [Refused(gone.item_id, gone.attempt, "PHOTO_DELETED")])
        finish_items(session, "w", [say(session, there, second)])

    with database.transaction() as session:
        assert photo_ids(session) == ids[2:]
        assert said_by(session) == {first: 1, second: 1}
        assert batch_of(session, batch_id).state == "finished"
        assert [(item.path, item.photo_id) for item in batch_items(session, batch_id)][:2] == [("", None)] * 2


def test_a_photo_goes_with_its_owners_batch_after_it_was_re_tagged(database: Database) -> None:
    """Deleting the re-tag itself deletes no photo."""
    tagged_library(database, 2)
    with database.transaction() as session:
        second = activate_next(session, "second")
    batch_id = begin_retag(database)
    other_id = begin_retag(database)
    with database.transaction() as session:
        work_on_retag(session, second)
        owned = session.scalars(select(Item.batch_id).where(Item.photo_id.is_not(None)).limit(1)).one()
        begin_deleting(session, batch_id)

    assert other_id == batch_id
    assert delete_batch(database, batch_id).photos == 0
    with database.transaction() as session:
        assert len(photo_ids(session)) == 2
        begin_deleting(session, owned)
    assert delete_batch(database, owned).photos == 2


def test_a_retag_is_no_place_of_a_photo(database: Database) -> None:
    """Not on its page, not among its files, not for downloads, and it gives nobody the right to see it."""
    tagged_library(database, 2)
    with database.transaction() as session:
        second = activate_next(session, "second")
        starter = add_user(session, "starter", "owner")
        batch = start_retag(session, starter)
        work_on_retag(session, second)
    with database.reading() as session:
        admin = local_admin(session)
        photo_id = photo_ids(session)[0]

        assert [place.batch for place in photo_view(session, admin, photo_id).places] == ["holiday"]
        assert [item.path for item in photo_items(session, admin, [photo_id])] == ["0.jpg"]
        assert list_same_files(session, admin).photos == []
        assert [place.path for place in best_places(session, [photo_id], None)] == ["0.jpg"]
        with pytest.raises(NotFoundError):
            photo_view(session, starter, photo_id)
        assert photo_items(session, starter, [photo_id]) == []
        assert list_batches(session, starter, 10) == []
        with pytest.raises(NotFoundError):
            get_batch(session, batch.id, starter)
        assert [item.path for item in batch_items(session, batch.id)] == ["0.jpg", "1.jpg"]
        assert [item.shown for item in batch_items(session, batch.id)] == [
            item.shown for item in photo_items(session, admin, photo_ids(session))
        ]


def test_a_failed_photo_of_a_retag_stays_tagged_and_is_tried_again(database: Database) -> None:
    """By a new re-tag of all that is left; not when its version is no longer active."""
    tagged_library(database, 3)
    with database.transaction() as session:
        second = activate_next(session, "second")
    batch_id = begin_retag(database)
    with database.transaction() as session:
        admin = local_admin(session)
        failing, *_ = items = claim_items(session, "w", 9, 60)
        finish_items(session, "w", [Refused(failing.item_id, failing.attempt, "BLOB_MISSING")])
        finish_items(session, "w", [say(session, item, second) for item in items[1:]])

        again = retry_batch(session, batch_id, admin.id)

        assert again.retag_version_id == second
        assert [item.photo_id for item in claim_items(session, "w", 9, 60)] == [failing.photo_id]
        assert set(session.scalars(select(Photo.state))) == {"tagged"}
        cancel_batch(session, again.id)
        activate_next(session, "third")
        with pytest.raises(ConflictError, match="no longer active"):
            retry_batch(session, batch_id, admin.id)


def test_photos_that_were_never_tagged_are_left_to_their_own_batch(database: Database) -> None:
    """They are tagged by the active version anyway."""
    tagged_library(database, 1)
    with database.transaction() as session:
        activate_next(session, "second")
        fill_batch(session, [5])
    batch_id = begin_retag(database)

    with database.reading() as session:
        assert states_of(session, batch_id) == {"ready": 1}


def test_without_an_active_version_there_is_no_retag(database: Database) -> None:
    """The message says what to do."""
    with database.transaction() as session, pytest.raises(ConflictError, match="models activate"):
        start_retag(session, local_admin(session))


def said_by(session: Session) -> dict[int, int]:
    """How many photos each version has tagged."""
    query = select(Prediction.model_version_id, func.count()).where(Prediction.rank == 1)
    return {row[0]: row[1] for row in session.execute(query.group_by(Prediction.model_version_id))}
