"""`phototag labels`: lists and changes the vocabulary, with a preview and an undo."""

import sys
from collections.abc import Callable
from pathlib import Path

import click
from sqlalchemy.orm import Session

from db.errors import NotFoundError
from db.label_changes import (
    Changed,
    add_label,
    merge_labels,
    rename_label,
    restore_label,
    retire_label,
    undo_change,
)
from db.label_history import list_changes
from db.label_lists import count_label_photos, find_label, list_labels
from db.label_plans import Change, plan_merge, plan_retire
from db.label_preview import preview
from db.schema import User
from db.session import Database
from ui.cli_label_import import import_
from ui.cli_setup import current_user, data_dir_option, json_option, opened_database, print_json, read_settings, say
from ui.label_shapes import changed_shape, counts_shape, label_shape
from ui.label_words import words_of

yes_option = click.option("--yes", is_flag=True, help="Do not ask first; needed where nobody can answer.")
name_argument = click.argument("name", metavar="NAME")


@click.group()
def labels() -> None:
    """List and change labels; import class folders as labelled photos."""


labels.add_command(import_)


@labels.command("list")
@click.option("--search", default="", metavar="WORDS", help="Only labels with words that begin so.")
@click.option("--retired", is_flag=True, help="Also those that are retired.")
@json_option
@data_dir_option
def list_(*, search: str, retired: bool, as_json: bool, data_dir: Path | None) -> None:
    """Lists labels: photos named so by people, photos that models say, and the name."""
    with opened_database(read_settings(data_dir).data) as database, database.reading() as session:
        found = list_labels(session, search=search, include_retired=retired)
        counts = count_label_photos(session)
    if as_json:
        print_json([label_shape(label) | counts_shape(counts.get(label.label_id)) for label in found])
        return
    if not found:
        click.echo("No labels. `phototag labels add NAME` adds one, `phototag labels import DIR` many.")
        return
    names = {label.label_id: label.name for label in found}
    click.echo("by people   by models  label")
    for label in found:
        reviewed, predicted = counts.get(label.label_id, (0, 0))
        below = f", below {names[label.parent_id]}" if label.parent_id in names else ""
        also = f", also known as {', '.join(label.also)}" if label.also else ""
        mark = ", retired" if label.retired_at is not None else ""
        click.echo(f"{reviewed:>9,}   {predicted:>9,}  {label.name}{below}{also}{mark}")


@labels.command()
@name_argument
@click.option("--parent", metavar="NAME", help="The label below which it stands.")
@json_option
@data_dir_option
def add(*, name: str, parent: str | None, as_json: bool, data_dir: Path | None) -> None:
    """Adds a label."""

    def change(session: Session, user: User) -> Changed:
        parent_id = None if parent is None else find_label(session, parent).id
        return add_label(session, user, name, parent_id)

    _make(data_dir, change, as_json=as_json)


@labels.command()
@name_argument
@click.argument("new_name", metavar="NEW")
@json_option
@data_dir_option
def rename(*, name: str, new_name: str, as_json: bool, data_dir: Path | None) -> None:
    """Renames a label: its photos show the new name at once."""
    _make(
        data_dir,
        lambda session, user: rename_label(session, user, find_label(session, name).id, new_name),
        as_json=as_json,
    )


@labels.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--into", required=True, metavar="NAME", help="The label that stays, and that the others stand for then.")
@yes_option
@json_option
@data_dir_option
def merge(*, names: tuple[str, ...], into: str, yes: bool, as_json: bool, data_dir: Path | None) -> None:
    """Merges labels into another one: their photos show that one. Says first what would come of it."""

    def ids_of(session: Session) -> tuple[list[int], int]:
        return [find_label(session, name).id for name in names], find_label(session, into).id

    _make(
        data_dir,
        lambda session, user: merge_labels(session, user, *ids_of(session)),
        plan=None if yes else lambda session: plan_merge(session, *ids_of(session)),
        as_json=as_json,
    )


@labels.command()
@name_argument
@yes_option
@json_option
@data_dir_option
def retire(*, name: str, yes: bool, as_json: bool, data_dir: Path | None) -> None:
    """Retires a label: it is no longer offered; photos that show it keep it. Says first how many."""
    _make(
        data_dir,
        lambda session, user: retire_label(session, user, find_label(session, name).id),
        plan=None if yes else lambda session: plan_retire(session, find_label(session, name).id),
        as_json=as_json,
    )


@labels.command()
@name_argument
@json_option
@data_dir_option
def restore(*, name: str, as_json: bool, data_dir: Path | None) -> None:
    """Offers a retired label again."""
    _make(
        data_dir,
        lambda session, user: restore_label(session, user, find_label(session, name).id),
        as_json=as_json,
    )


@labels.command()
@click.argument("change", metavar="[CHANGE]", type=int, required=False)
@json_option
@data_dir_option
def undo(*, change: int | None, as_json: bool, data_dir: Path | None) -> None:
    """Takes a change back: the one of this number, or the last one."""
    _make(data_dir, lambda session, user: undo_change(session, user, change or _last(session, user)), as_json=as_json)


def _make(
    data_dir: Path | None,
    change: Callable[[Session, User], Changed],
    *,
    plan: Callable[[Session], Change] | None = None,
    as_json: bool,
) -> None:
    """Makes a change; with a plan, says first what would come of it, and asks."""
    with opened_database(read_settings(data_dir).data) as database:
        if plan is not None and not _is_confirmed(database, plan):
            say("Nothing was changed.")
            return
        user = current_user(database)
        with database.transaction() as session:
            found = changed_shape(session, change(session, user))
    if as_json:
        print_json(found)
        return
    photos = f"; {found['photos']:,} photos show another label now" if found["photos"] else ""
    back = "" if found["kind"] == "undo" else f" `phototag labels undo {found['change']}` takes it back."
    click.echo(f"{found['what']}{photos}.{back}")


def _is_confirmed(database: Database, plan: Callable[[Session], Change]) -> bool:
    if not sys.stdin.isatty():
        msg = "Nobody can be asked here whether to do it. Say so with --yes."
        raise click.UsageError(msg)
    with database.reading() as session:
        for line in words_of(preview(session, plan(session))):
            say(line)
    return click.confirm("Do it?", err=True)


def _last(session: Session, user: User) -> int:
    last = next((change for change in list_changes(session, user, limit=200) if change.undoable), None)
    if last is None:
        raise NotFoundError("There is no change of labels to take back.")
    return last.change_id
