"""Which version tags on the first start, why, and what a person is told."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from db.labels import label_paths
from db.model_versions import activate, active_version, get_version, list_versions, register_version, version_label_ids
from db.schema import ModelVersion
from db.session import Database
from db.settings import DataSettings
from worker.artifact import PACKAGE_DIR, read_card
from worker.card import Card
from worker.first_version import FirstVersion, ensure_versions
from worker.settings import WorkerSettings


def ensure(database: Database, data_dir: Path, **settings: Any) -> FirstVersion:
    def quiet(_received: int, _total: int) -> None:
        pass

    return ensure_versions(database, WorkerSettings(**settings), DataSettings(data_dir=data_dir), quiet)


def active(database: Database) -> ModelVersion:
    with database.reading() as session:
        version = active_version(session)
    assert version is not None
    return version


def names(database: Database) -> set[str]:
    with database.reading() as session:
        return {version.name for version in list_versions(session)}


@pytest.fixture
def closed_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/weights.h5"


@pytest.fixture
def address_of_another_file() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(b"hello")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base has it
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/weights.h5"
        server.shutdown()
        thread.join()


def test_offline_the_starter_tags_and_says_why(database: Database, data_dir: Path) -> None:
    """PHOTOTAG_OFFLINE is named, and so is the way to 1,000 labels."""
    chosen = ensure(database, data_dir, offline=True)

    assert chosen.name == active(database).name == "starter"
    assert "PHOTOTAG_OFFLINE" in chosen.reason
    assert "phototag models fetch imagenet" in chosen.next_step


def test_without_an_answer_the_starter_tags(database: Database, data_dir: Path, closed_address: str) -> None:
    """A first start without a network works, at once."""
    chosen = ensure(database, data_dir, weights_url=closed_address)

    assert chosen.name == active(database).name == "starter"
    assert "cannot be fetched now" in chosen.reason


def test_a_fetch_that_fails_falls_back_to_the_starter(
    database: Database, data_dir: Path, address_of_another_file: str
) -> None:
    """The host answers but has another file: said, and the service starts all the same."""
    chosen = ensure(database, data_dir, weights_url=address_of_another_file)

    assert chosen.name == "starter"
    assert "has another file: 5 bytes" in chosen.reason


def test_the_tiny_setting_chooses_the_tiny_version(database: Database, data_dir: Path) -> None:
    """For tests and for trying things out; the starter is there as well."""
    chosen = ensure(database, data_dir, backbone="tiny")

    assert chosen.name == active(database).name == "tiny"
    assert names(database) == {"starter", "tiny"}


def test_labels_are_registered_in_the_order_of_the_outputs(database: Database, data_dir: Path) -> None:
    """Position n of the head is label n of the card, under its parents."""
    ensure(database, data_dir, backbone="tiny")

    with database.reading() as session:
        ids = version_label_ids(session, get_version(session, "tiny").id)
        paths = label_paths(session, ids)
    assert [list(paths[label_id]) for label_id in ids] == read_card(PACKAGE_DIR / "tiny").labels


def test_a_second_start_changes_nothing(database: Database, data_dir: Path) -> None:
    """Same rows, and the reason is that it is active."""
    ensure(database, data_dir, offline=True)
    before = active(database)

    chosen = ensure(database, data_dir, offline=True)

    assert chosen.reason == "it is the active version"
    assert active(database).id == before.id
    assert names(database) == {"starter"}


def a_trained_version(database: Database) -> ModelVersion:
    card = read_card(PACKAGE_DIR / "tiny").model_copy(update={"name": "mine"})
    with database.transaction() as session:
        version = register_version(session, "mine", "trained", "0" * 64, card.model_dump(mode="json"), [])
        previous = active_version(session)
        assert activate(session, version.id, previous.id if previous else None, "test")
    return version


def test_a_trained_version_stays_active(database: Database, data_dir: Path) -> None:
    """Whatever ships with the code, what a person activated is kept."""
    ensure(database, data_dir, offline=True)
    trained = a_trained_version(database)

    chosen = ensure(database, data_dir, backbone="tiny")

    assert chosen.name == "mine"
    assert active(database).id == trained.id
    assert names(database) == {"starter", "tiny", "mine"}


def outdated(database: Database) -> None:
    """An active starter with another card, as an earlier release registered it."""
    card = Card.model_validate(read_card(PACKAGE_DIR / "starter").model_dump(mode="json") | {"threshold": 0.999})
    with database.transaction() as session:
        old = register_version(session, "starter", "built-in", "package:starter", card.model_dump(mode="json"), [])
        assert activate(session, old.id, None, "test")


def test_a_built_in_version_of_an_earlier_release_is_replaced(database: Database, data_dir: Path) -> None:
    """Its files are gone with the update; predictions keep naming the old row, the new one gets its own."""
    outdated(database)

    chosen = ensure(database, data_dir, offline=True)

    assert "earlier phototag" in chosen.reason
    assert active(database).name == chosen.name != "starter"
    assert active(database).card == read_card(PACKAGE_DIR / "starter").model_dump(mode="json")
    assert ensure(database, data_dir, offline=True).name == chosen.name
    assert len(names(database)) == 2


def test_damaged_imagenet_weights_are_not_chosen(database: Database, data_dir: Path) -> None:
    """A file of the right name and the wrong length counts as missing."""
    (data_dir / "weights").mkdir()
    (data_dir / "weights" / "vgg16_weights_tf_dim_ordering_tf_kernels.h5").write_bytes(b"half")

    assert ensure(database, data_dir, offline=True).name == "starter"
    assert names(database) == {"starter"}


def program(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", name, *arguments],
        env=os.environ | environment,
        check=False,
        capture_output=True,
        text=True,
    )


def test_the_program_says_which_version_and_why(sqlite_database: Database, data_dir: Path) -> None:
    """In sentences, and as JSON; --data-dir wins over the environment."""
    arguments = ("worker.first_version", "--data-dir", str(data_dir))

    said = program(*arguments, PHOTOTAG_OFFLINE="1", PHOTOTAG_DATA_DIR="/nowhere")
    as_json = program(*arguments, "--json", PHOTOTAG_OFFLINE="1")

    assert said.returncode == 0, said.stderr
    assert "Model version: starter, because PHOTOTAG_OFFLINE is set" in said.stdout
    assert json.loads(as_json.stdout)["name"] == "starter"


def test_the_program_wants_migrated_tables(data_dir: Path) -> None:
    """One line and exit code 1, not a traceback."""
    ended = program("worker.first_version", "--data-dir", str(data_dir / "empty"))

    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: ")
    assert "Traceback" not in ended.stderr


def test_fetching_from_a_file_that_is_not_the_weights_is_one_line(data_dir: Path) -> None:
    """`phototag models fetch imagenet --from FILE` runs this program."""
    wrong = data_dir / "wrong.h5"
    wrong.write_bytes(b"x")

    ended = program("worker.fetch", "imagenet", "--from", str(wrong), "--data-dir", str(data_dir))

    assert ended.returncode == 1
    assert "it has 1 bytes where 553,467,096 were expected" in ended.stderr


def test_fetching_from_a_closed_port_is_one_line(data_dir: Path, closed_address: str) -> None:
    """The address of the setting is used, and the remedies are named."""
    ended = program("worker.fetch", "imagenet", "--data-dir", str(data_dir), PHOTOTAG_WEIGHTS_URL=closed_address)

    assert ended.returncode == 1
    assert "cannot be reached" in ended.stderr
    assert "--from FILE" in ended.stderr
