"""/api/v1: sending photos, alone and as a batch, in parts, again after a lost answer."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from db.blobs import open_blobs
from db.schema import Archive, Batch, Item
from db.settings import DataSettings
from tests.integration.v1 import all_pages, ok, problem, program
from tests.integration.web_batches import tag_all
from tests.samples import jpeg, numbered_photo, zip_of
from tests.stack import Pages


@pytest.fixture
def api(pages: Pages) -> Iterator[httpx.Client]:
    """A program of an owner's that may send and read."""
    with program(pages, "owner", "read", "submit") as client:
        yield client


def new_batch(api: httpx.Client, **more: Any) -> str:
    """A batch that takes files."""
    return ok(api.post("batches", json={"name": "holiday", **more}), 201)["id"]


def put(api: httpx.Client, batch: str, number: int, data: bytes, path: str = "a.jpg", part: str = "") -> httpx.Response:
    """Sends a file, or a part of it."""
    headers = {"Content-Range": f"bytes {part}"} if part else {}
    return api.put(f"batches/{batch}/files/{number}", params={"path": path}, content=data, headers=headers)


def test_a_batch_goes_from_its_first_file_to_its_labels(pages: Pages, api: httpx.Client) -> None:
    """The way that the README goes."""
    made = api.post("batches", json={"name": "holiday", "files": 2, "bytes": 5000})
    batch = ok(made, 201)["id"]
    files = [ok(put(api, batch, n, numbered_photo(n), f"album/{n}.jpg")) for n in (1, 2)]
    sealed = ok(api.post(f"batches/{batch}/seal", json={"files": 2}))
    tag_all(pages, batch)
    finished = ok(api.get(f"batches/{batch}"))
    items = all_pages(api, f"batches/{batch}/items?limit=1", "items")

    assert made.headers["location"] == f"/api/v1/batches/{batch}"
    assert [(each["number"], each["path"], each["done"], each["code"]) for each in files] == [
        (1, "album/1.jpg", True, None),
        (2, "album/2.jpg", True, None),
    ]
    assert (sealed["state"], sealed["counts"]["total"], sealed["counts"]["open"]) == ("running", 2, 2)
    assert (finished["state"], finished["counts"]["tagged"], finished["seconds_left"]) == ("finished", 2, None)
    assert [item["path"] for item in items] == ["album/1.jpg", "album/2.jpg"]
    assert items[0]["labels"] == [{"name": "dog", "score": 0.9}, {"name": "cat", "score": 0.1}]
    assert (items[0]["shown"], items[0]["model_version"], items[0]["state"]) == ("dog", "test", "tagged")
    assert items[0]["sha256"] == hashlib.sha256(numbered_photo(1)).hexdigest()


def test_the_same_key_gives_the_batch_that_was_made_then(pages: Pages, api: httpx.Client) -> None:
    """Its person's own key: somebody else's is another batch."""
    headers = {"Idempotency-Key": "holiday-2024"}
    first, again = (api.post("batches", json={"name": "holiday"}, headers=headers) for _ in range(2))
    with program(pages) as other:
        others = other.post("batches", json={"name": "holiday"}, headers=headers)

    assert ok(first, 201) == ok(again, 201)
    assert ok(others, 201)["id"] != first.json()["id"]
    problem(api.post("batches", json={"name": "x"}, headers={"Idempotency-Key": "short"}), 422, "INVALID")


def test_one_photo_waits_for_its_labels_and_is_one_when_it_is_sent_again(pages: Pages, api: httpx.Client) -> None:
    """Five requests at once with the same key make one batch; with another photo the key is refused."""
    data = numbered_photo(70)
    query = {"name": "../secret/../a.jpg", "wait_s": "20"}
    headers = {"Idempotency-Key": "photo-no-70"}
    answers: list[httpx.Response] = []

    def send() -> None:
        answers.append(api.post("photos", params=query, content=data, headers=headers))

    threads = [threading.Thread(target=send) for _ in range(5)]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    tag_all(pages, "")
    for thread in threads:
        thread.join()
    other = api.post("photos", params=query, content=numbered_photo(71), headers=headers)

    bodies = [ok(answer, 201) for answer in answers]
    assert len({body["batch_id"] for body in bodies}) == 1
    assert all(body["finished"] and body["item"]["shown"] == "dog" for body in bodies)
    assert bodies[0]["item"]["path"] == "a.jpg"
    assert answers[0].headers["location"] == f"/api/v1/batches/{bodies[0]['batch_id']}"
    with pages.database.reading() as session:
        assert session.scalar(select(func.count()).where(Item.batch_id == bodies[0]["batch_id"])) == 1
    assert "another photo" in problem(other, 409, "CONFLICT")["detail"]


