"""The embedded services: who runs them, who takes over, and how they end."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from tests.integration.command_line import (
    PATIENCE_S,
    children_of,
    environment,
    is_alive,
    phototag,
    query,
    results,
    running,
    services_of,
)
from tests.integration.processes import ROOT, wait_until
from tests.samples import photo_folder
from ui.broker import EmbeddedBroker
from worker.queue import make_app, ping

LINK = r"(http://127\.0\.0\.1:\d+/login\?token=\S+)"


def workers_of(pid: int) -> dict[str, int]:
    """The worker processes of a command, by queue."""
    return {args.split()[-1]: child for child, args in children_of(pid).items() if " -m worker " in args}


def wait_for_workers(pid: int) -> dict[str, int]:
    """Both workers, once they run."""
    wait_until(lambda: len(workers_of(pid)) == 2, PATIENCE_S, "two workers")
    return workers_of(pid)


def wait_for_count(data_dir: Path, sql: str, count: int) -> None:
    """Returns when the query's only number is at least `count`."""
    wait_until(lambda: (query(data_dir, sql) or [0])[0] >= count, PATIENCE_S, sql)


def wait_for_end_of(pids: list[int]) -> None:
    """Returns when none of the processes runs any more."""
    wait_until(lambda: not any(map(is_alive, pids)), 30, f"the end of {pids}")


TAGGED = "SELECT count(*) FROM items WHERE state = 'tagged'"
ALIVE = "SELECT count(*) FROM workers WHERE heartbeat_at > (julianday('now') - 2440587.5) * 86400.0 - 15"


def test_up_serves_the_pages_takes_a_batch_of_another_command_and_ends_within_ten_seconds(tmp_path: Path) -> None:
    """The whole of one machine: one address, one login, one Ctrl-C."""
    data_dir, folder = tmp_path / "data", tmp_path / "photos"
    photo_folder(folder, 5)
    with running("up", "--port", 0, "--data-dir", data_dir) as up:
        link = up.wait_for(LINK)
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        with opener.open(link, timeout=PATIENCE_S) as page:
            assert (page.status, page.url) == (200, link.partition("login")[0] + "app/")
        children = list(children_of(up.process.pid))
        assert sorted(args.partition(" -m ")[2] for args in children_of(up.process.pid).values() if " -m " in args) == [
            *("training", "worker --queues intake", "worker --queues tagging"),
        ]

        tagged = phototag("tag", folder, "--data-dir", data_dir, "--json")

        assert json.loads(tagged.stdout)["tagged"] == 5, tagged.stderr
        assert list(children_of(up.process.pid)) == children, "the second command started services of its own"

        for port in (0, int(link.split(":")[2].split("/")[0])):
            second = phototag("up", "--port", port, "--data-dir", data_dir)

            assert second.returncode == 1
            assert "already serves" in second.stderr
            assert link.partition("login")[0] in second.stderr

        new_link = phototag("web", "--login-link", "--data-dir", data_dir).stdout.strip()

        assert new_link.startswith(link.partition("login")[0] + "login?token=")

        up.process.send_signal(signal.SIGINT)
        asked_at = time.monotonic()
        code = up.end()

        assert (code, time.monotonic() - asked_at < 10) == (0, True), up.output
        wait_for_end_of(children)
        assert services_of(data_dir) == {}
        assert not (data_dir / "redis.sock").exists()


@pytest.mark.faults
def test_a_killed_worker_is_started_again_and_its_photos_are_tagged(tmp_path: Path) -> None:
    """By the kernel's memory killer, for example."""
    data_dir, folder = tmp_path / "data", tmp_path / "photos"
    photo_folder(folder, 400)
    with running(
        "tag", folder, "--data-dir", data_dir, "--out", tmp_path / "r.jsonl",
        PHOTOTAG_LEASE_S="10", PHOTOTAG_CHUNK_LIMIT_S="9",
    ) as tag:  # fmt: skip
        wait_for_count(data_dir, TAGGED, 1)
        killed = wait_for_workers(tag.process.pid)["tagging"]
        os.kill(killed, signal.SIGKILL)

        wait_until(lambda: workers_of(tag.process.pid).get("tagging", killed) != killed, 60, "another worker")

        assert tag.end() == 0, tag.output
    assert len(results(tmp_path / "r.jsonl")) == 400
    assert query(data_dir, "SELECT count(*) FROM predictions WHERE rank = 1") == [400]


@pytest.mark.faults
def test_another_command_uses_the_services_and_takes_over_when_the_first_is_killed(tmp_path: Path) -> None:
    """kill -9 leaves no broker and no worker behind, and the second command ends as if nothing had been."""
    data_dir, one, two = tmp_path / "data", tmp_path / "one", tmp_path / "two"
    photo_folder(one, 900)
    photo_folder(two, 40)
    with running("tag", one, "--data-dir", data_dir) as first:
        wait_for_count(data_dir, TAGGED, 1)
        children = list(children_of(first.process.pid))
        with running("tag", two, one, "--data-dir", data_dir, "--out", tmp_path / "r.jsonl") as second:
            wait_for_count(data_dir, "SELECT count(*) FROM batches", 2)
            assert workers_of(second.process.pid) == {}
            assert services_of(data_dir)["pid"] == first.process.pid

            first.process.kill()
            wait_for_workers(second.process.pid)

            assert services_of(data_dir)["pid"] == second.process.pid
            wait_for_end_of(children)
            assert second.end() == 0, second.output
            assert "this one runs them now" in second.output
    assert len(results(tmp_path / "r.jsonl")) == 940
    assert query(data_dir, "SELECT count(*) FROM predictions WHERE rank = 1") == [900]


