"""A tagger in this process, and a second version for it: real rows, real decoder processes, the tiny backbone."""

from collections.abc import Callable
from pathlib import Path

from db.activations import activate_version
from db.blobs import open_blobs
from db.model_versions import active_version, get_version, register_version, version_label_ids
from db.session import Database
from db.settings import DataSettings
from tests.integration.accepting import states
from worker.active import ActiveClassifier
from worker.artifact import publish_artifact, read_artifact
from worker.decoder_pool import DecoderPool
from worker.first_version import ensure_versions
from worker.settings import WorkerSettings
from worker.tagging import Tagger

CHUNK = 4


class Bench:
    """A tagger with what it needs; it is asked to stop when `stop_when` says so."""

    def __init__(self, database: Database, data_dir: Path, settings: WorkerSettings | None = None) -> None:
        self.database = database
        self.data_settings = DataSettings(data_dir=data_dir)
        self.settings = settings or WorkerSettings(backbone="tiny")
        ensure_versions(database, self.settings, self.data_settings, lambda _received, _total: None)
        self.active = ActiveClassifier(database, self.settings, data_dir)
        self.pool = DecoderPool(self.settings.limits, 2)
        self.stop_when: Callable[[], bool] = lambda: False
        self.tagger = Tagger(
            database,
            open_blobs(self.data_settings),
            self.settings,
            self.active,
            self.pool,
            "bench-1",
            chunk_size=CHUNK,
            stopping=lambda: self.stop_when(),  # noqa: PLW0108 - it changes later
        )

    def tag(self) -> None:
        """Tags until nothing is ready."""
        while self.tagger.tag(10):
            pass

    def tag_some(self, batch_id: str, at_least: int = CHUNK) -> None:
        """Tags until `at_least` items of a batch are written, then stops where it is."""
        self.stop_when = lambda: states(self.database, batch_id).get("tagged", 0) >= at_least
        self.tagger.tag(30)
        self.tagger.flush()
        self.stop_when = lambda: False

    def close(self) -> None:
        """Ends the tagger and its decoders."""
        self.tagger.close()
        self.pool.close()


def activate_copy(database: Database, data_dir: Path, name: str, *, reverses: bool = False) -> int:
    """A trained version like tiny, registered and active; returns its id. With `reverses` it calls things otherwise."""
    with database.transaction() as session:
        tiny = get_version(session, "tiny")
        found = read_artifact(Path("worker/versions/tiny").resolve())
        artifact, card = publish_artifact(data_dir, found.card.model_copy(update={"name": name}), found.head)
        label_ids = version_label_ids(session, tiny.id)[:: -1 if reverses else 1]
        version = register_version(session, name, "trained", artifact, card.model_dump(mode="json"), label_ids)
        active = active_version(session)
        expected_id = active.id if active else None
        activate_version(session, version.id, expected_id=expected_id, user=None, reason="test")
        return version.id
