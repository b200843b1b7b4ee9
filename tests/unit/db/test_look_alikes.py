"""Look-alikes: the nearest first, of the active space, of what a person may see; new photos are found at once."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db import code_index
from db.batches import create_batch
from db.blobs import Blobs, open_blobs
from db.errors import NotFoundError
from db.feature_centres import centre_of, ensure_centre
from db.feature_codes import Features, code_vectors, make_codes
from db.feature_spaces import active_space, feature_space
from db.features import ShardFile, erase_unreferenced_rows, record_shard, store_shard
from db.garbage import SPACE as SPACE_GOES
from db.garbage import queue_garbage
from db.look_alikes import Alike, LookAlikes, likeness
from db.missing_codes import make_missing_codes
from db.model_versions import activate, active_version, register_version
from db.schema import FeatureShard, Garbage, Photo, PhotoFeatures, User
from db.session import Database, utc_now
from db.settings import DataSettings
from db.users import local_admin
from tests.library_rows import add_photos, add_places, add_user
from tests.store import add_version
from worker.decoding import decode
from worker.limits import Limits
from worker.tiny import tiny_features

SPACE, OTHER_SPACE = "a" * 64, "b" * 64
PATIENT_S = 60.0


@pytest.fixture
def blobs(data_dir: Path) -> Blobs:
    return open_blobs(DataSettings(data_dir=data_dir))


def test_the_nearest_come_first_and_the_photo_itself_not_at_all(database: Database) -> None:
    """Equal photos have likeness 1, one at a right angle 0; photos that are not wanted are left out."""
    kinds = some_features(3, seed=5)
    step = 0.15 * (kinds[1].astype(np.float32) - kinds[0])
    line = [kinds[0], *(kinds[0] + number * step for number in range(1, 5)), kinds[0], kinds[2]]
    ids = add_featured(database, np.stack(line).astype(np.float16))

    found = nearest(LookAlikes(database), database, ids[0])

    assert [alike.photo_id for alike in found[:5]] == [ids[5], *ids[1:5]]
    assert found[0].likeness == 1.0
    assert all(0.0 <= alike.likeness <= 1.0 for alike in found)
    assert [
        alike.photo_id for alike in nearest(LookAlikes(database), database, ids[0], exclude=[ids[5], ids[2]])[:2]
    ] == [
        ids[1],
        ids[3],
    ]
    assert len(nearest(LookAlikes(database), database, ids[0], limit=2)) == 2
    assert (likeness(256), likeness(400)) == (pytest.approx(0.0), 0.0)


def test_the_nearest_are_those_that_differ_in_the_fewest_bits(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against counting them one by one, over the borders of groups and blocks."""
    monkeypatch.setattr(code_index, "BLOCK", 37)
    monkeypatch.setattr(code_index, "SHARDS_AT_ONCE", 2)
    features = some_features(300)
    ids = add_featured(database, features, shard=11)
    codes = [int.from_bytes(code) for code in codes_of(features)]
    alikes = LookAlikes(database, wait_s=PATIENT_S)

    for asked in (0, 150, 299):
        distances = {ids[n]: (code ^ codes[asked]).bit_count() for n, code in enumerate(codes) if n != asked}
        found = nearest(alikes, database, ids[asked], limit=20)

        assert [alike.likeness for alike in found] == [likeness(bits) for bits in sorted(distances.values())[:20]]
        assert all(alike.likeness == likeness(distances[alike.photo_id]) for alike in found)


def test_photos_that_come_and_go_are_seen_at_once(database: Database) -> None:
    """Those of an answer exist; those that were tagged after the last answer are in the next."""
    ids = add_featured(database, some_features(6))
    alikes = LookAlikes(database, wait_s=PATIENT_S)
    assert found_ids(alikes, database, ids[0]) == set(ids[1:])

    new = add_featured(database, some_features(3, seed=8), shard=1)
    assert found_ids(alikes, database, ids[0]) == {*ids[1:], *new}

    with database.transaction() as session:
        session.execute(delete(Photo).where(Photo.id.in_([ids[3], new[1]])))
    assert found_ids(alikes, database, ids[0]) == {*ids[1:3], *ids[4:], new[0], new[2]}


