"""/api/v1: following batches, cancelling, retrying, deleting."""

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import select

from db.schema import AuditEntry
from tests.integration.v1 import all_pages, ok, problem, program
from tests.integration.web_batches import send_batch, tag_all
from tests.samples import jpeg, numbered_photo
from tests.stack import Pages


@pytest.fixture
def api(pages: Pages) -> Iterator[httpx.Client]:
    """A program of an owner's."""
    with program(pages, "owner", "read", "submit") as client:
        yield client


def sent(api: httpx.Client, *photos: bytes) -> str:
    """A sealed batch."""
    batch = ok(api.post("batches", json={"name": "holiday"}), 201)["id"]
    for number, data in enumerate(photos, 1):
        ok(api.put(f"batches/{batch}/files/{number}", params={"path": f"{number}.jpg"}, content=data))
    ok(api.post(f"batches/{batch}/seal", json={"files": len(photos)}))
    return batch


def test_batches_come_page_by_page_also_while_one_is_deleted(pages: Pages, api: httpx.Client) -> None:
    """The newest first; only one's own; the place of a batch that has gone is still one."""
    made = [sent(api, numbered_photo(n)) for n in range(3)]
    with program(pages) as other:
        sent(other, numbered_photo(9))
        theirs = all_pages(other, "batches", "batches")

    first = ok(api.get("batches", params={"limit": 1}))
    assert api.delete(f"batches/{made[2]}").status_code == 204
    rest = all_pages(api, first["next"], "batches")

    assert [batch["id"] for batch in [*first["batches"], *rest]] == [made[2], made[1], made[0]]
    assert first["next"].startswith("/api/v1/batches?")
    assert (rest[0]["name"], rest[0]["kind"]) == ("holiday", "photos")
    assert len(theirs) == 1


@pytest.mark.parametrize(
    "cursor",
    ["x", "%00", "a" * 3000, "MjAyNA", "W10", "....", "4oCm", "9999-12-31", "MDAwMS0wMS0wMVQwMDowMCsyMzowMCBh"],
)
def test_a_cursor_that_is_none_is_refused(api: httpx.Client, cursor: str) -> None:
    """In words, for every list."""
    for path in ("batches", "photos"):
        problem(api.get(f"{path}?cursor={cursor}"), 422, "INVALID")
    batch = sent(api, jpeg())
    problem(api.get(f"batches/{batch}/items?cursor={cursor}"), 422, "INVALID")
    problem(api.get(f"batches/{batch}/files?cursor={cursor}"), 422, "INVALID")


def test_items_are_filtered_by_state(pages: Pages, api: httpx.Client) -> None:
    """One or several of them."""
    batch = sent(api, numbered_photo(20), numbered_photo(21), b"")
    tag_all(pages, batch, failed=1)

    failed = all_pages(api, f"batches/{batch}/items?state=failed", "items")
    two = all_pages(api, f"batches/{batch}/items?state=failed&state=refused&limit=1", "items")

    assert [(item["code"], item["reason"]) for item in failed] == [("MODEL_ERROR", "the network failed on this photo")]
    assert [item["state"] for item in two] == ["failed", "refused"]
    problem(api.get(f"batches/{batch}/items?state=lost"), 422, "INVALID")


def test_a_batch_is_cancelled_once(pages: Pages, api: httpx.Client) -> None:
    """A repeat is answered alike; one that has finished cannot be cancelled any more. The log says who."""
    batch = sent(api, numbered_photo(30))
    first, again = (ok(api.post(f"batches/{batch}/cancel")) for _ in range(2))
    done = sent(api, numbered_photo(31))
    tag_all(pages, done)

    assert (first["state"], first["counts"]["cancelled"]) == ("cancelled", 1)
    assert again == first
    problem(api.post(f"batches/{done}/cancel"), 409, "CONFLICT")
    with pages.database.reading() as session:
        logged = session.scalars(select(AuditEntry.details).where(AuditEntry.action == "batches.cancel")).all()
    assert [entry for entry in logged if entry == {"batch": batch}] == [{"batch": batch}]


def test_failed_photos_are_retried_once_at_a_time(pages: Pages, api: httpx.Client) -> None:
    """A new batch with only those; asked again while it runs, the same."""
    batch = sent(api, numbered_photo(40), numbered_photo(41))
    problem(api.post(f"batches/{batch}/retry"), 409, "CONFLICT")
    tag_all(pages, batch, failed=1)

    first = api.post(f"batches/{batch}/retry")
    again = api.post(f"batches/{batch}/retry")

    retried = ok(first, 201)
    assert (retried["retry_of"], retried["counts"]["total"]) == (batch, 1)
    assert first.headers["location"] == f"/api/v1/batches/{retried['id']}"
    assert ok(again, 201)["id"] == retried["id"]


def test_a_deleted_batch_is_gone_at_once(pages: Pages, api: httpx.Client) -> None:
    """No list and no address has it; the key that made it makes another."""
    headers = {"Idempotency-Key": "to-be-deleted"}
    batch = ok(api.post("batches", json={"name": "gone"}, headers=headers), 201)["id"]

    deleted = api.delete(f"batches/{batch}")

    assert (deleted.status_code, deleted.content) == (204, b"")
    problem(api.get(f"batches/{batch}"), 404, "NOT_FOUND")
    problem(api.delete(f"batches/{batch}"), 404, "NOT_FOUND")
    assert ok(api.post("batches", json={"name": "gone"}, headers=headers), 201)["id"] != batch


def test_an_admin_s_program_sees_everybody_s_batches(pages: Pages, alice: httpx.Client) -> None:
    """A reviewer's sees its own."""
    batch = send_batch(alice, {"a.jpg": numbered_photo(50)})
    with program(pages, "admin") as admin, program(pages, "reviewer") as reviewer:
        seen = all_pages(admin, "batches?limit=2", "batches")
        hidden = reviewer.get(f"batches/{batch}")
        shown = admin.get(f"batches/{batch}")

    assert batch in {each["id"] for each in seen}
    assert ok(shown)["id"] == batch
    problem(hidden, 404, "NOT_FOUND")
