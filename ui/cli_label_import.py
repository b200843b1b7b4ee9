"""`phototag labels import`: class folders as labelled photos. They are submitted as by `phototag tag`."""

import time
from pathlib import Path

import click

from db.session import Database
from ui.class_folders import Layout, folders_of, layout_of
from ui.cli import EXIT_INTERRUPTED, EXIT_SOME_NOT_TAGGED
from ui.cli_setup import (
    Interruption,
    current_user,
    data_dir_option,
    json_option,
    print_json,
    read_settings,
    say,
    stopping_cleanly,
)
from ui.cli_tag import Run, say_how_to_go_on, submit_all, summed_up
from ui.embedded import Services
from ui.label_import import FolderLabels
from ui.listing import examine, list_files
from ui.progress import progress_view
from ui.submit import Submission
from ui.summary import Summary
from ui.waiting import wait_for


@click.command("import")
@click.argument("path", metavar="DIR|ARCHIVE", type=click.Path(exists=True, readable=False, path_type=Path))
@click.option("--copy", is_flag=True, help="Copy the files into the data directory instead of reading them in place.")
@click.option(
    "--replace", is_flag=True, help="Replace what people have said otherwise of photos that are there already."
)
@json_option
@data_dir_option
def import_(*, path: Path, copy: bool, replace: bool, as_json: bool, data_dir: Path | None) -> int:
    """Takes class folders, or an archive of them, as labelled photos: glacier/a.jpg gets the label glacier.

    A folder in a folder is a label below another. Photos get their label as soon as they are accepted, and are tagged as
    by `phototag tag`. Interrupted, the same command goes on where it was.
    """
    settings = read_settings(data_dir)
    sources = examine([path])
    if not sources[0].archive and not sources[0].path.is_dir():
        msg = f"expected a folder of class folders, or an archive of them. Received: {path.name}"
        raise click.UsageError(msg)
    submission = Submission(sources, copy or settings.data.blobs_url is not None, frozenset({settings.data.data_dir}))
    layout = None if sources[0].archive else _layout(submission)
    run = Run(settings, submission, None)
    submission.priority()
    with stopping_cleanly() as interruption:
        try:
            return _import(run, layout, interruption, replace=replace, as_json=as_json)
        except KeyboardInterrupt:
            say_how_to_go_on(run)
            return EXIT_INTERRUPTED


def _layout(submission: Submission) -> Layout:
    """What of the folders is no label; a folder without any class folder is refused before anything is started."""
    found = {folders_of(one.path) for one in list_files(submission.sources, submission.skip) if one.code is None}
    if found == {()}:
        msg = (
            f"{submission.name} holds photos, and no folders with photos: nothing says what they show. Put them into "
            "folders named as their labels, or name the folder above."
        )
        raise click.UsageError(msg)
    return layout_of(found)


def _import(run: Run, layout: Layout | None, interruption: Interruption, *, replace: bool, as_json: bool) -> int:
    settings = run.settings
    services = Services(settings.data, settings.worker, command="labels import", say=say, share_workers=True)
    with services, progress_view() as view:
        database = Database(settings.data.resolved_database_url)
        try:
            labels = FolderLabels(database, current_user(database), layout, replace=replace)

            def look() -> str | None:
                interruption.check()
                if run.batch_id is not None:
                    labels.record(run.batch_id)
                return services.trouble()

            started_at = time.monotonic()
            submit_all(run, database, view, lambda: services.redis_url, labels.record)
            wait_for(database, run.batch_id or "", view, look)
            labels.record(run.batch_id or "")
            summary = summed_up(run, database, seconds=time.monotonic() - started_at)
        finally:
            database.close()
    _show(summary, labels, as_json=as_json)
    return 0 if summary.is_complete and labels.is_complete else EXIT_SOME_NOT_TAGGED


def _show(summary: Summary, labels: FolderLabels, *, as_json: bool) -> None:
    if as_json:
        print_json(summary.as_json(None) | {"import": labels.as_json()})
        return
    for line in (*labels.lines(), *summary.lines(None)):
        click.echo(line)