@pytest.mark.faults
def test_nothing_runs_on_when_the_only_command_is_killed(tmp_path: Path) -> None:
    """kill -9, and nobody takes over: broker and workers end by themselves."""
    photo_folder(tmp_path / "photos", 300)
    with running("tag", tmp_path / "photos", "--data-dir", tmp_path / "data") as tag:
        wait_for_workers(tag.process.pid)
        children = list(children_of(tag.process.pid))
        assert len(children) >= 3

        tag.process.kill()

        wait_for_end_of(children)


@pytest.mark.slow
def test_two_commands_for_the_same_folder_submit_it_once(tmp_path: Path) -> None:
    """A second terminal, or a script started twice."""
    data_dir, folder = tmp_path / "data", tmp_path / "photos"
    photo_folder(folder, 600)
    with (
        running("tag", folder, "--data-dir", data_dir) as first,
        running("tag", folder, "--data-dir", data_dir) as second,
    ):
        assert (first.end(), second.end()) == (0, 0), first.output + second.output

    assert query(data_dir, "SELECT count(*) FROM items WHERE batch_id = (SELECT min(id) FROM batches)") == [600]
    assert query(data_dir, "SELECT count(*) FROM predictions WHERE rank = 1") == [600]


def test_a_broker_of_ones_own_is_used_and_none_is_started(tmp_path: Path, valkey_url: str) -> None:
    """PHOTOTAG_REDIS_URL: workers start here only if none lives elsewhere."""
    data_dir, folder = tmp_path / "data", tmp_path / "photos"
    photo_folder(folder, 5)

    with running("tag", folder, "--data-dir", data_dir, PHOTOTAG_REDIS_URL=valkey_url) as tag:
        wait_for_workers(tag.process.pid)
        assert not [args for args in children_of(tag.process.pid).values() if "valkey" in args]
        assert tag.end() == 0, tag.output

    assert not (data_dir / "redis.sock").exists()


@pytest.mark.slow
def test_workers_that_live_elsewhere_are_used(tmp_path: Path, valkey_url: str) -> None:
    """`phototag worker` on another machine is enough; `tag` brings none of its own."""
    data_dir, folder = tmp_path / "data", tmp_path / "photos"
    photo_folder(folder, 5)
    assert phototag("migrate", "--data-dir", data_dir).returncode == 0
    first_version(data_dir)

    with running("worker", "--data-dir", data_dir, PHOTOTAG_REDIS_URL=valkey_url):
        wait_for_count(data_dir, ALIVE, 1)
        with running("tag", folder, "--data-dir", data_dir, PHOTOTAG_REDIS_URL=valkey_url) as tag:
            seen: set[int] = set()
            while tag.process.poll() is None:
                seen |= set(workers_of(tag.process.pid).values())
                time.sleep(0.05)

            assert tag.end() == 0, tag.output
            assert seen == set()


def first_version(data_dir: Path) -> None:
    """Makes a version active, as the first `up` does."""
    subprocess.run(
        [sys.executable, "-m", "worker.first_version", "--data-dir", data_dir], cwd=ROOT, env=environment(), check=True
    )


def test_a_broker_that_does_not_answer_is_one_clear_line(tmp_path: Path) -> None:
    """Nothing is left running."""
    result = phototag("up", "--port", 0, "--data-dir", tmp_path / "data", PHOTOTAG_REDIS_URL="redis://127.0.0.1:1/0")

    assert result.returncode == 1
    assert one_line(result.stderr).startswith("Error: The broker")
    assert "PHOTOTAG_REDIS_URL" in result.stderr


def test_a_port_that_is_taken_is_one_clear_line_before_anything_is_started(tmp_path: Path) -> None:
    """No data directory is made for it either."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = phototag("up", "--port", taken.getsockname()[1], "--data-dir", tmp_path / "data")

    assert result.returncode == 1
    assert "--port" in one_line(result.stderr)
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_a_database_of_a_newer_phototag_is_left_alone(tmp_path: Path) -> None:
    """Every command says so; none touches it."""
    data_dir = tmp_path / "data"
    assert phototag("migrate", "--data-dir", data_dir).returncode == 0
    with closing(sqlite3.connect(data_dir / "phototag.sqlite3")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    for arguments in (["up", "--port", 0], ["migrate"], ["batches", "list"], ["worker"]):
        result = phototag(*arguments, "--data-dir", data_dir)

        assert result.returncode == 1
        assert "newer phototag" in one_line(result.stderr)


def test_the_embedded_broker_is_on_no_port_and_for_its_owner_only(tmp_path: Path) -> None:
    """A socket in the data directory, mode 0700; and one in a private folder where the path is too long."""
    deep = tmp_path / ("a" * 100)
    deep.mkdir()
    for folder in (tmp_path, deep):
        broker = EmbeddedBroker(folder)
        broker.start()
        try:
            ping(make_app(broker.url))
            path = Path(broker.url.removeprefix("unix://"))
            assert len(os.fsencode(path)) <= 100
            assert path.stat().st_mode & 0o077 == 0
        finally:
            broker.stop()
        assert not path.exists()


def test_a_broker_left_behind_is_replaced(tmp_path: Path) -> None:
    """Its owner was killed; whoever holds the data directory's lock may end it."""
    left, new = EmbeddedBroker(tmp_path), EmbeddedBroker(tmp_path)
    left.start()
    try:
        new.start()

        assert not left.is_running()
        assert new.is_running()
    finally:
        new.stop()
        left.stop()


def one_line(text: str) -> str:
    """The text, which is a single line."""
    (line,) = text.strip().splitlines()
    return line


pytestmark = pytest.mark.timeout(300)
