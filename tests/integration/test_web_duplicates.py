"""What the Duplicates page asks: groups, files, what a person says; and whose they are."""

import httpx
import pytest
from sqlalchemy import select

from db.near_duplicates import record_hashes
from db.schema import Item
from tests.integration.web_batches import send_batch, tag_all
from tests.samples import jpeg
from tests.stack import Pages

SOME = 0x0F1E2D3C4B5A6978


def alike(pages: Pages, client: httpx.Client, phash: int, files: dict[str, bytes]) -> list[int]:
    """Ids of tagged photos with the same hash."""
    batch = send_batch(client, files)
    tag_all(pages, batch)
    with pages.database.transaction() as session:
        ids = list(session.scalars(select(Item.photo_id).where(Item.batch_id == batch).order_by(Item.position)))
        record_hashes(session, {photo_id: phash for photo_id in ids if photo_id is not None})
    return [photo_id for photo_id in ids if photo_id is not None]


def test_groups_are_shown_to_their_owner_page_by_page(pages: Pages, alice: httpx.Client, bob: httpx.Client) -> None:
    """The one to keep first; others see nothing of them."""
    old = alike(pages, alice, SOME, {"a.jpg": jpeg(colour=(1, 1, 1)), "b.jpg": jpeg(colour=(2, 1, 1), quality=99)})
    new = alike(pages, alice, ~SOME, {"c.jpg": jpeg(colour=(3, 1, 1)), "d.jpg": jpeg(colour=(4, 1, 1))})

    first = alice.get("/api/duplicates", params={"limit": 1}).json()
    second = alice.get("/api/duplicates", params={"limit": 1, "after": first["after"]}).json()

    assert {photo["id"] for photo in first["groups"][0]["photos"]} == set(new)
    assert [photo["id"] for photo in second["groups"][0]["photos"]] == old[::-1]
    assert "largest file" in second["groups"][0]["reason"]
    assert bob.get("/api/duplicates").json() == {"groups": [], "after": None}


def test_a_person_tells_own_photos_apart_only(pages: Pages, alice: httpx.Client, bob: httpx.Client) -> None:
    """And can take it back."""
    phash = 0x3C3C3C3C3C3C3C3C
    ids = alike(pages, alice, phash, {"e.jpg": jpeg(colour=(5, 1, 1)), "f.jpg": jpeg(colour=(6, 1, 1))})

    def is_shown() -> bool:
        groups = alice.get("/api/duplicates").json()["groups"]
        return any({photo["id"] for photo in group["photos"]} == set(ids) for group in groups)

    foreign = bob.post("/api/duplicates/apart", json={"ids": ids})
    before = is_shown()
    told = alice.post("/api/duplicates/apart", json={"ids": ids})
    after = is_shown()
    alice.post("/api/duplicates/apart", json={"ids": ids, "apart": False})

    assert (foreign.status_code, before, told.json(), after, is_shown()) == (404, True, {"photos": 2}, False, True)


def test_files_with_the_same_bytes_are_listed(pages: Pages, alice: httpx.Client, bob: httpx.Client) -> None:
    """Where they lie."""
    same = jpeg(colour=(7, 1, 1))
    tag_all(pages, send_batch(alice, {"x/1.jpg": same, "y/2.jpg": same}))

    (photo,) = alice.get("/api/duplicates/files").json()["photos"]

    assert [place["path"] for place in photo["places"]] == ["x/1.jpg", "y/2.jpg"]
    assert bob.get("/api/duplicates/files").json() == {"photos": [], "after": None}


@pytest.mark.parametrize(
    ("path", "query"), [("", {"after": "x"}), ("", {"limit": 0}), ("", {"after": 10**30}), ("/files", {"limit": 10**6})]
)
def test_what_is_no_page_is_refused(alice: httpx.Client, path: str, query: dict[str, object]) -> None:
    """Not answered with an error of ours."""
    assert alice.get(f"/api/duplicates{path}", params=query).status_code == 422  # pyright: ignore[reportArgumentType]


def test_what_cannot_be_told_apart_is_refused(alice: httpx.Client, stranger: httpx.Client) -> None:
    """Nothing, too much, numbers that are none; nobody who is not logged in."""
    for ids in ([], [0], [2**63], ["x"], list(range(1, 1002))):
        assert alice.post("/api/duplicates/apart", json={"ids": ids}).status_code == 422
    assert stranger.get("/api/duplicates").status_code == 401
