"""A look at a folder by names, sizes and times alone: no file is opened, no link followed."""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from db.errors import FolderAwayError
from db.names import is_junk
from db.watched import FileFacts, KnownFile, as_text

# The size under which a file is remembered that may not be read. Permissions change a file's ctime, not its mtime.
NOT_READABLE_BYTES = -1


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file that a look came by.

    Attributes:
        path: within the folder, as the system spells it; need not be text.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int

    @property
    def facts(self) -> FileFacts:
        """What is remembered of the file when it has been read, or refused for what it is."""
        return FileFacts(self.path, self.size_bytes, self.mtime_ns)

    @property
    def facts_if_not_readable(self) -> FileFacts:
        """What is remembered of it when it may not be read."""
        return FileFacts(self.path, NOT_READABLE_BYTES, self.ctime_ns)

    def is_as(self, known: KnownFile) -> bool:
        """Whether it is still what is remembered."""
        remembered = known.size_bytes, known.mtime_ns
        return remembered in ((self.size_bytes, self.mtime_ns), (NOT_READABLE_BYTES, self.ctime_ns))


class Walk:
    """One walk through a folder with its subfolders, sorted by name. Memory grows with the largest subfolder only.

    Attributes:
        unreadable: files and folders, within the folder, of which nothing could be found out.
    """

    def __init__(self, root: Path, skip: Collection[Path]) -> None:
        """Nothing is looked at yet.

        Args:
            root: the folder.
            skip: files and folders that are left out: the data directory.
        """
        self.unreadable: list[str] = []
        self._root = root
        self._skip = {os.fspath(path) for path in skip}

    def files(self) -> Iterator[Sighting]:
        """The files but those of the system; links and other special files count as files."""
        folders = [""]
        while folders:
            folder = folders.pop()
            below: list[str] = []
            for entry in self._entries(folder):
                path = folder + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if not is_junk(f"{entry.name}/"):
                        below.append(f"{path}/")
                elif not is_junk(entry.name):
                    yield from self._sighting(path, entry)
            folders.extend(reversed(below))

    def hides(self, path: str) -> bool:
        """Whether the walk could not find out about a file, given by its path as text."""
        return any(
            path == name or (name.endswith("/") and path.startswith(name)) for name in map(as_text, self.unreadable)
        )

    def _entries(self, folder: str) -> list["os.DirEntry[str]"]:
        try:
            with os.scandir(self._root / folder) as entries:
                kept = [entry for entry in entries if entry.path not in self._skip]
        except OSError:
            self.unreadable.append(folder)
            return []
        return sorted(kept, key=lambda entry: entry.name)

    def _sighting(self, path: str, entry: "os.DirEntry[str]") -> Iterator[Sighting]:
        try:
            facts = entry.stat(follow_symlinks=False)
        except OSError:
            self.unreadable.append(path)
            return
        yield Sighting(path, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)


def require_there(root: Path, skip: Collection[Path], shown: str, *, held_files: bool) -> None:
    """Checks that a folder is there to be looked at.

    Args:
        root: the folder.
        skip: what does not count in it.
        shown: its name, for the message.
        held_files: whether it had files before: then it is not believed to be empty.

    Raises:
        FolderAwayError: it is missing, unreadable or suddenly empty.
    """
    kept = "Nothing is marked as gone."
    left_out = {os.fspath(path) for path in skip}
    try:
        with os.scandir(root) as entries:
            is_empty = all(entry.path in left_out for entry in entries)
    except FileNotFoundError as error:
        msg = f"{shown} is not there. Is its drive connected? {kept}"
        raise FolderAwayError(msg) from error
    except OSError as error:
        msg = f"{shown} cannot be read: {error.strerror}. Is its drive connected, and may you read it? {kept}"
        raise FolderAwayError(msg) from error
    if is_empty and held_files:
        msg = (
            f"{shown} is empty although it held photos. Is its drive connected? {kept} If they are gone for good, "
            "stop and use `phototag watch --forget`."
        )
        raise FolderAwayError(msg)
