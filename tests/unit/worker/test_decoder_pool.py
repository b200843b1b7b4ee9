"""The decoder pool: what a hostile photo does to its process never reaches the worker or its neighbours."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from db.errors import Refusal
from tests.hostile_photos import PHOTOS, HostilePhoto, many_scans, png
from tests.samples import EXPOSURE_TIME, GPS, LENS_MODEL, MODEL, jpeg, numbered_photo
from worker.decoder_pool import DecoderPool
from worker.decoder_process import DecoderPoolError, Source
from worker.decoding import Decoded, decode
from worker.limits import Limits

LIMITS = Limits(max_photo_bytes=32 * 1024**2)
# Lets `slow_photo` through, which takes seconds.
PATIENT = Limits(max_jpeg_scans=10_000)
WAIT_S = 60


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    """Two processes for all tests of this file that do not end them."""
    with DecoderPool(LIMITS, 2) as pool:
        yield pool


def code_of(future: Future[Decoded]) -> str:
    with pytest.raises(Refusal) as refusal:
        future.result(WAIT_S)
    return refusal.value.code


def slow_photo(scans: int = 150) -> bytes:
    """A photo that takes a decoder seconds."""
    return many_scans(scans)


def large_photo() -> bytes:
    """A picture near the pixel limit: 190 MB in memory, a second in the decoder."""
    return png(8000, 7900, bytes(7900 * 24_001), colour_type=2)


def is_decoding(pid: int) -> bool:
    """Whether it has begun with a photo: then it has a limit of CPU time."""
    try:
        limits = Path(f"/proc/{pid}/limits").read_text()
    except FileNotFoundError:
        return False
    return limits.split("Max cpu time", 1)[1].split()[0] != "unlimited"


def wait_for_decoding(pool: DecoderPool) -> int:
    """Waits until a process of a new pool works on its first photo; returns its id."""
    deadline = time.monotonic() + WAIT_S
    while not (busy := [pid for pid in pool.pids() if is_decoding(pid)]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return busy[0]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_photos_are_decoded_as_in_this_process(pool: DecoderPool) -> None:
    """The pool adds nothing and loses nothing: pixels, facts and previews."""
    place = {1: "N", 2: (43.0, 28.0, 2.8), 3: "E", 4: (11.0, 53.0, 6.4)}
    said = {0x9003: "2021:05:04 12:30:00", MODEL: "a camera", LENS_MODEL: "a lens", EXPOSURE_TIME: 0.01, GPS: place}
    data = jpeg(exif=said)

    ours, theirs = decode(data, LIMITS), pool.submit(data).result(WAIT_S)

    assert np.array_equal(ours.pixels, theirs.pixels)
    assert ours.facts == theirs.facts
    assert None not in asdict(replace(theirs.facts, notes="")).values()
    assert ours.previews == theirs.previews


def test_files_are_read_by_the_process(pool: DecoderPool, tmp_path: Path) -> None:
    """A path, with the hash it had when it was submitted."""
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg())

    decoded = pool.submit(path, sha256(path.read_bytes()).hexdigest()).result(WAIT_S)

    assert (decoded.facts.width, decoded.facts.height) == (640, 480)


def test_files_that_went_or_changed_are_told_apart(pool: DecoderPool, tmp_path: Path) -> None:
    """Moved, overwritten, replaced by a pipe or a folder, grown over the limit: each by its own code, without a hang."""
    path, pipe, large = tmp_path / "a.jpg", tmp_path / "pipe.jpg", tmp_path / "large.jpg"
    path.write_bytes(jpeg())
    os.mkfifo(pipe)
    large.write_bytes(jpeg() + bytes(LIMITS.max_photo_bytes))

    assert code_of(pool.submit(tmp_path / "gone.jpg")) == "SOURCE_GONE"
    assert code_of(pool.submit(path / "inside.jpg")) == "SOURCE_GONE"
    assert code_of(pool.submit(path, "0" * 64)) == "SOURCE_CHANGED"
    assert code_of(pool.submit(pipe)) == "SOURCE_CHANGED"
    assert code_of(pool.submit(tmp_path)) == "SOURCE_CHANGED"
    assert code_of(pool.submit(large)) == "TOO_BIG"


def test_many_photos_come_back_in_order(pool: DecoderPool) -> None:
    """With their keys; a bad one takes its place as a refusal."""
    sources = [(n, Source(b"text" if n == 7 else numbered_photo(n))) for n in range(40)]

    results = list(pool.decode_all(iter(sources)))

    assert [key for key, _ in results] == list(range(40))
    assert [key for key, result in results if isinstance(result, Refusal)] == [7]


@pytest.mark.parametrize("photo", PHOTOS, ids=str)
def test_hostile_photos(pool: DecoderPool, photo: HostilePhoto) -> None:
    """Each is refused with its code, or tagged with its note, in seconds; and the same processes go on."""
    pids, began = set(pool.pids()), time.monotonic()

    future = pool.submit(photo.make())

    if photo.code is None:
        notes = future.result(WAIT_S).facts.notes or ""
        assert (photo.note or "") in notes
    else:
        assert code_of(future) == photo.code
    assert time.monotonic() - began < 20
    assert pids <= set(pool.pids())


def test_a_killed_process_costs_no_photo() -> None:
    """A process killed from outside is replaced, and its photo is decoded by the next."""
    with DecoderPool(PATIENT, 1) as pool:
        slow, neighbour = pool.submit(slow_photo()), pool.submit(jpeg())
        os.kill(wait_for_decoding(pool), signal.SIGKILL)

        assert slow.result(WAIT_S).facts.width == 4000
        assert neighbour.result(WAIT_S).facts.width == 640


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGSEGV, "UNREADABLE"), (signal.SIGABRT, "UNREADABLE"), (signal.SIGKILL, "DECODER_LIMIT")],
)
def test_a_photo_that_ends_two_processes_is_refused(number: signal.Signals, code: str) -> None:
    """By a crash: unreadable. By the kernel when memory is short: a limit. The next photo is decoded."""
    with DecoderPool(PATIENT, 1) as pool:
        killer, neighbour = pool.submit(slow_photo()), pool.submit(jpeg())
        first = wait_for_decoding(pool)
        os.kill(first, number)
        while (second := wait_for_decoding(pool)) == first:
            time.sleep(0.01)
        os.kill(second, number)

        assert code_of(killer) == code
        assert neighbour.result(WAIT_S).facts.width == 640


def test_a_photo_that_hangs_is_refused() -> None:
    """A stopped process answers nothing: the wall clock ends it, and the neighbours do not wait for it."""
    with DecoderPool(Limits(max_jpeg_scans=10_000, decoder_wall_s=4), 2) as pool:
        hanging = pool.submit(slow_photo())
        first = wait_for_decoding(pool)
        os.kill(first, signal.SIGSTOP)
        neighbours = [pool.submit(numbered_photo(n)) for n in range(5)]

        assert all(neighbour.result(WAIT_S) for neighbour in neighbours)
        assert not hanging.done()
        stopped = {first, *pool.pids()}  # one hangs, the other has worked for the neighbours
        while not hanging.done():
            for pid in {pid for pid in pool.pids() if is_decoding(pid)} - stopped:
                os.kill(pid, signal.SIGSTOP)
                stopped.add(pid)
            time.sleep(0.01)
        assert code_of(hanging) == "DECODER_LIMIT"
        assert pool.submit(jpeg()).result(WAIT_S).facts.width == 640


def test_a_photo_that_burns_time_is_refused() -> None:
    """5,000 scans, were they not counted: the process is ended by its limit of CPU time."""
    with DecoderPool(Limits(max_jpeg_scans=10_000, decoder_cpu_s=2), 1) as pool:
        with pytest.raises(Refusal, match=r"DECODER_LIMIT.* 2 s of CPU time"):
            pool.submit(many_scans()).result(WAIT_S)
        assert pool.submit(jpeg()).result(WAIT_S).facts.width == 640


def test_cpu_time_is_counted_for_each_photo_alone() -> None:
    """A process that has worked for longer than the limit goes on: photos are not charged for earlier ones."""
    with DecoderPool(Limits(decoder_cpu_s=2), 1) as pool:
        pool.submit(jpeg()).result(WAIT_S)
        pids = pool.pids()
        photo = large_photo()
        for _ in range(10):
            pool.submit(photo).result(WAIT_S)
            pids += pool.pids()

        assert len(set(pids)) == 1


def test_a_photo_that_fills_memory_is_refused() -> None:
    """190 MB of pixels in a process that may have 350 MB, of which the decoders themselves take 210."""
    with DecoderPool(Limits(decoder_memory_bytes=350 * 1024**2), 1) as pool:
        assert code_of(pool.submit(large_photo())) == "DECODER_LIMIT"
        assert pool.submit(jpeg()).result(WAIT_S).facts.width == 640


def test_processes_know_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the environment nor the open files of the worker reach them, nor its folder."""
    monkeypatch.setenv("PHOTOTAG_DATABASE_URL", "postgresql://user:secret@host/name")
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    with DecoderPool(LIMITS, 1) as pool:
        pool.submit(jpeg()).result(WAIT_S)
        process = Path(f"/proc/{pool.pids()[0]}")

        assert b"PHOTOTAG" not in (process / "environ").read_bytes()
        opened = {str(link.readlink()) for link in (process / "fd").iterdir()}
        assert {name for name in opened if not name.startswith("socket:")} == {"/dev/null"}
        assert str((process / "cwd").readlink()) == "/"
        limits = (process / "limits").read_text()
        assert f"Max address space         {LIMITS.decoder_memory_bytes}" in limits
        assert "Max file size             0 " in limits
    os.close(reading)
    os.close(writing)


