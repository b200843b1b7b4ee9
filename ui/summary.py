"""What came of a batch, for a person and for scripts."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from db.batch_view import BatchProgress, ItemView
from db.codes import JUNK, reason_text
from ui.progress import duration

MOST_LISTED = 20
MOST_LABELS = 8
NOT_TAGGED = ("refused", "failed", "cancelled")


@dataclass
class Summary:
    """Counts and lists of one batch; `watch` fills it while the items pass by on their way to a file."""

    batch_id: str
    labels: Counter[str] = field(default_factory=Counter[str])
    versions: Counter[str] = field(default_factory=Counter[str])
    states: Counter[str] = field(default_factory=Counter[str])
    junk: int = 0
    not_tagged: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])  # path, state, reason
    refused_archives: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])  # path, reason
    seconds: float = 0.0
    notices: dict[str, str] = field(default_factory=dict[str, str])  # of the model versions, by name

    def watch(self, items: Iterable[ItemView]) -> Iterator[ItemView]:
        """Counts the items and passes them on."""
        for item in items:
            self._count(item)
            yield item

    def add_archives(self, progress: BatchProgress) -> None:
        """Takes over the archives that were refused as a whole."""
        self.refused_archives = [
            (path, reason_text(code, detail)) for path, state, code, detail in progress.archives if state == "refused"
        ]

    @property
    def tagged(self) -> int:
        """Photos that have their labels."""
        return self.states["tagged"]

    @property
    def is_complete(self) -> bool:
        """Whether every photo was tagged. System files and sidecars are not missed."""
        return not self.refused_archives and not any(self.states[state] for state in NOT_TAGGED)

    @property
    def rate_per_s(self) -> float:
        """Photos tagged per second of waiting."""
        return self.tagged / self.seconds if self.seconds > 0 else 0.0

    def lines(self, results: str | None) -> Iterator[str]:
        """The summary for a person.

        Args:
            results: the results file, if one was written.
        """
        total = self.tagged + sum(self.states[state] for state in NOT_TAGGED)
        others = [f"{self.states[state]:,} {state}" for state in NOT_TAGGED if self.states[state]]
        others += [f"{self.junk:,} system files or sidecars left out"] if self.junk else []
        took = f" in {duration(self.seconds)} ({self.rate_per_s:.1f} photos/s)" if self.seconds else ""
        yield f"Batch {self.batch_id}: {', '.join([f'{self.tagged:,} of {total:,} photos tagged{took}', *others])}."
        yield from self._lines_of_refused(results)
        if self.labels:
            commonest = ", ".join(f"{label} {count:,}" for label, count in self.labels.most_common(MOST_LABELS))
            yield f"Commonest labels: {commonest}."
        for version in self.versions:
            notice = self.notices.get(version)
            yield f"Model version: {version}.{f' {notice}' if notice else ''}"
        if results is not None:
            yield f"Results: {results}"

    def as_json(self, results: str | None) -> dict[str, Any]:
        """The summary for scripts. `not_tagged` is complete."""
        return {
            "batch": self.batch_id,
            "tagged": self.tagged,
            **{state: self.states[state] for state in NOT_TAGGED},
            "junk": self.junk,
            "seconds": round(self.seconds, 3),
            "photos_per_s": round(self.rate_per_s, 3),
            "commonest_labels": dict(self.labels.most_common(MOST_LABELS)),
            "model_versions": [{"name": name, "notice": self.notices.get(name, "")} for name in self.versions],
            "not_tagged": [{"path": path, "state": state, "reason": reason} for path, state, reason in self.not_tagged],
            "refused_archives": [{"path": path, "reason": reason} for path, reason in self.refused_archives],
            "results": results,
        }

    def _lines_of_refused(self, results: str | None) -> Iterator[str]:
        for path, reason in self.refused_archives:
            yield f"  {path}: {reason}"
        for path, state, reason in self.not_tagged[:MOST_LISTED]:
            yield f"  {path}: {reason or state}"
        more = len(self.not_tagged) - MOST_LISTED
        if more > 0:
            where = "see the results file" if results else f"see `phototag batches show {self.batch_id} --all`"
            yield f"  and {more:,} more, {where}"

    def _count(self, item: ItemView) -> None:
        if item.code == JUNK:
            self.junk += 1
            return
        self.states[item.state] += 1
        if item.state in NOT_TAGGED:
            self.not_tagged.append((item.path, item.state, reason_text(item.code, item.detail)))
        if item.state == "tagged":
            self.labels[item.shown or ""] += 1
            self.versions[item.model_version or ""] += 1
