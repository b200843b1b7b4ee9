"""Before block 5 is trained: what cannot be done is said, and features that no version may come to read are let go of."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select

from db.errors import PhototagError
from db.schema import FeatureShard
from db.session import Database
from db.spare_spaces import forget_spare_spaces
from db.training_runs import cancel_run
from tests.tinted import TINTS, add_photos, empty_tinted, make_tinted, say_tints, tint_of, tinted_photo
from tests.tinted_runs import claim
from training.feature_making import Shard, keep_shard
from training.networks import network_for_training
from training.run import train
from training.run_photos import gather_photos
from training.run_progress import RunProgress
from worker.artifact import PACKAGE_DIR, read_card
from worker.settings import WorkerSettings


@pytest.mark.network
def test_photos_whose_files_are_gone_end_it_with_a_reason(sqlite_database: Database, data_dir: Path) -> None:
    """Their features are there, but block 5 is trained on the photos themselves."""
    settings = WorkerSettings(offline=True, decoders=1, chunk_size=4)
    world = empty_tinted(sqlite_database, data_dir, settings)
    add_photos(world, {seed: tinted_photo(seed, TINTS[tint_of(seed)]) for seed in range(8)})
    say_tints(world, range(8))
    network = network_for_training(settings, data_dir, read_card(PACKAGE_DIR / "starter"))
    ids = list(world.photo_ids.values())
    values = np.random.default_rng(1).random((len(ids), *network.feature_shape)).astype(np.float16)
    keep_shard(world.database, world.blobs, network.space, Shard(ids, [values]))
    shutil.rmtree(data_dir / "blobs")

    with pytest.raises(PhototagError, match="None of the photos to train on can be read"):
        train(world.place, claim(world, "vgg16-finetune"))


def test_features_of_weights_from_a_file_go_where_no_version_comes_to_read_them(
    sqlite_database: Database, data_dir: Path
) -> None:
    """The run is cancelled once it has computed them, or trains a network of its own on top."""
    world = make_tinted(sqlite_database, data_dir, 12)
    tiny = network_for_training(world.place.settings, data_dir, read_card(PACKAGE_DIR / "tiny"))
    from_file = replace(tiny, card=tiny.card.model_copy(update={"weights": "file"}), space="e" * 64)
    run = claim(world)

    gather_photos(world.place, run, from_file, RunProgress(world.database, run))

    with world.database.transaction() as session:
        assert set(session.scalars(select(FeatureShard.space))) == {from_file.space}
        cancel_run(session, None, run.id)
    assert forget_spare_spaces(world.database, world.blobs, older_than_s=-1) == 1


def test_features_that_the_library_has_in_that_space_stay(sqlite_database: Database, data_dir: Path) -> None:
    """A version whose card does not name its weights may have tagged with the same ones."""
    world = make_tinted(sqlite_database, data_dir, 12)
    tiny = network_for_training(world.place.settings, data_dir, read_card(PACKAGE_DIR / "tiny"))
    from_file = replace(tiny, card=tiny.card.model_copy(update={"weights": "file"}), space="e" * 64)
    values = np.ones((1, *tiny.feature_shape), np.float16)
    keep_shard(world.database, world.blobs, from_file.space, Shard([world.photo_ids[0]], [values]))
    run = claim(world)

    gather_photos(world.place, run, from_file, RunProgress(world.database, run))

    with world.database.transaction() as session:
        assert session.scalar(select(func.count()).select_from(FeatureShard)) == 2, "the run has computed the others"
        cancel_run(session, None, run.id)
    assert forget_spare_spaces(world.database, world.blobs, older_than_s=-1) == 0
