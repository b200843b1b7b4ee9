"""How an experiment gets on: a bar on a terminal, plain lines elsewhere. Both on standard error."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY_S = 5.0


class ExperimentProgress:
    """Stages one after the other, and lines that stay. A context manager."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=self._console, transient=True) if sys.stderr.isatty() else None

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def stage(self, title: str) -> Callable[[int, int], None]:
        """What is to be told how many photos of the new stage are done, and of how many."""
        if self._bar is None:
            return self._lines(title)
        bar = self._bar
        for finished in bar.task_ids:
            bar.remove_task(finished)
        task = bar.add_task(title, total=None)
        return lambda done, total: bar.update(task, completed=done, total=total)

    def note(self, text: str) -> None:
        """A line that stays."""
        if self._bar is None:
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the output
        else:
            self._console.print(text, markup=False)

    def _lines(self, title: str) -> Callable[[int, int], None]:
        started = shown_at = time.monotonic()

        def show(done: int, total: int) -> None:
            nonlocal shown_at
            now = time.monotonic()
            if now - shown_at < LINE_EVERY_S or done == total:
                return
            shown_at = now
            rate = done / max(now - started, 1e-3)
            self.note(f"{title}: {done:,} of {total:,} photos, {rate:.1f} a second, {(total - done) / rate:.0f} s left")

        return show
