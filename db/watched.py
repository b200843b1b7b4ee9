"""Watched folders: what each file was when it was last submitted, where it was submitted, and what has gone since."""

import datetime as dt
import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Update, delete, func, or_, select, update
from sqlalchemy.orm import Session

from db.batches import MAX_PATH, fit_text, lock_items
from db.names import REPLACEMENT, clean_name
from db.schema import OPEN_BATCH_STATES, Batch, Item, Photo, User, WatchedFile, WatchedFolder
from db.session import is_sqlite, utc_now
from db.statements import count_changed, insert_missing, insert_on

# What worker and watcher cannot both have seen: the file was away, or another one, when its turn came.
SUBMIT_AGAIN = ("SOURCE_GONE", "SOURCE_CHANGED")
# No file has it: what is remembered so is submitted again.
NEVER_NS = -1


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file as a look found it, before it was read.

    Attributes:
        path: within the folder, as the system spells it; need not be text.
    """

    path: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What is remembered of a file."""

    size_bytes: int
    mtime_ns: int
    is_gone: bool


@dataclass(frozen=True, slots=True)
class LastItem:
    """The item that a file became when it was submitted last."""

    item_id: int
    batch_id: str
    photo_id: int | None
    sha256: str | None
    state: str
    code: str | None


@dataclass(frozen=True, slots=True)
class FolderView:
    """A watched folder for a list: how many files are there and how many have gone."""

    path: str
    files: int
    gone: int
    scanned_at: dt.datetime | None


def path_key(path: str) -> str:
    """What a path is found by, also one that is no text."""
    return hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()


def watch_folder(session: Session, owner_id: int, path: str) -> WatchedFolder:
    """The row of a folder, by its absolute path; made on first use."""
    row = {"owner_id": owner_id, "path": as_text(path), "path_sha256": path_key(path), "created_at": utc_now()}
    insert_missing(session, WatchedFolder, [row])
    folder = find_folder(session, owner_id, path)
    assert folder is not None
    return folder


def find_folder(session: Session, owner_id: int, path: str) -> WatchedFolder | None:
    """The row of a folder that was watched before."""
    same = WatchedFolder.owner_id == owner_id, WatchedFolder.path_sha256 == path_key(path)
    return session.scalars(select(WatchedFolder).where(*same)).one_or_none()


def list_folders(session: Session, user: User) -> list[FolderView]:
    """The person's watched folders, by path."""
    files = func.count(WatchedFile.path_sha256)
    query = (
        select(WatchedFolder.path, files, func.count(WatchedFile.gone_at), WatchedFolder.scanned_at)
        .outerjoin(WatchedFile, WatchedFile.folder_id == WatchedFolder.id)
        .where(WatchedFolder.owner_id == user.id)
        .group_by(WatchedFolder.id)
        .order_by(WatchedFolder.path)
    )
    return [FolderView(path, count - gone, gone, at) for path, count, gone, at in session.execute(query)]


def forget_folder(session: Session, folder_id: int) -> None:
    """Forgets a folder and its files. Photos and items stay as they are."""
    session.execute(delete(WatchedFolder).where(WatchedFolder.id == folder_id))


def note_scanned(session: Session, folder_id: int) -> None:
    """Says that a look was complete."""
    session.execute(update(WatchedFolder).where(WatchedFolder.id == folder_id).values(scanned_at=utc_now()))


def known_files(session: Session, folder_id: int, keys: Collection[str]) -> dict[str, KnownFile]:
    """What is remembered of the files with these keys (a few hundred at a time)."""
    columns = WatchedFile.path_sha256, WatchedFile.size_bytes, WatchedFile.mtime_ns, WatchedFile.gone_at
    query = select(*columns).where(WatchedFile.folder_id == folder_id, WatchedFile.path_sha256.in_(keys))
    return {key: KnownFile(size, mtime, gone is not None) for key, size, mtime, gone in session.execute(query)}


def present_files(session: Session, folder_id: int, after: str, limit: int) -> list[tuple[str, str]]:
    """(key, path) of files that were there at the last look, in the order of keys; `after`: the last key before."""
    query = (
        select(WatchedFile.path_sha256, WatchedFile.path)
        .where(WatchedFile.folder_id == folder_id, WatchedFile.gone_at.is_(None), WatchedFile.path_sha256 > after)
        .order_by(WatchedFile.path_sha256)
        .limit(limit)
    )
    return [(key, path) for key, path in session.execute(query)]


def remember_files(session: Session, folder_id: int, files: Sequence[tuple[FileFacts, str]]) -> None:
    """Remembers files as they were, each with the batch in which it is. They are there, whatever was said before."""
    if not files:
        return
    statement = insert_on(WatchedFile, sqlite=is_sqlite(session))
    changed = {name: statement.excluded[name] for name in ("size_bytes", "mtime_ns", "batch_id", "gone_at")}
    rows = [_row(folder_id, facts, batch_id) for facts, batch_id in files]
    ordered = sorted(rows, key=lambda row: str(row["path_sha256"]))
    session.execute(statement.on_conflict_do_update(index_elements=["folder_id", "path_sha256"], set_=changed), ordered)


def last_items(session: Session, folder: WatchedFolder, keys: Collection[str]) -> dict[str, LastItem]:
    """The items that files became when they were submitted last. Reads through each batch that they are in once."""
    batches: dict[str, dict[str, str]] = {}
    columns = WatchedFile.path_sha256, WatchedFile.path, WatchedFile.batch_id
    query = select(*columns).where(WatchedFile.folder_id == folder.id, WatchedFile.path_sha256.in_(keys))
    for key, path, batch_id in session.execute(query):
        if batch_id is not None:
            batches.setdefault(batch_id, {})[path] = key
    return {
        key: item for batch_id, paths in batches.items() for key, item in _items_of(session, folder, batch_id, paths)
    }


