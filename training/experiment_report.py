"""The report of an experiment: figures on photos it was not trained on, as JSON and for a person to read."""

import json
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from db.names import clean_text

PACKAGES = ("phototag", "keras", "tensorflow", "tensorflow-cpu", "numpy", "pillow")
TOP = 5
LEFT_OUT_SHOWN = 20
LABEL_CHARS = 60
_marks = re.compile(r"([\\`*_{}\[\]<>()#+!|~])")


def figures(scores: npt.NDArray[np.float32], targets: npt.NDArray[np.int64], labels: Sequence[str]) -> dict[str, Any]:
    """Shares of photos whose label is first, and among the first five; the same by label; who is taken for whom.

    Args:
        scores: (n, labels).
        targets: (n,) positions of the true labels.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    right = order[:, 0] == targets
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (targets, order[:, 0]), 1)
    return {
        "photos": len(targets),
        "top1": _share(right),
        "top5": _share((order[:, :TOP] == targets[:, None]).any(axis=1)),
        "by_label": {label: _share(right[targets == position]) for position, label in enumerate(labels)},
        "confusion": confusion.tolist(),  # rows: the true label; columns: the first one
    }


def installed_versions() -> dict[str, str]:
    """Versions of the packages that figures depend on."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except ModuleNotFoundError:  # one of the two TensorFlows is there, and phototag itself may run uninstalled
            continue
    return found


def write_report(folder: Path, report: dict[str, Any]) -> None:
    """Writes report.json and report.md into `folder`."""
    text = json.dumps(report, ensure_ascii=False, indent=1) + "\n"
    (folder / "report.json").write_text(text, encoding="utf-8")
    (folder / "report.md").write_text(as_markdown(report), encoding="utf-8")


def as_markdown(report: dict[str, Any]) -> str:
    """The report for a person."""
    parts = [_head(report), _results(report), _network(report), _epochs(report), _by_label(report), _left_out(report)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(report: dict[str, Any]) -> str:
    counts = ", ".join(f"{count:,} {part}" for part, count in report["photos"].items())
    lines = [
        f"# {harmless(report['recipe'])}",
        "",
        harmless(report["recipe_values"]["description"]),
        "",
        f"- Photos: {counts}; {len(report['labels'])} labels. {report['split']}",
        f"- Weights: {harmless(report['weights']['said'])}",
        f"- {report['how']}",
        f"- Seed {report['seed']}; {harmless(report['device'])}; "
        + ", ".join(f"{name} {number}" for name, number in report["versions"].items()),
    ]
    if report["astride"]:
        lines.append(
            f"- **{report['astride']:,} files lie in more than one part**: what was measured is better than it should be."
        )
    return "\n".join(lines)


def _results(report: dict[str, Any]) -> str:
    rows = ["| | photos | top-1 | top-5 |", "|---|---|---|---|"]
    for part in ("validation", "test"):
        found = report[part]
        if found is not None and found["photos"]:
            rows.append(f"| {part} | {found['photos']:,} | {_percent(found['top1'])} | {_percent(found['top5'])} |")
    if len(report["labels"]) <= TOP:
        rows.append(f"\nWith {len(report['labels'])} labels the first five are all of them: top-5 says nothing.")
    seconds = ", ".join(f"{value:.1f} s {what}" for what, value in report["seconds"].items())
    return "\n".join(["## Results", "", *rows, "", f"Time: {seconds}."])


def _network(report: dict[str, Any]) -> str:
    parameters = report["parameters"]
    rows = [
        f"| {layer['name']} | {layer['kind']} | {' x '.join(map(str, layer['shape']))} | {layer['parameters']:,} |"
        f" {'yes' if layer['trained'] else ''} |"
        for layer in report["layers"]
    ]
    head = ["| layer | kind | output | parameters | trained |", "|---|---|---|---|---|"]
    counts = f"{parameters['trainable']:,} parameters are trained, {parameters['frozen']:,} are frozen."
    return "\n".join(["## Network", "", counts, "", *head, *rows])


def _epochs(report: dict[str, Any]) -> str:
    rows = [
        "| epoch | loss | accuracy | validation loss | validation accuracy | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for epoch in report["epochs"]:
        values = (epoch[name] for name in ("loss", "accuracy", "validation_loss", "validation_accuracy"))
        shown = " | ".join("" if value is None else f"{value:.4f}" for value in values)
        rows.append(f"| {epoch['epoch']} | {shown} | {epoch['seconds']:.1f} |")
    return "\n".join(["## Epochs", "", "![Curves](curves.png)", "", *rows])


def _by_label(report: dict[str, Any]) -> str:
    part = examined_part(report)
    if part is None:
        return ""
    rows = [f"| {harmless(label)} | {_percent(share)} |" for label, share in report[part]["by_label"].items()]
    head = [f"## Labels, on {part} photos", "", "![Confusion matrix](confusion.png)", ""]
    return "\n".join([*head, "| label | found |", "|---|---|", *rows])


def _left_out(report: dict[str, Any]) -> str:
    left_out = report["left_out"]
    if not left_out:
        return ""
    rows = [f"- {harmless(one['path'])}: {harmless(one['reason'])}" for one in left_out[:LEFT_OUT_SHOWN]]
    if len(left_out) > LEFT_OUT_SHOWN:
        rows.append(f"- and {len(left_out) - LEFT_OUT_SHOWN:,} more, in report.json")
    return "\n".join([f"## Left out: {len(left_out):,} files that could not be decoded", "", *rows])


def examined_part(report: dict[str, Any]) -> str | None:
    """The part that says most: test, or validation where there is no test."""
    return next((part for part in ("test", "validation") if report[part] and report[part]["photos"]), None)


def harmless(text: str) -> str:
    """A name of a file or a label on one line, without characters that steer terminals or mean something in Markdown."""
    return _marks.sub(r"\\\1", clean_text(text, 400))


def _share(flags: npt.NDArray[np.bool_]) -> float | None:
    return round(float(flags.mean()), 4) if len(flags) else None


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
