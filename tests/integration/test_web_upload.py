"""Receiving files: in chunks, again after a break, never more than allowed, nothing left behind."""

import hashlib
import os
import re
import secrets
import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from db.blobs import open_blobs
from db.schema import Archive, Batch, Item, Photo
from db.settings import DataSettings
from tests.samples import jpeg
from tests.stack import Pages, serving, wait_until
from ui.upload import remove_stale_uploads


def new_batch(client: httpx.Client, count: int = 1, **more: Any) -> str:
    """A batch that takes files."""
    answer = client.post("/api/batches", json={"name": "holiday", "count": count, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def put(
    client: httpx.Client, batch: str, number: int, data: bytes, *, path: str = "", offset: int = 0, size: int = -1
) -> httpx.Response:
    """Sends a chunk of a file; of the whole file if nothing else is said."""
    query = {"path": path or f"holiday/{number}.jpg", "size": len(data) if size < 0 else size, "offset": offset}
    return client.put(f"/api/batches/{batch}/files/{number}", params=query, content=data)


def items_of(pages: Pages, batch: str) -> list[tuple[str, str, str | None]]:
    """(path, state, code) of a batch, in order."""
    with pages.database.reading() as session:
        rows = session.execute(
            select(Item.path, Item.state, Item.code).where(Item.batch_id == batch).order_by(Item.position)
        )
        return [(row.path, row.state, row.code) for row in rows]


def staged(pages: Pages, batch: str) -> list[Path]:
    """What is half-received of a batch."""
    return list((pages.data_dir / "staging" / "uploads" / batch).glob("*"))


def test_small_files_become_items_that_are_ready_before_the_batch_is_sealed(pages: Pages, alice: httpx.Client) -> None:
    """Tagging goes on while the upload does; nothing of it stays in staging."""
    batch = new_batch(alice, 3)
    photos = [jpeg(colour=(90 + each, 10, 10)) for each in range(3)]

    answers = [put(alice, batch, number, photo).json() for number, photo in enumerate(photos, 1)]

    assert [answer["done"] for answer in answers] == [True] * 3
    assert items_of(pages, batch) == [(f"holiday/{number}.jpg", "ready", None) for number in (1, 2, 3)]
    blobs = open_blobs(DataSettings(data_dir=pages.data_dir, blobs_url=None))
    assert [blobs.read(hashlib.sha256(photo).hexdigest()) for photo in photos] == photos
    sealed = alice.post(f"/api/batches/{batch}/seal", json={"count": 3}).json()
    assert sealed == {"id": batch, "state": "running"}
    assert staged(pages, batch) == []


def test_a_batch_with_files_missing_is_not_sealed(alice: httpx.Client) -> None:
    """The client hears how many are there and sends the others."""
    batch = new_batch(alice, 2)
    put(alice, batch, 1, jpeg())

    refused = alice.post(f"/api/batches/{batch}/seal", json={"count": 2})

    assert refused.status_code == 409
    assert refused.json()["message"].startswith("1 of 2 files are here.")


def test_a_file_in_chunks_survives_a_wrong_offset_and_a_break(pages: Pages, alice: httpx.Client) -> None:
    """The answer to a wrong offset says where to go on; the hash is of the whole file."""
    data = b"\xff\xd8\xff" + os.urandom(700_000)
    batch = new_batch(alice)

    first = put(alice, batch, 1, data[:300_000], size=len(data)).json()
    wrong = put(alice, batch, 1, data[500_000:], size=len(data), offset=500_000)
    again = put(alice, batch, 1, data[:300_000], size=len(data))
    listed = alice.get(f"/api/batches/{batch}/files").json()["files"]
    _break_off(alice, batch, data, offset=300_000, sent=100_000)
    last = put(alice, batch, 1, data[300_000:], size=len(data), offset=300_000).json()

    assert first == {"received": 300_000, "done": False, "code": None}
    assert (wrong.status_code, wrong.json()["received"]) == (409, 300_000)
    assert (again.status_code, again.json()["code"]) == (409, "WRONG_OFFSET")
    assert listed == [[1, len(data), 300_000, False]]
    assert last["done"] is True
    with pages.database.reading() as session:
        known = session.scalars(
            select(Photo.sha256).join(Item, Item.photo_id == Photo.id).where(Item.batch_id == batch)
        )
        assert known.one() == hashlib.sha256(data).hexdigest()


def test_an_upload_goes_on_after_the_server_was_killed(tmp_path: Path) -> None:
    """What was answered is on the disk; the rest is asked for."""
    data = b"PK\3\4" + os.urandom(900_000)
    with serving(tmp_path / "phototag-data") as before, before.client() as client:
        batch = new_batch(client)
        put(client, batch, 1, data[:400_000], path="holiday.zip", size=len(data))
        cookies = client.cookies
        before.process.kill()
        before.process.wait()
    with serving(tmp_path / "phototag-data") as after, httpx.Client(base_url=after.url, cookies=cookies) as client:
        files = client.get(f"/api/batches/{batch}/files").json()["files"]
        last = put(client, batch, 1, data[400_000:], path="holiday.zip", size=len(data), offset=400_000)
        sealed = client.post(f"/api/batches/{batch}/seal", json={"count": 1}).json()

        assert files == [[1, len(data), 400_000, False]]
        assert last.json()["done"] is True
        assert sealed["state"] == "unpacking"
        with after.database.reading() as session:
            archive = session.scalars(select(Archive).where(Archive.batch_id == batch)).one()
        assert (archive.number, archive.sha256) == (1, hashlib.sha256(data).hexdigest())


def test_an_upload_begins_again_when_staging_was_cleared(pages: Pages, alice: httpx.Client) -> None:
    """A file is never completed over a hole."""
    data = b"\xff\xd8\xff" + os.urandom(600_000)
    batch = new_batch(alice)
    put(alice, batch, 1, data[:400_000], size=len(data))
    for path in staged(pages, batch):
        path.unlink()

    on = put(alice, batch, 1, data[400_000:], size=len(data), offset=400_000)
    first = put(alice, batch, 1, data[:100_000], size=len(data))
    second = put(alice, batch, 1, data[100_000:], size=len(data), offset=100_000)

    assert (on.status_code, on.json()["received"]) == (409, 0)
    assert first.json()["received"] == 100_000
    assert second.json()["done"] is True
    blobs = open_blobs(DataSettings(data_dir=pages.data_dir, blobs_url=None))
    assert blobs.has(hashlib.sha256(data).hexdigest())


def test_a_chunk_that_is_not_taken_is_answered_all_the_same(alice: httpx.Client) -> None:
    """A sender that is cut off in the middle would take it for a broken connection and try for ever."""
    batch = new_batch(alice)
    put(alice, batch, 1, b"\xff\xd8\xff", size=900_000)

    answers = [
        put(alice, batch, 1, b"\0" * 8 * 1024**2, size=900_000, offset=700_000),
        put(alice, batch, 1, b"\0" * 8 * 1024**2, size=800_000),
        put(alice, "abcdefghjkmn", 1, b"\0" * 8 * 1024**2),
    ]

    assert [answer.status_code for answer in answers] == [409, 409, 404]
    assert answers[0].json()["received"] == 3


def test_a_repeat_changes_nothing(pages: Pages, alice: httpx.Client) -> None:
    """The answer was lost, the client asks again: one batch, one item."""
    key = secrets.token_hex(8)
    first, second = new_batch(alice, idem_key=key), new_batch(alice, idem_key=key)
    photo = jpeg()

    once, twice = put(alice, first, 1, photo), put(alice, second, 1, photo)
    other = put(alice, first, 1, photo + b"x")
    seals = [alice.post(f"/api/batches/{first}/seal", json={"count": 1}).status_code for _ in range(2)]

    assert first == second
    assert once.json() == twice.json() == {"received": len(photo), "done": True, "code": None}
    assert other.status_code == 409
    assert seals == [200, 200]
    assert len(items_of(pages, first)) == 1


@pytest.mark.parametrize(
    ("path", "data", "size", "code"),
    [
        ("holiday/empty.jpg", b"", 0, "EMPTY"),
        ("holiday/.DS_Store", b"junk", 4, "SKIPPED_JUNK"),
        ("holiday/film.mp4", b"\0\0\0\x18ftypmp42", 2_000_000, "TOO_BIG"),
        ("holiday/huge.zip", b"PK\3\4", 50_000_000, "TOO_BIG"),
        ("holiday/large.zip", b"PK\3\4" + b"\0" * 100, 2_900_000, None),
    ],
)
def test_what_is_not_taken_is_an_item_with_a_reason_and_is_not_sent_to_its_end(
    pages: Pages, alice: httpx.Client, path: str, data: bytes, size: int, code: str | None
) -> None:
    """Of a film of gigabytes only the first chunk travels."""
    batch = new_batch(alice)

    answer = put(alice, batch, 1, data, path=path, size=size).json()

    if code is None:
        assert answer == {"received": len(data), "done": False, "code": None}
    else:
        assert answer == {"received": size, "done": True, "code": code}
        assert items_of(pages, batch) == [(path, "refused", code)]
        assert staged(pages, batch) == []


def test_more_bytes_than_announced_are_not_taken(pages: Pages, alice: httpx.Client) -> None:
    """A size that lies, in a chunk or over chunks."""
    batch = new_batch(alice, 2)

    at_once = put(alice, batch, 1, b"\xff\xd8\xff" + b"0" * 1000, size=500)
    put(alice, batch, 2, b"\xff\xd8\xff", size=10)
    later = put(alice, batch, 2, b"0" * 1000, size=10, offset=3)

    assert at_once.status_code == later.status_code == 413
    assert items_of(pages, batch) == []


def test_a_chunk_beyond_its_cap_is_refused(pages: Pages, alice: httpx.Client) -> None:
    """8 MiB at a time, whatever the file's size: memory does not grow with the upload."""
    batch = new_batch(alice)

    answer = put(alice, batch, 1, b"\0" * (8 * 1024**2 + 1), size=20_000_000)

    assert answer.status_code == 413
    assert items_of(pages, batch) == []


def test_a_batch_beyond_its_caps_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """Files and bytes, announced or not."""
    with (
        serving(tmp_path / "phototag-data", max_batch_files=3, max_batch_bytes=2_000) as pages,
        pages.client() as client,
    ):
        files = client.post("/api/batches", json={"name": "x", "count": 4})
        size = client.post("/api/batches", json={"name": "x", "count": 1, "bytes": 2_001})
        batch = new_batch(client, 3)
        first = put(client, batch, 1, b"\xff\xd8\xff" + b"0" * 1000)
        beyond = put(client, batch, 2, b"\xff\xd8\xff" + b"0" * 1000)
        number = put(client, batch, 4, b"\xff\xd8\xff")

    assert (files.status_code, size.status_code) == (413, 413)
    assert "Send these as several batches" in files.json()["message"]
    assert (first.status_code, beyond.status_code, number.status_code) == (200, 413, 413)


def test_a_full_disk_is_said_before_the_upload_begins(alice: httpx.Client) -> None:
    """507 with words; nothing accepted is dropped later."""
    answer = alice.post("/api/batches", json={"name": "x", "count": 1, "bytes": 200 * 1024**3 - 1})

    assert answer.status_code in {201, 507}
    if answer.status_code == 507:
        assert answer.json()["code"] == "STORAGE_FULL"


def test_a_batch_of_someone_else_takes_nothing(pages: Pages, alice: httpx.Client, bob: httpx.Client) -> None:
    """The same answer as for a batch that does not exist, also when it was just used by its owner."""
    batch = new_batch(alice)
    put(alice, batch, 1, jpeg())

    answers = [
        put(bob, batch, 2, jpeg()),
        put(bob, "abcdefghjkmn", 2, jpeg()),
        bob.get(f"/api/batches/{batch}/files"),
        bob.post(f"/api/batches/{batch}/seal", json={"count": 1}),
    ]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert answers[0].json()["message"] == answers[1].json()["message"]
    assert len(items_of(pages, batch)) == 1


def test_a_cancelled_batch_takes_no_more_files(pages: Pages, alice: httpx.Client) -> None:
    """The tab that still sends hears it with its next file."""
    batch = new_batch(alice, 2)
    put(alice, batch, 1, jpeg())

    alice.post(f"/api/batches/{batch}/cancel")
    answer = put(alice, batch, 2, jpeg())

    assert answer.status_code == 409
    assert items_of(pages, batch) == [("holiday/1.jpg", "cancelled", None)]


def test_two_tabs_that_send_one_file_do_not_mix(pages: Pages, alice: httpx.Client) -> None:
    """The second is told to come back; the blob is one of the two, whole."""
    batch = new_batch(alice)
    data = b"\xff\xd8\xff" + os.urandom(900_000)
    slow = _begin_slowly(alice, batch, data)

    second = put(alice, batch, 1, data)
    slow.sendall(data[1000:])
    answer = b""
    while b'"code"' not in answer:
        answer += slow.recv(65536)
    slow.close()

    assert second.status_code == 409
    assert b'"done":true' in answer
    assert items_of(pages, batch) == [("holiday/1.jpg", "ready", None)]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../../etc/passwd.jpg", "etc/passwd.jpg"),
        ("/abs/olute.jpg", "abs/olute.jpg"),
        ("C:\\photos\\a.jpg", "photos/a.jpg"),
        ("evil\u202egpj.exe.jpg", "evil\ufffdgpj.exe.jpg"),
        ("a\r\nSet-Cookie: x.jpg", "a\ufffd\ufffdSet-Cookie: x.jpg"),
        ("<img src=x onerror=alert(1)>.jpg", "<img src=x onerror=alert(1)>.jpg"),
        ("x" * 2000 + ".jpg", None),
    ],
)
def test_names_are_harmless_and_never_touch_the_disk(
    pages: Pages, alice: httpx.Client, sent: str, kept: str | None
) -> None:
    """A name is shown, nothing is opened by it."""
    batch = new_batch(alice)
    before = {path for path in pages.data_dir.parent.rglob("*") if "phototag-data" not in path.parts[-2:]}

    put(alice, batch, 1, jpeg(), path=sent)

    [(path, _, _)] = items_of(pages, batch)
    assert path == kept if kept else len(path) <= 1024
    assert not re.search(r"[\x00-\x1f]", path)
    after = {path for path in pages.data_dir.parent.rglob("*") if "phototag-data" not in path.parts[-2:]}
    assert all("passwd" not in path.name and "olute" not in path.name for path in after - before)


