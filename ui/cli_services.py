"""`phototag up`, `web`, `worker` and `migrate`: the services, together or one at a time."""

import os
from pathlib import Path

import click

from db.errors import BrokerUnavailableError
from db.migrate import current_revision, upgrade
from db.model_versions import active_version
from db.session import Database
from db.settings import DataSettings
from ui.cli_setup import (
    data_dir_option,
    json_option,
    opened_database,
    print_json,
    read_settings,
    say,
    stopping_cleanly,
)
from ui.embedded import Services, make_data_dir, redis_url_of
from ui.programs import program_environment, worker_program
from ui.serving import address_of, address_served, listening, login_link, only_server, serve
from ui.settings import UiSettings
from worker.queue import QUEUES, TRAINING, make_app, ping

host_option = click.option("--host", help="Address to serve the pages on.  [default: 127.0.0.1]")
port_option = click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to serve the pages on, 0 for a free one.  [default: 7860]"
)


@click.command()
@host_option
@port_option
@data_dir_option
def up(host: str | None, port: int | None, data_dir: Path | None) -> None:
    """Runs everything on this machine: broker, workers and the pages.

    Prints one address with a link that logs in. Ctrl-C stops all of it; what is not tagged yet goes on next time.
    """
    settings, ui = read_settings(data_dir), _ui_settings(host, port)
    directory = settings.data.data_dir
    with stopping_cleanly() as interruption, listening(ui, directory) as server:
        make_data_dir(directory)
        address = address_of(server, ui)
        try:
            with (
                only_server(directory, "up", address),
                Services(settings.data, settings.worker, command="up", say=say, address=address) as services,
            ):
                _greet(settings.data, ui, address)
                stop = services.begin_to_stop
                serve(server, settings.data, settings.worker, ui, before_serving=interruption.check, on_stop=stop)
        except KeyboardInterrupt:
            say("Stopped. What is not tagged yet goes on with the next `phototag up`.")


@click.command()
@host_option
@port_option
@click.option("--login-link", "link_only", is_flag=True, help="Print a link that logs in once, and end.")
@data_dir_option
def web(*, host: str | None, port: int | None, link_only: bool, data_dir: Path | None) -> None:
    """Runs only the pages, for a machine of its own; with --login-link prints a link for pages that run."""
    settings, ui = read_settings(data_dir), _ui_settings(host, port)
    directory = settings.data.data_dir
    if link_only:
        with opened_database(settings.data) as database:
            click.echo(login_link(database, ui, address_served(directory)))
        return
    redis_url = settings.worker.redis_url or redis_url_of(settings.data)
    if redis_url is None:
        msg = "There is no broker. Set PHOTOTAG_REDIS_URL, or run `phototag up`, which brings its own."
        raise BrokerUnavailableError(msg)
    with (
        stopping_cleanly() as interruption,
        listening(ui, directory) as server,
        opened_database(settings.data),
    ):
        make_data_dir(directory)
        ping(make_app(redis_url))
        address = address_of(server, ui)
        try:
            with only_server(directory, "web", address):
                say(f"The pages are at {address} ; `phototag web --login-link` prints a link that logs in.")
                serve(server, settings.data, settings.worker, ui, before_serving=interruption.check)
        except KeyboardInterrupt:
            say("Stopped.")


def _queues(_context: click.Context, _option: click.Parameter, value: str) -> str:
    names = [name.strip() for name in value.split(",")]
    if names != [TRAINING] and (unknown := [name for name in names if name not in QUEUES]):
        msg = f"expected some of {', '.join(QUEUES)}, separated by commas, or {TRAINING} alone. Received: {', '.join(unknown)!r}"
        raise click.BadParameter(msg)
    return ",".join(names)


@click.command()
@click.option("--queues", default=",".join(QUEUES), show_default=True, callback=_queues, help="What it works on.")
@data_dir_option
def worker(queues: str, data_dir: Path | None) -> None:
    """Runs only a worker, for a machine or a device of its own. Ctrl-C lets it finish what is at hand."""
    settings = read_settings(data_dir)
    with opened_database(settings.data):
        redis_url = settings.worker.redis_url or redis_url_of(settings.data)
    changes = {"PHOTOTAG_DATA_DIR": str(settings.data.data_dir)} | (
        {"PHOTOTAG_REDIS_URL": redis_url} if redis_url else {}
    )
    command = worker_program(queues)
    # This process becomes the worker: the command line itself never loads TensorFlow.
    os.execve(command[0], command, program_environment(**changes))


@click.command()
@json_option
@data_dir_option
def migrate(*, as_json: bool, data_dir: Path | None) -> None:
    """Brings the database's tables to this version. `up` and `tag` do so by themselves."""
    settings = read_settings(data_dir)
    if settings.data.database_url is None:
        make_data_dir(settings.data.data_dir)
    database = Database(settings.data.resolved_database_url)
    try:
        before = current_revision(database)
        upgrade(database)
        after = current_revision(database)
    finally:
        database.close()
    if as_json:
        print_json({"before": before, "after": after})
    elif before == after:
        click.echo(f"The tables are current (revision {after}).")
    else:
        click.echo(f"The tables are now at revision {after} (before: {before or 'none'}).")


def _ui_settings(host: str | None, port: int | None) -> UiSettings:
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return UiSettings(**given)  # pyright: ignore[reportArgumentType] - checked by pydantic


def _greet(data: DataSettings, ui: UiSettings, address: str) -> None:
    database = Database(data.resolved_database_url)
    try:
        with database.reading() as session:
            version = active_version(session)
        link = login_link(database, ui, address)
    finally:
        database.close()
    if version is not None:
        notice = version.card.get("notice")
        say(f"Model version: {version.name}.{f' {notice}' if notice else ''}")
    minutes = ui.login_link_valid_s // 60
    once = f"Open this link; it logs you in once, within {minutes} minutes:" if "?token=" in link else "Log in at:"
    click.echo(f"phototag is running. {once}")
    click.echo(f"\n  {link}\n")
    click.echo("Ctrl-C stops everything.")
