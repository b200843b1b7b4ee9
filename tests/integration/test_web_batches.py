"""What the pages ask about batches: lists, counts, photos, cancel, retry, results, previews; and whose they are."""

import csv
import io
import json

import httpx
from sqlalchemy import select

from db.labels import ensure_labels
from db.model_versions import activate, register_version
from db.schema import Batch
from db.workers import beat, forget
from tests.integration.web_batches import send_batch, tag_all
from tests.samples import jpeg
from tests.stack import Pages, wait_until
from ui.batches_api import ClosedBatches


def test_a_batch_is_shown_with_its_counts_reasons_and_photos(pages: Pages, alice: httpx.Client) -> None:
    """Everything that the batch's page draws."""
    batch = send_batch(alice, {"a.jpg": jpeg(), "b.jpg": jpeg(colour=(1, 2, 3)), "empty.jpg": b"", ".DS_Store": b"x"})
    before = alice.get(f"/api/batches/{batch}").json()
    tag_all(pages, batch)
    after = alice.get(f"/api/batches/{batch}").json()
    items = alice.get(f"/api/batches/{batch}/items").json()

    assert (before["state"], before["can_cancel"], before["can_retry"]) == ("running", True, False)
    assert before["counts"] == {
        "total": 4, "open": 2, "tagged": 0, "refused": 1, "skipped": 1, "failed": 0, "cancelled": 0,
    }  # fmt: skip
    assert (after["state"], after["can_cancel"]) == ("finished", False)
    assert after["counts"]["tagged"] == 2
    assert after["reasons"] == [{"code": "EMPTY", "text": "the file is empty", "count": 1}]
    tagged = [item for item in items["items"] if item["state"] == "tagged"]
    assert tagged[0]["labels"] == [["dog", 0.9], ["cat", 0.1]]
    assert tagged[0]["shown"] == "dog"
    assert items["more"] is False


def test_photos_come_page_by_page_in_order_and_by_state(pages: Pages, alice: httpx.Client) -> None:
    """A cursor leads to the next page; limits are bounded."""
    batch = send_batch(alice, {f"{n}.jpg": jpeg(64, 48, colour=(n, 1, 1)) for n in range(5)} | {"e.jpg": b""})
    seen: list[str] = []
    after = ""
    while True:
        page = alice.get(f"/api/batches/{batch}/items", params={"limit": 2, "after": after}).json()
        seen += [item["path"] for item in page["items"]]
        if not page["more"]:
            break
        after = page["items"][-1]["cursor"]
    refused = alice.get(f"/api/batches/{batch}/items", params={"state": ["refused", "failed"]}).json()

    assert seen == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg", "e.jpg"]
    assert [item["path"] for item in refused["items"]] == ["e.jpg"]
    for bad in ({"limit": 10**9}, {"limit": 0}, {"after": "x"}, {"after": "1.99999999999"}, {"state": "gone"}):
        assert alice.get(f"/api/batches/{batch}/items", params=bad).status_code == 422


def test_a_cancelled_batch_is_over_at_once(alice: httpx.Client) -> None:
    """A second cancel says that there is nothing left."""
    batch = send_batch(alice, {"a.jpg": jpeg()})

    cancelled = alice.post(f"/api/batches/{batch}/cancel")
    again = alice.post(f"/api/batches/{batch}/cancel")

    assert cancelled.json()["state"] == "cancelled"
    assert cancelled.json()["counts"]["cancelled"] == 1
    assert again.status_code == 409


def test_a_deleted_batch_is_gone_with_its_photos(pages: Pages, alice: httpx.Client, bob: httpx.Client) -> None:
    """At once for people, then its rows; a photo that somebody else has too stays theirs."""
    shared = jpeg(colour=(8, 8, 1))
    batch = send_batch(alice, {"mine.jpg": jpeg(colour=(8, 8, 0)), "both.jpg": shared})
    of_bob = send_batch(bob, {"both.jpg": shared})
    tag_all(pages, batch)
    both, mine = (alice.get(f"/api/batches/{batch}/items").json()["items"][n]["photo_id"] for n in (1, 0))
    alice.get("/api/batches")

    answer = alice.delete(f"/api/batches/{batch}")

    assert (answer.status_code, answer.json()) == (200, {"id": batch})
    assert alice.get(f"/api/batches/{batch}").status_code == 404
    assert batch not in {each["id"] for each in alice.get("/api/batches").json()["batches"]}
    wait_until(lambda: not _rows_of(pages, batch), "its rows are gone")
    assert alice.get(f"/media/{mine}/320.webp").status_code == 404
    assert alice.get(f"/media/{both}/320.webp").status_code == 404
    assert bob.get(f"/media/{both}/320.webp").status_code == 200
    assert bob.get(f"/api/batches/{of_bob}").json()["counts"]["tagged"] == 1
    assert alice.delete(f"/api/batches/{batch}").status_code == 404


