"""`phototag models`: list, show, activate and roll back model versions, re-tag with them, fetch ImageNet weights."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from db.labels import label_paths
from db.model_versions import active_version, get_version, list_versions, version_label_ids
from db.schema import ModelVersion
from db.training_views import run_of_version
from ui.cli_retag import activate, retag, rollback
from ui.cli_setup import data_dir_option, json_option, opened_database, print_json, read_settings
from ui.embedded import make_data_dir, run_shown
from ui.programs import program, program_environment
from ui.train_words import made_lines

LABELS_SHOWN = 20


@click.group()
def models() -> None:
    """List, show, activate and roll back model versions; re-tag; fetch ImageNet weights."""


models.add_command(activate)
models.add_command(rollback)
models.add_command(retag)


@models.command("list")
@json_option
@data_dir_option
def list_(*, as_json: bool, data_dir: Path | None) -> None:
    """Lists model versions, newest first; the one that tags is marked."""
    with opened_database(read_settings(data_dir).data) as database, database.reading() as session:
        active = active_version(session)
        rows = [
            _facts(version, active, len(version_label_ids(session, version.id))) for version in list_versions(session)
        ]
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo("No model versions yet: `phototag up` and `phototag tag` bring the first one.")
    for row in rows:
        click.echo(f"{'*' if row['active'] else ' '} {row['name']:<24} {row['labels']:>5} labels  {row['origin']}")


@models.command()
@click.argument("name")
@json_option
@data_dir_option
def show(*, name: str, as_json: bool, data_dir: Path | None) -> None:
    """Shows one model version: where it comes from, how good it is, and its labels."""
    with opened_database(read_settings(data_dir).data) as database, database.reading() as session:
        version = get_version(session, name)
        ids = version_label_ids(session, version.id)
        paths = label_paths(session, ids)
        labels = ["/".join(paths[label_id]) for label_id in ids]
        facts = _facts(version, active_version(session), len(ids))
        made_by = run_of_version(session, version.id)
    if as_json:
        run = asdict(made_by) if made_by is not None else None
        print_json(facts | {"label_paths": labels, "card": version.card, "run": run})
        return
    click.echo(f"{version.name}{' (active)' if facts['active'] else ''}, {version.origin}")
    for key in ("notice", "threshold", "temperature"):
        if version.card.get(key) not in (None, ""):
            click.echo(f"  {key:<12} {version.card[key]}")
    if made_by is None:
        for key, value in dict(version.card.get("metrics") or {}).items():
            click.echo(f"  {key:<12} {value}")
    more = f" and {len(labels) - LABELS_SHOWN:,} more (--json lists them)" if len(labels) > LABELS_SHOWN else ""
    click.echo(f"  {len(labels)} labels: {', '.join(labels[:LABELS_SHOWN])}{more}")
    for line in made_lines(made_by) if made_by is not None else ():
        click.echo(line)


@models.command()
@click.argument("what", metavar="imagenet", type=click.Choice(["imagenet"]))
@click.option(
    "--from",
    "from_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take the weights from this file instead of fetching them.",
)
@data_dir_option
def fetch(what: str, from_file: Path | None, data_dir: Path | None) -> None:
    """Fetches the ImageNet weights (553 MB; goes on where it was interrupted) and makes that version active."""
    settings = read_settings(data_dir)
    make_data_dir(settings.data.data_dir)
    source = ["--from", str(from_file.resolve())] if from_file is not None else []
    run_shown(
        program("worker.fetch", what, *source), program_environment(PHOTOTAG_DATA_DIR=str(settings.data.data_dir))
    )


def _facts(version: ModelVersion, active: ModelVersion | None, labels: int) -> dict[str, Any]:
    return {
        "name": version.name,
        "active": active is not None and active.id == version.id,
        "origin": version.origin,
        "labels": labels,
        "created_at": version.created_at,
        "notice": version.card.get("notice", ""),
    }
