"""`phototag watch`: keeps folders tagged."""

import json
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from filelock import FileLock, Timeout

from db.blobs import open_blobs
from db.errors import ConflictError, NotFoundError, PhototagError
from db.names import clean_name
from db.schema import User
from db.session import Database
from db.watched import find_folder, forget_folder, list_folders, open_batches, path_key
from ui.cli import EXIT_INTERRUPTED, EXIT_SOME_NOT_TAGGED
from ui.cli_setup import (
    Interruption,
    Settings,
    current_user,
    data_dir_option,
    json_option,
    opened_database,
    print_json,
    read_settings,
    say,
    stopping_cleanly,
)
from ui.cli_tag import show_summary
from ui.embedded import Services, make_data_dir
from ui.listing import Source, examine
from ui.nudge import Nudger, nudging
from ui.progress import LinesView
from ui.submit import Intake
from ui.summary import Summary
from ui.waiting import sum_up, wait_for
from ui.watch import Changes, FolderWatch
from ui.watch_intake import Desk, source_key
from ui.watch_loop import Following, Watching

EVERY_S = 30.0


@dataclass
class Run:
    """One run of `watch`: what was asked."""

    settings: Settings
    sources: Sequence[Source]
    every_s: float
    copy: bool
    once: bool
    as_json: bool


@click.command()
@click.argument("folders", metavar="DIR...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--every",
    type=click.FloatRange(min=0.5),
    default=EVERY_S,
    metavar="SECONDS",
    help="Pause between two looks; longer where a look takes long.  [default: 30]",
)
@click.option("--copy", is_flag=True, help="Copy the files into the data directory instead of reading them in place.")
@click.option("--once", is_flag=True, help="Look once, wait until what was found is tagged, and end.")
@click.option("--list", "list_them", is_flag=True, help="List the folders that were watched, and end.")
@click.option("--forget", is_flag=True, help="Forget these folders, and end. Their photos stay.")
@json_option
@data_dir_option
def watch(
    *,
    folders: tuple[Path, ...],
    every: float,
    copy: bool,
    once: bool,
    list_them: bool,
    forget: bool,
    as_json: bool,
    data_dir: Path | None,
) -> int:
    """Keeps folders tagged: what is new or changed in them is tagged, what has gone is marked.

    It goes on until Ctrl-C. Started again, it finds what has changed meanwhile, and submits nothing twice.
    """
    settings = read_settings(data_dir)
    if list_them:
        return _list(settings, as_json=as_json)
    if not folders:
        msg = "Missing argument 'DIR...'. Name the folders to watch, or use --list."
        raise click.UsageError(msg)
    if forget:
        return _forget(settings, folders)
    # Object storage means other machines: they do not see this one's files.
    copy = copy or settings.data.blobs_url is not None
    run = Run(settings, _sources(settings, folders), every, copy, once, as_json)
    make_data_dir(settings.data.data_dir)
    with stopping_cleanly() as interruption:
        try:
            with _alone(settings, run.sources):
                return _watch(run, interruption)
        except KeyboardInterrupt:
            say("Stopped. Nothing is lost: the same command goes on, and finds what changes until then.")
            return EXIT_INTERRUPTED


def _watch(run: Run, interruption: Interruption) -> int:
    data = run.settings.data
    services = Services(data, run.settings.worker, command="watch", say=say, share_workers=True)

    def check() -> str | None:
        interruption.check()
        return services.trouble()

    with services, nudging(lambda: services.redis_url) as nudger:
        database = Database(data.resolved_database_url)
        try:
            owner = current_user(database)
            following = Following(database, say)
            folders = _folders(run, database, owner, _after_group(nudger, following, interruption))
            watching = Watching(folders, run.every_s, report=_reporter(run), say=say, check=check)
            if run.once:
                return _once(run, watching, database, owner, check)
            for source in run.sources:
                say(f"Watching {source.shown}, every {run.every_s:g} s. Ctrl-C stops.")
            for batch_id in _open_batches(run, database, owner):
                following.add(batch_id)
            watching.go_on(following)
        finally:
            database.close()
    return 0


def _folders(run: Run, database: Database, owner: User, on_group: Callable[[str], None]) -> list[FolderWatch]:
    data = run.settings.data
    intake = Intake(database, open_blobs(data), data, run.settings.worker.limits)
    skip = frozenset({data.data_dir})
    desks = [Desk(intake, owner, source.path, source.shown, run.copy) for source in run.sources]
    return [FolderWatch(desk, skip, on_group) for desk in desks]


def _after_group(nudger: Nudger, following: Following, interruption: Interruption) -> Callable[[str], None]:
    def after_group(batch_id: str) -> None:
        nudger.tag()
        following.add(batch_id)
        following.show()
        interruption.check()

    return after_group


def _reporter(run: Run) -> Callable[[FolderWatch, Changes], None]:
    def report(folder: FolderWatch, changes: Changes) -> None:
        if run.as_json and not run.once:
            click.echo(json.dumps(_as_json(folder, changes), ensure_ascii=False))
        elif not run.as_json:
            click.echo(f"{folder.shown}: {changes.line()}")

    return report


