"""Which version was made the active one, when, by whom and why; and the way back."""

import datetime as dt
from typing import NamedTuple

from sqlalchemy import exists, select
from sqlalchemy.orm import Session, aliased

from db.audit import record_audit
from db.batches import cancel_batch
from db.errors import ConflictError
from db.model_versions import activate, active_version
from db.schema import OPEN_BATCH_STATES, Activation, Batch, ModelVersion, User
from db.session import utc_now
from db.training_runs import mark_activated


class ActivationView(NamedTuple):
    """A row of the history.

    Attributes:
        before: the version that was active until then; None: it was the first one.
        user: who; None: the command line, or phototag itself, as the reason says.
        undoes_id: the activation that this one rolled back.
        undone: it was rolled back since.
    """

    activation_id: int
    version: str
    before: str | None
    user: str | None
    at: dt.datetime
    reason: str
    undoes_id: int | None
    undone: bool


def activate_version(
    session: Session, version_id: int, *, expected_id: int | None, user: User | None, reason: str
) -> Activation:
    """Lets a version tag from now on. Photos that are tagged go on showing what they show (`db.retag_showing`).

    Re-tags with other versions that are under way are cancelled.

    Args:
        session: of a write transaction.
        version_id: the version; its labels are registered.
        expected_id: the version that the caller has seen to be active; None: there was none.
        user: who; None: the command line, or phototag itself.
        reason: why, in plain words.

    Raises:
        ConflictError: another version is active than the one expected, or it is this one already.
    """
    return _change(session, version_id, expected_id, user, reason)


def roll_back(session: Session, user: User | None, *, expected_id: int | None = None) -> Activation:
    """Makes the version active again that was so before the last activation that was not rolled back.

    Done twice it goes back twice, as far as versions were activated here.

    Args:
        session: of a write transaction.
        user: who; None: the command line.
        expected_id: the version that the caller wants to leave; None: whichever is active.

    Raises:
        ConflictError: no version was active before, or the active one is not the one expected.
    """
    last = last_activation(session)
    if last is None or last.before_id is None:
        msg = "No version was active before this one, so there is nothing to go back to. `phototag models list` shows all."
        raise ConflictError(msg)
    if expected_id not in (None, last.version_id):
        raise changed_since(active_version(session))
    left = session.get_one(ModelVersion, last.version_id).name
    return _change(session, last.before_id, last.version_id, user, f"rolled back from {left}", last.id)


def last_activation(session: Session) -> Activation | None:
    """The one that a roll back takes back: the last that is no roll back and was not rolled back."""
    undoing = aliased(Activation)
    stands = Activation.undoes_id.is_(None), ~exists().where(undoing.undoes_id == Activation.id)
    return session.scalars(select(Activation).where(*stands).order_by(Activation.id.desc()).limit(1)).one_or_none()


def list_activations(session: Session, limit: int = 100) -> list[ActivationView]:
    """The history, newest first."""
    before, undoing = aliased(ModelVersion), aliased(Activation)
    query = (
        select(
            Activation.id,
            ModelVersion.name,
            before.name,
            User.name,
            Activation.at,
            Activation.reason,
            Activation.undoes_id,
            exists().where(undoing.undoes_id == Activation.id),
        )
        .join(ModelVersion, ModelVersion.id == Activation.version_id)
        .outerjoin(before, before.id == Activation.before_id)
        .outerjoin(User, User.id == Activation.user_id)
        .order_by(Activation.id.desc())
        .limit(limit)
    )
    return [ActivationView(*row) for row in session.execute(query)]


def _change(
    session: Session,
    version_id: int,
    expected_id: int | None,
    user: User | None,
    reason: str,
    undoes_id: int | None = None,
) -> Activation:
    version = session.get_one(ModelVersion, version_id)
    if version_id == expected_id:
        msg = f"This version is the active one already, nothing was changed. Received: {version.name!r}"
        raise ConflictError(msg)
    if not activate(session, version_id, expected_id, reason):
        raise changed_since(active_version(session))
    _cancel_retags(session)
    row = Activation(
        version_id=version_id,
        before_id=expected_id,
        user_id=user.id if user else None,
        at=utc_now(),
        reason=reason,
        undoes_id=undoes_id,
    )
    session.add(row)
    session.flush()
    if undoes_id is None:
        mark_activated(session, version_id)
    before = session.get_one(ModelVersion, expected_id).name if expected_id is not None else None
    record_audit(session, user, "models.activate", version.name, {"before": before, "reason": reason})
    return row


def _cancel_retags(session: Session) -> None:
    """All that are open are another version's now."""
    retags = select(Batch.id).where(Batch.retag_version_id.is_not(None), Batch.state.in_(OPEN_BATCH_STATES))
    for batch_id in session.scalars(retags.order_by(Batch.id)).all():
        cancel_batch(session, batch_id)


def changed_since(active: ModelVersion | None) -> ConflictError:
    """What is raised when another version is active than the one that was expected."""
    name = f"“{active.name}”" if active else "none"
    return ConflictError(f"The active version is {name}, another one than expected. Look again, then decide again.")
