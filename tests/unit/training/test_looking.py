"""Looks for labels that look wrong: when they happen, what they leave, and that a person's word ends the doubt."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, update

from db.blobs import Blobs, open_blobs
from db.doubts import Doubt, new_verdicts, raise_doubts
from db.garbage import take_turn
from db.labels import ensure_labels
from db.reviews import undo
from db.schema import FeatureShard, Garbage, Label, ReviewAction
from db.session import Database, utc_now
from db.settings import DataSettings
from db.users import local_admin
from tests.labelled import SHARD, World, hints, make_world, say
from training.looking import LONGEST_S, MANY, TURN, Looking


@pytest.fixture
def blobs(data_dir: Path) -> Blobs:
    return open_blobs(DataSettings(data_dir=data_dir))


@pytest.fixture
def world(database: Database, blobs: Blobs) -> World:
    return make_world(database, blobs, 300)


def test_labels_that_look_wrong_are_raised_and_gone_once_they_are_right(world: World) -> None:
    """15 of 300 are wrong: at least 12 are hinted at, with at most 6 others; after a person's answer, none."""
    wrong = set(np.random.RandomState(5).choice(world.photo_ids, 15, replace=False).tolist())
    say(
        world,
        {
            photo_id: world.fitting(photo_id, photo_id % 4 + 1 if photo_id in wrong else 0)
            for photo_id in world.photo_ids
        },
    )
    looking = looker(world)

    looking()

    raised = hints(world)
    assert len(raised.keys() & wrong) >= 12
    assert len(raised.keys() - wrong) <= 6
    assert all(0.0 <= urgency <= 1.0 for urgency in raised.values())

    say(world, {photo_id: world.fitting(photo_id) for photo_id in wrong | raised.keys()}, reason="mislabelled")
    looking()

    assert hints(world) == {}


def test_a_label_that_a_person_has_confirmed_is_not_doubted_again(world: World) -> None:
    """Until they take that back, or say something else."""
    odd = world.photo_ids[7]
    say(world, {photo_id: world.fitting(photo_id, int(photo_id == odd)) for photo_id in world.photo_ids})
    looker(world)()
    assert hints(world).keys() == {odd}

    say(world, {odd: world.fitting(odd, 1)}, reason="mislabelled")
    let_time_pass(world)
    looker(world)()
    assert hints(world) == {}

    with world.database.transaction() as session:
        undo(session, local_admin(session), token="undo")
    let_time_pass(world)
    looker(world)()
    assert hints(world).keys() == {odd}


def test_it_waits_for_many_verdicts_or_for_a_pause(database: Database, blobs: Blobs) -> None:
    """A person at work is not answered after every key; what was judged is not judged again."""
    world = make_world(database, blobs, 100)
    everything = {
        photo_id: world.fitting(photo_id, int(photo_id == world.photo_ids[3])) for photo_id in world.photo_ids
    }
    say(world, dict(list(everything.items())[: MANY - 1]))
    looking = looker(world)

    looking()
    assert pending(world) == MANY - 1

    say(world, everything)
    looking()
    assert pending(world) == 0
    assert len(hints(world)) == 1

    say(world, {world.photo_ids[3]: world.fitting(world.photo_ids[3])})
    looking()
    assert pending(world) == 1

    let_time_pass(world)
    looking()
    assert (pending(world), hints(world)) == (0, {})


def test_of_two_workers_one_looks(database: Database, blobs: Blobs) -> None:
    """And the other takes over from one that gives up, or was killed long ago."""
    world = make_world(database, blobs, 100)
    say(world, {photo_id: world.fitting(photo_id) for photo_id in world.photo_ids})
    with database.transaction() as session:
        assert take_turn(session, TURN, LONGEST_S)

    looker(world)()
    assert pending(world) == MANY

    with database.transaction() as session:
        session.execute(update(Garbage).values(queued_at=utc_now() - dt.timedelta(seconds=LONGEST_S + 1)))
    looker(world)()
    assert pending(world) == 0
    with database.transaction() as session:
        assert take_turn(session, TURN, LONGEST_S), "the turn was not given back"


def test_what_was_said_since_the_labels_were_read_counts_more(database: Database, blobs: Blobs) -> None:
    """A photo with another label by now, the same label said again, one without a verdict, one that is gone."""
    world = make_world(database, blobs, 12)
    first, second, third, fourth, *_ = world.photo_ids
    say(world, dict.fromkeys((first, second, third), world.label_ids[0]))
    read_at = utc_now()
    say(world, {first: world.label_ids[1]})
    say(world, {second: world.label_ids[0]})

    doubts = [Doubt(photo_id, world.label_ids[0], 0.7) for photo_id in (first, second, third, fourth, 10**6)]

    assert raise_doubts(database, doubts, read_at) == 1
    assert hints(world) == {third: 0.7}


def test_a_merged_label_is_judged_as_the_one_it_stands_for(database: Database, blobs: Blobs) -> None:
    """Two labels for one kind are no doubt once they are one."""
    world = make_world(database, blobs, 100)
    with database.transaction() as session:
        (other,) = ensure_labels(session, [["another name of kind 0"]])
    given = {photo_id: world.fitting(photo_id) for photo_id in world.photo_ids}
    given |= dict.fromkeys(world.photo_ids[::10], other)
    say(world, given)
    with database.transaction() as session:
        session.execute(update(Label).where(Label.id == other).values(merged_into_id=world.label_ids[0]))

    looker(world)()

    assert (pending(world), hints(world)) == (0, {})


def test_photos_whose_features_are_gone_are_left_out(
    database: Database, blobs: Blobs, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are judged; a worker that has read a file before does not need it again."""
    world = make_world(database, blobs, 108)
    odd = world.photo_ids[100]
    say(world, {photo_id: world.fitting(photo_id, int(photo_id == odd)) for photo_id in world.photo_ids})
    looking = looker(world)
    looking()
    with database.reading() as session:
        keys = session.scalars(select(FeatureShard.key).order_by(FeatureShard.id)).all()
    for key in (keys[0], keys[100 // SHARD]):
        blobs.delete_object(key)

    for judge, doubted in ((looking, {odd}), (looker(world), set[int]())):
        say(world, {photo_id: world.fitting(photo_id, int(photo_id == odd)) for photo_id in world.photo_ids})
        judge()
        assert (pending(world), hints(world).keys()) == (0, doubted)

    assert keys[0] in caplog.text


def test_without_enough_labels_nothing_happens(
    database: Database, blobs: Blobs, caplog: pytest.LogCaptureFixture
) -> None:
    """And the log says what is missing."""
    world = make_world(database, blobs, 30)
    say(world, {photo_id: world.fitting(photo_id) for photo_id in world.photo_ids})

    with caplog.at_level("INFO"):
        looker(world)()

    assert (pending(world), hints(world)) == (0, {})
    assert "Until now: 30 photos, 5 labels" in caplog.text


def pending(world: World) -> int:
    """Verdicts that were not judged, at most `MANY`."""
    with world.database.reading() as session:
        return new_verdicts(session, MANY).verdicts


def let_time_pass(world: World) -> None:
    """Five minutes go by in which nobody says anything."""
    with world.database.transaction() as session:
        for row in [*session.scalars(select(ReviewAction)), *session.scalars(select(Garbage))]:
            name = "at" if isinstance(row, ReviewAction) else "queued_at"
            setattr(row, name, getattr(row, name) - dt.timedelta(minutes=5))


def looker(world: World) -> Looking:
    """A training worker's look."""
    return Looking(world.database, world.blobs, lambda: False)