def test_a_batch_that_is_being_sent_can_be_deleted(pages: Pages, alice: httpx.Client) -> None:
    """What was half received goes with it, and no more is taken."""
    batch = alice.post("/api/batches", json={"name": "half"}).json()["id"]
    place = {"path": "a.jpg", "size": 1000, "offset": 0}
    alice.put(f"/api/batches/{batch}/files/1", params=place, content=b"x" * 10)
    staged = pages.data_dir / "staging" / "uploads" / batch

    was_there = staged.exists()
    alice.delete(f"/api/batches/{batch}")
    more = alice.put(f"/api/batches/{batch}/files/1", params=place | {"offset": 10}, content=b"x")

    assert was_there
    assert not staged.exists()
    assert more.status_code == 404


def test_the_list_counts_anew_after_photos_were_deleted() -> None:
    """A closed batch is counted once a minute at most, unless this process knows better."""
    closed = ClosedBatches()
    closed.keep("a", {"id": "a"})
    closed.keep("b", {"id": "b"})

    closed.forget(["a", "none"])

    assert (closed.get("a"), closed.get("b")) == (None, {"id": "b"})


def test_failed_photos_are_tried_again_as_a_new_batch(pages: Pages, alice: httpx.Client) -> None:
    """Only those of our side's fault; a batch without any says so."""
    batch = send_batch(alice, {"a.jpg": jpeg(), "b.jpg": jpeg(colour=(9, 9, 9))})
    tag_all(pages, batch, failed=1)
    shown = alice.get(f"/api/batches/{batch}").json()

    new = alice.post(f"/api/batches/{batch}/retry")
    nothing = alice.post(f"/api/batches/{send_batch(alice, {'e.jpg': b''})}/retry")

    assert shown["can_retry"] is True
    assert new.status_code == 201
    assert alice.get(f"/api/batches/{new.json()['id']}").json()["retry_of"] == batch
    assert nothing.status_code == 409


def test_results_are_files_whose_cells_run_nothing(pages: Pages, alice: httpx.Client) -> None:
    """CSV and JSON Lines, with the batch's name, streamed and not kept."""
    batch = send_batch(alice, {"=HYPERLINK(1).jpg": jpeg(), "é.jpg": b""}, name='Sommer "24" / é')
    tag_all(pages, batch)

    table = alice.get(f"/api/batches/{batch}/results.csv")
    lines = alice.get(f"/api/batches/{batch}/results.jsonl")

    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["path"] for row in rows] == ["'=HYPERLINK(1).jpg", "é.jpg"]
    assert (rows[0]["shown"], rows[1]["reason"]) == ("dog", "the file is empty")
    assert [json.loads(line)["path"] for line in lines.text.splitlines()] == ["=HYPERLINK(1).jpg", "é.jpg"]
    disposition = table.headers["content-disposition"]
    assert disposition.startswith('attachment; filename="')
    assert disposition.isascii()
    assert "filename*=UTF-8''Sommer%20%2224%22_%C3%A9-results.csv" in disposition
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert not list((pages.data_dir / "staging").glob("tmp*"))


def test_previews_are_kept_by_the_browser_and_shown_to_their_owner_only(
    pages: Pages, alice: httpx.Client, bob: httpx.Client, admin: httpx.Client, stranger: httpx.Client
) -> None:
    """Re-encoded, immutable, private; the same answer for a foreign photo as for none."""
    batch = send_batch(alice, {"a.jpg": jpeg(colour=(77, 1, 1))})
    tag_all(pages, batch)
    photo = alice.get(f"/api/batches/{batch}/items").json()["items"][0]["photo_id"]
    address = f"/media/{photo}/320.webp"

    mine = alice.get(address)
    again = alice.get(address, headers={"If-None-Match": mine.headers["etag"]})
    foreign, none = bob.get(address), bob.get("/media/999999/320.webp")

    assert mine.headers["content-type"] == "image/webp"
    assert mine.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert mine.headers["content-security-policy"].startswith("default-src 'none'")
    assert mine.content[8:12] == b"WEBP"
    assert again.status_code == 304
    assert (foreign.status_code, foreign.text) == (404, none.text)
    assert foreign.headers["cache-control"] == "no-store"
    assert admin.get(address).status_code == 200
    assert stranger.get(address).status_code == 401
    for wrong in ("/media/1/640.webp", "/media/1/320.jpg", "/media/x/320.webp", f"/media/{photo}/../320.webp"):
        assert alice.get(wrong).status_code in {404, 422}


