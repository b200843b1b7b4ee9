"""Training runs as pages and programs show them: the newest first, or one with its curves, exam and gate."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import Session, aliased

from db.errors import NotFoundError
from db.schema import HoldoutAnswer, ModelVersion, Snapshot, TrainingRun, User
from db.training_schema import OPEN_RUN_STATES


@dataclass(frozen=True, slots=True)
class RunView:
    """A run for a list.

    Attributes:
        state: queued, running, done, failed or cancelled.
        recipe: the recipe's name; all its values are in `RunDetails`.
        activate: auto or never.
        user: who asked for it; None: the command line.
        stage: what it is at: snapshot, features, head, exam; `done` of `total` of it.
        ahead: runs that come before it, while it waits.
        snapshot: the digest of the photos and labels it was made from, and how many photos those are.
        base: name of the version that the candidate was compared with.
        version: name of the candidate.
        gate: better, not_better or thin.
        outcome: activated, rejected; None: open.
        reason: why it failed.
    """

    id: int
    state: str
    recipe: str
    activate: str
    user: str | None
    created_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    stage: str
    done: int
    total: int
    ahead: int
    snapshot: str | None
    snapshot_photos: int | None
    base: str | None
    version: str | None
    gate: str | None
    outcome: str | None
    reason: str

    @property
    def is_open(self) -> bool:
        """Whether it waits or works."""
        return self.state in OPEN_RUN_STATES


@dataclass(frozen=True, slots=True)
class RunDetails:
    """One run with all that it found.

    Attributes:
        recipe: all its values.
        curves: one entry an epoch: number, loss, accuracy, held_out_loss, held_out_accuracy.
        report: candidate and base on the same hold-out, as `training.exam` writes it; None before the exam.
        gate_words: verdict, reasons and checks for people, and how many photos are missing.
    """

    run: RunView
    recipe: dict[str, Any]
    curves: list[dict[str, Any]]
    report: dict[str, Any] | None
    gate_words: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class AnswerView:
    """What both versions say of a held-out photo. Scores in [0, 1]."""

    photo_id: int
    label_id: int
    candidate_label_id: int
    candidate_score: float
    base_label_id: int | None
    base_score: float | None


def list_runs(session: Session, *, before: int | None = None, limit: int = 50) -> list[RunView]:
    """Runs, the newest first; `before`: only those with a smaller id, for the next page."""
    query = _runs().order_by(TrainingRun.id.desc()).limit(limit)
    if before is not None:
        query = query.where(TrainingRun.id < before)
    return [_view(row) for row in session.execute(query)]


def get_run(session: Session, run_id: int) -> RunDetails:
    """One run.

    Raises:
        NotFoundError: there is none of this id.
    """
    row = session.execute(_runs().where(TrainingRun.id == run_id)).one_or_none()
    columns = TrainingRun.recipe, TrainingRun.curves, TrainingRun.report, TrainingRun.gate_words
    found = session.execute(select(*columns).where(TrainingRun.id == run_id)).one_or_none()
    if row is None or found is None:
        msg = f"There is no such training run; `phototag train` starts one. Received: {run_id}"
        raise NotFoundError(msg)
    return RunDetails(_view(row), *found)


def run_of_version(session: Session, version_id: int) -> RunDetails | None:
    """The run that made this version; None for one that was not trained here."""
    run_id = session.scalars(select(TrainingRun.id).where(TrainingRun.version_id == version_id)).first()
    return get_run(session, run_id) if run_id is not None else None


def answers_of(
    session: Session,
    run_id: int,
    *,
    label_id: int | None = None,
    candidate_label_id: int | None = None,
    base_label_id: int | None = None,
    limit: int = 500,
) -> list[AnswerView]:
    """Held-out photos of a run, by photo: those of a cell of the confusion matrix, or of both versions' answers."""
    query = select(HoldoutAnswer).where(HoldoutAnswer.run_id == run_id).order_by(HoldoutAnswer.photo_id).limit(limit)
    asked = (
        (HoldoutAnswer.label_id, label_id),
        (HoldoutAnswer.candidate_label_id, candidate_label_id),
        (HoldoutAnswer.base_label_id, base_label_id),
    )
    for column, value in asked:
        if value is not None:
            query = query.where(column == value)
    return [
        AnswerView(
            one.photo_id,
            one.label_id,
            one.candidate_label_id,
            one.candidate_score,
            one.base_label_id,
            one.base_score,
        )
        for one in session.scalars(query)
    ]


def _runs() -> Select[*tuple[Any, ...]]:
    base, version, other = aliased(ModelVersion), aliased(ModelVersion), aliased(TrainingRun)
    ahead = select(func.count()).where(other.state.in_(OPEN_RUN_STATES), other.id < TrainingRun.id).scalar_subquery()
    columns = (
        *(TrainingRun.id, TrainingRun.state, TrainingRun.recipe["name"].as_string(), TrainingRun.activate, User.name),
        *(TrainingRun.created_at, TrainingRun.started_at, TrainingRun.finished_at),
        *(TrainingRun.stage, TrainingRun.done, TrainingRun.total, ahead),
        *(Snapshot.digest, Snapshot.photos, base.name, version.name),
        *(TrainingRun.gate, TrainingRun.outcome, TrainingRun.reason),
    )
    return (
        select(*columns)
        .select_from(TrainingRun)
        .outerjoin(User, User.id == TrainingRun.user_id)
        .outerjoin(Snapshot, Snapshot.id == TrainingRun.snapshot_id)
        .outerjoin(base, base.id == TrainingRun.base_version_id)
        .outerjoin(version, version.id == TrainingRun.version_id)
    )


def _view(row: Row[*tuple[Any, ...]] | Sequence[Any]) -> RunView:
    values = list(row)
    values[2] = values[2] or ""
    if values[1] != "queued":
        values[11] = 0
    return RunView(*values)
