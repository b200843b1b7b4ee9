"""`phototag export`: results of what was submitted, or photos of the library, as a file."""

import datetime as dt
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.batch_view import ItemView, iter_items, iter_photo_items
from db.batches import get_batch, list_batches
from db.errors import NotFoundError
from db.labels import name_key
from db.library import iter_library
from db.library_filter import LibraryFilter
from db.schema import Camera, Label, User
from ui.cli_setup import current_user, data_dir_option, json_option, opened_database, print_json, read_settings
from ui.results import Format, write_csv, write_jsonl, write_results

BATCHES_PER_PAGE = 200
STATES = ("tagged", "untagged", "refused", "failed", "any")
SORTS = ("date", "newest", "score", "name")

P = ParamSpec("P")
R = TypeVar("R")


def library_options(command: Callable[P, R]) -> Callable[P, R]:
    """The filters of the Library page."""
    day = click.DateTime(["%Y-%m-%d"])
    score = click.FloatRange(0, 1)
    options = (
        click.option("--label", metavar="NAME", help="Only photos with this label or one below it."),
        click.option("--min-score", type=score, metavar="SCORE", help="Only photos whose score is at least this."),
        click.option("--max-score", type=score, metavar="SCORE", help="Only photos whose score is at most this."),
        click.option("--sure/--not-sure", default=None, help="Only photos that the model is sure of, or not sure of."),
        click.option("--state", type=click.Choice(STATES), help="How photos ended.  [default: tagged]"),
        click.option("--from", "taken_from", type=day, metavar="DAY", help="Taken on this day or later, 2024-12-31."),
        click.option("--to", "taken_to", type=day, metavar="DAY", help="Taken on this day or before."),
        click.option("--camera", metavar="NAME", help="Only photos of this camera, as the Library names it."),
        click.option("--format", "photo_format", metavar="FORMAT", help="Only photos of this format, e.g. JPEG."),
        click.option("--name", metavar="WORDS", help="Only photos whose file name has words that begin so."),
        click.option("--sort", type=click.Choice(SORTS), help="In which order.  [default: date]"),
    )
    for option in reversed(options):
        command = option(command)
    return command


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
@library_options
@json_option
@data_dir_option
def export(
    *, form: Format, out: Path, batch_ids: tuple[str, ...], as_json: bool, data_dir: Path | None, **filters: Any
) -> None:
    """Writes one row per photo: path, hash, size, five labels with scores, state and reason.

    Without filters it writes everything that was submitted, batch by batch; with filters, photos of the library.
    """
    to_stdout = str(out) == "-"
    if not to_stdout and not out.absolute().parent.is_dir():
        msg = f"the folder {out.parent} does not exist. Make it first."
        raise click.BadParameter(msg, param_hint="'--out'")
    with opened_database(read_settings(data_dir).data) as database:
        user = current_user(database)
        with database.reading() as session:
            items = _chosen(
                session, user, batch_ids, {name: value for name, value in filters.items() if value is not None}
            )
            if to_stdout:
                (write_csv if form == "csv" else write_jsonl)(sys.stdout, items)
                return
            written = write_results(out.absolute(), items, form)
    if as_json:
        print_json({"photos": written, "out": str(out)})
    else:
        click.echo(f"{written:,} photos written to {out}.")


def _chosen(session: Session, user: User, batch_ids: tuple[str, ...], filters: dict[str, Any]) -> Iterator[ItemView]:
    if not filters:
        return _items(session, user, batch_ids)
    if len(batch_ids) > 1:
        msg = "with other filters, one batch at a time. Name one, or leave the other filters out."
        raise click.BadParameter(msg, param_hint="'--batch'")
    sort = filters.get("sort", "date")
    chosen = library_filter(session, filters, batch_ids[0] if batch_ids else None)
    ids = list(iter_library(session, user, chosen, sort, descending=sort != "name"))
    return iter_photo_items(session, user, ids)


def library_filter(session: Session, filters: dict[str, Any], batch_id: str | None) -> LibraryFilter:
    """The filter that the options name.

    Raises:
        NotFoundError: there is no such label or camera.
    """
    state = filters.get("state", "tagged")
    sure = filters.get("sure")
    return LibraryFilter(
        label_id=_label_id(session, filters["label"]) if "label" in filters else None,
        min_score=filters.get("min_score"),
        max_score=filters.get("max_score"),
        not_sure=None if sure is None else not sure,
        batch_id=batch_id,
        state=None if state == "any" else state,
        taken_from=_day(filters.get("taken_from")),
        taken_to=_day(filters.get("taken_to")),
        camera_id=_camera_id(session, filters["camera"]) if "camera" in filters else None,
        format=filters["photo_format"].upper() if "photo_format" in filters else None,
        name=filters.get("name", ""),
    )


def _day(moment: dt.datetime | None) -> dt.date | None:
    return moment.date() if moment is not None else None


def _label_id(session: Session, name: str) -> int:
    label_id = session.scalar(select(Label.id).where(Label.name_key == name_key(name)))
    if label_id is None:
        msg = f"There is no label of this name; the Library page lists them. Received: {name!r}"
        raise NotFoundError(msg)
    return label_id


def _camera_id(session: Session, name: str) -> int:
    camera_id = session.scalar(select(Camera.id).where(Camera.name == name))
    if camera_id is None:
        known = ", ".join(session.scalars(select(Camera.name).order_by(Camera.name).limit(20))) or "none yet"
        msg = f"There is no camera of this name. Known: {known}. Received: {name!r}"
        raise NotFoundError(msg)
    return camera_id


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
