"""Routes of the programming interface for model versions: which there are, which one tags."""

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Path as PathParameter
from pydantic import Field
from sqlalchemy.orm import Session

from db.activations import activate_version, changed_since, roll_back
from db.labels import label_paths
from db.model_versions import active_version, get_version, list_versions, version_label_ids
from db.retag_showing import restore_some
from db.schema import ModelVersion
from db.session import Database
from ui.models_api import RESTORE_S
from ui.v1_fields import Activator, Answer, Asked, Reader, said

# Visible characters; a name that cannot be one is not looked for.
VersionName = Annotated[str, PathParameter(pattern=r"^[^\x00-\x1f]{1,64}$", description="The version's name.")]


class ModelVersionAnswer(Answer):
    """A model version: what tags photos."""

    name: str
    active: Annotated[bool, Field(description="It is the one that tags.")]
    origin: Annotated[str, Field(description="Where it comes from.")]
    label_count: int
    created_at: dt.datetime
    notice: Annotated[str, Field(description="What to know of it; may be empty.")]


class ModelVersionDetails(ModelVersionAnswer):
    """A model version with its labels and its card."""

    labels: Annotated[list[list[str]], Field(description="Each label as its path, the topmost name first.")]
    card: Annotated[dict[str, Any], Field(description="As it was written when the version was made.")]


class ModelVersionList(Answer):
    """Model versions, the newest first."""

    models: list[ModelVersionAnswer]


class Activation(Asked):
    """Which version must be active for the change to be made."""

    expected: Annotated[
        str | None, Field(max_length=64, description="Its name; null: whichever is.", examples=["starter"])
    ] = None


class RollBack(Asked):
    """Which version shall be left. Without it a request that is sent twice would go back twice."""

    expected: Annotated[str, Field(max_length=64, description="The version that is active.", examples=["head-2"])]


class RolledBack(Answer):
    """What was rolled back."""

    active: Annotated[str, Field(description="The version that tags from now on.")]
    restored: Annotated[int, Field(description="Photos that show again what they showed before.")]
    left: Annotated[int, Field(description="Photos that will within minutes: `restoring` of the re-tag counts them.")]


def model_routes(database: Database) -> APIRouter:
    """GET of the versions, POST of the one that shall tag."""
    router = APIRouter(prefix="/models", tags=["models"])

    @router.get("")
    def list_models(_user: Reader) -> ModelVersionList:
        """All model versions."""
        with database.reading() as session:
            active = active_version(session)
            rows = [
                _facts(version, active, len(version_label_ids(session, version.id)))
                for version in list_versions(session)
            ]
        return ModelVersionList(models=[ModelVersionAnswer.model_validate(row) for row in rows])

    @router.get("/{name}")
    def get_model(name: VersionName, _user: Reader) -> ModelVersionDetails:
        """One model version."""
        with database.reading() as session:
            return _details(session, get_version(session, name))

    @router.post(
        "/rollback",
        responses={409: said("Another version is active than the one that was expected, or it was the first.")},
    )
    def roll_back_model(asked: RollBack, user: Activator) -> RolledBack:
        """Lets the version before tag again, and photos show what they showed then: a re-tag that was applied is undone."""
        with database.transaction() as session:
            before = active_version(session)
            if before is None or before.name != asked.expected:
                raise changed_since(before)
            version_id = roll_back(session, user, expected_id=before.id).version_id
            name = session.get_one(ModelVersion, version_id).name
        restored = restore_some(database, limit_s=RESTORE_S)  # a janitor goes on with what is left
        return RolledBack(active=name, restored=restored.done, left=restored.left)

    @router.post("/{name}/activate", responses={409: said("Another version is active than the one that was expected.")})
    def activate_model(name: VersionName, user: Activator, asked: Activation | None = None) -> ModelVersionDetails:
        """Lets a version tag from now on. Workers follow within seconds; photos that are tagged stay as they are."""
        expected = asked.expected if asked is not None else None
        with database.transaction() as session:
            version, before = get_version(session, name), active_version(session)
            if expected is not None and (before is None or before.name != expected):
                raise changed_since(before)
            if before is None or before.id != version.id:
                seen_id = before.id if before else None
                activate_version(session, version.id, expected_id=seen_id, user=user, reason=f"by {user.name}")
            return _details(session, version)

    return router


def _details(session: Session, version: ModelVersion) -> ModelVersionDetails:
    ids = version_label_ids(session, version.id)
    paths = label_paths(session, ids)
    facts = _facts(version, active_version(session), len(ids))
    more = {"labels": [list(paths[label_id]) for label_id in ids], "card": version.card}
    return ModelVersionDetails.model_validate(facts | more)


def _facts(version: ModelVersion, active: ModelVersion | None, labels: int) -> dict[str, Any]:
    return {
        "name": version.name,
        "active": active is not None and active.id == version.id,
        "origin": version.origin,
        "label_count": labels,
        "created_at": version.created_at,
        "notice": version.card.get("notice", ""),
    }
