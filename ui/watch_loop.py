"""Goes on looking at watched folders, and says what it finds, what is wrong and how the batches get on."""

import time
from collections.abc import Callable, Iterator, Sequence

from db.batch_view import BatchProgress
from db.errors import PhototagError
from db.schema import OPEN_BATCH_STATES
from db.session import Database
from ui.progress import SECONDS_BETWEEN_LINES, line_of
from ui.waiting import LOOK_EVERY_S, look_at
from ui.watch import SETTLED_S, Changes, FolderWatch, pause_after

# A file that is written to all the time is left to the next run.
LOOKS_OF_ONE_RUN = 5
MOST_NAMED = 3


class Following:
    """Says now and then how the open batches get on, and of each what came of it."""

    def __init__(self, database: Database, say: Callable[[str], None]) -> None:
        self._database = database
        self._say = say
        self._open: dict[str, tuple[float, str]] = {}  # by id: when it is said again (monotonic), what was said

    def add(self, batch_id: str) -> None:
        """Follows one more batch."""
        self._open.setdefault(batch_id, (0.0, ""))

    def show(self) -> None:
        """Says what has changed, if it is time to."""
        for batch_id, (next_at, last) in list(self._open.items()):
            progress = look_at(self._database, batch_id)
            if progress.state not in OPEN_BATCH_STATES:
                del self._open[batch_id]
                self._say(f"Batch {batch_id}: {outcome_of(progress, batch_id)}.")
                continue
            line = f"Batch {batch_id}: {line_of(progress)}"
            if line != last and time.monotonic() >= next_at:
                self._open[batch_id] = (time.monotonic() + SECONDS_BETWEEN_LINES, line)
                self._say(line)


class Watching:
    """Looks at folders until it is told to stop."""

    def __init__(
        self,
        folders: Sequence[FolderWatch],
        every_s: float,
        *,
        report: Callable[[FolderWatch, Changes], None],
        say: Callable[[str], None],
        check: Callable[[], str | None],
    ) -> None:
        """Nothing happens yet.

        Args:
            folders: what is looked at, in turn.
            every_s: the shortest pause between two looks at a folder.
            report: told of each look that found something, and of the first one.
            say: shows a line to the person.
            check: raises when it is time to stop; why no work is being done, if so.
        """
        self._folders = folders
        self._every_s = every_s
        self._report = report
        self._say = say
        self._check = check
        self._said: dict[str, str] = {}
        self._reported: set[str] = set()

    def go_on(self, following: Following) -> None:
        """Looks for ever. What is wrong is said once, and tried again."""
        due = dict.fromkeys(self._folders, 0.0)
        while True:
            for folder, due_at in due.items():
                if time.monotonic() >= due_at:
                    due[folder] = self._look_again(folder) + time.monotonic()
            self._guarded("the batches", following.show)
            self._note("the workers", self._check() or "")
            time.sleep(LOOK_EVERY_S)

    def look_once(self) -> Iterator[tuple[FolderWatch, Changes]]:
        """One complete look at each folder, or a few when files are just being written.

        Raises:
            PhototagError: a folder could not be looked at.
        """
        for folder in self._folders:
            for number in range(1, LOOKS_OF_ONE_RUN + 1):
                changes = folder.look()
                self._tell(folder, changes)
                yield folder, changes
                if not changes.unsettled:
                    break
                if number == LOOKS_OF_ONE_RUN:
                    self._say(
                        f"{folder.shown}: {changes.unsettled:,} files are being written; the next run takes them."
                    )
                    break
                self._wait(SETTLED_S + LOOK_EVERY_S)

    def _look_again(self, folder: FolderWatch) -> float:
        """Looks at a folder and returns the pause after it."""
        pause_s = self._every_s

        def look() -> None:
            nonlocal pause_s
            changes = folder.look()
            pause_s = pause_after(changes.looked_s, self._every_s)
            self._tell(folder, changes)

        self._guarded(folder.shown, look)
        return pause_s

    def _guarded(self, subject: str, action: Callable[[], None]) -> None:
        try:
            action()
        except PhototagError as error:
            self._note(subject, f"{error} Looking goes on.")
        else:
            self._note(subject, "")

    def _note(self, subject: str, trouble: str) -> None:
        """Says what is wrong once, until something else is."""
        before = self._said.get(subject, "")
        self._said[subject] = trouble
        if trouble and trouble != before:
            self._say(" ".join(trouble.split()))
        elif before and not trouble:
            self._say(f"All is well again with {subject}.")

    def _tell(self, folder: FolderWatch, changes: Changes) -> None:
        if not changes.is_quiet or folder.shown not in self._reported:
            self._reported.add(folder.shown)
            self._report(folder, changes)
        self._note(f"the unreadable part of {folder.shown}", _unreadable(folder, changes))

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._check()
            time.sleep(LOOK_EVERY_S)


def outcome_of(progress: BatchProgress, batch_id: str) -> str:
    """`12 tagged, 1 refused`."""
    counts = (
        ("tagged", progress.tagged),
        ("refused", progress.refused),
        ("failed", progress.failed),
        ("cancelled", progress.cancelled),
    )
    text = ", ".join(f"{count:,} {word}" for word, count in counts if count) or progress.state
    return f"{text}; `phototag batches show {batch_id}` says why" if progress.refused or progress.failed else text


def _unreadable(folder: FolderWatch, changes: Changes) -> str:
    if not changes.unreadable:
        return ""
    named = ", ".join(folder.shown_path(path) for path in changes.unreadable[:MOST_NAMED])
    more = len(changes.unreadable) - MOST_NAMED
    return f"Cannot be read: {named}{f' and {more:,} more' if more > 0 else ''}. What was known of it stays."