def test_one_photo_alone_is_a_batch_of_its_own_with_the_highest_priority(pages: Pages, alice: httpx.Client) -> None:
    """It overtakes every folder."""
    answer = alice.post("/api/photos", params={"name": "C:\\me\\cat.jpg"}, content=jpeg())

    batch = answer.json()["id"]
    assert answer.status_code == 201
    assert items_of(pages, batch) == [("cat.jpg", "ready", None)]
    with pages.database.reading() as session:
        row = session.get(Batch, batch)
        assert row is not None
        assert (row.name, row.state, row.priority) == ("cat.jpg", "running", 0)


@pytest.mark.parametrize(("data", "status"), [(b"", 422), (b"\xff\xd8" * 600_000, 413)])
def test_one_photo_that_is_empty_or_too_large_is_refused_in_words(
    pages: Pages, alice: httpx.Client, data: bytes, status: int
) -> None:
    """And leaves nothing."""
    answer = alice.post("/api/photos", params={"name": "cat.jpg"}, content=data)

    assert answer.status_code == status
    assert answer.json()["message"].endswith(".")
    assert list((pages.data_dir / "staging" / "uploads" / "single").glob("*")) == []


def test_one_photo_whose_sender_breaks_off_leaves_nothing(pages: Pages, alice: httpx.Client) -> None:
    """A closed tab, in the middle of a photo."""
    folder = pages.data_dir / "staging" / "uploads" / "single"
    connection = _connect(alice, "POST /api/photos?name=cat.jpg", 900_000)
    connection.sendall(b"\xff\xd8" + b"0" * 700_000)
    time.sleep(0.5)
    connection.close()

    wait_until(lambda: not list(folder.glob("*")), "nothing is left", 5)


