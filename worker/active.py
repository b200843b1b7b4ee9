"""The classifier of the active version, followed from chunk to chunk."""

import logging
from pathlib import Path

from db.blobs import Blobs
from db.errors import PhototagError
from db.model_versions import active_version, version_label_ids
from db.schema import ModelVersion
from db.session import Database
from worker.classifier import Classifier, load_classifier
from worker.settings import WorkerSettings
from worker.shared_artifacts import ensure_artifact

log = logging.getLogger(__name__)


class ActiveClassifier:
    """Holds the loaded classifier and loads another one when the active version changes.

    A version that does not load is reported in `note` and not tried again until the active version changes;
    the one that works stays in use.

    Attributes:
        is_current: whether the loaded version is the active one, or was at the last look.
    """

    def __init__(
        self, database: Database, settings: WorkerSettings, data_dir: Path, blobs: Blobs | None = None
    ) -> None:
        """Loads nothing yet.

        Args:
            database: which version is active.
            settings: of the network.
            data_dir: where versions' files lie.
            blobs: where other machines put them; None: nowhere.
        """
        self._database = database
        self._blobs = blobs
        self._settings = settings
        self._data_dir = data_dir
        self._refused_id: int | None = None
        self.classifier: Classifier | None = None
        self.version_id: int | None = None
        self.label_ids: list[int] = []
        self.is_current = False
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
        self.is_current = active is not None and active.id == self.version_id
        return self.classifier is not None

    @property
    def loaded_version_id(self) -> int:
        """Id of the version that is loaded; `follow` returned True before."""
        return self._require_loaded()[0]

    @property
    def loaded(self) -> Classifier:
        """The classifier that is loaded; `follow` returned True before."""
        return self._require_loaded()[1]

    @property
    def space(self) -> str:
        """Address of the loaded version's features."""
        return self.loaded.space

    def _require_loaded(self) -> tuple[int, Classifier]:
        if self.version_id is None or self.classifier is None:
            msg = "No model version is loaded; one was expected before photos are claimed. Restart this worker."
            raise PhototagError(msg)
        return self.version_id, self.classifier

    def _load(self, version: ModelVersion, label_ids: list[int]) -> None:
        try:
            if self._blobs is not None:
                ensure_artifact(self._blobs, self._data_dir, version.artifact)
            classifier = load_classifier(self._settings, self._data_dir, version.artifact, version.card)
        except PhototagError as error:
            self._refused_id = version.id
            self.note = f"Version {version.name} does not load, the previous one stays in use: {error}"
            log.error("%s", self.note)  # noqa: TRY400 - the message says it all, a traceback would bury it
            return
        self.classifier, self.version_id, self.label_ids = classifier, version.id, label_ids
        self._refused_id, self.note = None, ""
        log.info("Tagging with version %s.", version.name)
