"""`phototag models activate|rollback|retag`: which version tags, and what photos show of what it says."""

import sys
from pathlib import Path
from typing import Any

import click

from db.activations import activate_version, roll_back
from db.audit import COMMAND_LINE, record_audit
from db.batch_view import BatchProgress
from db.errors import ConflictError, NotFoundError
from db.labels import name_key
from db.model_versions import active_version, get_version
from db.retag_preview import Flip, Preview, preview
from db.retag_showing import Pair, apply_some, restore_some
from db.retags import start_retag
from db.schema import ModelVersion
from db.session import Database
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
from ui.embedded import Services
from ui.progress import progress_view
from ui.waiting import wait_for

ALL, NONE, ARROW = "all", "none", "->"
FLIPS_SHOWN = 20
# Between two looks at whether Ctrl-C was pressed.
STEP_S = 2.0


@click.command()
@click.argument("name")
@json_option
@data_dir_option
def activate(*, name: str, as_json: bool, data_dir: Path | None) -> None:
    """Lets a version tag from now on. Photos go on showing what they show: `phototag models retag` comes next."""
    with opened_database(read_settings(data_dir).data) as database, database.transaction() as session:
        version, before = get_version(session, name), active_version(session)
        changed = before is None or before.id != version.id
        if changed:
            seen_id = before.id if before else None
            activate_version(session, version.id, expected_id=seen_id, user=None, reason="by the command line")
    if as_json:
        print_json({"active": version.name, "before": before.name if before else None})
    elif changed:
        click.echo(f"{version.name} tags from now on. `phototag models retag` lets it tag the photos that are there.")
    else:
        click.echo(f"{version.name} is the active version already.")


@click.command()
@json_option
@data_dir_option
def rollback(*, as_json: bool, data_dir: Path | None) -> int:
    """Makes the version active that was so before, and lets photos show again what they showed then."""
    with opened_database(read_settings(data_dir).data) as database, stopping_cleanly() as interruption:
        with database.transaction() as session:
            left = roll_back(session, None)
            name = session.get_one(ModelVersion, left.version_id).name
        try:
            restored = _restore(database, interruption)
        except KeyboardInterrupt:
            say(f"{name} is active again. The services go on to show what photos showed before.")
            return EXIT_INTERRUPTED
    if as_json:
        print_json({"active": name, "restored": restored})
    else:
        click.echo(f"{name} is active again; {restored:,} photos show what they showed before.")
    return 0


@click.command()
@click.option(
    "--apply",
    "wanted",
    metavar="all|none|'A->B'",
    help="What photos show from now on: all that the version says, nothing of it, or only photos of A that it calls B.",
)
@click.option("--no-wait", is_flag=True, help="Start it, print the batch's id and return.")
@json_option
@data_dir_option
def retag(*, wanted: str | None, no_wait: bool, as_json: bool, data_dir: Path | None) -> int:
    """Lets the active version tag all photos that are there, from features, and shows which labels would flip.

    What photos show changes when it is applied; labels that people gave stay. Interrupted, the same command goes on.
    """
    if wanted not in (None, ALL, NONE) and ARROW not in wanted:
        msg = f"--apply takes all, none or 'A->B' with the names of two labels. Received: {wanted!r}"
        raise click.UsageError(msg)
    settings = read_settings(data_dir)
    with stopping_cleanly() as interruption, opened_database(settings.data) as database:
        batch_id = _start(database)
        if no_wait:
            _say_started(batch_id, as_json=as_json)
            return 0
        try:
            progress = _follow(settings, database, batch_id, interruption) if batch_id else None
            with database.reading() as session:
                found = preview(session)
            if not as_json:
                _show(found)
            applied = _apply(database, found, _pairs(found, _asked(found, wanted, as_json=as_json)), interruption)
        except KeyboardInterrupt:
            say("Stopped. The same command goes on where it was.")
            return EXIT_INTERRUPTED
    if as_json:
        print_json(_facts(found, batch_id, progress, applied))
    elif applied is not None:
        click.echo(f"{applied:,} photos show what {found.version} says.")
    return EXIT_SOME_NOT_TAGGED if progress is not None and progress.failed else 0


