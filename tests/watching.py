"""A watched folder for tests: its files, the looks at it, and what is kept of them. No worker runs."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select

from db.blobs import open_blobs
from db.schema import Batch, Item, Photo, WatchedFolder
from db.session import Database
from db.settings import DataSettings
from db.users import local_admin
from db.watched import LastItem, find_folder, last_items, path_key
from ui.submit import Intake
from ui.watch import Changes, FolderWatch
from ui.watch_intake import Desk
from worker.limits import Limits

LONG_AGO_S = 1_500_000_000


class Watched:
    """A folder, `root`, and a watcher on it. Files that `write` makes are old, and each is younger than the last."""

    def __init__(self, database: Database, data_dir: Path, root: Path, *, copy: bool = False) -> None:
        self.root = root
        self.database = database
        root.mkdir(parents=True, exist_ok=True)
        data = DataSettings(data_dir=data_dir)
        self._skip = frozenset({data_dir})
        self._clock = itertools.count(LONG_AGO_S)
        with database.transaction() as session:
            self.owner = local_admin(session)
        intake = Intake(database, open_blobs(data), data, Limits())
        self.desk = Desk(intake, self.owner, root, root.name, copy)
        self.restart()

    def restart(self, on_group: Callable[[str], None] = lambda _: None) -> None:
        """A new process, which remembers nothing of its own."""
        self.watch = FolderWatch(self.desk, self._skip, on_group)

    def write(self, path: str, content: bytes) -> Path:
        """Writes a file, with its folders."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self.touch(path)
        return file

    def touch(self, path: str) -> None:
        """Gives a file a new time, which is long ago."""
        at_s = next(self._clock)
        os.utime(self.root / path, (at_s, at_s))

    def look(self) -> Changes:
        """One complete look."""
        return self.watch.look()

    def counts(self) -> tuple[int, int, int, int]:
        """New, changed, gone and back of one look."""
        changes = self.look()
        return changes.new, changes.changed, changes.gone, changes.back

    def folder(self) -> WatchedFolder:
        """Its row."""
        with self.database.reading() as session:
            folder = find_folder(session, self.owner.id, str(self.root))
        assert folder is not None
        return folder

    def last(self, *paths: str) -> dict[str, LastItem]:
        """What files became when they were submitted last, by path."""
        with self.database.reading() as session:
            found = last_items(session, self.folder(), [path_key(path) for path in paths])
        return {path: found[path_key(path)] for path in paths if path_key(path) in found}

    def items(self) -> list[tuple[str, str, str | None, bool]]:
        """Path, state, photo's SHA-256 and whether it is gone, of every item in the order of submission."""
        query = select(Item.path, Item.state, Photo.sha256, Item.gone_at).outerjoin(Photo, Photo.id == Item.photo_id)
        with self.database.reading() as session:
            rows = session.execute(query.order_by(Item.id)).all()
        return [(path, state, sha256, gone_at is not None) for path, state, sha256, gone_at in rows]

    def items_below(self) -> list[tuple[int, str, str | None, bool]]:
        """Id, path, photo's SHA-256 and whether it is gone, of every item of this folder's batches."""
        query = select(Item.id, Item.path, Photo.sha256, Item.gone_at).outerjoin(Photo, Photo.id == Item.photo_id)
        query = query.join(Batch, Batch.id == Item.batch_id).where(Batch.source_key == self.desk.key)
        with self.database.reading() as session:
            rows = session.execute(query).all()
        return [(item_id, path, sha256, gone_at is not None) for item_id, path, sha256, gone_at in rows]

    def gone(self) -> dict[str, bool]:
        """Whether each path's newest item is gone."""
        return {path: gone for path, _, _, gone in self.items()}

    def batches(self) -> list[Batch]:
        """Oldest first."""
        with self.database.reading() as session:
            return list(session.scalars(select(Batch).order_by(Batch.created_at)))
