"""Batches and their items as the programming interface answers them."""

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field

from db.batch_view import BatchProgress, ItemView
from db.codes import reason_text
from db.schema import Batch
from ui.shapes import BatchKind, counts_shape, kind_of, reasons_shape
from ui.v1_fields import Answer, LocalTime, Next, Score

BatchState = Literal["receiving", "unpacking", "running", "finished", "cancelled", "refused"]
ItemState = Literal["ready", "leased", "tagged", "refused", "failed", "cancelled"]


class BatchCounts(Answer):
    """How many files and archive entries of a batch are in each state."""

    total: int
    open: Annotated[int, Field(description="Waiting for a worker, or with one.")]
    tagged: int
    refused: Annotated[int, Field(description="The file's fault; sending it again gives the same.")]
    skipped: Annotated[int, Field(description="Files of the system and sidecars: nobody misses a photo.")]
    failed: Annotated[int, Field(description="Our fault; `retry` may help.")]
    cancelled: int


class ReasonCount(Answer):
    """Why items were refused or failed, and how many."""

    code: Annotated[str, Field(examples=["UNREADABLE"])]
    text: Annotated[str, Field(examples=["the file is damaged or cut off"])]
    count: int


class ArchiveAnswer(Answer):
    """An archive of a batch."""

    path: str
    state: Annotated[str, Field(description="`ready`, `leased`, `unpacked`, `refused` or `cancelled`.")]
    code: Annotated[str | None, Field(description="Why it was refused.")]
    reason: Annotated[str | None, Field(description="The same in words.")]


class BatchAnswer(Answer):
    """A batch: what was sent together, and how far it is.

    It is `receiving` until it is sealed, then `unpacking` while archives are read, and `running`. `finished`,
    `cancelled` and `refused` are ends.
    """

    id: Annotated[str, Field(examples=["c8mq6y4m77dx"])]
    name: str
    kind: Annotated[
        BatchKind,
        Field(description="`photos`: what a person sent; `retag`: the active version tags photos that are there."),
    ]
    state: BatchState
    code: Annotated[str | None, Field(description="Why the batch as a whole was refused.")]
    reason: Annotated[str | None, Field(description="The same in words.")]
    retry_of: Annotated[str | None, Field(description="The batch whose failed photos these are.")]
    created_at: dt.datetime
    finished_at: dt.datetime | None
    counts: BatchCounts
    reasons: list[ReasonCount]
    archives: list[ArchiveAnswer]
    items_per_s: Annotated[float, Field(description="Lately; over all of its time once it has ended.")]
    seconds_left: Annotated[float | None, Field(description="Null while it is not known.")]


class BatchPage(Answer):
    """Batches, the newest first."""

    batches: list[BatchAnswer]
    next: Next


class ScoredName(Answer):
    """A label's name with the model's score."""

    name: str
    score: Score


class ItemAnswer(Answer):
    """A photo's place in a batch.

    It ends `tagged`, `refused`, `failed` or `cancelled`, and then stays so.
    """

    id: int
    path: Annotated[str, Field(description="As it was sent, made harmless to show; for an archive, the entry's path.")]
    state: ItemState
    code: Annotated[str | None, Field(description="Why it was refused or failed.")]
    reason: Annotated[str | None, Field(description="The same in words.")]
    photo_id: Annotated[int | None, Field(description="The photo: the same bytes sent twice are one photo.")]
    sha256: str | None
    width: Annotated[int | None, Field(description="In pixels, upright.")]
    height: int | None
    taken_at: LocalTime
    shown: Annotated[
        str | None,
        Field(description="What pages show: a label, `not sure` or `none of these`; null before it is tagged."),
    ]
    not_sure: Annotated[bool, Field(description="The model's best score is under its threshold.")]
    labels: Annotated[list[ScoredName], Field(description="What the model says, best first, at most five.")]
    model_version: Annotated[str | None, Field(description="Which model version said so.")]
    finished_at: dt.datetime | None


class ItemPage(Answer):
    """Items of a batch, in the order of their archives and files."""

    items: list[ItemAnswer]
    next: Next


def batch_answer(batch: Batch, progress: BatchProgress) -> BatchAnswer:
    """A batch with its counts."""
    return BatchAnswer.model_validate(
        {
            "id": batch.id,
            "name": batch.name,
            "kind": kind_of(batch),
            "state": progress.state,
            "code": progress.code,
            "reason": reason_text(progress.code) or None,
            "retry_of": batch.retry_of_id,
            "created_at": progress.created_at,
            "finished_at": progress.finished_at,
            "counts": counts_shape(progress),
            "reasons": reasons_shape(progress),
            "archives": [
                {
                    "path": archive.path,
                    "state": archive.state,
                    "code": archive.code,
                    "reason": reason_text(archive.code, archive.detail) or None,
                }
                for archive in progress.archives
            ],
            "items_per_s": progress.rate_per_s,
            "seconds_left": progress.seconds_left,
        }
    )


def item_answer(item: ItemView) -> ItemAnswer:
    """An item with what is shown of its photo."""
    return ItemAnswer.model_validate(
        {
            "id": item.item_id,
            "path": item.path,
            "state": item.state,
            "code": item.code,
            "reason": reason_text(item.code, item.detail) or None,
            "photo_id": item.photo_id,
            "sha256": item.sha256,
            "width": item.width,
            "height": item.height,
            "taken_at": local_time(item.taken_at),
            "shown": item.shown,
            "not_sure": item.not_sure,
            "labels": [{"name": name, "score": score} for name, score in item.labels],
            "model_version": item.model_version,
            "finished_at": item.finished_at,
        }
    )


def local_time(moment: dt.datetime | None) -> str | None:
    """A moment of a camera's clock."""
    return None if moment is None else moment.isoformat(timespec="seconds")