def test_an_aborted_upload_is_removed_when_nobody_comes_back(pages: Pages, alice: httpx.Client) -> None:
    """After a day; what someone goes on with is left alone."""
    data_settings = DataSettings(data_dir=pages.data_dir, database_url=None, blobs_url=None)
    left, kept = new_batch(alice, 2), new_batch(alice, 2)
    for batch in (left, kept):
        put(alice, batch, 1, jpeg())
        put(alice, batch, 2, b"\xff\xd8\xff", size=900_000)
    _make_older(pages, left)
    _make_older(pages, kept, touched=True)
    folder = pages.data_dir / "staging" / "uploads"
    for name in ("young", "orphan"):
        (folder / name).mkdir()
    os.utime(folder / "orphan", (0, 0))

    removed = remove_stale_uploads(pages.database, data_settings)

    assert left in removed
    assert kept not in removed
    assert staged(pages, left) == []
    assert (folder / "young").exists()
    assert not (folder / "orphan").exists()
    assert len(staged(pages, kept)) == 1
    assert alice.get(f"/api/batches/{left}").json()["state"] == "cancelled"
    assert alice.get(f"/api/batches/{kept}").json()["state"] == "receiving"


def test_a_sender_that_falls_silent_does_not_hold_the_file_for_ever(pages: Pages, alice: httpx.Client) -> None:
    """Its connection breaks, and the file can be sent again at once."""
    batch = new_batch(alice)
    data = b"\xff\xd8\xff" + os.urandom(5000)
    slow = _begin_slowly(alice, batch, data)
    slow.close()

    wait_until(lambda: put(alice, batch, 1, data).status_code == 200, "the file is free again", 5)

    assert items_of(pages, batch) == [("holiday/1.jpg", "ready", None)]


