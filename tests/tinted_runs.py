"""Runs on the tinted pictures of `tests.tinted`, by the recipes that there are."""

from typing import Any

from sqlalchemy import select

from db.schema import TrainingRun
from db.training_runs import ClaimedRun, claim_run, start_run
from db.users import local_admin
from tests.tinted import Tinted
from training.recipe import load_recipe


def claim(world: Tinted, recipe: str = "gap", activate: str = "never", owner: str = "w", **changes: Any) -> ClaimedRun:
    """A run that this process has."""
    values = load_recipe(recipe).model_dump(mode="json") | changes
    with world.database.transaction() as session:
        start_run(session, local_admin(session), values, activate)
        run = claim_run(session, owner, 60)
    assert run is not None
    return run


def last_run(world: Tinted) -> TrainingRun:
    """The row of the newest run."""
    with world.database.reading() as session:
        return session.scalars(select(TrainingRun).order_by(TrainingRun.id.desc()).limit(1)).one()