def _start(database: Database) -> str | None:
    """The batch; None when the version has tagged all there are."""
    user = current_user(database)
    try:
        with database.transaction() as session:
            return start_retag(session, user).id
    except ConflictError:
        with database.reading() as session:
            if active_version(session) is None:
                raise
        return None


def _say_started(batch_id: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json({"batch": batch_id})
    else:
        click.echo(batch_id or "The active version has tagged all photos there are.")


def _follow(settings: Settings, database: Database, batch_id: str, interruption: Interruption) -> BatchProgress:
    services = Services(settings.data, settings.worker, command="models retag", say=say, share_workers=True)

    def trouble() -> str | None:
        interruption.check()
        return services.trouble()

    with services, progress_view() as view:
        return wait_for(database, batch_id, view, trouble)


def _asked(found: Preview, wanted: str | None, *, as_json: bool) -> str:
    """What to apply; a person at a terminal who did not say is asked."""
    if wanted is not None or not (found.flips or found.same):
        return wanted or NONE
    if not as_json and sys.stdin.isatty():
        return ALL if click.confirm("Let photos show all of this?") else NONE
    say("Nothing is changed yet: `phototag models retag --apply all` shows it, or --apply 'A->B' for one line of it.")
    return NONE


def _pairs(found: Preview, wanted: str) -> list[Pair | None]:
    """Which pairs of labels are applied; [None]: all."""
    if wanted in (ALL, NONE):
        return [None] if wanted == ALL else []
    before, _, after = wanted.partition(ARROW)
    keys = name_key(before.strip()), name_key(after.strip())
    pairs: list[Pair | None] = [
        (flip.from_label_id, flip.to_label_id)
        for flip in found.flips
        if (name_key(flip.from_name), name_key(flip.to_name)) == keys
    ]
    if not pairs:
        msg = f"No photo would flip so; `phototag models retag --apply none` lists what would. Received: {wanted!r}"
        raise NotFoundError(msg)
    return pairs


def _apply(database: Database, found: Preview, pairs: list[Pair | None], interruption: Interruption) -> int | None:
    """How many photos were changed; None: nothing was to be applied."""
    if not pairs or found.version_id is None:
        return None
    done = 0
    for pair in pairs:
        while True:
            interruption.check()
            some = apply_some(database, found.version_id, pair=pair, limit_s=STEP_S)
            done += some.done
            if not some.left:
                break
    with database.transaction() as session:
        details = {"photos": done, "pair": pairs[0]} | COMMAND_LINE
        record_audit(session, None, "models.apply", found.version or "", details)
    return done


def _restore(database: Database, interruption: Interruption) -> int:
    done = 0
    while True:
        interruption.check()
        some = restore_some(database, limit_s=STEP_S)
        done += some.done
        if not some.left:
            return done


def _show(found: Preview) -> None:
    for flip in found.flips[:FLIPS_SHOWN]:
        click.echo(f"{flip.photos:>9,} {flip.from_name} {ARROW} {flip.to_name}")
    if len(found.flips) > FLIPS_SHOWN:
        rest = found.flips[FLIPS_SHOWN:]
        click.echo(f"{sum(flip.photos for flip in rest):>9,} in {len(rest):,} more pairs (--json lists them)")
    click.echo(f"{found.same:>9,} keep their label")


def _facts(found: Preview, batch_id: str | None, progress: BatchProgress | None, applied: int | None) -> dict[str, Any]:
    return {
        "version": found.version,
        "batch": batch_id,
        "tagged": progress.tagged if progress else 0,
        "failed": progress.failed if progress else 0,
        "flips": [_flip(flip) for flip in found.flips],
        "same": found.same,
        "applied": applied or 0,
    }


def _flip(flip: Flip) -> dict[str, Any]:
    return {"from": flip.from_name, "to": flip.to_name, "photos": flip.photos, "samples": flip.samples}
