"""What a person reads of a training run: how it gets on, then candidate and active version side by side."""

from collections.abc import Iterator
from typing import Any

from db.training_views import RunDetails, RunView

STAGES = {
    "": "begins",
    "features": "features of {total:,} photos",
    "snapshot": "which photos are trained on and which are held out",
    "frozen": "photos through the blocks that stay",
    "tuning": "training block 5",
    "variants": "changed variants of the photos to train on",
    "head": "training the head",
    "exam": "the exam on held-out photos",
}
VERDICTS = {
    "better": "better than the active version",
    "not_better": "not better than the active version",
    "thin": "too little evidence to tell",
}
FIGURES = (
    ("top1", "top-1", "the first label is right"),
    ("top5", "top-5", "one of the first five is right"),
    ("macro_f1", "macro F1", "mean over labels"),
    ("coverage", "sure", "share of photos that are not shown as not sure"),
    ("accuracy_when_sure", "right when sure", ""),
    ("calibration_error", "calibration", "how far scores are from how often they are right"),
)


def progress_line(run: RunView) -> str:
    """`training the head: 12 of 31`."""
    if run.state == "queued":
        return f"waiting; {run.ahead} before it" if run.ahead else "waiting for the training worker"
    words = STAGES.get(run.stage, run.stage).format(total=run.total)
    return f"{words}: {run.done:,} of {run.total:,}" if run.total > 1 else words


def epoch_line(epoch: dict[str, Any]) -> str:
    """`epoch 3: loss 0.412, accuracy 0.880; held out 0.530, 0.830`."""
    line = f"epoch {epoch['number']}: loss {epoch['loss']:.3f}, accuracy {epoch['accuracy']:.3f}"
    if epoch.get("held_out_loss") is not None:
        line += f"; held out {epoch['held_out_loss']:.3f}, {epoch['held_out_accuracy']:.3f}"
    return line


def result_lines(details: RunDetails) -> Iterator[str]:
    """The comparison, the gate's verdict in words, and what to do next."""
    yield from comparison_lines(details)
    run, words = details.run, details.gate_words or {}
    yield f"{run.version} is {VERDICTS.get(run.gate or '', run.gate or '')}."
    for reason in words.get("reasons", ()):
        yield f"  {reason}"
    yield _next_step(run)


def made_lines(details: RunDetails) -> Iterator[str]:
    """How a version came to be, for whoever looks at it later."""
    run = details.run
    by = f", asked for by {run.user}" if run.user else ""
    yield f"Made by run {run.id} with the recipe {run.recipe}{by}, from {run.snapshot_photos or 0:,} photos that people labelled."
    yield from comparison_lines(details)
    yield f"It was {VERDICTS.get(run.gate or '', run.gate or '')}."


def comparison_lines(details: RunDetails) -> Iterator[str]:
    """Figures of both on the same held-out photos."""
    run, report = details.run, details.report or {}
    candidate: dict[str, Any] = report.get("candidate") or {}
    base: dict[str, Any] = report.get("base") or {}
    names = [run.version or "", *([run.base or ""] if base else [])]
    yield f"On the same {candidate.get('photos', 0):,} held-out photos:"
    yield "  ".join([f"  {'':<16}", *(f"{name:>12}" for name in names)])
    for key, title, meaning in FIGURES:
        cells = [_figure(of.get(key)) for of in (candidate, base)[: len(names)]]
        yield "  ".join([f"  {title:<16}", *(f"{cell:>12}" for cell in cells), meaning]).rstrip()
    variants: dict[str, Any] = report.get("variants") or {}
    if variants.get("a_photo"):
        yield f"  {variants['trained_on']:,} changed variants were trained on, {variants['a_photo']} of each photo."
    better, worse = len(report.get("better", ())), len(report.get("worse", ()))
    if base:
        yield f"  {better:,} photos got better, {worse:,} got worse."
    if doubts := report.get("doubts"):
        yield f"  {len(doubts):,} labels that people gave look wrong: the queue “looks mislabelled” of the review page."


def _next_step(run: RunView) -> str:
    if run.outcome == "activated":
        return f"{run.version} is active: it tags from now on. `phototag models rollback` goes back to {run.base}."
    return f"{run.base} stays active. `phototag models activate {run.version}` changes that."


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
