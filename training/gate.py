"""Whether a new version is really better than the active one: both named the same photos that neither was trained on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt

from training.holdout import HOLDOUT_SHARE
from training.intervals import chance_of_so_many

Ints = npt.NDArray[np.int64]
Verdict = Literal["better", "not_better", "thin"]

# Exam photos under which nothing is decided. An exam of 20 tells versions apart that differ in five photos.
FEWEST_PHOTOS = 20
# A label of which the exam has fewer photos says nothing of the label; half of the labels must have as many.
FEWEST_OF_LABEL = 3
# A difference counts when a coin would give it less often than this.
CHANCE = 0.05
# By how much the share of a label's photos that are named rightly may fall.
TOLERANCE = 0.10
# How often, in all labels together, a fall beyond the tolerance may be taken for one though it was chance: with a hundred
# labels some fall in every exam. A fall of 5 photos and no gain is 1 in 32 for one label.
CHANCE_OF_FALLS = 0.2
# How often as many photos as are asked for are to settle it, if versions go on to differ as they did.
POWER = 0.8
Z_CHANCE, Z_POWER = 1.644854, 0.841621  # standard normal quantiles of 1 - CHANCE and of POWER
# A difference that takes an exam this many times larger to show does not matter to anybody.
MOST_TIMES = 20


class Check(TypedDict):
    """One thing that was looked at, as JSON."""

    name: Literal["evidence", "labels", "overall", "by_label"]
    passed: bool
    words: str


@dataclass(frozen=True)
class Gate:
    """The verdict.

    Attributes:
        verdict: `better`; `not_better`; or `thin`: the exam is too small to tell.
        reasons: why, in plain words, the weightiest first.
        checks: all that was looked at, whether passed or not.
        photos_needed: if thin, about how many more reviewed photos would settle it, hold-out and training together;
            None if that cannot be said.
    """

    verdict: Verdict
    reasons: list[str]
    checks: list[Check]
    photos_needed: int | None


class _Pairs(NamedTuple):
    """Photos of the exam by who named them rightly."""

    photos: int
    gained: int  # the candidate alone
    lost: int  # the other alone


def judge(targets: Ints, candidate_first: Ints, base_first: Ints | None, labels: Sequence[str]) -> Gate:
    """Compares first labels on an exam.

    Without an active version that knows these labels, the candidate must beat whoever always says the commonest one.

    Args:
        targets: (n,) positions of the true labels.
        candidate_first: (n,) positions of the labels that the new version says.
        base_first: (n,) likewise of the active version, any other number where it says a label that is not among
            `labels`; None if it knows none of them.
        labels: names.
    """
    right = candidate_first == targets
    if base_first is None:
        commonest = int(np.bincount(targets, minlength=len(labels)).argmax())
        was_right, other = targets == commonest, f"always saying “{labels[commonest]}”"
    else:
        was_right, other = base_first == targets, "the active version"
    pairs = _Pairs(len(targets), int((right & ~was_right).sum()), int((~right & was_right).sum()))
    evidence, missing = _check_evidence(targets, labels)
    overall = _check_overall(pairs, other)
    checks = [*evidence, overall]
    if base_first is not None:
        checks.append(_check_labels(targets, right, was_right, labels))
    return _verdict(checks, pairs, missing)


def exam_photos_needed(photos: int, gained: int, lost: int) -> int | None:
    """Exam photos in all at which the test would say "better" in four cases of five, at the rates seen; None for no gain.

    Connor 1987, "Sample size for testing differences in proportions for the paired-sample design", doi:10.2307/2531961.
    """
    if gained <= lost:
        return None
    differing, gain = (gained + lost) / photos, (gained - lost) / photos
    spread = Z_CHANCE * math.sqrt(differing) + Z_POWER * math.sqrt(max(differing - gain**2, 0.0))
    # the exact test takes about one photo in `gain` more than the normal approximation (continuity)
    return math.ceil(spread**2 / gain**2 + 1.0 / gain)


def _verdict(checks: list[Check], pairs: _Pairs, missing: int) -> Gate:
    failed = [check for check in checks if not check["passed"]]
    names = {check["name"] for check in failed}
    words = [check["words"] for check in failed]
    if not failed:
        return Gate(
            "better", [check["words"] for check in checks if check["name"] in ("overall", "by_label")], checks, None
        )
    if names & {"evidence", "labels"}:
        return Gate("thin", [*words, _ask(missing)], checks, _reviewed(missing))
    needed = exam_photos_needed(*pairs)
    if names == {"overall"} and needed is not None and needed <= MOST_TIMES * pairs.photos:
        more = max(1, needed - pairs.photos)
        return Gate("thin", [*words, _ask(more)], checks, _reviewed(more))
    return Gate("not_better", words, checks, None)


def _check_evidence(targets: Ints, labels: Sequence[str]) -> tuple[list[Check], int]:
    """Whether the exam has enough photos, in all and of labels; and how many it lacks."""
    photos = len(targets)
    counts = np.bincount(targets, minlength=len(labels))
    lacking = np.sort(np.maximum(FEWEST_OF_LABEL - counts, 0))  # the labels that lack least are the nearest to enough
    wanted = max(2, math.ceil(len(labels) / 2))
    lacks = int(lacking[:wanted].sum())
    enough = int((lacking == 0).sum())
    few = [label for label, count in zip(labels, counts, strict=True) if count < FEWEST_OF_LABEL]
    in_all = f"The exam has {photos} photos; at least {FEWEST_PHOTOS} are needed."
    of_labels = (
        f"Of {enough} of {len(labels)} labels the exam has {FEWEST_OF_LABEL} photos or more; {wanted} are needed."
    )
    if few:
        of_labels += f" Too few of: {', '.join(few[:10])}{' and others' if len(few) > 10 else ''}."
    checks: list[Check] = [
        {"name": "evidence", "passed": photos >= FEWEST_PHOTOS, "words": in_all},
        {"name": "labels", "passed": enough >= wanted, "words": of_labels},
    ]
    return checks, max(FEWEST_PHOTOS - photos, lacks, 0)


def _check_overall(pairs: _Pairs, other: str) -> Check:
    chance = chance_of_so_many(pairs.gained, pairs.lost)
    words = (
        f"Of {pairs.photos} exam photos the new version names {pairs.gained} rightly that {other} does not, and the other"
        f" way round {pairs.lost}."
    )
    if pairs.gained <= pairs.lost:
        words += " That is no gain."
    elif chance > CHANCE:
        words += (
            f" Chance alone gives so much in {_percent(chance)} of cases; less than {_percent(CHANCE)} is asked for."
        )
    else:
        words += f" Chance alone gives so much in {_percent(chance)} of cases."
    return {"name": "overall", "passed": pairs.gained > pairs.lost and chance <= CHANCE, "words": words}


def _check_labels(
    targets: Ints, right: npt.NDArray[np.bool_], was_right: npt.NDArray[np.bool_], labels: Sequence[str]
) -> Check:
    """Whether no label falls by more than the tolerance, and by more than chance explains."""
    size = len(labels)
    photos = np.bincount(targets, minlength=size)
    gained = np.bincount(targets[right & ~was_right], minlength=size)
    lost = np.bincount(targets[~right & was_right], minlength=size)
    judged = max(1, int((photos >= FEWEST_OF_LABEL).sum()))
    fallen = [
        f"“{labels[label]}” ({lost[label]} of {photos[label]} photos lost, {gained[label]} gained)"
        for label in np.flatnonzero(lost - gained > TOLERANCE * photos).tolist()
        if chance_of_so_many(int(lost[label]), int(gained[label])) <= CHANCE_OF_FALLS / judged
    ]
    if fallen:
        words = f"Labels that fall by more than {_percent(TOLERANCE)}: {', '.join(fallen)}."
    else:
        words = f"No label falls by more than {_percent(TOLERANCE)} of its photos for sure."
    return {"name": "by_label", "passed": not fallen, "words": words}


def _reviewed(exam_photos: int) -> int:
    return math.ceil(exam_photos / HOLDOUT_SHARE)


def _ask(exam_photos: int) -> str:
    return (
        f"About {_reviewed(exam_photos)} more reviewed photos would settle it: one in {round(1 / HOLDOUT_SHARE)} goes into"
        " the exam."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share >= 0.001 else "less than 0.1 %"
