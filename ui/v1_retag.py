"""Routes of the programming interface that re-tag: the active version tags all photos, and what of it they show."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field
from sqlalchemy.orm import Session

from db.activations import changed_since
from db.batch_view import batch_progress
from db.errors import ConflictError
from db.labels import standing_id
from db.model_versions import active_version, get_version
from db.retag_preview import Flip, preview
from db.retag_showing import Pair
from db.retags import last_retag, start_retag
from db.schema import ModelVersion
from db.session import Database
from db.version_history import photos_to_restore
from ui.nudge import Nudger
from ui.retag_api import apply_for
from ui.v1_batch_shapes import BatchAnswer, batch_answer
from ui.v1_fields import MAX_ID, Activator, Answer, Asked, ModelReader, said
from ui.v1_models import Activation

FLIPS, MOST_FLIPS = 100, 1000
# So long a request works on photos; the next one goes on.
APPLY_S = 5.0

LabelRef = Annotated[
    Annotated[int, Field(ge=1, le=MAX_ID)] | Annotated[str, Field(min_length=1, max_length=200)],
    Field(description="A label's id, or its name, however it is spelt."),
]


class FlipAnswer(Answer):
    """Photos that show one label of a model's and would show another."""

    from_label_id: int
    from_label: str
    to_label_id: int
    to_label: str
    photos: Annotated[int, Field(description="How many.")]
    samples: Annotated[list[int], Field(description="Ids of some of them, six at most.")]


class FlipList(Answer):
    """What would change if all that the active version says were shown. Labels that people gave stay."""

    flips: Annotated[list[FlipAnswer], Field(description="Those of most photos first.")]
    pairs: Annotated[int, Field(description="How many there are, those beyond `limit` as well.")]
    same: Annotated[int, Field(description="Photos that would show the same label, with another score.")]


class RetagAnswer(Answer):
    """How far re-tagging with the active version is."""

    version: Annotated[str | None, Field(description="The active version; null: there is none.")]
    batch: Annotated[BatchAnswer | None, Field(description="Its last re-tag, open or not; null: there was none.")]
    restoring: Annotated[
        int, Field(description="After a roll back: photos that are still to show what they did before.")
    ]
    preview: Annotated[FlipList | None, Field(description="Null if `limit` is 0.")]


class LabelPair(Asked):
    """Photos that show one label of a model's, and would show another."""

    from_label: LabelRef
    to_label: LabelRef


class Apply(Asked):
    """What photos shall show of what the active version says."""

    version: Annotated[
        str | None,
        Field(max_length=64, description="Whose preview you have seen: it must be active; null: whichever is."),
    ] = None
    pair: Annotated[LabelPair | None, Field(description="Only these; null: all photos that it has tagged.")] = None


class Applied(Answer):
    """How many photos were changed."""

    version: str
    done: Annotated[int, Field(description="Photos that this request has changed.")]
    left: Annotated[int, Field(description="Photos that are left; unless it is 0, send the same again.")]


def retag_routes(database: Database, nudger: Nudger) -> APIRouter:
    """POST start and apply, GET how far it is and what would flip."""
    router = APIRouter(prefix="/models/retag", tags=["models"])

    @router.post(
        "", status_code=201, responses={409: said("The version has tagged all photos, or is not the expected one.")}
    )
    def start_retag_(response: Response, user: Activator, asked: Activation | None = None) -> BatchAnswer:
        """Lets the active version tag all photos that it has not tagged: a batch. What they show stays until it is applied.

        While one is open, the same again gives it.
        """
        with database.transaction() as session:
            batch = start_retag(session, user)
            active = active_version(session)
            if asked is not None and asked.expected is not None and (active is None or active.name != asked.expected):
                raise changed_since(active)
            answer = batch_answer(batch, batch_progress(session, batch.id))
        nudger.tag()
        response.headers["Location"] = f"/api/v1/batches/{answer.id}"
        return answer

    @router.get("")
    def get_retag(
        _user: ModelReader,
        limit: Annotated[
            int, Query(ge=0, le=MOST_FLIPS, description="At most so many pairs of labels; 0 spares counting them.")
        ] = FLIPS,
    ) -> RetagAnswer:
        """How far it is, and which labels would flip. While it is open, follow its batch."""
        with database.reading() as session:
            active, batch = active_version(session), last_retag(session)
            return RetagAnswer(
                version=active.name if active else None,
                batch=batch_answer(batch, batch_progress(session, batch.id)) if batch else None,
                restoring=photos_to_restore(session),
                preview=_flips(session, limit) if limit else None,
            )

    @router.post(
        "/apply", responses={404: said("No such version or label."), 409: said("Another version is active, or none.")}
    )
    def apply_retag(asked: Apply, user: Activator) -> Applied:
        """Lets photos show what the active version says, all or a pair. It works for some seconds; send it until nothing is left."""
        with database.reading() as session:
            version = _wanted(session, asked.version)
            pair = _pair(session, asked.pair) if asked.pair else None
        some = apply_for(database, user, version, pair, APPLY_S)
        return Applied(version=version.name, done=some.done, left=some.left)

    return router


def _wanted(session: Session, name: str | None) -> ModelVersion:
    version = get_version(session, name) if name is not None else active_version(session)
    if version is None:
        msg = "No model version is active yet, so there is nothing to apply. Activate one, then re-tag with it."
        raise ConflictError(msg)
    return version


def _pair(session: Session, pair: LabelPair) -> Pair:
    return standing_id(session, pair.from_label), standing_id(session, pair.to_label)


def _flips(session: Session, limit: int) -> FlipList:
    found = preview(session)
    flips = [_flip(flip) for flip in found.flips[:limit]]
    return FlipList(flips=flips, pairs=len(found.flips), same=found.same)


def _flip(flip: Flip) -> FlipAnswer:
    return FlipAnswer(
        from_label_id=flip.from_label_id,
        from_label=flip.from_name,
        to_label_id=flip.to_label_id,
        to_label=flip.to_name,
        photos=flip.photos,
        samples=flip.samples,
    )