def test_one_photo_that_is_not_waited_for_is_asked_for_later(api: httpx.Client) -> None:
    """The answer comes at once; an archive has no item of its own."""
    began = time.monotonic()
    photo = ok(api.post("photos", params={"name": "a.jpg"}, content=numbered_photo(72)), 201)
    archive = ok(api.post("photos", params={"name": "a.zip"}, content=zip_of({"b.jpg": numbered_photo(73)})), 201)

    assert time.monotonic() - began < 5
    assert photo["finished"] is False
    assert ok(api.get(f"batches/{photo['batch_id']}"))["state"] == "running"
    assert (archive["finished"], archive["item"]) == (False, None)
    assert ok(api.get(f"batches/{archive['batch_id']}"))["archives"][0]["path"] == "a.zip"


@pytest.mark.parametrize(
    ("query", "data", "status", "code"),
    [
        ({"name": "a.jpg"}, b"", 422, "EMPTY"),
        ({"name": "a.jpg"}, b"x" * 1_000_001, 413, "TOO_LARGE"),
        ({"name": "a.jpg", "wait_s": "31"}, b"x", 422, "INVALID"),
        ({"name": "a.jpg", "wait_s": "nan"}, b"x", 422, "INVALID"),
        ({"name": "a\0.jpg"}, b"x", 422, "BAD_NAME"),
        ({"name": "a" * 5000}, b"x", 422, "INVALID"),
        ({}, b"x", 422, "INVALID"),
    ],
)
def test_a_photo_that_cannot_be_taken_is_refused(
    api: httpx.Client, query: dict[str, str], data: bytes, status: int, code: str
) -> None:
    """With the reason, in the shape of a problem."""
    problem(api.post("photos", params=query, content=data), status, code)


def test_a_file_comes_in_parts_and_goes_on_after_a_break(pages: Pages, api: httpx.Client) -> None:
    """What is here is told; a part that starts elsewhere is told where to start; a repeat changes nothing."""
    data = b"\xff\xd8\xff" + os.urandom(699_997)
    batch = new_batch(api)

    problem(api.get(f"batches/{batch}/files/1"), 404, "NOT_FOUND")
    first = ok(put(api, batch, 1, data[:300_000], part="0-299999/700000"))
    here = ok(api.get(f"batches/{batch}/files/1"))
    wrong = problem(put(api, batch, 1, data[500_000:], part="500000-699999/700000"), 409, "WRONG_OFFSET")
    early = problem(api.post(f"batches/{batch}/seal", json={"files": 1}), 409, "CONFLICT")
    last = ok(put(api, batch, 1, data[300_000:], part="300000-699999/700000"))
    again = ok(put(api, batch, 1, data[300_000:], part="300000-699999/700000"))
    listed = all_pages(api, f"batches/{batch}/files?limit=1", "files")

    assert (first["received_bytes"], first["done"]) == (300_000, False)
    assert (here["received_bytes"], here["size_bytes"], here["done"], here["path"]) == (
        300_000,
        700_000,
        False,
        "a.jpg",
    )
    assert wrong["received"] == 300_000
    assert early["detail"].startswith("0 of 1 files are here.")
    assert last["done"]
    assert again == last
    assert [(each["number"], each["done"]) for each in listed] == [(1, True)]
    blobs = open_blobs(DataSettings(data_dir=pages.data_dir, blobs_url=None))
    assert blobs.read(hashlib.sha256(data).hexdigest()) == data


