"""`phototag batches`: list, show, retry, cancel and delete what was submitted."""

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from db.audit import COMMAND_LINE, record_audit
from db.batch_view import BatchProgress, batch_progress, iter_items
from db.batches import cancel_batch, get_batch, list_batches
from db.codes import reason_text
from db.deleting import Deleted, begin_deleting, delete_batch
from db.retrying import retry_batch
from db.schema import OPEN_BATCH_STATES, Batch
from db.session import Database
from db.settings import DataSettings
from ui.cli_setup import current_user, data_dir_option, json_option, opened_database, print_json, read_settings, say
from ui.embedded import redis_url_of
from ui.progress import done_of, duration
from ui.staging import remove_batch_staging
from ui.summary import MOST_LISTED, NOT_TAGGED

batch_argument = click.argument("batch_id", metavar="BATCH")


@click.group()
def batches() -> None:
    """List, show, retry, cancel and delete what was submitted."""


@batches.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@json_option
@data_dir_option
def list_(*, limit: int, as_json: bool, data_dir: Path | None) -> None:
    """Lists batches, newest first."""
    with opened_database(read_settings(data_dir).data) as database:
        user = current_user(database)
        with database.reading() as session:
            rows = [(batch, batch_progress(session, batch.id)) for batch in list_batches(session, user, limit)]
    if as_json:
        print_json([_as_json(batch, progress) for batch, progress in rows])
        return
    if not rows:
        click.echo("No batches yet. Submit one with `phototag tag FOLDER`.")
    for batch, progress in rows:
        when = batch.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
        counts = f"{done_of(progress):,} of {progress.total:,}"
        click.echo(f"{batch.id}  {when}  {batch.state:<10}  {counts:>17}  {batch.name}")


@batches.command()
@batch_argument
@click.option(
    "--all", "show_all", is_flag=True, help="List every photo that was refused or failed, not only the first 20."
)
@json_option
@data_dir_option
def show(*, batch_id: str, show_all: bool, as_json: bool, data_dir: Path | None) -> None:
    """Shows one batch: counts, and what was refused or failed."""
    with opened_database(read_settings(data_dir).data) as database:
        user = current_user(database)
        with database.reading() as session:
            batch = get_batch(session, batch_id, user)
            progress = batch_progress(session, batch.id)
            items = list(iter_items(session, batch.id, states=NOT_TAGGED))
    not_tagged = [(item.path, item.state, reason_text(item.code, item.detail)) for item in items]
    if as_json:
        listed = [{"path": path, "state": state, "reason": reason} for path, state, reason in not_tagged]
        print_json(_as_json(batch, progress) | {"not_tagged": listed})
        return
    for line in _lines(batch, progress):
        click.echo(line)
    for path, state, reason in not_tagged if show_all else not_tagged[:MOST_LISTED]:
        click.echo(f"  {path}: {reason or state}")
    if not show_all and len(not_tagged) > MOST_LISTED:
        click.echo(f"  and {len(not_tagged) - MOST_LISTED:,} more; --all lists them")


@batches.command()
@batch_argument
@json_option
@data_dir_option
def retry(*, batch_id: str, as_json: bool, data_dir: Path | None) -> None:
    """Submits the photos of a batch that failed once more, as a new batch. Refused ones would be refused again."""
    settings = read_settings(data_dir)
    with opened_database(settings.data) as database:
        user = current_user(database)
        with database.transaction() as session:
            get_batch(session, batch_id, user)
            new_id = retry_batch(session, batch_id, user.id).id
    if as_json:
        print_json({"batch": new_id, "retry_of": batch_id})
    else:
        click.echo(new_id)
    if redis_url_of(settings.data) is None and settings.worker.redis_url is None:
        say("Submitted. Nothing is tagged until services run: `phototag up`.")


