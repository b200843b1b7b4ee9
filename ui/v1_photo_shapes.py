"""Photos, what models and people say of them, as the programming interface answers them."""

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field

from db.codes import reason_text
from db.library import PhotoTile
from db.merged_labels import Scored
from db.photo_view import PhotoView, Place, VersionLabels
from db.review_list import VerdictView
from ui.library_shapes import read_shape
from ui.v1_batch_shapes import local_time
from ui.v1_fields import Answer, LocalTime, Next, Score

PhotoState = Literal["untagged", "tagged", "refused", "failed"]


class ShownLabel(Answer):
    """What pages show for a photo: the word of a person if there is one, else the model's best label."""

    label_id: Annotated[int | None, Field(description="Null: a person said that no label fits.")]
    label: str | None
    by: Literal["person", "model"]
    score: Annotated[float | None, Field(description="The model's, in [0, 1]; null by a person.")]


class PhotoSummary(Answer):
    """A photo of the library."""

    id: int
    name: Annotated[str, Field(description="Of its file.")]
    state: PhotoState
    width: Annotated[int | None, Field(description="In pixels, upright.")]
    height: int | None
    taken_at: LocalTime
    dated_at: Annotated[str, Field(description="What it is sorted by: `taken_at`, or else when it was accepted.")]
    has_preview: bool
    shown: Annotated[ShownLabel | None, Field(description="Null before it is tagged.")]
    not_sure: Annotated[bool, Field(description="The model's score is under its threshold, and no person has spoken.")]


class PhotoPage(Answer):
    """Photos in the order that was asked for."""

    photos: list[PhotoSummary]
    next: Next


class ScoredLabel(Answer):
    """A label that a model version gives."""

    rank: Annotated[int, Field(description="1 for the best.")]
    label_id: int
    label: str
    score: Score


class VersionPredictions(Answer):
    """What one model version says of a photo, best first, at most five."""

    model_version: str
    labels: list[ScoredLabel]


class Predictions(Answer):
    """What each model version says of a photo, the newest version first."""

    photo_id: int
    predictions: list[VersionPredictions]


class Facts(Answer):
    """What the photo's file says."""

    format: Annotated[str | None, Field(examples=["JPEG"])]
    size_bytes: int
    sha256: str
    camera: str | None
    lens: str | None
    exposure_s: float | None
    f_number: float | None
    iso: int | None
    focal_length_mm: float | None
    latitude: float | None
    longitude: float | None
    notes: Annotated[list[str], Field(description="What was done to read it, in words.")]


class PlaceAnswer(Answer):
    """Where the photo came from: its place in a batch that you may see."""

    batch_id: str
    batch: Annotated[str, Field(description="The batch's name.")]
    path: str
    archive: Annotated[str | None, Field(description="The archive's path, if it came in one.")]
    state: str
    code: str | None
    reason: str | None


class VerdictAnswer(Answer):
    """A person's verdict on one photo, or the undo of one. Rows are only ever added."""

    id: int
    action_id: Annotated[int, Field(description="The stroke that it was part of; an undo takes back a whole stroke.")]
    photo_id: int
    verdict: Annotated[
        Literal["accept", "correct", "none", "unsure", "skip", "undo"],
        Field(description="`accept`: the model's best label was right; `correct`: another one is."),
    ]
    label_id: int | None
    label: str | None
    by: Annotated[str, Field(description="The person's name.")]
    at: dt.datetime
    source: Annotated[str, Field(description="`api`, or the page that it was said on.")]
    reason: Annotated[str | None, Field(description="Why the photo was shown for review; null: it was chosen.")]
    model_version: Annotated[str | None, Field(description="Whose label was shown then.")]
    model_label: str | None
    model_score: float | None
    undoes_action_id: Annotated[int | None, Field(description="Of an undo: the stroke that it took back.")]
    counts: Annotated[bool, Field(description="It is what the photo's label follows now.")]


class PhotoAnswer(PhotoSummary):
    """A photo with all that is known of it."""

    accepted_at: dt.datetime
    shown_version: Annotated[str | None, Field(description="The model version that says `shown`, if a model does.")]
    facts: Facts
    predictions: list[VersionPredictions]
    reviews: Annotated[list[VerdictAnswer], Field(description="The newest 200, newest first.")]
    places: list[PlaceAnswer]
    look_alikes: Annotated[int, Field(description="How many photos look alike, this one counted.")]


class VerdictPage(Answer):
    """Verdicts and undos, the newest first."""

    verdicts: list[VerdictAnswer]
    next: Next


def summary_answer(tile: PhotoTile) -> PhotoSummary:
    """A photo of a page of the library."""
    return PhotoSummary.model_validate(_summary(tile))


def photo_answer(view: PhotoView, reviews: list[VerdictView]) -> PhotoAnswer:
    """A photo with all that is known of it."""
    return PhotoAnswer.model_validate(
        _summary(view)
        | {
            "accepted_at": view.created_at,
            "shown_version": view.shown_version,
            "facts": _facts(view),
            "predictions": predictions_answer(view.predictions),
            "reviews": [verdict_answer(review) for review in reviews],
            "places": [_place(place) for place in view.places],
            "look_alikes": view.look_alikes,
        }
    )


def predictions_answer(predictions: list[VersionLabels]) -> list[VersionPredictions]:
    """What each version says."""
    return [
        VersionPredictions(
            model_version=one.version, labels=[_scored(rank, label) for rank, label in enumerate(one.scored, 1)]
        )
        for one in predictions
    ]


def verdict_answer(view: VerdictView) -> VerdictAnswer:
    """A row of the history."""
    row = view._asdict()
    row["id"] = row.pop("review_id")
    return VerdictAnswer.model_validate(row)


def _summary(view: PhotoTile | PhotoView) -> dict[str, object]:
    shown = {
        "label_id": view.shown_label_id,
        "label": view.shown,
        "by": view.shown_origin,
        "score": view.shown_score,
    }
    return {
        "id": view.photo_id,
        "name": view.name,
        "state": view.state,
        "width": view.width,
        "height": view.height,
        "taken_at": local_time(view.taken_at),
        "dated_at": local_time(view.dated_at),
        "has_preview": view.has_previews,
        "shown": shown if view.shown_origin is not None else None,
        "not_sure": view.not_sure,
    }


def _scored(rank: int, label: Scored) -> ScoredLabel:
    return ScoredLabel(rank=rank, label_id=label.label_id, label=label.name, score=label.score)


def _facts(view: PhotoView) -> dict[str, object]:
    return {
        "format": view.format,
        "size_bytes": view.size_bytes,
        "sha256": view.sha256,
        "camera": view.camera,
        "latitude": view.latitude,
        "longitude": view.longitude,
        **read_shape(view),
    }


def _place(place: Place) -> dict[str, object]:
    return {
        "batch_id": place.batch_id,
        "batch": place.batch,
        "path": place.path,
        "archive": place.archive,
        "state": place.state,
        "code": place.code,
        "reason": reason_text(place.code, place.detail) or None,
    }
