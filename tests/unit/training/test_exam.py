"""The exam where the active version stands on another network than the candidate: its features are of another space."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select

from db.features import record_shard, store_shard
from db.schema import FeatureShard, PhotoFeatures
from db.session import Database
from tests.tinted import Tinted, make_tinted
from tests.tinted_runs import claim
from training.exam import Exam, Examinee, examine
from training.exam_report import judge_exam, report_of
from training.networks import Network, network_for_training
from training.run_photos import RunPhotos, gather_photos
from training.run_progress import RunProgress
from worker.artifact import PACKAGE_DIR, read_card
from worker.heads import LinearHead

OTHER_SPACE = "b" * 64


@dataclass(frozen=True)
class Examined:
    """Photos of a run, and the network that their features were computed by."""

    world: Tinted
    photos: RunPhotos
    network: Network
    progress: RunProgress

    def examinee(self, seed: int, network: Network | None = None) -> Examinee:
        """A version that knows the labels and says something of its own."""
        weights = np.random.RandomState(seed).standard_normal((8, len(self.photos.label_ids))).astype(np.float32)
        head = LinearHead(weights, np.zeros(len(self.photos.label_ids), np.float32), averages=True)
        return Examinee(self.photos.label_ids, head, 1.0, 0.5, network or self.network)

    def exam(self, base: Examinee) -> Exam:
        """The candidate against this version."""
        return examine(self.world.place, self.photos, self.examinee(1), base, self.progress)

    def count(self, space: str) -> tuple[int, int]:
        """Photos with features in this space, and files that hold them."""
        with self.world.database.reading() as session:
            photos = select(func.count()).select_from(PhotoFeatures).where(PhotoFeatures.space == space)
            files = select(func.count()).select_from(FeatureShard).where(FeatureShard.space == space)
            return session.scalars(photos).one(), session.scalars(files).one()


@pytest.fixture
def examined(sqlite_database: Database, data_dir: Path) -> Examined:
    """60 photos of three labels."""
    world = make_tinted(sqlite_database, data_dir)
    run = claim(world)
    network = network_for_training(world.place.settings, data_dir, read_card(PACKAGE_DIR / "tiny"))
    progress = RunProgress(world.database, run)
    return Examined(world, gather_photos(world.place, run, network, progress), network, progress)


def test_features_of_the_other_network_are_computed_for_the_exam_alone(examined: Examined) -> None:
    """It answers as it would have by its own; asked again it reads what is kept, but for what was lost meanwhile."""
    plain = examined.exam(examined.examinee(2))
    base = examined.examinee(2, replace(examined.network, space=OTHER_SPACE))
    assert examined.count(OTHER_SPACE) == (0, 0)

    first = examined.exam(base)

    assert plain.base is not None
    assert first.base is not None
    np.testing.assert_array_equal(first.base, plain.base)
    np.testing.assert_array_equal(first.candidate, plain.candidate)
    held_out = len(examined.photos.holdout)
    assert 0 < held_out < 60
    assert examined.count(OTHER_SPACE) == (held_out, 1)
    kept = set(examined.world.blobs.list_keys("features"))
    again = examined.exam(base)
    assert again.base is not None
    np.testing.assert_array_equal(again.base, plain.base)
    assert set(examined.world.blobs.list_keys("features")) == kept


def test_each_version_is_asked_about_features_of_its_own_network(examined: Examined) -> None:
    """Those that are kept are read as they are, whatever the candidate's look like."""
    held_out = examined.photos.holdout
    means = np.random.RandomState(3).standard_normal((len(held_out), 1, 1, 8)).astype(np.float16)
    features = np.repeat(np.repeat(means, 7, axis=1), 7, axis=2)
    with examined.world.database.transaction() as session:
        stored = store_shard(examined.world.blobs, OTHER_SPACE, features)
        record_shard(session, OTHER_SPACE, stored, [photo.photo_id for photo in held_out])
    base = examined.examinee(2, replace(examined.network, space=OTHER_SPACE))

    exam = examined.exam(base)

    assert exam.base is not None
    said = [exam.label_ids[column] for column in exam.base.argmax(axis=1)]
    assert said == [base.label_ids[output] for output in base.head.logits(features).argmax(axis=1)]
    assert len(set(said)) == len(base.label_ids)


def test_a_version_whose_network_is_gone_is_not_examined(examined: Examined, caplog: pytest.LogCaptureFixture) -> None:
    """The candidate takes the exam all the same, and must beat whoever says the commonest label; the log says why."""
    changed = examined.network.card.model_copy(update={"weights_sha256": "c" * 64})
    base = examined.examinee(2, replace(examined.network, card=changed, space=OTHER_SPACE))

    exam = examined.exam(base)

    assert (exam.base, len(exam.photos)) == (None, len(examined.photos.holdout))
    assert "The active version is not examined: The tiny backbone has changed" in caplog.text
    assert any("always saying" in check["words"] for check in judge_exam(exam).checks)
    report = report_of(exam, examined.examinee(1), base)
    assert (report["base"], report["candidate"]["photos"]) == (None, len(exam.photos))
    assert {answer.base_label_id for answer in exam.answers(1)} == {None}