def _once(run: Run, watching: Watching, database: Database, owner: User, check: Callable[[], str | None]) -> int:
    """Looks, waits until the folders' batches are finished, and sums them up."""
    started_at = time.monotonic()
    looks: list[dict[str, Any]] = []
    batch_ids: dict[str, None] = {}
    for folder, changes in watching.look_once():
        looks.append(_as_json(folder, changes))
        if changes.batch_id is not None:
            batch_ids[changes.batch_id] = None
    batch_ids |= dict.fromkeys(_open_batches(run, database, owner))
    view = LinesView()
    for batch_id in batch_ids:
        wait_for(database, batch_id, view, check)
    seconds = time.monotonic() - started_at
    summaries = [sum_up(database, batch_id, seconds=seconds, out=None, form=None) for batch_id in batch_ids]
    if run.as_json:
        print_json({"looks": looks, "batches": [summary.as_json(None) for summary in summaries]})
    else:
        _show(summaries)
    return 0 if all(summary.is_complete for summary in summaries) else EXIT_SOME_NOT_TAGGED


def _show(summaries: Sequence[Summary]) -> None:
    for summary in summaries:
        show_summary(summary, None, as_json=False)


def _open_batches(run: Run, database: Database, owner: User) -> list[str]:
    keys = [source_key(owner.id, source.path) for source in run.sources]
    with database.reading() as session:
        return [batch_id for key in keys for batch_id in open_batches(session, owner.id, key)]


def _sources(settings: Settings, folders: Sequence[Path]) -> list[Source]:
    """The folders, each once. One that is not there now may have been watched before: its drive comes back."""
    for folder in folders:
        if folder.exists() and not folder.is_dir():
            msg = f"{clean_name(folder.name)[0]} is not a folder. Files and archives are for `phototag tag`."
            raise PhototagError(msg)
    away = [path for folder in folders if not (path := folder.resolve()).exists() and _was_watched(settings, path)]
    sources = examine([folder for folder in folders if folder.resolve() not in away])
    return sources + [Source(path, clean_name(path.name)[0], archive=False) for path in dict.fromkeys(away)]


def _was_watched(settings: Settings, path: Path) -> bool:
    try:
        with opened_database(settings.data) as database:
            user = current_user(database)
            with database.reading() as session:
                return find_folder(session, user.id, str(path)) is not None
    except NotFoundError:  # nothing was ever kept here
        return False


@contextmanager
def _alone(settings: Settings, sources: Sequence[Source]) -> Generator[None]:
    """Two that look at the same folder would submit its photos twice.

    Raises:
        ConflictError: another one looks at a folder.
    """
    locks = settings.data.data_dir / "locks"
    locks.mkdir(exist_ok=True)
    with ExitStack() as held:
        for source in sources:
            lock = FileLock(locks / f"watch-{path_key(str(source.path))[:16]}.lock")
            try:
                held.enter_context(lock.acquire(timeout=0))
            except Timeout as error:
                msg = f"Another `phototag watch` is at work on {source.shown}. Stop it first, or let it go on alone."
                raise ConflictError(msg) from error
        yield


def _list(settings: Settings, *, as_json: bool) -> int:
    with opened_database(settings.data) as database:
        user = current_user(database)
        with database.reading() as session:
            folders = list_folders(session, user)
    if as_json:
        print_json([{"path": f.path, "files": f.files, "gone": f.gone, "scanned_at": f.scanned_at} for f in folders])
        return 0
    if not folders:
        click.echo("No folder was watched yet. Begin with `phototag watch DIR`.")
    for folder in folders:
        when = folder.scanned_at.astimezone().strftime("%Y-%m-%d %H:%M") if folder.scanned_at else "never"
        click.echo(f"/{clean_name(folder.path)[0]}  {folder.files:,} files, {folder.gone:,} gone, last look {when}")
    return 0


def _forget(settings: Settings, folders: Sequence[Path]) -> int:
    sources = [Source(folder.resolve(), clean_name(folder.name)[0], archive=False) for folder in folders]
    with opened_database(settings.data) as database, _alone(settings, sources):
        user = current_user(database)
        for source in sources:
            with database.transaction() as session:
                row = find_folder(session, user.id, str(source.path))
                if row is None:
                    msg = f"{source.shown} was not watched; `phototag watch --list` shows the folders that were."
                    raise NotFoundError(msg)
                forget_folder(session, row.id)
            say(f"{source.shown} is forgotten. Its photos stay.")
    return 0


def _as_json(folder: FolderWatch, changes: Changes) -> dict[str, Any]:
    counts = {"new": changes.new, "changed": changes.changed, "gone": changes.gone, "back": changes.back}
    return {"folder": folder.shown, **counts, "unsettled": changes.unsettled, "batch": changes.batch_id}
