"""Progress of a long fetch: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from worker.download import Progress

LINE_EVERY_S = 5.0


@contextmanager
def shown_progress(title: str) -> Generator[Progress]:
    """Shows what it is told on standard error; nothing appears before the first call."""
    if not sys.stderr.isatty():
        yield _lines(title)
        return
    columns = TextColumn(title), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, visible=False)

        def show(received_bytes: int, total_bytes: int) -> None:
            bar.update(task, completed=received_bytes, total=total_bytes, visible=True)

        yield show


def _lines(title: str) -> Progress:
    first: list[tuple[float, int]] = []  # when, and from where, it began
    shown_at = 0.0

    def show(received_bytes: int, total_bytes: int) -> None:
        nonlocal shown_at
        now = time.monotonic()
        if not first:
            first.append((now, received_bytes))
        if now - shown_at < LINE_EVERY_S and received_bytes != total_bytes:
            return
        shown_at = now
        rate = (received_bytes - first[0][1]) / max(now - first[0][0], 1e-3)
        left = f", {(total_bytes - received_bytes) / rate:.0f} s left" if rate else ""
        amount = f"{received_bytes / 1e6:,.0f} of {total_bytes / 1e6:,.0f} MB"
        click.echo(f"{title}: {amount}, {rate / 1e6:.1f} MB/s{left}", err=True)

    return show
