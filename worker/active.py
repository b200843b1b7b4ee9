"""The classifier of the active version, followed from chunk to chunk."""

import logging
from pathlib import Path

from db.errors import PhototagError
from db.model_versions import active_version, version_label_ids
from db.schema import ModelVersion
from db.session import Database
from worker.classifier import Classifier, load_classifier
from worker.settings import WorkerSettings

log = logging.getLogger(__name__)


class ActiveClassifier:
    """Holds the loaded classifier and loads another one when the active version changes.

    A version that does not load is reported in `note` and not tried again until the active version changes;
    the one that works stays in use.
    """

    def __init__(self, database: Database, settings: WorkerSettings, data_dir: Path) -> None:
        self._database = database
        self._settings = settings
        self._data_dir = data_dir
        self._refused_id: int | None = None
        self.classifier: Classifier | None = None
        self.version_id: int | None = None
        self.label_ids: list[int] = []
        self.note = ""

    def follow(self) -> bool:
        """Loads the active version if it changed; returns whether a classifier is ready.

        Raises:
            DatabaseUnavailableError: the database cannot be asked which version is active.
        """
        with self._database.reading() as session:
            active = active_version(session)
            label_ids = version_label_ids(session, active.id) if active is not None else []
        if active is None:
            self.note = "No model version is active. Run `phototag models fetch imagenet`, or `phototag up` once."
        elif active.id not in (self.version_id, self._refused_id):
            self._load(active, label_ids)
        return self.classifier is not None

    def _load(self, version: ModelVersion, label_ids: list[int]) -> None:
        try:
            classifier = load_classifier(self._settings, self._data_dir, version.artifact, version.card)
        except PhototagError as error:
            self._refused_id = version.id
            self.note = f"Version {version.name} does not load, the previous one stays in use: {error}"
            log.error("%s", self.note)  # noqa: TRY400 - the message says it all, a traceback would bury it
            return
        self.classifier, self.version_id, self.label_ids = classifier, version.id, label_ids
        self._refused_id, self.note = None, ""
        log.info("Tagging with version %s.", version.name)
