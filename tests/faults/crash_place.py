"""Where a process is ended at every step: a data directory and a database, made anew for each step."""

import shutil
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from sqlalchemy import text

from db.batches import NewItem, add_items, create_batch, seal_batch
from db.blobs import Blobs, open_blobs
from db.errors import Refusal
from db.items import sweep
from db.model_versions import active_version
from db.session import Database
from db.settings import DataSettings
from db.users import local_admin
from tests.faults.oracle import check_blobs, check_no_orphans, check_rows
from tests.faults.photos import Pictures
from tests.store import pass_time
from worker.active import ActiveClassifier
from worker.decoder_pool import DecoderPool
from worker.decoding import Decoded, decode
from worker.intake import unpack_archive
from worker.settings import WorkerSettings
from worker.tagging import Tagger

# Children before parents. The last one takes note of what is deleted here.
FILLED = (
    *(
        "predictions",
        "photo_features",
        "feature_shards",
        "items",
        "archives",
        "uploads",
        "batches",
        "photos",
        "workers",
    ),
    "forbidden_changes",
)


class DecodingHere:
    """The pool's part of decoding, in this process: one that is forked hundreds of times starts no helpers."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._limits = settings.limits

    def submit(self, content: bytes | Path, _sha256: str | None = None) -> Future[Decoded]:
        """As `DecoderPool.submit`; the future is done."""
        done: Future[Decoded] = Future()
        try:
            done.set_result(
                decode(content if isinstance(content, bytes) else content.read_bytes(), self._limits, previews=(320,))
            )
        except Refusal as refusal:
            done.set_exception(refusal)
        return done


@dataclass
class Place:
    """One data directory with its database. `template`: a SQLite file to start from; None: PostgreSQL, emptied."""

    url: str
    data_dir: Path
    template: Path | None
    pictures: Pictures
    settings: WorkerSettings = field(default_factory=lambda: WorkerSettings(backbone="tiny", redis_url=None))

    @property
    def data_settings(self) -> DataSettings:
        """The settings that name this place."""
        return DataSettings(data_dir=self.data_dir, database_url=self.url, blobs_url=None)

    @property
    def blobs(self) -> Blobs:
        """The blob store."""
        return open_blobs(self.data_settings)

    @contextmanager
    def opened(self) -> Generator[Database]:
        """The database; no connection is left open, so that the process may be forked afterwards."""
        database = Database(self.url)
        try:
            yield database
        finally:
            database.close()

    def reset(self) -> None:
        """Everything as at the beginning: tables and a model version, nothing submitted."""
        shutil.rmtree(self.data_dir, ignore_errors=True)
        self.data_dir.mkdir()
        if self.template is not None:
            shutil.copy(self.template, self.data_dir / "phototag.sqlite3")
            return
        self.empty()

    def empty(self) -> None:
        """No batch, no photo; labels and versions stay."""
        with self.opened() as database, database.transaction() as session:
            if not database.is_sqlite:
                session.execute(text(f"TRUNCATE {', '.join(FILLED)} CASCADE"))
                return
            for table in FILLED:
                session.execute(text(f"DELETE FROM {table}"))

    def photos(self, count: int) -> list[NewItem]:
        """Photos whose bytes are blobs."""
        contents = [self.pictures.photo(number) for number in range(count)]
        return [
            NewItem(number, f"{number}.jpg", self.blobs.add_bytes(content), len(content))
            for number, content in enumerate(contents)
        ]

    def batch(self, count: int) -> str:
        """A sealed batch of photos."""
        items = self.photos(count)
        with self.opened() as database, database.transaction() as session:
            batch_id = create_batch(session, local_admin(session).id, "photos", priority=5).id
            add_items(session, batch_id, items)
            seal_batch(session, batch_id)
        return batch_id

    @contextmanager
    def tagger(self, database: Database, worker_id: str, lease_s: float = 120.0) -> Generator[Tagger]:
        """A tagger of small chunks."""
        settings = self.settings.model_copy(update={"lease_s": lease_s})
        pool = cast("DecoderPool", DecodingHere(self.settings))
        active = ActiveClassifier(database, self.settings, self.data_dir)
        stopping: Any = lambda: False  # noqa: E731
        tagger = Tagger(database, self.blobs, settings, active, pool, worker_id, chunk_size=4, stopping=stopping)
        yield tagger
        tagger.close()

    def unpack(self, worker_id: str) -> bool:
        """Unpacks one archive."""
        with self.opened() as database:
            return unpack_archive(database, self.blobs, self.data_settings, self.settings, worker_id)

    def end_work(self) -> None:
        """A healthy worker ends whatever is left, once the dead one's leases have run out."""
        with self.opened() as database:
            self.expire(database)
            while unpack_archive(database, self.blobs, self.data_settings, self.settings, "healthy"):
                pass
            with self.tagger(database, "healthy") as tagger:
                while tagger.tag(10):
                    pass
            with database.transaction() as session:
                sweep(session)

    def expire(self, database: Database) -> None:
        """Time passes until nobody holds anything."""
        with database.transaction() as session:
            pass_time(session, 1000)
            sweep(session)

    def check(self, accepted: dict[str, int]) -> dict[str, int]:
        """The oracle; returns how many items ended how."""
        with self.opened() as database:
            self.check_bytes(database)
            check_no_orphans(database, self.blobs)
            return check_rows(database, accepted, self.pictures.top)

    def check_bytes(self, database: Database) -> None:
        """Holds at any moment: every row's blob is there and whole, and one version is active."""
        check_blobs(database, self.blobs)
        with database.reading() as session:
            assert active_version(session) is not None
            if database.is_sqlite:
                assert session.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