def test_processes_end_with_their_worker() -> None:
    """Also when it is killed, and also in the middle of a photo."""
    program = (
        "import time\n"
        "from tests.hostile_photos import many_scans\n"
        "from worker.decoder_pool import DecoderPool\n"
        "from worker.limits import Limits\n"
        "pool = DecoderPool(Limits(max_jpeg_scans=10_000), 2)\n"
        "photo = many_scans(3000)\n"
        "for _ in range(2): pool.submit(photo)\n"
        "while len(pool.pids()) < 2: time.sleep(0.01)\n"
        "print(*pool.pids(), flush=True)\n"
        "time.sleep(60)\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    pids = [int(pid) for pid in worker.stdout.readline().split()]
    assert len(pids) == 2
    while not all(is_decoding(pid) for pid in pids):
        time.sleep(0.01)

    worker.kill()
    worker.wait()
    worker.stdout.close()

    deadline = time.monotonic() + 5
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_processes_import_little() -> None:
    """No TensorFlow, no database: they start in a fraction of a second and hold no way out."""
    program = "import sys, worker.decoder_program; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert "worker.decoding" in modules
    for unwanted in ("tensorflow", "keras", "sqlalchemy", "celery", "redis", "pydantic", "psycopg"):
        assert unwanted not in modules


def test_closing_ends_everything() -> None:
    """Photos that were not decoded are no verdicts; later ones are declined."""
    pool = DecoderPool(PATIENT, 1)
    pool.submit(jpeg()).result(WAIT_S)
    futures = [pool.submit(slow_photo(1000)) for _ in range(3)]
    while not futures[0].running():
        time.sleep(0.01)
    pids = pool.pids()

    began = time.monotonic()
    pool.close()
    pool.close()

    assert time.monotonic() - began < 2
    assert not any(is_alive(pid) for pid in pids)
    for future in [*futures, pool.submit(jpeg())]:
        with pytest.raises(DecoderPoolError, match="closed"):
            future.result(WAIT_S)


def test_a_process_that_cannot_start_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to look at; nothing hangs, and no photo is refused."""
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with DecoderPool(LIMITS, 1) as pool, pytest.raises(DecoderPoolError, match="did not start"):
        pool.submit(jpeg()).result(WAIT_S)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_shared_hostile_file(pool: DecoderPool, shared: Path) -> None:
    """Thousands of files from fuzzers: each gets its verdict, and the pool is as good as before."""
    files = [path for path in sorted((shared / "hostile" / "images").rglob("*")) if path.is_file()]
    codes: dict[str, int] = {}

    for path, result in pool.decode_all((path, Source(path)) for path in files):
        code = result.code if isinstance(result, Refusal) else "OK"
        codes[code] = codes.get(code, 0) + 1
        assert code in {
            "OK",
            "EMPTY",
            "NOT_AN_IMAGE",
            "UNSUPPORTED",
            "UNREADABLE",
            "TOO_MANY_PIXELS",
            "DECODER_LIMIT",
        }, path

    assert sum(codes.values()) == len(files) > 1000
    assert pool.submit(jpeg()).result(WAIT_S).facts.width == 640