def test_a_preview_that_does_not_exist_yet_is_not_remembered(alice: httpx.Client) -> None:
    """It comes with the tags; the browser must ask again."""
    batch = send_batch(alice, {"a.jpg": jpeg(colour=(3, 55, 1))})
    photo = alice.get(f"/api/batches/{batch}/items").json()["items"][0]["photo_id"]

    answer = alice.get(f"/media/{photo}/320.webp")

    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")


def test_a_batch_of_someone_else_is_like_one_that_does_not_exist(
    alice: httpx.Client, bob: httpx.Client, admin: httpx.Client
) -> None:
    """On every route, with the same words; the admin sees all."""
    batch = send_batch(alice, {"a.jpg": jpeg()})
    routes = [
        ("GET", ""), ("GET", "/items"), ("GET", "/recent"), ("GET", "/results.csv"), ("GET", "/files"),
        ("POST", "/cancel"), ("POST", "/retry"), ("POST", "/seal"), ("DELETE", ""),
    ]  # fmt: skip

    for method, rest in routes:
        body = {"count": 1} if rest == "/seal" else None
        foreign = bob.request(method, f"/api/batches/{batch}{rest}", json=body)
        none = bob.request(method, f"/api/batches/abcdefghjkmn{rest}", json=body)
        assert (foreign.status_code, foreign.text) == (404, none.text), rest

    assert batch not in {each["id"] for each in bob.get("/api/batches").json()["batches"]}
    assert batch in {each["id"] for each in admin.get("/api/batches").json()["batches"]}
    assert alice.get(f"/api/batches/{batch}").json()["state"] == "running"


def test_the_list_is_newest_first_and_goes_on_where_it_ended(pages: Pages, alice: httpx.Client) -> None:
    """With covers of photos that are tagged."""
    batches = [send_batch(alice, {"a.jpg": jpeg(64, 48, colour=(n, 40, 1))}, name=f"batch {n}") for n in range(3)]
    tag_all(pages, batches[2])

    first = alice.get("/api/batches", params={"limit": 2}).json()
    rest = alice.get("/api/batches", params={"limit": 2, "before": first["batches"][-1]["id"]}).json()

    assert [each["id"] for each in first["batches"]] == [batches[2], batches[1]]
    assert first["more"] is True
    assert rest["batches"][0]["id"] == batches[0]
    assert len(first["batches"][0]["covers"]) == 1


def test_the_status_says_when_nobody_tags_and_when_the_queue_is_away(pages: Pages, alice: httpx.Client) -> None:
    """In words that say what happens to the photos and what to do."""
    alone = alice.get("/api/status").json()["notices"]
    with pages.database.transaction() as session:
        beat(session, "w1", "tagging", "cpu", note="It polls every second.")
    tagging = alice.get("/api/status").json()["notices"]
    with pages.database.transaction() as session:
        beat(session, "w1", "tagging,intake", "cpu")
    both = alice.get("/api/status").json()["notices"]
    with pages.database.transaction() as session:
        forget(session, "w1")

    assert any(text.startswith("No worker is running") for text in alone)
    assert any("The queue (Redis) does not answer" in text for text in alone)
    assert any(text.startswith("No worker unpacks archives") for text in tagging)
    assert "It polls every second." in tagging
    assert not any(text.startswith("No worker") for text in both)


def test_the_status_names_limits_and_the_version(pages: Pages, alice: httpx.Client) -> None:
    """The page writes the limits; a starter says that it is one."""
    with pages.database.transaction() as session:
        ids = ensure_labels(session, [("dog",), ("cat",)])
        card = {"notice": "It knows little."}
        version = register_version(session, "starter", "built-in", "package:starter", card, ids)
        activate(session, version.id, None, "first")

    status = alice.get("/api/status").json()

    assert status["user"] == {"name": "alice", "role": "owner"}
    assert status["limits"]["photo_bytes"] == 1_000_000
    assert status["version"] == {"name": "starter", "is_starter": True, "notice": "It knows little.", "labels": 2}


def _rows_of(pages: Pages, batch: str) -> list[str]:
    with pages.database.reading() as session:
        return list(session.scalars(select(Batch.id).where(Batch.id == batch)))
