"""The versions that exist before anyone trains, and which of them tags first.

`python -m worker.first_version` registers them, activates one if none is, and says which, why, and what to do next.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from sqlalchemy.orm import Session

from db.activations import activate_version
from db.errors import ConflictError, DownloadError, StorageFullError
from db.labels import ensure_labels
from db.migrate import require_current
from db.model_versions import active_version, list_versions, register_version
from db.schema import ModelVersion
from db.session import Database
from db.settings import DataSettings
from worker.artifact import PACKAGE_DIR, card_bytes, read_card
from worker.card import Card
from worker.download import IMAGENET, Progress, answers_within, check_file, fetch, weights_path
from worker.program import data_settings_of, run_program
from worker.progress import shown_progress
from worker.settings import WorkerSettings

BUILT_IN = "built-in"
ANSWER_S = 5.0
TAG_NEXT = "Tag photos with `phototag tag FOLDER`, or open the page that `phototag up` prints."
FETCH_NEXT = (
    "For 1,000 labels run `phototag models fetch imagenet` (553 MB), or bring the file from another machine with"
    " `phototag models fetch imagenet --from FILE`."
)


@dataclass(frozen=True)
class FirstVersion:
    """The version that tags, why it is that one, and what to do next, in plain words."""

    name: str
    reason: str
    next_step: str


def ensure_versions(
    database: Database, settings: WorkerSettings, data_settings: DataSettings, progress: Progress
) -> FirstVersion:
    """Registers the built-in versions and, when none is active, activates the best one there is.

    Raises:
        DatabaseUnavailableError: the database cannot be reached.
        ArtifactError: the package's own files are damaged.
    """
    data_dir = data_settings.data_dir
    with database.reading() as session:
        active = active_version(session)
    if active is not None and not _is_outdated(active):
        _register(database, _present(settings, data_dir))
        return FirstVersion(active.name, "it is the active version", TAG_NEXT)
    name, reason = _choose(settings, data_dir, progress) if active is None else _successor(active)
    versions = _register(database, _present(settings, data_dir))
    return _activate(database, versions[name], active, reason, TAG_NEXT if name != "starter" else FETCH_NEXT)


def use_imagenet(database: Database, settings: WorkerSettings, data_settings: DataSettings) -> FirstVersion:
    """Registers `imagenet` after its weights were fetched; activates it unless a trained version is active."""
    versions = _register(database, _present(settings, data_settings.data_dir))
    with database.reading() as session:
        active = active_version(session)
    if active is not None and active.origin != BUILT_IN:
        next_step = f"Activate it with `phototag models activate {versions['imagenet'].name}`."
        return FirstVersion(active.name, "it was trained here and stays active", next_step)
    return _activate(database, versions["imagenet"], active, "its weights were fetched", TAG_NEXT)


def _choose(settings: WorkerSettings, data_dir: Path, progress: Progress) -> tuple[str, str]:
    """Name of a built-in version, and why that one."""
    if settings.backbone == "tiny":
        return "tiny", "PHOTOTAG_BACKBONE is tiny: it knows colours only"
    if _has_imagenet(data_dir):
        return "imagenet", "its weights are on this machine"
    if settings.offline:
        return "starter", "PHOTOTAG_OFFLINE is set and there are no ImageNet weights on this machine"
    if failure := answers_within(settings.weights_url, ANSWER_S):
        return "starter", f"the ImageNet weights cannot be fetched now ({failure})"
    try:
        fetch(IMAGENET, settings.weights_url, data_dir, progress)
    except (DownloadError, StorageFullError) as error:
        return "starter", f"the ImageNet weights could not be fetched. {error}"
    return "imagenet", "its weights were fetched"


def _successor(active: ModelVersion) -> tuple[str, str]:
    return _package_name(active), f"{active.name} came with an earlier phototag, this one replaces it"


def _is_outdated(version: ModelVersion) -> bool:
    """Whether a built-in version is not the one this release has under its name."""
    if version.origin != BUILT_IN:
        return False
    return read_card(PACKAGE_DIR / _package_name(version)).model_dump(mode="json") != version.card


def _package_name(version: ModelVersion) -> str:
    return version.artifact.removeprefix("package:")


def _has_imagenet(data_dir: Path) -> bool:
    path = weights_path(data_dir, IMAGENET)
    return path.exists() and check_file(path, IMAGENET) is None


def _present(settings: WorkerSettings, data_dir: Path) -> list[str]:
    names = ["starter"]
    if settings.backbone == "tiny":
        names.append("tiny")
    weights = weights_path(data_dir, IMAGENET)
    if weights.exists() and weights.stat().st_size == IMAGENET.size_bytes:  # its hash is checked by every load
        names.append("imagenet")
    return names


def _register(database: Database, names: list[str]) -> dict[str, ModelVersion]:
    cards = {name: read_card(PACKAGE_DIR / name) for name in names}
    with database.transaction() as session:
        known = {version.artifact: version for version in list_versions(session)}
        return {name: _registered(session, known.get(f"package:{name}"), name, card) for name, card in cards.items()}


def _registered(session: Session, known: ModelVersion | None, name: str, card: Card) -> ModelVersion:
    raw = card.model_dump(mode="json")
    if known is not None and known.card == raw:
        return known
    label_ids = ensure_labels(session, card.labels)
    # A later release may ship other files under the same name: that is another version.
    row_name = name if known is None else f"{name}-{hashlib.sha256(card_bytes(card)).hexdigest()[:8]}"
    return register_version(session, row_name, BUILT_IN, f"package:{name}", raw, label_ids)


def _activate(
    database: Database, version: ModelVersion, active: ModelVersion | None, reason: str, next_step: str
) -> FirstVersion:
    expected_id = active.id if active is not None else None
    try:
        with database.transaction() as session:
            activate_version(session, version.id, expected_id=expected_id, user=None, reason=reason)
    except ConflictError:
        with database.reading() as session:
            other = active_version(session)
        if other is None:
            raise
        why = "it is the active version" if other.id == expected_id else "another process has just activated it"
        return FirstVersion(other.name, why, TAG_NEXT)
    return FirstVersion(version.name, reason, next_step)


def say(version: FirstVersion) -> None:
    """Prints which version tags, why, and what to do next."""
    click.echo(f"Model version: {version.name}, because {version.reason}.")
    click.echo(version.next_step)


@click.command()
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder for everything phototag keeps.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of sentences.")
def main(data_dir: Path | None, *, as_json: bool) -> None:
    """Makes sure that a model version is active."""
    run_program(lambda: _ensure(data_settings_of(data_dir), as_json=as_json))


def _ensure(data_settings: DataSettings, *, as_json: bool) -> None:
    database = Database(data_settings.resolved_database_url)
    require_current(database)
    with shown_progress("ImageNet weights") as progress:
        version = ensure_versions(database, WorkerSettings(), data_settings, progress)
    if as_json:
        click.echo(json.dumps(asdict(version)))
    else:
        say(version)
    database.close()


if __name__ == "__main__":
    main()
