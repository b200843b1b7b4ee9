"""Photos that the active version has tagged before end as they are accepted."""

from db.batches import add_items, cancel_batch
from db.items import claim_items, finish_items
from db.known import finish_known_items
from db.model_versions import activate, version_label_ids
from db.schema import Photo
from db.session import Database
from tests.store import add_batch, add_version, new_items, prediction_count, states_of, tag_all


def tagged_by(database: Database, count: int) -> int:
    """Tags photos 0 to `count` - 1 by a new active version; returns its id."""
    add_batch(database, count)
    with database.transaction() as session:
        version_id = add_version(session)
        finish_items(session, "w", tag_all(session, claim_items(session, "w", count, 60), version_id))
    return version_id


def test_only_photos_that_the_active_version_has_tagged_end_at_once(database: Database) -> None:
    """The others wait for a worker, and no prediction is written again."""
    tagged_by(database, 2)
    batch_id = add_batch(database, 3, sealed=False)

    with database.transaction() as session:
        before = prediction_count(session)
        assert finish_known_items(session, batch_id, 0, 2) == 2
        assert finish_known_items(session, batch_id, 0, 2) == 0

        assert states_of(session, batch_id) == {"tagged": 2, "ready": 1}
        assert prediction_count(session) == before


def test_positions_of_other_groups_are_left_alone(database: Database) -> None:
    """A group looks at its own items only, whatever the batch has grown to."""
    tagged_by(database, 4)
    batch_id = add_batch(database, 2, sealed=False)
    with database.transaction() as session:
        add_items(session, batch_id, new_items([2, 3]))

        assert finish_known_items(session, batch_id, 2, 3) == 2
        assert states_of(session, batch_id) == {"tagged": 2, "ready": 2}


def test_another_versions_word_does_not_count(database: Database) -> None:
    """After a new version became active, everything is tagged again."""
    first = tagged_by(database, 2)
    batch_id = add_batch(database, 2, sealed=False)
    with database.transaction() as session:
        second = add_version(session, "second", active=False)
        assert activate(session, second, first, "better")

        assert finish_known_items(session, batch_id, 0, 1) == 0


def test_the_known_label_is_shown(database: Database) -> None:
    """As if the version had just tagged it; a cancelled batch stays cancelled."""
    version_id = tagged_by(database, 1)
    batch_id = add_batch(database, 1, sealed=False)
    with database.transaction() as session:
        photo = session.query(Photo).one()
        photo.shown_label_id = photo.shown_score = photo.shown_origin = photo.shown_model_version_id = None
    with database.transaction() as session:
        assert finish_known_items(session, batch_id, 0, 0) == 1
        photo = session.query(Photo).one()
        assert photo.shown_label_id in version_label_ids(session, version_id)
    cancelled = add_batch(database, 1, sealed=False)
    with database.transaction() as session:
        cancel_batch(session, cancelled)
        assert finish_known_items(session, cancelled, 0, 0) == 0
        assert states_of(session, cancelled) == {"cancelled": 1}
