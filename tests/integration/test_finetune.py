"""A network of one's own, through the real training process and the real VGG16: trained, activated, re-tagged, undone."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.activations import activate_version, roll_back
from db.blobs import open_blobs
from db.feature_spaces import active_space
from db.features import read_features
from db.model_versions import active_version, get_version
from db.retag_showing import apply_some, restore_some
from db.retags import start_retag
from db.schema import FeatureShard, ModelVersion, PhotoFeatures, Prediction
from db.session import Database
from db.settings import DataSettings
from db.training_runs import start_run
from db.training_views import get_run
from db.users import local_admin
from tests.integration.accepting import accept, states
from tests.integration.bench import Bench
from tests.review_rows import shown_of
from tests.tinted import TINTS, Tinted, add_photos, say_tints, tint_of, tinted_photo
from training.recipe import load_recipe
from training.run_keeper import RunKeeper, run_command
from training.run_place import RunPlace
from worker.artifact import artifact_folder, read_artifact
from worker.canary import canary_pixels
from worker.decoding import decode
from worker.settings import WorkerSettings

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(900)]

# Of two labels; of the six last ones none is labelled.
LABELLED = [seed for seed in range(21) if tint_of(seed) != "moss"]
SHORT = {"epochs": 1, "patience": 1, "batch_size": 4, "learning_rate": 1e-5}


@pytest.fixture
def bench(sqlite_database: Database, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A tagger with the seeded VGG16 and the starter version; the training process finds the same settings."""
    monkeypatch.setenv("PHOTOTAG_OFFLINE", "1")
    monkeypatch.setenv("PHOTOTAG_CHUNK_SIZE", "4")
    bench = Bench(sqlite_database, data_dir, WorkerSettings(chunk_size=4, offline=True))
    yield bench
    bench.close()


def test_block_5_is_trained_tags_retags_and_is_rolled_back(bench: Bench, tmp_path: Path) -> None:
    """The version's features are its own: photos that it has none of are decoded, and those from training are not."""
    database, data_dir = bench.database, bench.data_settings.data_dir
    world = labelled_world(bench)
    bench.tag()
    with database.reading() as session:
        first_space = active_space(session)
        before = shown_of(session, list(world.photo_ids.values()))

    version = trained_version(bench)

    # the candidate: a block 5 beside its card, and features of all labelled photos in a space of its own
    found = read_artifact(artifact_folder(data_dir, version.artifact))
    assert found.block5 is not None
    assert found.card.backbone.tuned is not None
    assert found.card.recipe["tuned_epoch"] == 1
    assert 0 < found.card.recipe["tuned_photos"] < len(LABELLED)
    assert "Block 5" in found.card.notice
    with database.transaction() as session:
        starter = active_version(session)
        assert starter is not None
        activate_version(session, version.id, expected_id=starter.id, user=None, reason="test")
    with database.reading() as session:
        space = active_space(session)
        assert space not in (None, first_space)
        assert photos_in(session, space) == len(LABELLED)

    # a new photo is tagged by the new network
    photo = tmp_path / "new" / "100.jpg"
    photo.parent.mkdir()
    photo.write_bytes(tinted_photo(100, TINTS["rust"]))
    new = accept(database, [photo])
    bench.tag()
    assert (states(database, new), bench.active.note) == ({"tagged": 1}, "")
    assert bench.active.version_id == version.id

    # a re-tag reads the features that training left, and decodes the others
    shards = shards_in(database, space)
    with database.transaction() as session:
        retag = start_retag(session, local_admin(session)).id
    bench.tag()
    assert states(database, retag) == {"tagged": len(world.photo_ids)}
    unlabelled = len(world.photo_ids) - len(LABELLED)
    with database.reading() as session:
        assert photos_in(session, space) == len(world.photo_ids) + 1
        said = select(func.count()).where(Prediction.model_version_id == version.id, Prediction.rank == 1)
        assert session.scalars(said).one() == len(world.photo_ids) + 1
    assert rows_of(database, space) - sum(shards.values()) == unlabelled
    assert_like_a_tag(bench, world, space)

    # and all is as it was after a roll back
    assert apply_some(database, version.id).done > 0
    with database.transaction() as session:
        roll_back(session, None)
    restore_some(database)
    with database.reading() as session:
        assert shown_of(session, list(world.photo_ids.values())) == before
    assert bench.active.follow()
    assert bench.active.space == first_space


def labelled_world(bench: Bench) -> Tinted:
    """Photos of two labels, and six more that nobody has looked at."""
    data_dir = bench.data_settings.data_dir
    place = RunPlace(bench.database, open_blobs(bench.data_settings), data_dir, bench.settings)
    world = Tinted(place, DataSettings(data_dir=data_dir), {})
    seeds = [*LABELLED, *range(40, 46)]
    add_photos(world, {seed: tinted_photo(seed, TINTS[tint_of(seed)]) for seed in seeds})
    say_tints(world, LABELLED)
    return world


def trained_version(bench: Bench) -> ModelVersion:
    """What a run makes, in a process of its own as a training worker starts it."""
    values = load_recipe("vgg16-finetune").model_dump(mode="json") | {"tuning": SHORT}
    with bench.database.transaction() as session:
        run_id = start_run(session, local_admin(session), values, "never").id
    RunKeeper(bench.database, "keeper-1", run_command(str(bench.data_settings.data_dir)), lambda: False)()
    with bench.database.reading() as session:
        details = get_run(session, run_id)
        assert (details.run.state, details.run.reason) == ("done", "")
        assert [epoch["number"] for epoch in details.curves] == [1]
        assert details.run.version is not None
        assert (details.report or {})["base"] is not None, "the active version was examined in its own space"
        return get_version(session, details.run.version)


def assert_like_a_tag(bench: Bench, world: Tinted, space: str) -> None:
    """Features that training left are those that tagging computes: from outputs of block 4 that were kept as float16."""
    seeds = LABELLED[:3]
    ids = [world.photo_ids[seed] for seed in seeds]
    pixels = [decode(tinted_photo(seed, TINTS[tint_of(seed)]), bench.settings.limits).pixels for seed in seeds]
    with bench.database.reading() as session:
        kept = read_features(session, world.blobs, space, ids)
    computed = bench.active.loaded.features(np.stack(pixels)).astype(np.float32)
    left = np.stack([kept[photo_id] for photo_id in ids]).astype(np.float32)
    np.testing.assert_allclose(left, computed, atol=2e-3 * float(computed.max()))
    classifier = bench.active.loaded
    np.testing.assert_allclose(
        classifier.predict(left.astype(np.float16)), classifier.predict(computed.astype(np.float16)), atol=0.01
    )
    assert classifier.features(canary_pixels()).shape == (4, 7, 7, 512)


def photos_in(session: Session, space: str | None) -> int:
    return session.scalars(select(func.count()).select_from(PhotoFeatures).where(PhotoFeatures.space == space)).one()


def shards_in(database: Database, space: str | None) -> dict[str, int]:
    with database.reading() as session:
        query = select(FeatureShard.key, FeatureShard.rows).where(FeatureShard.space == space)
        return {row.key: row.rows for row in session.execute(query)}


def rows_of(database: Database, space: str | None) -> int:
    return sum(shards_in(database, space).values())