@batches.command()
@batch_argument
@json_option
@data_dir_option
def cancel(*, batch_id: str, as_json: bool, data_dir: Path | None) -> None:
    """Cancels what is still open of a batch. What is tagged stays."""
    with opened_database(read_settings(data_dir).data) as database:
        user = current_user(database)
        with database.transaction() as session:
            get_batch(session, batch_id, user)
            cancelled = cancel_batch(session, batch_id)
            state = get_batch(session, batch_id, user).state
    if as_json:
        print_json({"batch": batch_id, "state": state, "cancelled": cancelled})
    elif state == "cancelled":
        click.echo(f"Batch {batch_id} is cancelled; {cancelled:,} of its photos were still open.")
    else:
        click.echo(f"Batch {batch_id} was {state} already; nothing was changed.")


@batches.command()
@click.argument("batch_ids", metavar="BATCH...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask first; needed where nobody can answer.")
@json_option
@data_dir_option
def delete(*, batch_ids: tuple[str, ...], yes: bool, as_json: bool, data_dir: Path | None) -> None:
    """Deletes batches, with their photos that no other batch has: labels, previews, copies. Your own files are never touched."""
    settings = read_settings(data_dir)
    with opened_database(settings.data) as database:
        user = current_user(database)
        with database.reading() as session:
            found = [get_batch(session, batch_id, user) for batch_id in dict.fromkeys(batch_ids)]
            items = [batch_progress(session, batch.id).total for batch in found]
        if not yes and not _is_confirmed(found, items):
            say("Nothing was deleted.")
            return
        deleted = [_deleted(database, settings.data, batch) for batch in found]
    if as_json:
        print_json(
            [
                {"batch": batch.id, "photos": one.photos, "kept": one.kept}
                for batch, one in zip(found, deleted, strict=True)
            ]
        )
        return
    for batch, one in zip(found, deleted, strict=True):
        kept = f"; {one.kept:,} stay, because other batches have them" if one.kept else ""
        click.echo(f"Batch {batch.id} is deleted with {one.photos:,} photos{kept}.")
    say("What phototag had copied of them goes within a few minutes while it runs.")


def _is_confirmed(found: Sequence[Batch], items: Sequence[int]) -> bool:
    if not sys.stdin.isatty():
        msg = "Nobody can be asked here whether to delete. Say so with --yes."
        raise click.UsageError(msg)
    for batch, count in zip(found, items, strict=True):
        say(f"{batch.id}  {count:,} files  {batch.name}")
    return click.confirm("Delete them? Your own files stay; labels cannot be brought back", err=True)


def _deleted(database: Database, data: DataSettings, batch: Batch) -> Deleted:
    with database.transaction() as session:
        begin_deleting(session, batch.id)
        record_audit(session, None, "batches.delete", batch.name, {"batch": batch.id} | COMMAND_LINE)
    remove_batch_staging(data.staging_dir, batch.id)
    return delete_batch(database, batch.id)


def _as_json(batch: Batch, progress: BatchProgress) -> dict[str, Any]:
    archives = [dict(zip(("path", "state", "code", "detail"), archive, strict=True)) for archive in progress.archives]
    return {"id": batch.id, "name": batch.name, **dataclasses.asdict(progress), "archives": archives}


def _lines(batch: Batch, progress: BatchProgress) -> Iterator[str]:
    yield f"{batch.id}  {batch.name}"
    yield f"  state      {batch.state}{f': {reason_text(batch.code)}' if batch.code else ''}"
    yield f"  created    {batch.created_at.astimezone():%Y-%m-%d %H:%M:%S}"
    if batch.finished_at is not None:
        took = (batch.finished_at - batch.created_at).total_seconds()
        yield f"  finished   {batch.finished_at.astimezone():%Y-%m-%d %H:%M:%S}, after {duration(took)}"
    elif progress.seconds_left is not None and batch.state in OPEN_BATCH_STATES:
        yield f"  left       {duration(progress.seconds_left)} at {progress.rate_per_s:.1f} photos/s"
    waiting = progress.ready + progress.leased
    counts = (
        ("waiting", waiting),
        ("tagged", progress.tagged),
        ("refused", progress.refused),
        ("failed", progress.failed),
    )
    for name, count in (*counts, ("cancelled", progress.cancelled), ("left out", progress.skipped)):
        if count:
            yield f"  {name:<10} {count:,}"
    for path, state, code, detail in progress.archives:
        yield f"  archive    {path}: {state}{f', {reason_text(code, detail)}' if code else ''}"
