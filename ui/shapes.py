"""What the JSON routes answer: rows of the database in the words of the pages."""

from typing import Any, Literal

from db.batch_view import BatchProgress, ItemView
from db.codes import JUNK, reason_text
from db.schema import OPEN_BATCH_STATES, Batch, ModelVersion, User

Json = dict[str, Any]
BatchKind = Literal["photos", "retag"]

# They come with the code and are weak; whoever sees their labels should know.
STARTERS = ("package:starter", "package:tiny")


def batch_shape(batch: Batch, progress: BatchProgress) -> Json:
    """A batch with its counts, for the list and the batch's page."""
    is_open = progress.state in OPEN_BATCH_STATES
    return {
        "id": batch.id,
        "name": batch.name,
        "kind": kind_of(batch),
        "state": progress.state,
        "reason": reason_text(batch.code) if batch.code else "",
        "retry_of": batch.retry_of_id,
        "created_at": progress.created_at.isoformat(),
        "finished_at": progress.finished_at.isoformat() if progress.finished_at else None,
        "counts": counts_shape(progress),
        "reasons": reasons_shape(progress),
        "archives": [
            {"path": archive.path, "state": archive.state, "reason": reason_text(archive.code, archive.detail)}
            for archive in progress.archives
        ],
        "rate_per_s": progress.rate_per_s,
        "seconds_left": progress.seconds_left,
        "can_cancel": is_open,
        "can_retry": not is_open and progress.failed > 0,
    }


def kind_of(batch: Batch) -> BatchKind:
    """What a batch is of: photos that a person sent, or a re-tag of those that are there."""
    return "photos" if batch.retag_version_id is None else "retag"


def counts_shape(progress: BatchProgress) -> Json:
    """How many files and archive entries of a batch are in each state."""
    return {
        "total": progress.total,
        "open": progress.ready + progress.leased,
        "tagged": progress.tagged,
        "refused": progress.refused,
        "skipped": progress.skipped,
        "failed": progress.failed,
        "cancelled": progress.cancelled,
    }


def reasons_shape(progress: BatchProgress) -> list[Json]:
    """Why items were refused or failed, the most frequent reason first; nobody misses what was junk."""
    return [
        {"code": code, "text": reason_text(code), "count": count}
        for code, count in sorted(progress.reasons.items(), key=lambda pair: -pair[1])
        if code != JUNK
    ]


def item_shape(item: ItemView) -> Json:
    """One photo's place in its batch, with what the model says of it."""
    return {
        "id": item.item_id,
        "path": item.path,
        "state": item.state,
        "reason": reason_text(item.code, item.detail),
        "is_junk": item.code == JUNK,
        "photo_id": item.photo_id,
        "has_previews": item.has_previews,
        "width": item.width,
        "height": item.height,
        "taken_at": item.taken_at.isoformat(sep=" ") if item.taken_at else None,
        "shown": item.shown,
        "not_sure": item.not_sure,
        "labels": [[name, round(score, 4)] for name, score in item.labels],
        "model_version": item.model_version,
        # where the next page starts
        "cursor": ".".join(map(str, item.cursor)),
    }


def cursor_of(text: str) -> tuple[int, int] | None:
    """The place that `text` names, None for the beginning.

    Raises:
        ValueError: it is not a cursor of ours.
    """
    if not text:
        return None
    archive_number, _, position = text.partition(".")
    return int(archive_number), int(position)


def version_shape(version: ModelVersion | None, labels: int) -> Json | None:
    """The active model version: its name, whether it is only a start, what to know of it, how many labels it has."""
    if version is None:
        return None
    return {
        "name": version.name,
        "is_starter": version.artifact in STARTERS,
        "notice": version.card.get("notice", ""),
        "labels": labels,
    }


def user_shape(user: User) -> Json:
    """Who is logged in."""
    return {"name": user.name, "role": user.role}
