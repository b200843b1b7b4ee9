"""The pictures of an experiment: curves of its epochs, and who was taken for whom."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # files only: no window, no display

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from db.names import clean_text

TRAIN, VALIDATION = "#3b6ea5", "#c8622d"
LABEL_CHARS = 24
# Beyond this many labels a cell is too small for its number.
NUMBERS_UP_TO = 25


def draw_curves(path: Path, epochs: Sequence[dict[str, Any]]) -> None:
    """Loss and accuracy by epoch, of training and of validation photos."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes: Sequence[Axes] = figure.subplots(1, 2)
    for axis, name in zip(axes, ("loss", "accuracy"), strict=True):
        numbers = [epoch["epoch"] for epoch in epochs]
        axis.plot(numbers, [epoch[name] for epoch in epochs], "o-", color=TRAIN, label="training")
        if epochs[0][f"validation_{name}"] is not None:
            watched = [epoch[f"validation_{name}"] for epoch in epochs]
            axis.plot(numbers, watched, "s--", color=VALIDATION, label="validation")
        axis.set(xlabel="epoch", ylabel=name)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_ylim(bottom=0.0, top=1.02 if name == "accuracy" else None)
        axis.grid(color="#e5e5e5")
        axis.legend()
    figure.savefig(path, dpi=120)


def draw_confusion(path: Path, confusion: Sequence[Sequence[int]], labels: Sequence[str], title: str) -> None:
    """Rows: true labels; columns: first labels; shades by share of the row, numbers are photos."""
    side = min(24.0, max(4.5, 1.8 + 0.5 * len(labels)))
    figure = Figure(figsize=(side, side), layout="constrained")
    axis: Axes = figure.subplots()
    shares = [[count / max(1, sum(row)) for count in row] for row in confusion]
    axis.imshow(shares, cmap="Blues", vmin=0.0, vmax=2.2)  # light throughout: black numbers stay readable
    names = [clean_text(label, 200) for label in labels]
    names = [name if len(name) <= LABEL_CHARS else f"{name[: LABEL_CHARS - 1]}…" for name in names]
    # parse_math: a label may hold dollar signs
    axis.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    axis.set_yticks(range(len(names)), names, parse_math=False)
    axis.set(xlabel="said", ylabel="true")
    axis.set_title(title)
    if len(labels) <= NUMBERS_UP_TO:
        for row, counts in enumerate(confusion):
            for column, count in enumerate(counts):
                axis.text(column, row, str(count) if count else "", ha="center", va="center", fontsize=9)
    figure.savefig(path, dpi=120)
