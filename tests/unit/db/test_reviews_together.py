"""Verdicts while others review, undo, tag, delete and activate: no error, no word of a person lost."""

import random
import time
from collections.abc import Callable
from functools import partial

from sqlalchemy import func, select

from db.batches import add_items, create_batch, seal_batch
from db.deleting import delete_photos
from db.items import claim_items, finish_items, finish_known
from db.known import finish_known_items
from db.model_versions import activate, active_version, version_label_ids
from db.predictions import Tagged
from db.reviews import Said, record_verdicts, undo
from db.schema import Photo, PhotoHash, Review, ReviewAction, User
from db.session import Database
from db.shown import lock_photos, show_what_counts
from db.users import local_admin
from tests.library_rows import add_user
from tests.review_rows import say, shown_of, tagged_photos
from tests.store import FACTS, add_version, new_items, run_together, top_of, without_disk_syncs

PHOTOS = 12
SECONDS = 4


def test_a_stroke_that_is_sent_twice_at_once_is_one(database: Database) -> None:
    """Both answers name the same action; so with an undo."""
    with database.transaction() as session:
        photo_ids = tagged_photos(session, add_version(session), 5)
        ann = add_user(session, "ann", "reviewer")
    for number in range(10):
        found: list[int | None] = []
        undone: list[int] = []

        def send(token: str = f"t{number}", found: list[int | None] = found) -> None:
            said = [Said(photo_id, "none") for photo_id in photo_ids]
            with database.transaction() as session:
                found.append(record_verdicts(session, ann, said, token=token, source="grid").action_id)

        def take_back(token: str = f"u{number}", undone: list[int] = undone) -> None:
            with database.transaction() as session:
                undone.append(undo(session, ann, token=token).action_id)

        run_together([send] * 3)
        run_together([take_back] * 3)

        assert (len(found), len(set(found)), len(undone), len(set(undone))) == (3, 1, 3, 1)
    with database.reading() as session:
        assert session.scalars(select(func.count()).select_from(ReviewAction)).one() == 20


def test_of_two_who_decide_at_once_one_is_told(database: Database) -> None:
    """A photo that both have seen undecided is decided once, whoever is first."""
    with database.transaction() as session:
        photo_ids = tagged_photos(session, add_version(session), 20)
        users = [add_user(session, name, "reviewer") for name in ("ann", "bob")]
    conflicts: list[int] = []

    def decide(user: User) -> None:
        for photo_id in photo_ids:
            with database.transaction() as session:
                conflicts.extend(
                    conflict.photo_id for conflict in say(session, user, [photo_id], "none", seen=0).conflicts
                )

    run_together(partial(decide, user) for user in users)

    assert sorted(conflicts) == photo_ids
    with database.reading() as session:
        assert sorted(session.scalars(select(Review.photo_id))) == photo_ids


def test_no_word_of_a_person_is_lost_while_models_write(database: Database) -> None:
    """Every way of writing predictions, activation, undo and deletion at the same time; a seed is printed."""
    database = without_disk_syncs(database) if database.is_sqlite else database
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - shown by pytest when the test fails
    with database.transaction() as session:
        version_ids = [add_version(session, name, active=name == "a") for name in "ab"]
        label_ids = version_label_ids(session, version_ids[0])
        users = [add_user(session, name, "reviewer") for name in ("ann", "bob")]
        batch = create_batch(session, local_admin(session).id, "first", priority=5)
        add_items(session, batch.id, new_items(range(PHOTOS)))
        quarters = {f"quarter_{n}": 0 for n in range(4)}
        for photo_id in session.scalars(select(Photo.id)):
            session.add(PhotoHash(photo_id=photo_id, phash=7, group_id=1, **quarters))
    acts = (
        _review(users[0], label_ids),
        _review(users[1], label_ids),
        _tag(version_ids),
        _tag(version_ids),
        _activate,
        _delete,
    )
    errors: list[Exception] = []
    until = time.monotonic() + SECONDS

    def again(act: Callable[[Database, random.Random], None], number: int) -> None:
        dice = random.Random(seed + number)
        try:
            while time.monotonic() < until:
                act(database, dice)
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    run_together(partial(again, act, n) for n, act in enumerate(acts))

    assert errors == []
    with database.transaction() as session:
        photo_ids = list(session.scalars(select(Photo.id)))
        before = shown_of(session, photo_ids)
        assert lock_photos(session, photo_ids) == sorted(photo_ids)
        show_what_counts(session, photo_ids)
        assert shown_of(session, photo_ids) == before
        undos = ReviewAction.undoes_id.is_not(None)
        assert min(session.scalars(select(func.count()).where(each)).one() for each in (undos, ~undos)) > 0


def _review(user: User, label_ids: list[int]) -> Callable[[Database, random.Random], None]:
    def act(database: Database, dice: random.Random) -> None:
        with database.transaction() as session:
            ids = session.scalars(select(Photo.id)).all()
        some = dice.sample(ids, min(len(ids), dice.randrange(1, 6)))
        with database.transaction() as session:
            verdict = dice.choice(["label", "label", "none", "unsure", "skip"])
            label_id = dice.choice(label_ids) if verdict == "label" else None
            written = say(session, user, some, verdict, label_id=label_id)
        if written.action_id is not None and dice.random() < 0.3:
            with database.transaction() as session:
                undo(session, user, token=str(dice.random()), action_id=written.action_id)

    return act


def _tag(version_ids: list[int]) -> Callable[[Database, random.Random], None]:
    def act(database: Database, dice: random.Random) -> None:
        with database.transaction() as session:
            batch = create_batch(session, local_admin(session).id, "again", priority=5)
            add_items(session, batch.id, new_items(sorted(dice.sample(range(PHOTOS), 4))))
            if dice.random() < 0.3:
                finish_known_items(session, batch.id, 0, PHOTOS)
            seal_batch(session, batch.id)
        owner, version_id = str(dice.random()), dice.choice(version_ids)
        with database.transaction() as session:
            items = claim_items(session, owner, 4, 60)
            label_ids = version_label_ids(session, version_id)
        results = [
            Tagged(
                item.item_id,
                item.attempt,
                item.photo_id,
                version_id,
                FACTS,
                top_of(item.photo_id + version_id, label_ids),
            )
            for item in items
        ]
        with database.transaction() as session:
            if dice.random() < 0.2:
                finish_known(session, owner, items, version_id)
            else:
                finish_items(session, owner, results)

    return act


def _activate(database: Database, dice: random.Random) -> None:
    with database.transaction() as session:
        active = active_version(session)
        assert active is not None
        other = session.scalars(select(type(active).id).where(type(active).id != active.id)).one()
        activate(session, other, active.id, "test")
    time.sleep(dice.random() / 50)


def _delete(database: Database, dice: random.Random) -> None:
    with database.transaction() as session:
        ids = session.scalars(select(Photo.id)).all()
        delete_photos(session, local_admin(session), dice.sample(ids, min(2, len(ids))))
    time.sleep(dice.random() / 20)
