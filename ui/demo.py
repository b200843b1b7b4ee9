"""`make demo`: tags sample photos with the services that `phototag up` runs, trains on labels of one's own, shows it all."""

import importlib.util
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import click

from db.batch_view import ItemView, iter_items
from db.errors import DataDirectoryInUseError, NotFoundError, SettingsError
from db.names import photo_suffixes
from db.session import Database
from ui.cli import run_guarded
from ui.cli_setup import Settings, read_settings, say, stopping_cleanly
from ui.cli_tag import Run, show_summary, submit_all, summed_up
from ui.embedded import Services, make_data_dir
from ui.listing import examine
from ui.own_labels import show_own_labels
from ui.programs import PACKAGES_ROOT
from ui.progress import progress_view
from ui.serving import address_of, address_served, listening, login_link, only_server, serve, usual_address
from ui.settings import UiSettings
from ui.submit import Submission
from ui.waiting import wait_for

PHOTOS_SHOWN = 3
# Photos that come with packages we install anyway, for machines that have no others.
PACKAGED_PHOTOS = (("sklearn", "datasets/images"), ("gradio", "media_assets/images"), ("gradio", "test_data"))


def main() -> None:
    """Runs the demo: exit code 0 once photos are tagged, whatever some of them were refused for."""
    sys.exit(run_guarded(demo, debug=bool(os.environ.get("PHOTOTAG_DEBUG"))))


def demo() -> int:
    """Tags the sample photos, prints a summary, and serves the pages while a person watches."""
    settings, ui, photos = read_settings(None), UiSettings(), sample_photos()
    click.echo(f"Tagging {photos[0] if len(photos) == 1 else f'{len(photos)} photos of installed packages'}.")
    run = Run(settings, Submission(examine(photos)), out=None)
    with stopping_cleanly() as interruption, ExitStack() as stack:
        make_data_dir(settings.data.data_dir)
        server = _server_if_free(stack, settings, ui)
        address = address_of(server, ui) if server is not None else address_served(settings.data.data_dir)
        try:
            services = Services(settings.data, settings.worker, command="up", say=say, address=address)
            stack.enter_context(services)
            link = _tag_and_show(run, services, ui, address)
            show_own_labels(settings.data.data_dir, shared_folder())
            if server is not None and sys.stdout.isatty():
                click.echo(f"\nLook at them here (Ctrl-C stops everything):\n\n  {link}\n")
                stop = services.begin_to_stop
                serve(server, settings.data, settings.worker, ui, before_serving=interruption.check, on_stop=stop)
            click.echo(f"\n`phototag up` shows them at {usual_address(ui)} and prints a link that logs in.")
        except KeyboardInterrupt:
            say("Stopped. `phototag up` goes on.")
    return 0


def sample_photos() -> list[Path]:
    """A folder of photos beside the repository if there is one, else photos that come with installed packages.

    Raises:
        NotFoundError: there are neither.
    """
    library = shared_folder() / "photos" / "library"
    if library.is_dir():
        return [library]
    photos = [photo for package, folder in PACKAGED_PHOTOS for photo in _photos_of(package, folder)]
    if not photos:
        msg = "No sample photos were found. Tag your own: `phototag tag FOLDER`."
        raise NotFoundError(msg)
    return photos


def shared_folder() -> Path:
    """Where sample photos may lie: beside the repository, or where the environment says."""
    return Path(os.environ.get("PHOTOTAG_SHARED") or PACKAGES_ROOT.parent / "shared")


def _photos_of(package: str, folder: str) -> list[Path]:
    found = importlib.util.find_spec(package)
    places = found.submodule_search_locations if found is not None else None
    return [
        photo
        for place in places or ()
        for photo in sorted((Path(place) / folder).glob("*"))
        if photo.suffix.lower() in photo_suffixes
    ]


def _server_if_free(stack: ExitStack, settings: Settings, ui: UiSettings) -> socket.socket | None:
    """A socket for the pages, on another port if the usual one is taken; None where the pages are served already."""
    directory = settings.data.data_dir
    try:
        try:
            server = stack.enter_context(listening(ui, directory))
        except SettingsError:
            server = stack.enter_context(listening(ui.model_copy(update={"port": 0}), directory))
        stack.enter_context(only_server(directory, "up", address_of(server, ui)))
    except DataDirectoryInUseError:
        return None
    return server


def _tag_and_show(run: Run, services: Services, ui: UiSettings, address: str | None) -> str:
    """Tags, prints what came of it, and returns a link that logs in."""
    database = Database(run.settings.data.resolved_database_url)
    try:
        started_at = time.monotonic()
        with progress_view() as view:
            submit_all(run, database, view, lambda: services.redis_url)
            wait_for(database, run.batch_id or "", view, services.trouble)
        show_summary(summed_up(run, database, seconds=time.monotonic() - started_at), None, as_json=False)
        with database.reading() as session:
            for line in islice(_photo_lines(iter_items(session, run.batch_id or "")), PHOTOS_SHOWN):
                click.echo(line)
        return login_link(database, ui, address)
    finally:
        database.close()


def _photo_lines(items: Iterator[ItemView]) -> Iterator[str]:
    for item in items:
        if item.state == "tagged":
            yield f"  {item.path}: {', '.join(f'{label} {score:.2f}' for label, score in item.labels)}"


if __name__ == "__main__":
    main()