def test_many_small_files_at_once_all_arrive(pages: Pages, alice: httpx.Client) -> None:
    """Four senders, as a page has; groups are written together and one that is refused harms no other."""
    batch = new_batch(alice, 60)
    numbers = list(range(1, 61))
    lock = threading.Lock()

    def send() -> None:
        with httpx.Client(base_url=pages.url, cookies=alice.cookies, timeout=30) as client:
            while True:
                with lock:
                    if not numbers:
                        return
                    number = numbers.pop()
                data = b"" if number % 10 == 0 else jpeg(64, 48, colour=(number, 20, 30))
                assert put(client, batch, number, data).status_code == 200

    began = time.monotonic()
    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.monotonic() - began

    states = [state for _, state, _ in items_of(pages, batch)]
    assert (states.count("ready"), states.count("refused")) == (54, 6)
    assert alice.post(f"/api/batches/{batch}/seal", json={"count": 60}).status_code == 200
    assert took_s < 30


def _make_older(pages: Pages, batch: str, *, touched: bool = False) -> None:
    with pages.database.transaction() as session:
        row = session.get(Batch, batch)
        assert row is not None
        row.created_at = row.created_at.replace(year=row.created_at.year - 1)
    if not touched:
        os.utime(pages.data_dir / "staging" / "uploads" / batch, (0, 0))


def _connect(client: httpx.Client, request: str, length: int) -> socket.socket:
    host, port = client.base_url.host, client.base_url.port or 80
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    head = f"{request} HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookie}\r\nContent-Length: {length}\r\n\r\n"
    connection = socket.create_connection((host, port), timeout=20)
    connection.sendall(head.encode())
    return connection


def _break_off(client: httpx.Client, batch: str, data: bytes, *, offset: int, sent: int) -> None:
    place = f"path=holiday/1.jpg&size={len(data)}&offset={offset}"
    connection = _connect(client, f"PUT /api/batches/{batch}/files/1?{place}", len(data) - offset)
    connection.sendall(b"?" * sent)  # wrong bytes: the next request must overwrite them
    time.sleep(0.5)
    connection.close()
    time.sleep(0.5)


def _begin_slowly(client: httpx.Client, batch: str, data: bytes) -> socket.socket:
    place = f"path=holiday/1.jpg&size={len(data)}&offset=0"
    connection = _connect(client, f"PUT /api/batches/{batch}/files/1?{place}", len(data))
    connection.sendall(data[:1000])
    time.sleep(0.5)
    return connection
