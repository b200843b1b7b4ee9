"""What training a network costs: counted from labels, photos and what was tagged lately."""

import datetime as dt

import pytest
from sqlalchemy.orm import Session

from db.errors import ConflictError
from db.feature_spaces import feature_space
from db.model_versions import activate, register_version
from db.schema import FeatureShard
from db.session import Database, utc_now
from db.tuning_cost import FEATURE_BYTES, STATED_RATE, measured_rate, tuning_cost
from tests.library_rows import add_photos

RECIPE = {"name": "vgg16-finetune", "tuning": {"epochs": 10}}
WEIGHTS = "d" * 64
SPACE = feature_space(WEIGHTS, "block5_pool", "v1")


def test_a_recipe_that_only_trains_a_head_costs_nothing_to_speak_of(database: Database) -> None:
    """Its features are there."""
    with database.reading() as session:
        assert tuning_cost(session, {"name": "gap"}) is None


def test_photos_disk_and_time_are_counted(database: Database) -> None:
    """A photo that is labelled is trained on or examined; all that are tagged are computed anew in the end."""
    with database.transaction() as session:
        make_active(session)
        add_photos(session, [{} for _ in range(30)])

    with database.reading() as session:
        cost = tuning_cost(session, RECIPE)

    assert cost is not None
    assert (cost.to_train, cost.to_examine, cost.to_retag) == (0, 0, 30)
    assert (cost.feature_bytes, cost.is_measured, cost.rate) == (30 * FEATURE_BYTES, False, STATED_RATE)
    assert cost.retag_s == 30 / STATED_RATE


def test_the_rate_is_that_of_photos_tagged_lately_without_pauses(database: Database) -> None:
    """16 photos every 2 seconds, and a night in between; features of variants and of other networks do not count."""
    with database.transaction() as session:
        make_active(session)
        assert measured_rate(session) is None
        moment = utc_now()
        for number in range(4):
            add_shard(session, number, moment + dt.timedelta(seconds=2 * number))
        for number in range(4, 8):
            add_shard(session, number, moment + dt.timedelta(hours=9, seconds=2 * number))
            add_shard(session, 10 + number, moment + dt.timedelta(hours=9, seconds=2 * number), "variants")
            add_shard(session, 20 + number, moment + dt.timedelta(hours=9), space="e" * 64)

        assert measured_rate(session) == pytest.approx(8.0)


def test_a_network_that_is_not_vgg16_cannot_be_trained(database: Database) -> None:
    """That is said before anything costs anything."""
    with database.transaction() as session:
        make_active(session, "tiny")

    with database.reading() as session, pytest.raises(ConflictError, match=r"another network.*Received: tiny"):
        tuning_cost(session, RECIPE)


def make_active(session: Session, architecture: str = "vgg16") -> None:
    """A version on this network tags."""
    backbone = {"architecture": architecture, "weights_sha256": WEIGHTS, "layer": "block5_pool"}
    version = register_version(
        session, "one", "trained", "f" * 64, {"backbone": backbone, "decode_version": "v1"}, []
    )  # fmt: skip
    activate(session, version.id, None, "test")


def add_shard(session: Session, number: int, at: dt.datetime, folder: str = "features", space: str = SPACE) -> None:
    """A file of 16 photos' features."""
    session.add(FeatureShard(space=space, key=f"{folder}/{number}", rows=16, created_at=at))
    session.flush()
