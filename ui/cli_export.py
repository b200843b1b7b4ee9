"""`phototag export`: results of what was submitted, as a file."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from sqlalchemy.orm import Session

from db.batch_view import ItemView, iter_items
from db.batches import get_batch, list_batches
from db.schema import User
from ui.cli_setup import current_user, data_dir_option, json_option, opened_database, print_json, read_settings
from ui.results import Format, write_csv, write_jsonl, write_results

BATCHES_PER_PAGE = 200


@click.command()
@click.argument("form", metavar="csv|jsonl", type=click.Choice(["csv", "jsonl"]))
@click.option(
    "--out",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Where to; - is standard output.",
)
@click.option(
    "--batch", "batch_ids", multiple=True, metavar="BATCH", help="Only this batch; may be given several times."
)
@json_option
@data_dir_option
def export(*, form: Format, out: Path, batch_ids: tuple[str, ...], as_json: bool, data_dir: Path | None) -> None:
    """Writes one row per photo: path, hash, size, five labels with scores, state and reason. All batches, oldest first."""
    to_stdout = str(out) == "-"
    if not to_stdout and not out.absolute().parent.is_dir():
        msg = f"the folder {out.parent} does not exist. Make it first."
        raise click.BadParameter(msg, param_hint="'--out'")
    with opened_database(read_settings(data_dir).data) as database:
        user = current_user(database)
        with database.reading() as session:
            items = _items(session, user, batch_ids)
            if to_stdout:
                (write_csv if form == "csv" else write_jsonl)(sys.stdout, items)
                return
            written = write_results(out.absolute(), items, form)
    if as_json:
        print_json({"photos": written, "out": str(out)})
    else:
        click.echo(f"{written:,} photos written to {out}.")


def _items(session: Session, user: User, batch_ids: tuple[str, ...]) -> Iterator[ItemView]:
    chosen = [get_batch(session, batch_id, user).id for batch_id in batch_ids] or _all_batch_ids(session, user)
    return (item for batch_id in chosen for item in iter_items(session, batch_id))


def _all_batch_ids(session: Session, user: User) -> list[str]:
    """Oldest first."""
    ids: list[str] = []
    while True:
        page = list_batches(session, user, BATCHES_PER_PAGE, before=ids[-1] if ids else None)
        ids += [batch.id for batch in page]
        if len(page) < BATCHES_PER_PAGE:
            return ids[::-1]
