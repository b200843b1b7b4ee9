"""What the paths named on the command line hold, found without following links and without reading photos."""

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from db.codes import JUNK
from db.errors import NotFoundError, PhototagError
from db.names import archive_kind, clean_name, is_junk, photo_suffixes

HEAD_BYTES = 512
# Formats that are recognised by their content when the name does not say it, e.g. exports without a suffix.
PHOTO_HEADS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8")
PHOTO_BRANDS = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif", b"ftypmsf1")


@dataclass(frozen=True)
class Found:
    """A file: the path that is shown (harmless), where it lies, and why it is refused, if it is."""

    path: str
    source: Path
    code: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class Source:
    """One path named on the command line.

    Attributes:
        path: absolute, links resolved.
        shown: its name; differs from that of every other source.
        archive: whether it is an archive to be unpacked.
    """

    path: Path
    shown: str
    archive: bool


def examine(paths: Sequence[Path]) -> list[Source]:
    """The sources behind `paths`, each once, after a look that every one of them can be read.

    Raises:
        NotFoundError: a path does not exist.
        PhototagError: one may not be read, or is an archive of a kind that cannot be.
    """
    resolved = _without_repeats([_resolved(path) for path in paths])
    shown = shortest_distinct(resolved)
    return [Source(path, name, _is_archive(path)) for path, name in zip(resolved, shown, strict=True)]


def count_files(sources: Sequence[Source], skip: Collection[Path], *, at_most: int) -> int:
    """How many files that are not junk the sources hold, counted up to `at_most`. An archive counts as many."""
    if any(source.archive for source in sources):
        return at_most
    found = (item for item in list_files(sources, skip) if item.code != JUNK)
    return sum(1 for _ in islice(found, at_most))


def list_files(sources: Sequence[Source], skip: Collection[Path]) -> Iterator[Found]:
    """The files of the sources but archives, in order; folders are walked sorted by name.

    Args:
        sources: from `examine`. With several, paths start with the source's name.
        skip: files and folders that are left out: the data directory, the results file.
    """
    taken: set[str] = set()
    for source in sources:
        if source.archive:
            continue
        if source.path.is_dir():
            prefix = f"{source.shown}/" if len(sources) > 1 else ""
            for found in _walk(source.path, prefix, skip):
                yield _with_free_path(found, taken)
        else:
            yield _with_free_path(verdict(source.shown, source.path), taken)


def verdict(raw: str, source: Path) -> Found:
    """What a file of a folder is, by its name and its first bytes; `raw`: its path within the folder, as it is."""
    path = _shown(raw)
    if is_junk(path):
        return Found(path, source, JUNK)
    try:
        facts = source.lstat()
        if not stat.S_ISREG(facts.st_mode):
            return Found(path, source, "NOT_A_FILE")
        if facts.st_size == 0:
            return Found(path, source, "EMPTY")
        head = b"" if source.suffix.lower() in photo_suffixes else _head(source)
    except OSError as error:
        return Found(path, source, "NOT_READABLE", error.strerror or "")
    if head and archive_kind(head, source.name) is not None:
        return Found(
            path, source, "UNSUPPORTED", "an archive inside a folder; name it on the command line to unpack it"
        )
    if head and not _looks_like_photo(head):
        return Found(path, source, "UNSUPPORTED")
    return Found(path, source)


def shortest_distinct(paths: Sequence[Path]) -> list[str]:
    """Names for `paths`: the last part of each, or as many of its last parts as tell it from the others."""
    names: list[str] = []
    for path in paths:
        others = [other for other in paths if other != path]
        length = next(
            (n for n in range(1, len(path.parts)) if all(o.parts[-n:] != path.parts[-n:] for o in others)),
            len(path.parts),
        )
        names.append(clean_name("/".join(path.parts[-length:]))[0])
    return names


def is_storable(path: Path) -> bool:
    """Whether a database can hold the path: Unix file names are bytes and need not be text."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _resolved(path: Path) -> Path:
    try:
        resolved = path.resolve(strict=True)
        if resolved.is_dir():
            with os.scandir(resolved) as entries:
                next(entries, None)
        elif resolved.is_file():
            resolved.open("rb").close()
        else:
            msg = f"{_harmless(path)} is neither a file nor a folder. Name photos, folders or archives."
            raise PhototagError(msg)
    except FileNotFoundError as error:
        msg = f"{_harmless(path)} does not exist. Check its spelling."
        raise NotFoundError(msg) from error
    except OSError as error:
        msg = f"{_harmless(path)} cannot be read: {error.strerror}. Check its permissions."
        raise PhototagError(msg) from error
    return resolved


def _without_repeats(paths: Sequence[Path]) -> list[Path]:
    """Without those named twice or lying inside another one: a photo is submitted once."""
    unique = list(dict.fromkeys(paths))
    return [path for path in unique if not any(other in path.parents for other in unique)]


def _is_archive(path: Path) -> bool:
    if path.is_dir():
        return False
    kind = archive_kind(_head(path), path.name)
    if kind == "other":
        msg = f"{_harmless(path)} is an archive of a kind that cannot be read. Pack the photos as .zip or .tar."
        raise PhototagError(msg)
    return kind is not None


def _walk(folder: Path, prefix: str, skip: Collection[Path]) -> Iterator[Found]:
    try:
        with os.scandir(folder) as entries:
            children = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        yield Found(_shown(prefix) or folder.name, folder, "NOT_READABLE", "")
        return
    for child in children:
        path = Path(child.path)
        if path in skip:
            continue
        if child.is_dir(follow_symlinks=False):
            yield from _walk(path, f"{prefix}{child.name}/", skip)
        else:
            yield verdict(prefix + child.name, path)


def _looks_like_photo(head: bytes) -> bool:
    return head.startswith(PHOTO_HEADS) or head[4:12] in PHOTO_BRANDS or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _with_free_path(found: Found, taken: set[str]) -> Found:
    """Two names that differ in unprintable characters only look the same once these are gone."""
    path, number = found.path, 2
    while path in taken:
        path, number = f"{found.path} ({number})", number + 1
    taken.add(path)
    return found if path == found.path else Found(path, found.source, found.code, found.detail)


def _shown(raw: str) -> str:
    return clean_name(raw)[0] if raw else ""


def _harmless(path: Path) -> str:
    """The path as typed, without characters that steer terminals."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(path))