@pytest.mark.parametrize(
    ("part", "status", "code"),
    [
        ("0-9/10", 422, "INVALID"),  # the body has 9 bytes
        ("9-0/10", 422, "INVALID"),
        ("5-13/13", 422, "INVALID"),
        ("0-8/*", 422, "INVALID"),
        ("-8/9", 422, "INVALID"),
        ("0-8/9x", 422, "INVALID"),
        ("0-8/9999999999999999999", 422, "INVALID"),
        ("0-8/99999999999999", 413, "TOO_LARGE"),
    ],
)
def test_a_range_that_cannot_be_is_refused(api: httpx.Client, part: str, status: int, code: str) -> None:
    """Never read as the whole file."""
    batch = new_batch(api)

    answer = put(api, batch, 1, b"123456789", part=part)

    if code == "TOO_LARGE" and answer.status_code == 200:  # refused as a file of the batch, without reading it
        assert answer.json()["code"] == "TOO_BIG"
    else:
        problem(answer, status, code)


def test_a_body_without_a_length_and_a_part_that_is_too_large_are_refused(api: httpx.Client) -> None:
    """411 and 413."""
    batch = new_batch(api)

    def streamed() -> Iterator[bytes]:
        yield b"a"

    without = api.put(f"batches/{batch}/files/1", params={"path": "a.jpg"}, content=streamed())

    problem(without, 411, "LENGTH_REQUIRED")
    problem(put(api, batch, 1, b"x" * (8 * 1024**2 + 1)), 413, "TOO_LARGE")


def test_names_are_made_harmless_and_files_that_are_no_photos_are_told(pages: Pages, api: httpx.Client) -> None:
    """A path that points outside, junk, an empty file, an archive."""
    batch = new_batch(api)
    outside = ok(put(api, batch, 1, jpeg(), "../../etc/pass\u202ewd.jpg"))
    junk = ok(put(api, batch, 2, b"x", "album/.DS_Store"))
    empty = ok(put(api, batch, 3, b"", "b.jpg"))
    archive = ok(put(api, batch, 4, zip_of({"c.jpg": jpeg(colour=(9, 9, 9))}), "c.zip"))
    nul = problem(put(api, batch, 5, b"x", "a\0b"), 422, "BAD_NAME")
    ok(api.post(f"batches/{batch}/seal", json={"files": 4}))

    assert outside["path"] == "etc/pass\N{REPLACEMENT CHARACTER}wd.jpg"
    assert (junk["code"], empty["code"], archive["code"]) == ("SKIPPED_JUNK", "EMPTY", None)
    assert empty["reason"] == "the file is empty"
    assert "NUL" in nul["detail"]
    shown = ok(api.get(f"batches/{batch}"))
    assert (shown["counts"]["refused"], shown["counts"]["skipped"]) == (1, 1)
    assert shown["reasons"] == [{"code": "EMPTY", "text": "the file is empty", "count": 1}]
    with pages.database.reading() as session:
        assert session.scalars(select(Archive.path).where(Archive.batch_id == batch)).all() == ["c.zip"]


def test_a_sealed_batch_takes_no_more_and_sealing_twice_is_once(api: httpx.Client) -> None:
    """Another number is refused; what is there is answered as before."""
    batch = new_batch(api)
    ok(put(api, batch, 1, jpeg()))
    first, again = (ok(api.post(f"batches/{batch}/seal", json={"files": 1})) for _ in range(2))

    assert first["state"] == again["state"] == "running"
    assert ok(put(api, batch, 1, jpeg()))["done"]
    problem(put(api, batch, 2, jpeg()), 409, "CONFLICT")
    problem(put(api, batch, 1, b"another"), 409, "CONFLICT")


def test_somebody_else_s_batch_is_not_there(pages: Pages, api: httpx.Client) -> None:
    """For every route of it, in the words for one that does not exist."""
    batch = new_batch(api)
    with program(pages) as other:
        answers = [
            put(other, batch, 1, jpeg()),
            other.get(f"batches/{batch}/files"),
            other.get(f"batches/{batch}/files/1"),
            other.post(f"batches/{batch}/seal", json={"files": 1}),
            other.get(f"batches/{batch}"),
            other.get(f"batches/{batch}/items"),
            other.post(f"batches/{batch}/cancel"),
            other.post(f"batches/{batch}/retry"),
            other.delete(f"batches/{batch}"),
        ]
        unknown = other.get("batches/zzzzzzzzzzzz")

    for answer in answers:
        assert problem(answer, 404, "NOT_FOUND")["detail"] == unknown.json()["detail"]
    with pages.database.reading() as session:
        assert session.get_one(Batch, batch).state == "receiving"