def mark_gone(session: Session, folder: WatchedFolder, keys: Sequence[str]) -> None:
    """Says that files are no longer in the folder: of the files, and of every item of the same photo at that place."""
    now = utc_now()
    mark_items(session, folder, keys, now)
    there = WatchedFile.folder_id == folder.id, WatchedFile.path_sha256.in_(keys), WatchedFile.gone_at.is_(None)
    count_changed(session, update(WatchedFile).where(*there).values(gone_at=now))


def mark_back(session: Session, folder: WatchedFolder, keys: Sequence[str]) -> None:
    """Says that files that had gone are there again, as they were."""
    mark_items(session, folder, keys, None)
    gone = WatchedFile.folder_id == folder.id, WatchedFile.path_sha256.in_(keys)
    count_changed(session, update(WatchedFile).where(*gone).values(gone_at=None))


def mark_items(session: Session, folder: WatchedFolder, keys: Collection[str], gone_at: dt.datetime | None) -> None:
    """Sets when the photos of those files left their place; None: they are there."""
    items = last_items(session, folder, keys).values()
    photo_ids = {item.photo_id for item in items if item.photo_id is not None}
    query = select(WatchedFile.path).where(WatchedFile.folder_id == folder.id, WatchedFile.path_sha256.in_(keys))
    places = [_place(folder, path) for path in session.scalars(query)]
    # the same photo at the same place in other batches too: it may have been submitted by hand before
    elsewhere = select(Item.id).where(Item.photo_id.in_(photo_ids), Item.source_path.in_(places))
    ids = {item.item_id for item in items} | set(session.scalars(elsewhere))
    differs = Item.gone_at.is_not(None) if gone_at is None else Item.gone_at.is_(None)
    if ids:
        lock_items(session, Item.id.in_(ids), differs)
        count_changed(session, update(Item).where(Item.id.in_(ids), differs).values(gone_at=gone_at))


def files_to_submit_again(session: Session, folder: WatchedFolder, source_key: str) -> list[tuple[str, str]]:
    """(path's key, batch) of items that failed because their file was away or another one just then.

    Args:
        session: for reading.
        folder: the folder.
        source_key: of the batches that the folder's files went to.
    """
    query = (
        select(Item.source_path, Item.batch_id)
        .join(Batch, Batch.id == Item.batch_id)
        .where(Batch.owner_id == folder.owner_id, Batch.source_key == source_key)
        .where(Item.state == "failed", Item.code.in_(SUBMIT_AGAIN), Item.source_path.is_not(None))
    )
    prefix = _place(folder, "")
    return [(path_key(path.removeprefix(prefix)), batch_id) for path, batch_id in session.execute(query) if path]


def submit_again(session: Session, folder_id: int, files: Sequence[tuple[str, str]]) -> list[str]:
    """Lets files look changed, if the given batch is the one where they were submitted last; returns their keys."""
    return [key for key, batch_id in files if count_changed(session, _make_differ(folder_id, key, batch_id))]


def open_batches(session: Session, owner_id: int, source_key: str) -> list[str]:
    """Ids of the batches of a folder's files that are not finished, oldest first."""
    of_folder = Batch.owner_id == owner_id, Batch.source_key == source_key, Batch.state.in_(OPEN_BATCH_STATES)
    return list(session.scalars(select(Batch.id).where(*of_folder).order_by(Batch.created_at)))


def as_text(path: str) -> str:
    """The path, each byte of it that is no text replaced as in names that are shown."""
    return "".join(REPLACEMENT if "\ud800" <= character <= "\udfff" else character for character in path)


def _make_differ(folder_id: int, key: str, batch_id: str) -> Update:
    submitted = WatchedFile.folder_id == folder_id, WatchedFile.path_sha256 == key, WatchedFile.batch_id == batch_id
    return update(WatchedFile).where(*submitted, WatchedFile.mtime_ns != NEVER_NS).values(mtime_ns=NEVER_NS)


def _items_of(
    session: Session, folder: WatchedFolder, batch_id: str, paths: dict[str, str]
) -> Iterator[tuple[str, LastItem]]:
    """(key, item) of the files of one batch, found where they lie or, if they were copied or not read, by name."""
    places = {_place(folder, path): key for path, key in paths.items()}
    shown = {fit_text(clean_name(path)[0], MAX_PATH): key for path, key in paths.items()}
    of_files = or_(Item.source_path.in_(places), Item.source_path.is_(None) & Item.path.in_(shown))
    query = (
        select(Item.id, Item.photo_id, Photo.sha256, Item.state, Item.code, Item.source_path, Item.path)
        .outerjoin(Photo, Photo.id == Item.photo_id)
        .where(Item.batch_id == batch_id, Item.archive_number == 0, of_files)
        .order_by(Item.position)
    )
    for item_id, photo_id, sha256, state, code, source_path, path in session.execute(query):
        key = places[source_path] if source_path is not None else shown[path]
        yield key, LastItem(item_id, batch_id, photo_id, sha256, state, code)


def _row(folder_id: int, facts: FileFacts, batch_id: str) -> dict[str, object]:
    return {
        "folder_id": folder_id,
        "path_sha256": path_key(facts.path),
        "path": as_text(facts.path),
        "size_bytes": facts.size_bytes,
        "mtime_ns": facts.mtime_ns,
        "batch_id": batch_id,
        "gone_at": None,
    }


def _place(folder: WatchedFolder, path: str) -> str:
    return f"{folder.path.rstrip('/')}/{path}"
