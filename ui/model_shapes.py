"""Training runs, versions and exams as the JSON routes of the page Models answer them."""

import datetime as dt
from typing import Any

from db.exam_photos import ExamCount, ExamPhoto
from db.readiness import Readiness
from db.training_views import RunView
from db.version_history import VersionView, WayBack
from ui.recipes import RecipeChoice
from ui.shapes import Json

# What a person compares versions by; the card holds more.
FIGURES = ("photos", "top1", "top5", "macro_f1", "coverage", "accuracy_when_sure")


def readiness_shape(ready: Readiness) -> Json:
    """Labels with their reviewed photos, and what is missing."""
    return {
        "ready": ready.is_ready,
        "missing": ready.missing,
        "labels": [
            {
                "id": label.label_id,
                "name": label.name,
                "reviewed": label.reviewed,
                "training": label.training,
                "holdout": label.holdout,
                "neither": label.neither,
                "undecided": label.undecided,
                "enough": label.is_enough,
            }
            for label in ready.labels
        ],
    }


def recipe_shape(recipe: RecipeChoice) -> Json:
    """A recipe to choose."""
    return {"name": recipe.name, "title": recipe.title}


def run_shape(run: RunView) -> Json:
    """A run for the list."""
    return {
        "id": run.id,
        "state": run.state,
        "open": run.is_open,
        "recipe": run.recipe,
        "activate": run.activate,
        "by": run.user,
        "created_at": moment_of(run.created_at),
        "started_at": moment_of(run.started_at),
        "finished_at": moment_of(run.finished_at),
        "stage": run.stage,
        "done": run.done,
        "total": run.total,
        "ahead": run.ahead,
        "snapshot": run.snapshot,
        "photos": run.snapshot_photos,
        "base": run.base,
        "version": run.version,
        "gate": run.gate,
        "outcome": run.outcome,
        "reason": run.reason,
    }


def matrix_shape(counts: list[ExamCount], names: dict[int, str]) -> Json:
    """Both confusion matrices as [true, said, photos], and how many photos got better and worse."""
    cells: dict[str, dict[tuple[int, int], int]] = {"candidate": {}, "base": {}}
    better = worse = 0
    for one in counts:
        for of, said in (("candidate", one.candidate_label_id), ("base", one.base_label_id)):
            if said is not None:
                key = (one.label_id, said)
                cells[of][key] = cells[of].get(key, 0) + one.photos
        if one.base_label_id is not None:
            right, was_right = one.candidate_label_id == one.label_id, one.base_label_id == one.label_id
            better += one.photos if right and not was_right else 0
            worse += one.photos if was_right and not right else 0
    shown = {of: [[*key, photos] for key, photos in sorted(found.items())] for of, found in cells.items()}
    return {"cells": shown, "names": {str(n): name for n, name in names.items()}, "better": better, "worse": worse}


def exam_photo_shape(photo: ExamPhoto) -> Json:
    """A held-out photo with what both versions say of it."""
    return {
        "id": photo.photo_id,
        "name": photo.name,
        "has_previews": photo.has_previews,
        "label": photo.label,
        "candidate": photo.candidate,
        "candidate_score": round(photo.candidate_score, 4),
        "base": photo.base,
        "base_score": None if photo.base_score is None else round(photo.base_score, 4),
    }


def version_history_shape(version: VersionView) -> Json:
    """A version of the history."""
    metrics: dict[str, Any] = version.card.get("metrics") or {}
    metrics = metrics.get("holdout") or metrics.get("validation") or metrics
    return {
        "name": version.name,
        "origin": version.origin,
        "created_at": moment_of(version.created_at),
        "labels": version.labels,
        "run": version.run_id,
        "made_by": version.made_by,
        "recipe": version.recipe,
        "snapshot": version.snapshot,
        "photos": version.snapshot_photos,
        "activated_at": moment_of(version.activated_at),
        "activated_by": version.activated_by,
        "active": version.active,
        "notice": version.card.get("notice", ""),
        "figures": {name: metrics[name] for name in FIGURES if metrics.get(name) is not None},
    }


def way_back_shape(way: WayBack | None) -> Json | None:
    """What a roll back would do."""
    return way and {"version": way.version, "before": way.before, "photos": way.photos}


def moment_of(at: dt.datetime | None) -> str | None:
    """A point in time as text."""
    return at.isoformat() if at else None
