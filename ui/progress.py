"""How a batch gets on, for the person who waits: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from db.batch_view import BatchProgress

SECONDS_BETWEEN_LINES = 5.0
# The first photo comes after the network is loaded, which says nothing about the others.
ENOUGH_TO_FORETELL = 16


class ProgressView(AbstractContextManager["ProgressView"], Protocol):
    """Shows the progress of one batch."""

    def show(self, progress: BatchProgress) -> None:
        """Shows where the batch stands now."""
        ...

    def note(self, text: str) -> None:
        """Shows a line that stays."""
        ...


def progress_view() -> ProgressView:
    """A bar if a person watches, else plain lines. Both on standard error."""
    return BarView() if sys.stderr.isatty() else LinesView()


class BarView(ProgressView):
    """A bar that is drawn again and again."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=None),
            TextColumn("{task.description}", markup=False),
            console=self._console,
            transient=True,
            expand=True,
        )
        self._task = self._bar.add_task("starting", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, progress: BatchProgress) -> None:
        """Moves the bar."""
        total = progress.total if progress.state == "running" else None  # while files arrive nobody knows it
        self._bar.update(self._task, total=total, completed=done_of(progress), description=line_of(progress))

    def note(self, text: str) -> None:
        """A line above the bar."""
        self._console.print(text, markup=False)


class LinesView(ProgressView):
    """A line every few seconds, when something changed. For logs and pipes."""

    def __init__(self) -> None:
        self._next_at = 0.0
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return

    def show(self, progress: BatchProgress) -> None:
        """Prints a line if it is time for one."""
        line = line_of(progress)
        if time.monotonic() < self._next_at or line == self._last:
            return
        self._next_at, self._last = time.monotonic() + SECONDS_BETWEEN_LINES, line
        self.note(line)

    def note(self, text: str) -> None:
        """Prints a line."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the output


def done_of(progress: BatchProgress) -> int:
    """Items that have ended, one way or the other."""
    return progress.total - progress.ready - progress.leased


def line_of(progress: BatchProgress) -> str:
    """`181 of 200 photos, 3 refused, 4.5 photos/s, 10 s left`."""
    more = "" if progress.state == "running" else " so far"
    parts = [f"{done_of(progress):,} of {progress.total:,}{more} done"]
    parts += [
        f"{count:,} {word}" for word, count in (("refused", progress.refused), ("failed", progress.failed)) if count
    ]
    if progress.rate_per_s:
        parts.append(f"{progress.rate_per_s:.1f} photos/s")
    if progress.state == "running" and progress.seconds_left is not None and done_of(progress) >= ENOUGH_TO_FORETELL:
        parts.append(f"{duration(progress.seconds_left)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """`40 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
