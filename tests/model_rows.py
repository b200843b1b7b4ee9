"""A training that is over with its exam, written as rows: what the Models page shows, without training anything."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from db.blobs import Blobs
from db.labels import ensure_labels
from db.model_versions import active_version, register_version
from db.review_stats import wilson
from db.reviews import Said, record_verdicts
from db.schema import HoldoutAnswer, Photo, PhotoSubset, TrainingRun
from db.session import Database, utc_now
from db.snapshots import SnapshotEntry, freeze_snapshot
from db.training_runs import claim_run, finish_run
from db.users import local_admin
from tests.library_rows import add_photos
from tests.samples import encoded, scene

RECIPE = {"name": "default", "title": "Means of each channel", "head": "gap", "seed": 0}
CHECKS = [
    {"name": "overall", "passed": True, "words": "Right on 14 photos more than before: chance does that in 1 of 900 cases."},
    {"name": "labels", "passed": True, "words": "No label is found less often than its tolerance allows."},
    {"name": "evidence", "passed": False, "words": "“street” has 2 held-out photos; 5 are wanted."},
]  # fmt: skip
WORDS: dict[str, Any] = {
    "reasons": [CHECKS[0]["words"], CHECKS[1]["words"]],
    "checks": CHECKS,
    "photos_needed": 60,
}  # fmt: skip

Answers = list[tuple[int, int, int]]  # true label, the candidate's, the base's: positions in the names


def examined(names: Sequence[str], each: int, seed: int = 1) -> Answers:
    """What candidate and base say of `each` photos of every label: the candidate is right more often."""
    chance = random.Random(seed)
    count = len(names)

    def said(truth: int, right: float) -> int:
        return truth if chance.random() < right else (truth + chance.choice((1, 1, 2, count - 1))) % count

    return [(truth, said(truth, 0.86), said(truth, 0.7)) for truth in range(count) for _ in range(each)]


def add_finished_run(
    session: Session,
    names: Sequence[str],
    answers: Answers,
    *,
    version: str = "head-1",
    gate: str = "better",
    blobs: Blobs | None = None,
) -> tuple[int, list[int], list[int]]:
    """The id of a run that made a candidate, the ids of its held-out photos (labelled by a person), and of the labels.

    Args:
        session: of a write transaction in which a version is active.
        names: of the labels.
        answers: one for each photo.
        version: the candidate's name.
        gate: what the gate said.
        blobs: where previews are put; None: photos have none.
    """
    label_ids = ensure_labels(session, [[name] for name in names])
    base = active_version(session)
    assert base is not None
    photo_ids = add_photos(session, [{"has_previews": blobs is not None} for _ in answers])
    _label(session, photo_ids, [label_ids[truth] for truth, *_ in answers])
    hashes = {one.id: one.sha256 for one in session.query(Photo).where(Photo.id.in_(photo_ids))}
    truths = dict(zip(photo_ids, (label_ids[truth] for truth, *_ in answers), strict=True))
    snapshot = freeze_snapshot(session, [SnapshotEntry(n, hashes[n], truths[n], "holdout") for n in photo_ids])
    session.add_all(PhotoSubset(photo_id=n, subset="holdout", decided_at=utc_now()) for n in photo_ids)
    if blobs is not None:
        for photo_id in photo_ids:
            for size in (320, 1024):
                blobs.write_preview(hashes[photo_id], size, encoded(scene(photo_id, 160, 120), "WEBP"))
    run = TrainingRun(state="queued", recipe=RECIPE, activate="never", created_at=utc_now(), curves=[])
    session.add(run)
    session.flush()
    claimed = claim_run(session, "test-worker", 60)
    assert claimed is not None
    top1 = sum(truth == said for truth, said, _ in answers) / len(answers)
    card = {"notice": "", "name": version, "metrics": {"holdout": {"top1": top1, "photos": len(answers)}}}
    made = register_version(session, version, "trained", f"models/{version}", card, label_ids)
    labels = dict(zip(label_ids, names, strict=True))
    doubts = [{"photo_id": n, "label_id": truths[n], "urgency": 0.95} for n in photo_ids[:3]]
    report = {
        "candidate": figures(labels, [(truth, said) for truth, said, _ in answers]),
        "base": figures(labels, [(truth, said) for truth, _, said in answers]),
        "doubts": [*doubts, {"photo_id": 10**9, "label_id": label_ids[0], "urgency": 0.9}],  # of a photo that is gone
    }
    run.curves = [_epoch(number) for number in range(1, 12)]
    made_of = {"snapshot_id": snapshot.id, "base_version_id": base.id, "version_id": made.id}
    finish_run(session, claimed, report=report, gate=gate, gate_words=WORDS, **made_of)
    session.add_all(
        HoldoutAnswer(
            run_id=run.id,
            photo_id=photo_id,
            label_id=label_ids[truth],
            candidate_label_id=label_ids[said],
            candidate_score=0.9,
            base_label_id=label_ids[before],
            base_score=0.8,
        )
        for photo_id, (truth, said, before) in zip(photo_ids, answers, strict=True)
    )
    session.flush()
    return run.id, photo_ids, label_ids


def figures(labels: Mapping[int, str], pairs: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """What a report says of a version: `pairs` of true and said label, as positions in `labels` (names by id)."""
    right = sum(truth == said for truth, said in pairs) / len(pairs)
    bins = [
        {"from": n / 10, "to": (n + 1) / 10, "photos": n}
        | ({"mean_score": n / 10 + 0.05, "accuracy": min(1.0, n / 9)} if n else {"mean_score": None, "accuracy": None})
        for n in range(10)
    ]
    by_label = [_of_label(label_id, number, name, pairs) for number, (label_id, name) in enumerate(labels.items())]
    plain = {"macro_f1": right, "coverage": 0.75, "accuracy_when_sure": 0.9, "calibration_error": 0.04}
    return {"photos": len(pairs), "top1": right, "top5": 1.0, "by_label": by_label, "calibration": bins, **plain}


def add_run(database: Database) -> int:
    """The id of a run that waits."""
    with database.transaction() as session:
        run = TrainingRun(state="queued", recipe=RECIPE, activate="never", created_at=utc_now(), curves=[])
        session.add(run)
        session.flush()
        return run.id


def _of_label(label_id: int, number: int, name: str, pairs: Sequence[tuple[int, int]]) -> dict[str, Any]:
    found: dict[str, Any] = {"label_id": label_id, "label": name, "photos": sum(truth == number for truth, _ in pairs)}
    flags = {
        "precision": [truth == number for truth, said in pairs if said == number],
        "recall": [said == number for truth, said in pairs if truth == number],
    }
    for key, values in flags.items():
        found[key] = sum(values) / len(values) if values else None
        found[f"{key}_interval"] = wilson(sum(values), len(values))
    return found


def _epoch(number: int) -> dict[str, Any]:
    held = 0.5 + 0.6 / number + 0.01 * number
    return {
        "number": number,
        "loss": round(1.2 / number, 4),
        "accuracy": min(0.99, 0.6 + 0.04 * number),
        "held_out_loss": round(held, 4),
        "held_out_accuracy": min(0.86, 0.58 + 0.03 * number),
    }


def _label(session: Session, photo_ids: Sequence[int], label_ids: Sequence[int]) -> None:
    said = [Said(n, "label", label_id, None, None) for n, label_id in zip(photo_ids, label_ids, strict=True)]
    record_verdicts(session, local_admin(session), said, token=f"exam {photo_ids[0]}", source="single")
