"""Fetching weights: resumed, checked, and every failure explained. Against a real HTTP server on this machine."""

import hashlib
import re
import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from db.errors import DownloadError, StorageFullError
from worker import download
from worker.download import WeightsFile, adopt, answers_within, check_file, fetch, weights_path

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes
FILE = WeightsFile("small.h5", len(CONTENT), hashlib.md5(CONTENT).hexdigest())


@dataclass
class Behaviour:
    """What the server does; `ranges` is what it was asked for."""

    content: bytes = CONTENT
    status: int = 200
    cuts_after: list[int] = field(default_factory=list[int])  # bytes sent before each of the first answers is cut
    knows_range: bool = True
    ranges: list[str | None] = field(default_factory=list[str | None])


@contextmanager
def serving(behaviour: Behaviour) -> Generator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            behaviour.ranges.append(self.headers.get("Range"))
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            if behaviour.status != 200:
                self.send_error(behaviour.status)
                return
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(asked[1]) if asked and behaviour.knows_range else 0
            total = len(behaviour.content)
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(total - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            self.end_headers()
            if with_body:
                sent = behaviour.cuts_after.pop(0) if behaviour.cuts_after else total
                self.wfile.write(behaviour.content[start : start + sent])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base has it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/small.h5"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fetched(url: str, data_dir: Path, seen: list[int] | None = None) -> Path:
    return fetch(FILE, url, data_dir, lambda done, _: seen.append(done) if seen is not None else None, pause_s=0.0)


def quiet(_received: int, _total: int) -> None:
    """A progress that shows nothing."""


def part(data_dir: Path) -> Path:
    return data_dir / "weights" / "small.h5.part"


def test_a_whole_file_is_stored_and_its_progress_told(tmp_path: Path) -> None:
    """The plain case."""
    seen: list[int] = []

    with serving(Behaviour()) as url:
        path = fetched(url, tmp_path, seen)

    assert path == weights_path(tmp_path, FILE)
    assert path.read_bytes() == CONTENT
    assert seen[-1] == len(CONTENT)
    assert seen == sorted(seen)
    assert not part(tmp_path).exists()


def test_a_file_that_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    """A second command costs one check."""
    behaviour = Behaviour()
    with serving(behaviour) as url:
        fetched(url, tmp_path)
        fetched(url, tmp_path)

    assert len(behaviour.ranges) == 1


def test_a_damaged_file_is_fetched_again(tmp_path: Path) -> None:
    """A flipped byte in the stored file is noticed and repaired."""
    path = weights_path(tmp_path, FILE)
    path.parent.mkdir()
    path.write_bytes(b"\x01" + CONTENT[1:])

    with serving(Behaviour()) as url:
        fetched(url, tmp_path)

    assert path.read_bytes() == CONTENT


def test_a_cut_is_resumed_with_range_in_the_same_call(tmp_path: Path) -> None:
    """What arrived before the cut is not sent twice."""
    behaviour = Behaviour(cuts_after=[300_000])
    with serving(behaviour) as url:
        path = fetched(url, tmp_path)

    assert path.read_bytes() == CONTENT
    assert behaviour.ranges == [None, "bytes=300000-"]


def test_a_line_that_keeps_breaking_leaves_the_part_and_the_next_call_goes_on(tmp_path: Path) -> None:
    """The message says how much is there and that the same command resumes."""
    behaviour = Behaviour(cuts_after=[500_000, 0, 0, 0])
    with serving(behaviour) as url, pytest.raises(DownloadError, match="the same command goes on from there"):
        fetched(url, tmp_path)
    assert part(tmp_path).stat().st_size == 500_000

    later = Behaviour()
    with serving(later) as url:
        path = fetched(url, tmp_path)

    assert path.read_bytes() == CONTENT
    assert later.ranges == ["bytes=500000-"]


def test_a_server_that_ignores_range_sends_the_file_from_its_beginning(tmp_path: Path) -> None:
    """The bytes of a 200 answer are never appended to a part."""
    part(tmp_path).parent.mkdir()
    part(tmp_path).write_bytes(b"x" * 1000)

    with serving(Behaviour(knows_range=False)) as url:
        path = fetched(url, tmp_path)

    assert path.read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(tmp_path: Path) -> None:
    """Leftovers of another file do not block the fetch."""
    part(tmp_path).parent.mkdir()
    part(tmp_path).write_bytes(b"x" * (len(CONTENT) + 1))

    with serving(Behaviour()) as url:
        path = fetched(url, tmp_path)

    assert path.read_bytes() == CONTENT


def test_a_wrong_hash_deletes_the_file_and_says_so(tmp_path: Path) -> None:
    """Nothing of a file with the right length and the wrong content stays."""
    with serving(Behaviour(content=CONTENT[:-1] + b"?")) as url, pytest.raises(DownloadError, match=r"deleted .* MD5"):
        fetched(url, tmp_path)

    assert not part(tmp_path).exists()
    assert not weights_path(tmp_path, FILE).exists()


def test_another_file_is_refused_before_it_is_received(tmp_path: Path) -> None:
    """A login page of a hotel's network is not stored as weights."""
    with (
        serving(Behaviour(content=b"<html>log in</html>")) as url,
        pytest.raises(DownloadError, match=r"has another file: 19 bytes"),
    ):
        fetched(url, tmp_path)

    assert not part(tmp_path).exists()


def test_an_address_without_the_file_says_what_else_to_do(tmp_path: Path) -> None:
    """404: the status, a mirror, a copy by hand."""
    with serving(Behaviour(status=404)) as url, pytest.raises(DownloadError, match=r"answered 404 .*--from FILE"):
        fetched(url, tmp_path)


def test_an_unreachable_host_is_named_at_once(tmp_path: Path) -> None:
    """No retry loop in front of a closed port."""
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1 cannot be reached"):
        fetched(f"http://127.0.0.1:{_closed_port()}/small.h5", tmp_path)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/small.h5", "http://[bad/small.h5", "small.h5"])
def test_a_wrong_address_is_named(tmp_path: Path, url: str) -> None:
    """A typing error in the setting is not a traceback."""
    with pytest.raises(DownloadError, match="PHOTOTAG_WEIGHTS_URL"):
        fetched(url, tmp_path)


def test_two_fetches_at_once_do_not_write_the_same_part(tmp_path: Path) -> None:
    """The second one says that the first one runs."""
    with (
        serving(Behaviour()) as url,
        download._alone(weights_path(tmp_path, FILE)),
        pytest.raises(DownloadError, match="Another phototag"),
    ):
        fetched(url, tmp_path)

    with serving(Behaviour()) as url:
        assert fetched(url, tmp_path).exists()


def test_a_disk_without_room_is_noticed_before_the_first_byte(tmp_path: Path) -> None:
    """The message says how much is missing."""
    behaviour = Behaviour()
    huge = WeightsFile("huge.h5", 10**18, FILE.md5)

    with serving(behaviour) as url, pytest.raises(StorageFullError, match="GB free"):
        fetch(huge, url, tmp_path, quiet)

    assert behaviour.ranges == []


def test_a_full_disk_while_writing_is_explained() -> None:
    """/dev/full answers as a full disk does."""
    with pytest.raises(StorageFullError, match="The disk is full"), Path("/dev/full").open("wb", buffering=0) as out:
        download._write(out, b"x")  # type: ignore[arg-type]


def test_a_copied_file_is_taken_over_when_its_hash_is_right(tmp_path: Path) -> None:
    """The way for machines without a network."""
    source = tmp_path / "stick.h5"
    source.write_bytes(CONTENT)

    path = adopt(FILE, source, tmp_path / "data", quiet)

    assert path.read_bytes() == CONTENT
    assert source.exists()
    assert adopt(FILE, path, tmp_path / "data", quiet) == path


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT[:-1] + b"?", None])
def test_a_wrong_copy_is_refused_and_kept(tmp_path: Path, content: bytes | None) -> None:
    """Short, changed or missing: nothing is taken over, and the person's file is not touched."""
    source = tmp_path / "stick.h5"
    if content is not None:
        source.write_bytes(content)

    with pytest.raises(DownloadError, match=r"small\.h5"):
        adopt(FILE, source, tmp_path / "data", quiet)

    assert source.exists() == (content is not None)
    assert not weights_path(tmp_path / "data", FILE).exists()


def test_a_host_that_answers_is_told_from_one_that_does_not() -> None:
    """The first start asks before it fetches; a server that accepts and stays silent counts as no answer."""
    with serving(Behaviour()) as url:
        assert answers_within(url, 5.0) is None
    with serving(Behaviour(status=403)) as url:
        assert answers_within(url, 5.0) == "it answered 403"
    assert answers_within(f"http://127.0.0.1:{_closed_port()}/", 5.0) is not None
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert answers_within(f"http://127.0.0.1:{silent.getsockname()[1]}/", 0.2) is not None


def test_the_published_file_is_the_one_that_keras_pins() -> None:
    """Address and hash are those in the source of the installed Keras, read without importing it."""
    from importlib.util import find_spec

    spec = find_spec("keras")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    source = (Path(spec.submodule_search_locations[0]) / "src/applications/vgg16.py").read_text()

    assert download.IMAGENET.md5 in source
    assert download.IMAGENET.name in source


def test_a_check_names_length_before_hash(tmp_path: Path) -> None:
    """A short file is called short, without reading it."""
    short = tmp_path / "short"
    short.write_bytes(b"abc")

    assert check_file(short, FILE) == "it has 3 bytes where 1,024,000 were expected"


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
