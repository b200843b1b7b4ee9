"""`phototag tag`: submits files, folders and archives, waits for them and sums up."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
from filelock import FileLock

from db.blobs import open_blobs
from db.migrate import upgrade
from db.session import Database
from ui.cli import EXIT_INTERRUPTED, EXIT_SOME_NOT_TAGGED
from ui.cli_setup import (
    Interruption,
    Settings,
    current_user,
    data_dir_option,
    json_option,
    print_json,
    read_settings,
    say,
    stopping_cleanly,
)
from ui.embedded import Services, make_data_dir, redis_url_of
from ui.listing import examine
from ui.nudge import Nudger, nudging
from ui.progress import LinesView, ProgressView, progress_view
from ui.results import Format
from ui.submit import Intake, Submission, Submitter
from ui.summary import Summary
from ui.waiting import LOOK_EVERY_S, look_at, sum_up, wait_for

FORMATS: dict[str, Format] = {".csv": "csv", ".jsonl": "jsonl"}


@dataclass
class Run:
    """One run of `tag`: what was asked, and the batch once there is one."""

    settings: Settings
    submission: Submission
    out: Path | None
    batch_id: str | None = None


def results_path(_context: click.Context, _option: click.Parameter, value: Path | None) -> Path | None:
    """Checks `--out` before anything is done: its suffix names the format, its folder exists."""
    if value is None:
        return None
    if value.suffix.lower() not in FORMATS:
        msg = f"expected a name that ends in .csv or .jsonl. Received: {value.name}"
        raise click.BadParameter(msg)
    if not value.absolute().parent.is_dir():
        msg = f"the folder {value.parent} does not exist. Make it first."
        raise click.BadParameter(msg)
    return value.absolute()


@click.command()
@click.argument(
    "paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True, readable=False, path_type=Path)
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=results_path,
    metavar="FILE",
    help="Write the results to FILE, .csv or .jsonl.",
)
@click.option("--copy", is_flag=True, help="Copy the files into the data directory instead of reading them in place.")
@click.option("--no-wait", is_flag=True, help="Submit, print the batch's id and return.")
@json_option
@data_dir_option
def tag(
    *, paths: tuple[Path, ...], out: Path | None, copy: bool, no_wait: bool, as_json: bool, data_dir: Path | None
) -> int:
    """Tags photos: files, folders (with their subfolders) and archives (.zip, .tar, .tar.gz, ...).

    Folders and archives are read where they lie. Interrupted, the same command goes on where it was; photos that the
    same model version has tagged before cost only a hash.
    """
    if no_wait and out is not None:
        msg = "--no-wait returns before there are results. Leave out --out, and use `phototag export` later."
        raise click.UsageError(msg)
    settings = read_settings(data_dir)
    # Object storage means other machines: they do not see this one's files.
    submission = Submission(examine(paths), copy or settings.data.blobs_url is not None, _left_out(settings, out))
    run = Run(settings, submission, out)
    submission.priority()  # an empty folder is found before anything is started
    with stopping_cleanly() as interruption:
        try:
            return _submit_only(run, as_json=as_json) if no_wait else _tag(run, interruption, as_json=as_json)
        except KeyboardInterrupt:
            say_how_to_go_on(run)
            return EXIT_INTERRUPTED


def _left_out(settings: Settings, out: Path | None) -> frozenset[Path]:
    return frozenset({settings.data.data_dir, *([out.resolve()] if out is not None else [])})


def _tag(run: Run, interruption: Interruption, *, as_json: bool) -> int:
    settings = run.settings
    services = Services(settings.data, settings.worker, command="tag", say=say, share_workers=True)

    def trouble() -> str | None:
        interruption.check()
        return services.trouble()

    with services, progress_view() as view:
        database = Database(settings.data.resolved_database_url)
        try:
            started_at = time.monotonic()
            submit_all(run, database, view, lambda: services.redis_url)
            wait_for(database, run.batch_id or "", view, trouble)
            summary = summed_up(run, database, seconds=time.monotonic() - started_at)
        finally:
            database.close()
    show_summary(summary, run.out, as_json=as_json)
    return 0 if summary.is_complete else EXIT_SOME_NOT_TAGGED


def submit_all(
    run: Run,
    database: Database,
    view: ProgressView,
    find_broker: Callable[[], str | None],
    on_group: Callable[[str], None] = lambda _batch_id: None,
) -> None:
    """Submits the run's files. Two commands for the same files do not list them at the same time.

    Args:
        run: what is submitted; gets its batch's id.
        database: where to.
        view: shows the progress.
        find_broker: its address, if there is one.
        on_group: called with the batch's id after each group.
    """
    settings, owner = run.settings, current_user(database)
    intake = Intake(database, open_blobs(settings.data), settings.data, settings.worker.limits)
    locks = settings.data.data_dir / "locks"
    locks.mkdir(exist_ok=True)
    with FileLock(locks / f"submit-{run.submission.key(owner.id)[:16]}.lock"), nudging(find_broker) as nudger:
        after_group = _after_group(run, database, view, nudger, on_group)
        submitter = Submitter(intake, owner, run.submission, after_group)
        run.batch_id = submitter.find_unfinished()
        if run.batch_id is not None:
            view.note(f"Going on with batch {run.batch_id}, which is not finished yet.")
        run.batch_id = submitter.submit()


def _after_group(
    run: Run, database: Database, view: ProgressView, nudger: Nudger, on_group: Callable[[str], None]
) -> Callable[[str], None]:
    has_archives = any(source.archive for source in run.submission.sources)
    shown_at = 0.0

    def after_group(batch_id: str) -> None:
        nonlocal shown_at
        run.batch_id = batch_id
        nudger.tag()
        if has_archives:
            nudger.unpack(batch_id)
        on_group(batch_id)
        if time.monotonic() - shown_at > LOOK_EVERY_S:  # counting 100,000 items takes as long as adding a group
            shown_at = time.monotonic()
            view.show(look_at(database, batch_id))

    return after_group


def summed_up(run: Run, database: Database, *, seconds: float) -> Summary:
    """The summary of the run's batch; writes its results file."""
    form = FORMATS[run.out.suffix.lower()] if run.out is not None else None
    return sum_up(database, run.batch_id or "", seconds=seconds, out=run.out, form=form)


def show_summary(summary: Summary, out: Path | None, *, as_json: bool) -> None:
    """Prints the summary on standard output."""
    results = str(out) if out is not None else None
    if as_json:
        print_json(summary.as_json(results))
        return
    for line in summary.lines(results):
        click.echo(line)


def _submit_only(run: Run, *, as_json: bool) -> int:
    """Submits without waiting. Services that run are told; without any the batch waits for them."""
    settings = run.settings
    make_data_dir(settings.data.data_dir)
    redis_url = settings.worker.redis_url or redis_url_of(settings.data)
    database = Database(settings.data.resolved_database_url)
    try:
        upgrade(database)
        submit_all(run, database, LinesView(), lambda: redis_url)
    finally:
        database.close()
    print_json({"batch": run.batch_id}) if as_json else click.echo(run.batch_id)
    if redis_url is None:
        say("Submitted. Nothing is tagged until services run: `phototag up`.")
    return 0


def say_how_to_go_on(run: Run) -> None:
    """Says what became of an interrupted run."""
    if run.batch_id is None:
        say("Stopped. Nothing was submitted.")
        return
    say(f"Stopped. Nothing is lost: the same command, or `phototag up`, goes on with batch {run.batch_id}.")
