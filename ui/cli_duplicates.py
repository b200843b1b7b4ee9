"""`phototag duplicates`: lists photos that look alike, and files with the same bytes. Deletes nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import click
from sqlalchemy.orm import Session

from db.duplicates import Group, LookAlike, list_groups
from db.same_files import SameFile, list_same_files
from db.session import Database
from ui.cli_setup import current_user, data_dir_option, json_option, opened_database, print_json, read_settings
from ui.duplicate_shapes import group_shape, same_file_shape

T = TypeVar("T")

PAGE = 100


@click.command()
@json_option
@data_dir_option
def duplicates(*, as_json: bool, data_dir: Path | None) -> None:
    """Lists photos that look alike, with the one to keep first, and files in several places. Deletes nothing."""
    with opened_database(read_settings(data_dir).data) as database:
        user = current_user(database)
        groups = _all(database, lambda session, after: list_groups(session, user, after=after, limit=PAGE))
        files = _all(database, lambda session, after: list_same_files(session, user, after=after, limit=PAGE))
        if as_json:
            print_json({"look_alikes": [*map(group_shape, groups)], "same_files": [*map(same_file_shape, files)]})
            return
        counts = sum(map(_print_group, groups)), sum(map(_print_file, files))
    if counts == (0, 0):
        click.echo("No duplicates among the photos that are tagged.")
        return
    what = f"{counts[0]:,} groups of photos that look alike, {counts[1]:,} photos in several places"
    click.echo(f"{what}. Nothing was deleted.")


def _all(database: Database, read: Callable[[Session, int | None], tuple[list[T], int | None]]) -> Iterator[T]:
    """What all pages hold, one of them in memory at a time."""
    after: int | None = None
    while True:
        with database.reading() as session:
            found, after = read(session, after)
        yield from found
        if after is None:
            return


def _print_group(group: Group) -> int:
    """Prints a group, and counts it."""
    click.echo(f"{group.size:,} photos look alike")
    for number, photo in enumerate(group.photos):
        mark = f"  keep: {group.reason}" if number == 0 else ""
        click.echo(f"  {'*' if number == 0 else ' '} {_facts(photo)}{mark}")
    if group.size > len(group.photos):
        click.echo(f"    and {group.size - len(group.photos):,} more")
    return 1


def _facts(photo: LookAlike) -> str:
    pixels = f"{photo.width} x {photo.height}" if photo.width else "unknown size"
    return f"{photo.photo_id:>8}  {pixels:<13} {photo.format or '':<5} {photo.size_bytes:>12,} bytes  {photo.name}"


def _print_file(photo: SameFile) -> int:
    """Prints a photo with its files, and counts it."""
    click.echo(f"{photo.count:,} files are the same photo ({photo.photo_id}, {photo.size_bytes:,} bytes)")
    for place in photo.places:
        click.echo(f"    {f'{place.archive}: ' if place.archive else ''}{place.path}")
    if photo.count > len(photo.places):
        click.echo(f"    and {photo.count - len(photo.places):,} more")
    return 1