@pytest.mark.parametrize("numbers", [[500, 499, 501], [7, 7, 7], [3, 2000, 1500]])
def test_no_shard_is_overlooked_whatever_its_number(database: Database, numbers: list[int]) -> None:
    """PostgreSQL shows them in the order of commits, SQLite gives the number of a deleted one again."""
    ids = add_featured(database, some_features(1), shard=1)
    alikes = LookAlikes(database, wait_s=PATIENT_S)

    for seed, number in enumerate(numbers, 1):
        with database.transaction() as session:
            session.execute(delete(FeatureShard).where(FeatureShard.id == number))
            ids += add_photos(session, [{}])
            session.add(FeatureShard(id=number, space=SPACE, key=f"{seed}", rows=1, created_at=utc_now()))
            session.flush()
            code = codes_of(some_features(1, seed=seed))[0]
            session.add(PhotoFeatures(photo_id=ids[-1], space=SPACE, shard_id=number, row=0, code=code))

        assert ids[-1] in found_ids(alikes, database, ids[0])


def test_an_owner_sees_only_their_own_photos(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are nearer; and is told nothing of a photo of somebody else."""
    monkeypatch.setattr("db.look_alikes.MOST_TRIED", 5)
    monkeypatch.setattr("db.look_alikes.SPARE", 0)
    ids = add_featured(database, some_features(40))
    with database.transaction() as session:
        owner, other = add_user(session, "owner"), add_user(session, "other")
        batch = create_batch(session, owner.id, "b", priority=5)
        add_places(session, batch.id, ids[:5])
        reviewer = add_user(session, "reviewer", "reviewer")
    alikes = LookAlikes(database, wait_s=PATIENT_S)

    assert found_ids(alikes, database, ids[0], owner, limit=4) == set(ids[1:5])
    assert found_ids(alikes, database, ids[0], owner) == set(ids[1:5])
    assert len(found_ids(alikes, database, ids[0], reviewer)) == 24
    for user, photo_id in [(owner, ids[5]), (other, ids[0]), (reviewer, 10**6)]:
        with pytest.raises(NotFoundError):
            nearest(alikes, database, photo_id, user)


def test_an_owner_with_very_many_photos_is_answered_from_the_nearest_of_all(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And goes on to farther ones until there are enough."""
    monkeypatch.setattr("db.look_alikes.MANY_OWN", 1)
    monkeypatch.setattr("db.look_alikes.SPARE", 0)
    ids = add_featured(database, some_features(60))
    alikes = LookAlikes(database, wait_s=PATIENT_S)
    with database.transaction() as session:
        owner = add_user(session, "owner")
        order = [alike.photo_id for alike in alikes.nearest(session, local_admin(session), ids[0], limit=60)]
        add_places(session, create_batch(session, owner.id, "b", priority=5).id, [ids[0], *order[-4:]])

    assert [alike.photo_id for alike in nearest(alikes, database, ids[0], owner, limit=4)] == order[-4:]


def test_another_active_version_brings_its_own_space(database: Database) -> None:
    """The address of its features comes from its card; where that does not tell, from what was written last."""
    weights = "c" * 64
    space = feature_space(weights, "pool", "squash")
    ids = add_featured(database, some_features(4), shard=4)
    with database.transaction() as session:
        add_version(session)  # its card names no backbone
        assert active_space(session) == SPACE
        record(session, some_features(2, seed=7), ids[:2], space)
        assert active_space(session) == space
        record(session, some_features(1, seed=6), ids[:1], OTHER_SPACE)
    alikes = LookAlikes(database, wait_s=PATIENT_S)
    assert found_ids(alikes, database, ids[0]) == set()

    with database.transaction() as session:
        backbone = {"architecture": "tiny", "weights": "none", "weights_sha256": weights, "layer": "pool"}
        card = {"backbone": backbone, "decode_version": "squash"}
        second = register_version(session, "second", "built-in", "package:second", card, [])
        first = active_version(session)
        assert first is not None
        assert activate(session, second.id, first.id, "test")
        assert active_space(session) == space

    assert found_ids(alikes, database, ids[0]) == {ids[1]}
    assert found_ids(alikes, database, ids[3]) == set(), "a photo without features of this space has no look-alikes"


def test_a_training_of_another_network_does_not_move_the_active_versions_space(database: Database) -> None:
    """Its card does not tell its space; neither what a run has written since nor its version is taken for it."""
    backbone = {
        "weights_sha256": "c" * 64,
        "layer": "pool",
        "tuned": {"base_sha256": "d" * 64, "block5_sha256": "e" * 64},
    }
    card = {"backbone": backbone, "decode_version": "squash"}
    space = feature_space("c" * 64, "pool", "squash")
    ids = add_featured(database, some_features(4), shard=4)
    with database.transaction() as session:
        add_version(session)  # its card names no backbone
        queue_garbage(session, SPACE_GOES, [space])
        record(session, some_features(2, seed=7), ids[:2], space)
        assert active_space(session) == SPACE, "a run is at it"
        session.execute(delete(Garbage).where(Garbage.kind == SPACE_GOES))
        register_version(session, "head-1", "trained", "f" * 64, card, [])

        assert active_space(session) == SPACE, "nobody has activated it"


def test_without_any_features_nothing_is_alike(database: Database) -> None:
    """A new installation."""
    with database.transaction() as session:
        (photo_id,) = add_photos(session, [{}])

    assert nearest(LookAlikes(database), database, photo_id) == []


def test_codes_of_old_features_are_made_afterwards(
    database: Database, blobs: Blobs, caplog: pytest.LogCaptureFixture
) -> None:
    """Out of their files, as they would have been; where a file is gone once and for all, with a warning."""
    features = some_features(9)
    with database.transaction() as session:
        ids = add_photos(session, [{} for _ in features])
        ensure_centre(session, SPACE, CENTRAL)
        shards = [store_shard(blobs, SPACE, features[start : start + 3]) for start in (0, 3, 6)]
        for number, shard in enumerate(shards):
            record_shard(session, SPACE, shard, ids[3 * number : 3 * number + 3])
        session.execute(update(PhotoFeatures).where(PhotoFeatures.photo_id.in_(ids[3:])).values(code=None))
    blobs.delete_object(shards[2].key)
    alikes = LookAlikes(database, wait_s=PATIENT_S)
    assert found_ids(alikes, database, ids[0]) == set(ids[1:3])

    assert make_missing_codes(database, blobs, stopping=lambda: True) == 0
    assert make_missing_codes(database, blobs) == 2
    assert make_missing_codes(database, blobs) == 0

    assert found_ids(alikes, database, ids[0]) == set(ids[1:6])
    assert nearest(alikes, database, ids[6]) == []
    assert shards[2].key in caplog.text
    with database.reading() as session:
        for photo_id, code in zip(ids[:6], codes_of(features[:6]), strict=True):
            row = session.get(PhotoFeatures, (photo_id, SPACE))
            assert row is not None
            assert row.code == code


def test_many_threads_may_ask_while_photos_come(sqlite_database: Database) -> None:
    """Each answer is one of a library as it was at some moment: nothing twice, and never less than before."""
    ids = add_featured(sqlite_database, some_features(50))
    alikes = LookAlikes(sqlite_database, wait_s=PATIENT_S)
    faults: list[str] = []
    done = threading.Event()

    def ask() -> None:
        known: set[int] = set()
        while not done.is_set():
            found = [alike.photo_id for alike in nearest(alikes, sqlite_database, ids[0], limit=500)]
            if len(found) != len(set(found)) or not known <= set(found):
                faults.append(f"{len(found)} found, {len(known)} before")
            known = set(found)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for seed in range(12):
        ids += add_featured(sqlite_database, some_features(20, seed=seed), shard=3)
    done.set()
    for thread in threads:
        thread.join()

    assert faults == []
    assert found_ids(alikes, sqlite_database, ids[0], limit=500) == set(ids[1:])


def test_the_first_photos_of_a_space_get_codes_once_they_are_enough(database: Database, blobs: Blobs) -> None:
    """The janitor makes the centre out of those that wait; rows of deleted photos do not count."""
    features = some_features(12)
    with database.transaction() as session:
        ids = add_photos(session, [{} for _ in features])
        first, second = store_shard(blobs, SPACE, features[:6]), store_shard(blobs, SPACE, features[6:])
        record_shard(session, SPACE, first, ids[:6])
        session.execute(delete(Photo).where(Photo.id.in_(ids[:2])))
        erase_unreferenced_rows(session, blobs, first.key)
        record_shard(session, SPACE, second, ids[6:])
        assert set(session.scalars(select(PhotoFeatures.code))) == {None}
    alikes = LookAlikes(database, wait_s=PATIENT_S)
    assert nearest(alikes, database, ids[2]) == []

    assert make_missing_codes(database, blobs) == 2

    with database.reading() as session:
        centre = centre_of(session, SPACE)
    assert centre is not None
    np.testing.assert_allclose(centre, code_vectors(features[2:]).mean(axis=0), rtol=1e-5)
    assert found_ids(alikes, database, ids[2]) == set(ids[3:])


def test_the_centre_of_a_space_is_set_once(database: Database) -> None:
    """By the first chunk that is large enough; later ones are coded about the same."""
    first, later = some_features(8, seed=1), some_features(8, seed=2)
    with database.transaction() as session:
        ids = add_photos(session, [{} for _ in range(16)])
        for name, features, some in (("a", first, ids[:8]), ("b", later, ids[8:])):
            record_shard(session, SPACE, ShardFile(name, 8, code_vectors(features)), some)

        codes = session.scalars(select(PhotoFeatures.code).order_by(PhotoFeatures.photo_id)).all()

    centre = code_vectors(first).mean(axis=0)
    assert codes == make_codes(code_vectors(np.concatenate([first, later])), centre)


def test_of_real_photos_most_of_the_nearest_are_found(sqlite_database: Database, shared: Path) -> None:
    """Of the ten nearest by exact cosine at least 70 % are among the twenty nearest by code; copies come first."""
    paths = sorted((shared / "photos" / "library").rglob("*.*"))
    pixels = np.stack([decode(path.read_bytes(), Limits(), previews=()).pixels for path in paths])
    copies = (pixels[:10] // 2 * 2).astype(np.uint8)
    features = tiny_features(np.concatenate([pixels, copies]))
    with sqlite_database.transaction() as session:
        ids = add_photos(session, [{} for _ in features])
        for start in range(0, len(ids), 16):
            vectors = code_vectors(features[start : start + 16])
            record_shard(session, SPACE, ShardFile(f"{start}", len(vectors), vectors), ids[start : start + 16])
    alikes = LookAlikes(sqlite_database, wait_s=PATIENT_S)
    exact = code_vectors(features) - code_vectors(features[:16]).mean(axis=0)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    cosines = exact @ exact.T - 2 * np.eye(len(exact), dtype=np.float32)

    hits = 0
    for number, photo_id in enumerate(ids):
        found = {alike.photo_id for alike in nearest(alikes, sqlite_database, photo_id, limit=20)}
        hits += len(found & {ids[row] for row in np.argsort(-cosines[number])[:10]})
    firsts = [nearest(alikes, sqlite_database, photo_id, limit=1)[0].photo_id for photo_id in ids[:10]]

    assert hits / (10 * len(ids)) >= 0.7
    assert firsts == ids[-10:]


def some_features(count: int, seed: int = 0) -> Features:
    """Features of different photos, none negative."""
    drawn = np.random.default_rng(seed).standard_normal((count, 2, 2, 32))
    return np.maximum(drawn, 0.0).astype(np.float16)


def add_featured(database: Database, features: Features, *, shard: int = 2) -> list[int]:
    """Ids of new photos with these features, in shards of `shard` rows."""
    with database.transaction() as session:
        ids = add_photos(session, [{} for _ in features])
        for start in range(0, len(ids), shard):
            record(session, features[start : start + shard], ids[start : start + shard])
    return ids


def record(session: Session, features: Features, ids: Sequence[int], space: str = SPACE) -> None:
    """Rows of features whose file nobody will read."""
    ensure_centre(session, space, CENTRAL)
    key = f"features/{space[:16]}/{ids[0]}-{features.sum()}.safetensors"
    record_shard(session, space, ShardFile(key, len(ids), code_vectors(features)), ids)


def nearest(
    alikes: LookAlikes, database: Database, photo_id: int, user: User | None = None, **options: Any
) -> list[Alike]:
    """As `LookAlikes.nearest`, for the admin if no one else."""
    with database.reading() as session:
        return alikes.nearest(session, user or ADMIN, photo_id, **options)


def found_ids(
    alikes: LookAlikes, database: Database, photo_id: int, user: User | None = None, *, limit: int = 24
) -> set[int]:
    """Ids of those that are alike."""
    return {alike.photo_id for alike in nearest(alikes, database, photo_id, user, limit=limit)}


def codes_of(features: Features) -> list[bytes]:
    """As they are kept."""
    return make_codes(code_vectors(features), CENTRAL.mean(axis=0))


CENTRAL = code_vectors(some_features(16, seed=99))
ADMIN = User(id=1, name="admin", role="admin")
