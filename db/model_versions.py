"""Model versions, and which one is active."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.errors import ConflictError, NotFoundError
from db.merged_labels import standing
from db.schema import ActiveVersion, ModelVersion, ModelVersionLabel
from db.session import utc_now
from db.statements import insert_missing


def register_version(
    session: Session, name: str, origin: str, artifact: str, card: dict[str, Any], label_ids: Sequence[int]
) -> ModelVersion:
    """The version of this name; made if there is none. `label_ids` in the order of the head's outputs.

    Raises:
        ConflictError: the name is taken by a version with another card.
    """
    row = {"name": name, "origin": origin, "artifact": artifact, "card": card, "created_at": utc_now()}
    insert_missing(session, ModelVersion, [row])
    version = get_version(session, name)
    if version.card != card:
        msg = f"A model version of this name exists with another card. Register it under a new name. Received: {name!r}"
        raise ConflictError(msg)
    positions = [
        {"model_version_id": version.id, "position": position, "label_id": label_id}
        for position, label_id in enumerate(label_ids)
    ]
    insert_missing(session, ModelVersionLabel, positions)
    return version


def get_version(session: Session, name: str) -> ModelVersion:
    """The version of this name.

    Raises:
        NotFoundError: there is none.
    """
    version = session.scalars(select(ModelVersion).where(ModelVersion.name == name)).one_or_none()
    if version is None:
        msg = f"There is no model version of this name; `phototag models list` shows them. Received: {name!r}"
        raise NotFoundError(msg)
    return version


def list_versions(session: Session) -> list[ModelVersion]:
    """All versions, newest first."""
    return list(session.scalars(select(ModelVersion).order_by(ModelVersion.id.desc())))


def version_label_ids(session: Session, version_id: int) -> list[int]:
    """Label ids in the order of the head's outputs."""
    query = (
        select(ModelVersionLabel.label_id)
        .where(ModelVersionLabel.model_version_id == version_id)
        .order_by(ModelVersionLabel.position)
    )
    return list(session.scalars(query))


def standing_label_ids(session: Session, version_id: int) -> list[int]:
    """As `version_label_ids`, each label as the one that it stands for since labels were merged; some may be equal."""
    query = (
        select(standing(ModelVersionLabel.label_id))
        .where(ModelVersionLabel.model_version_id == version_id)
        .order_by(ModelVersionLabel.position)
    )
    return list(session.scalars(query))


def active_version(session: Session) -> ModelVersion | None:
    """The version that tags; None before the first activation."""
    query = select(ModelVersion).join(ActiveVersion, ActiveVersion.model_version_id == ModelVersion.id)
    return session.scalars(query).one_or_none()


def activate(session: Session, version_id: int, expected_id: int | None, reason: str) -> bool:
    """Makes a version the active one, if `expected_id` still is (None: no version is active yet).

    Returns:
        False when somebody else changed it meanwhile: look again, then decide again.
    """
    change = {"model_version_id": version_id, "changed_at": utc_now(), "reason": reason}
    if expected_id is None:
        insert_missing(session, ActiveVersion, [{"id": 1, **change}])
        # of two that insert at the same time PostgreSQL lets one wait, which then finds the other's row
        after = session.scalars(select(ActiveVersion).execution_options(populate_existing=True)).one()
        return after.changed_at == change["changed_at"] and after.model_version_id == version_id
    result = session.execute(
        update(ActiveVersion)
        .where(ActiveVersion.id == 1, ActiveVersion.model_version_id == expected_id)
        .values(**change)
        .returning(ActiveVersion.id)
        .execution_options(synchronize_session=False)
    )
    return result.scalar_one_or_none() is not None
