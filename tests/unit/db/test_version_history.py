"""The history of versions: what each was made from, who activated it when, and what a roll back would do."""

from sqlalchemy.orm import Session

from db.activations import activate_version, roll_back
from db.labels import ensure_labels
from db.model_versions import active_version, get_version
from db.retag_showing import apply_some, restore_some
from db.session import Database
from db.snapshots import snapshot_digest, snapshot_entries
from db.training_schema import TrainingRun
from db.users import local_admin
from db.version_history import photos_to_restore, version_history, way_back
from tests.library_rows import add_user
from tests.model_rows import add_finished_run
from tests.retag_rows import activate_next, begin_retag, photo_ids, tag_normally, tagged_library, work_on_retag
from tests.review_rows import say
from tests.store import add_version

NAMES = ("glacier", "mountain", "street")
ANSWERS = [(0, 0, 1), (1, 1, 1), (2, 1, 2)]
PHOTOS = 6


def test_a_database_without_versions_has_no_history(database: Database) -> None:
    """And nothing to go back to."""
    with database.reading() as session:
        assert (version_history(session), way_back(session), photos_to_restore(session)) == ([], None, 0)


def test_a_trained_version_says_what_it_was_made_from(database: Database) -> None:
    """Run, recipe, who asked, labels, and the snapshot with which it can be made again; a built-in one has none of it."""
    with database.transaction() as session:
        add_version(session)
        run_id, photos, _ = add_finished_run(session, NAMES, ANSWERS)
        run = session.get_one(TrainingRun, run_id)
        run.user_id = add_user(session, "ada").id
        assert run.snapshot_id is not None
        digest = snapshot_digest(session, snapshot_entries(session, run.snapshot_id))

        trained, built_in = version_history(session)

    assert (trained.name, trained.origin, trained.run_id, trained.recipe) == ("head-1", "trained", run_id, "default")
    assert (trained.made_by, trained.labels, trained.snapshot_photos) == ("ada", len(NAMES), len(photos))
    assert trained.snapshot == digest
    assert trained.card["metrics"]["holdout"]["photos"] == len(ANSWERS)
    assert (trained.active, trained.activated_at, trained.activated_by) == (False, None, None)
    assert (built_in.name, built_in.labels, built_in.active) == ("first", 5, True)
    assert (built_in.run_id, built_in.made_by, built_in.recipe, built_in.snapshot, built_in.snapshot_photos) == (
        *(None, None, None, None, None),
    )


def test_the_last_activation_of_a_version_counts(database: Database) -> None:
    """Once each in the list, however often it was activated; by whom is told of the last time."""
    with database.transaction() as session:
        activate_next(session, "one")
        activate_next(session, "two")
        activate(session, "one")
        activate(session, "two")
        ada = add_user(session, "ada", "admin")
        activate_version(session, id_of(session, "one"), expected_id=id_of(session, "two"), user=ada, reason="test")

        two, one = version_history(session)

    assert (one.name, one.active, one.activated_by) == ("one", True, "ada")
    assert (two.name, two.active, two.activated_by) == ("two", False, None)
    assert one.activated_at is not None
    assert two.activated_at is not None
    assert one.activated_at >= two.activated_at


def test_the_way_back_counts_the_photos_it_would_change(database: Database) -> None:
    """Those whose word was replaced and that show it still: applied, tagged again, also beneath a person's word."""
    tagged_library(database, PHOTOS)
    with database.transaction() as session:
        assert way_back(session) is None
        second = activate_next(session, "second")
        way = way_back(session)
        assert way is not None
        assert (way.version_id, way.version, way.before, way.photos) == (second, "second", "first", 0)
    begin_retag(database)
    with database.transaction() as session:
        work_on_retag(session, second)
        assert photos_back(session) == 0  # looked at, not applied

    apply_some(database, second)

    with database.transaction() as session:
        say(session, local_admin(session), photo_ids(session)[:1], label_id=label_of(session))
        assert photos_back(session) == PHOTOS
        tag_normally(session, [100], second)
        assert photos_back(session) == PHOTOS  # a photo that came since has nothing to go back to


def test_photos_are_restored_after_a_roll_back_and_counted_until_then(database: Database) -> None:
    """Before it there are none; each roll back leads one step further."""
    tagged_library(database, PHOTOS)
    with database.transaction() as session:
        second = activate_next(session, "second")
        tag_normally(session, [0, 1], second)
        activate_next(session, "third")
        assert photos_to_restore(session) == 0
        assert steps(session) == ("third", "second", 0)
        roll_back(session, None)
        assert (steps(session), photos_to_restore(session)) == (("second", "first", 2), 0)
        roll_back(session, None)
        assert (way_back(session), photos_to_restore(session)) == (None, 2)
        activate(session, "second")
        assert steps(session) == ("second", "first", 0)  # what its first activation changed is on its way back
        roll_back(session, None)

    restore_some(database)

    with database.reading() as session:
        assert photos_to_restore(session) == 0
        assert [(one.name, one.active) for one in version_history(session)] == [
            *(("third", False), ("second", False), ("first", True)),
        ]


def steps(session: Session) -> tuple[str, str, int]:
    """From which version to which a roll back goes, and of how many photos."""
    way = way_back(session)
    assert way is not None
    return way.version, way.before, way.photos


def photos_back(session: Session) -> int:
    """How many photos a roll back would change."""
    return steps(session)[2]


def activate(session: Session, name: str) -> None:
    """Activates a version that there is."""
    before = active_version(session)
    assert before is not None
    activate_version(session, id_of(session, name), expected_id=before.id, user=None, reason="test")


def id_of(session: Session, name: str) -> int:
    """The version of this name."""
    return get_version(session, name).id


def label_of(session: Session) -> int:
    """A label that a person may give."""
    return ensure_labels(session, [["cat"]])[0]
