"""The report of a training run for the page Models: figures with their intervals, labels by name, photos that are there."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.intervals import wilson
from db.labels import label_paths
from db.model_versions import active_version
from db.schema import Photo
from db.training_views import get_run
from ui.model_shapes import run_shape
from ui.shapes import Json

# Shares of the exam's photos: their interval follows from how many photos those are.
SHARES = ("top1", "top5", "coverage")
PLAIN = ("macro_f1", "accuracy_when_sure", "calibration_error")
MOST_HURTING = 100


def run_details_shape(session: Session, run_id: int) -> Json:
    """A run with its recipe's values, curves, exam and gate, and the version that is active now.

    Raises:
        NotFoundError: there is none of this id.
    """
    details, active = get_run(session, run_id), active_version(session)
    return run_shape(details.run) | {
        "values": details.recipe,
        "curves": details.curves,
        "report": report_shape(session, details.report) if details.report else None,
        "words": details.gate_words,
        "active": active.name if active else None,
    }


def report_shape(session: Session, report: Mapping[str, Any]) -> Json:
    """A report as the training writes it, for the page. Photos that were deleted since are left out."""
    candidate, base = _figures(report["candidate"]), report.get("base")
    return {
        "photos": report["candidate"]["photos"],
        "candidate": candidate,
        "base": _figures(base) if base else None,
        "hurting": _hurting(session, report.get("doubts", ())[:MOST_HURTING]),
    }


def _figures(found: Mapping[str, Any]) -> Json:
    photos = found["photos"]
    shares = {name: _share(found[name], photos) for name in SHARES if found.get(name) is not None}
    plain = {name: {"value": found[name]} for name in PLAIN if found.get(name) is not None}
    by_label = [_of_label(one) for one in found["by_label"]]
    return {**shares, **plain, "by_label": by_label, "calibration": found["calibration"]}


def _of_label(found: Mapping[str, Any]) -> Json:
    """Precision and recall with their intervals; None where no photo tells."""
    figures: Json = {"id": found["label_id"], "name": found["label"], "photos": found["photos"]}
    for name in ("precision", "recall"):
        low, high = found[f"{name}_interval"] or (None, None)
        figures[name] = None if found[name] is None else {"value": found[name], "low": low, "high": high}
    return figures


def _share(value: float, photos: int) -> Json:
    low, high = wilson(round(value * photos), photos) or (0.0, 1.0)
    return {"value": value, "low": round(low, 4), "high": round(high, 4)}


def _hurting(session: Session, doubts: Sequence[Mapping[str, Any]]) -> list[Json]:
    """Photos whose label fits worst, those that are still there; `fits`: how well it does, in [0, 1]."""
    names = label_paths(session, {one["label_id"] for one in doubts})
    query = select(Photo.id, Photo.name, Photo.has_previews).where(Photo.id.in_([one["photo_id"] for one in doubts]))
    there = {row.id: row for row in session.execute(query)} if doubts else {}
    return [
        {
            "id": one["photo_id"],
            "name": there[one["photo_id"]].name,
            "has_previews": there[one["photo_id"]].has_previews,
            "label": names[one["label_id"]][-1],
            "fits": round(1 - one["urgency"], 4),
        }
        for one in doubts
        if one["photo_id"] in there
    ]
