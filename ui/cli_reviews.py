"""`phototag reviews`: numbers of review, and all that people said as a file, written and read."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from db.errors import PhototagError
from db.review_counts import MOST_PHOTOS
from db.review_export import ReviewRow, iter_reviews
from db.review_import import ImportedRow, import_reviews
from db.review_stats import ReviewStats, review_stats
from ui.cli import EXIT_SOME_NOT_TAGGED
from ui.cli_setup import current_user, data_dir_option, json_option, opened_database, print_json, read_settings
from ui.progress import duration
from ui.results import csv_table, json_lines, replacing, write_lines

# The other columns are ours.
FROM_PEOPLE = frozenset({"by", "token", "photo", "label", "model_version", "model_label"})
QUEUES = {
    "contradiction": "contradicting duplicates",
    "mislabelled": "looks mislabelled",
    "not_sure": "not sure",
    "disagree": "versions disagree",
    "few": "few examples",
    "audit": "audit",
    "never": "never reviewed",
    "second_opinion": "second opinion",
}
MOST_LISTED = 20


@click.group()
def reviews() -> None:
    """Shows numbers of review, exports verdicts and imports them."""


@reviews.command()
@json_option
@data_dir_option
def stats(*, as_json: bool, data_dir: Path | None) -> None:
    """Shows how much is decided, how fast, how often people agree with the model, and how much is left."""
    midnight = dt.datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    with opened_database(read_settings(data_dir).data) as database:
        user = current_user(database)
        with database.reading() as session:
            found = review_stats(session, user, midnight)
    if as_json:
        people = [person._asdict() for person in found.people]
        agreement = [label._asdict() for label in found.agreement]
        print_json(dataclasses.asdict(found) | {"people": people, "agreement": agreement})
        return
    for line in _lines(found):
        click.echo(line)


@reviews.command()
@click.option(
    "--out",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to: a file that ends with .csv or .jsonl.",
)
@json_option
@data_dir_option
def export(*, out: Path, as_json: bool, data_dir: Path | None) -> None:
    """Writes one row per verdict, also those taken back: who, when, which label, what the model had said."""
    form = out.suffix.lower()
    if form not in (".csv", ".jsonl"):
        msg = f"the name must end with .csv or .jsonl. Received: {out.name!r}"
        raise click.BadParameter(msg, param_hint="'--out'")
    if not out.absolute().parent.is_dir():
        msg = f"the folder {out.parent} does not exist. Make it first."
        raise click.BadParameter(msg, param_hint="'--out'")
    with (
        opened_database(read_settings(data_dir).data) as database,
        database.reading() as session,
        replacing(out.absolute()) as stream,
    ):
        rows = map(_values, iter_reviews(session))
        lines = csv_table(ReviewRow._fields, rows, FROM_PEOPLE) if form == ".csv" else json_lines(rows)
        written = write_lines(stream, lines) - (form == ".csv")  # its header
    if as_json:
        print_json({"reviews": written, "out": str(out)})
    else:
        click.echo(f"{written:,} verdicts written to {out}.")


@reviews.command("import")
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@data_dir_option
def import_(*, file: Path, as_json: bool, data_dir: Path | None) -> int:
    """Says again what `phototag reviews export --out FILE.jsonl` wrote, with what was decided of each photo.

    For a database that is built anew: tag the photos first. The same file again changes nothing.
    """
    with opened_database(read_settings(data_dir).data) as database, file.open(encoding="utf-8") as lines:
        found = import_reviews(database, _rows_of(lines), current_user(database))
    if as_json:
        print_json(dataclasses.asdict(found))
    else:
        click.echo(f"{found.verdicts:,} verdicts written, {found.undone:,} taken back.")
        click.echo(f"{found.subsets:,} rows name whether their photo is trained on or held out.")
        if found.without_photo:
            click.echo(f"{found.without_photo:,} rows are of photos that are not here: tag them, then import again.")
        for why in found.refused:
            click.echo(f"  not written, {why}")
    return EXIT_SOME_NOT_TAGGED if found.without_photo or found.refused else 0


def _rows_of(lines: Iterable[str]) -> Iterator[ImportedRow]:
    for number, line in enumerate(lines, start=1):
        try:
            yield ImportedRow.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            msg = (
                f"Line {number} is no row of `phototag reviews export --out FILE.jsonl`: {where} {first['msg']}. What"
                f" stands before it was imported. Received: {line.strip()[:80]!r}"
            )
            raise PhototagError(msg) from error


def _values(row: ReviewRow) -> dict[str, Any]:
    return row._asdict() | {"at": row.at.isoformat()}


def _lines(found: ReviewStats) -> Iterator[str]:
    yield f"reviewed     {found.today:,} photos today, {found.total:,} in all"
    if found.per_minute is not None:
        yield f"speed        {found.per_minute:g} photos a minute"
    for person in found.people:
        speed = "" if person.per_minute is None else f", {person.per_minute:g} a minute"
        yield f"  {person.name:<20} {person.today:,} today, {person.total:,} in all{speed}"
    yield from _agreement_lines(found)
    yield f"undecided    {found.undecided:,} photos"
    for queue, photos in found.left.items():
        if photos:
            yield f"  {QUEUES[queue]:<26} {photos:,}{' or more' if photos >= MOST_PHOTOS else ''}"
    if found.minutes_left is not None and found.undecided:
        yield f"left         {duration(60 * found.minutes_left)} at this speed"


def _agreement_lines(found: ReviewStats) -> Iterator[str]:
    if not found.agreement:
        yield "agreement    not known yet: it is estimated from photos of the queue “audit”"
        return
    for label, photos, agreed, low, high in found.agreement[: MOST_LISTED + 1]:
        share = f"{agreed / photos:.0%} ({low:.0%} to {high:.0%}) of {photos:,}"
        yield f"agreement    {share} audited photos" if label is None else f"  {label:<26} {share}"
    if len(found.agreement) > MOST_LISTED + 1:
        yield f"  and {len(found.agreement) - MOST_LISTED - 1:,} more labels; --json lists them"
