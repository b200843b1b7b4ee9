"""The exam as people and programs read it: figures of both, the photos that changed, and the gate's verdict."""

from typing import Any

import numpy as np

from training.evaluate import compare
from training.exam import Exam, Examinee
from training.gate import Gate, judge

# Somewhere else: the base says a label that nobody asked about.
OTHER = -1


def report_of(exam: Exam, candidate: Examinee, base: Examinee) -> dict[str, Any]:
    """A report of each version, as `training.evaluate.report` has it, on the same photos.

    `labels` says what columns of the confusion matrix are; `better` and `worse` are ids of photos that the candidate
    names rightly and the base does not, and the other way round. `by_label` has the labels that occur.
    """
    names = [exam.paths[label_id][-1] for label_id in exam.label_ids]
    found = compare(exam.candidate, exam.base, exam.targets, names, candidate.threshold, base.threshold)
    for name in ("better", "worse"):
        found[name] = [exam.photos[position].photo_id for position in found[name]]
    for figures in filter(None, (found["candidate"], found["base"])):
        rows = zip(exam.label_ids, figures["by_label"], strict=True)
        figures["by_label"] = [{"label_id": n} | row for n, row in rows if row["photos"] or row["said"]]
    labels = [{"label_id": n, "path": list(exam.paths[n])} for n in exam.label_ids]
    return found | {"photos": len(exam.photos), "labels": labels}


def judge_exam(exam: Exam) -> Gate:
    """The gate's verdict. Labels that the base alone knows are not asked about: naming one is simply wrong."""
    names = [exam.paths[label_id][-1] for label_id in exam.label_ids[: exam.asked]]
    firsts = None
    if exam.base is not None and exam.base_knows:
        firsts = exam.base.argmax(axis=1)
        firsts = np.where(firsts < exam.asked, firsts, OTHER)
    return judge(exam.targets, exam.candidate.argmax(axis=1), firsts, names)
