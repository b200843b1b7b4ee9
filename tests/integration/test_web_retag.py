"""What the Models page asks to re-tag: the batch, what would flip, showing a pair and all, and the way back."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from db.activations import roll_back
from db.model_versions import version_label_ids
from db.users import local_admin
from tests.retag_rows import activate_next, photo_ids, tagged_library, work_on_retag
from tests.review_rows import say, shown_of
from tests.stack import Pages, serving


@pytest.fixture
def pages(tmp_path: Any) -> Iterator[Pages]:
    """A library of ten photos that the first version has tagged, without workers."""
    with serving(tmp_path / "phototag-data") as running:
        tagged_library(running.database, 10)
        yield running


def shown(pages: Pages) -> dict[int, dict[str, Any]]:
    """What each photo shows."""
    with pages.database.reading() as session:
        return shown_of(session, photo_ids(session))


def through(admin: httpx.Client, path: str, **body: Any) -> int:
    """Calls the route until nothing is left, as the page does; how many photos changed."""
    done = 0
    for _ in range(20):
        answer = admin.post(f"/api/models/retag/{path}", json=body)
        assert answer.status_code == 200, answer.text
        done += answer.json()["done"]
        if not answer.json()["left"]:
            return done
    raise AssertionError(path)


def test_a_retag_from_start_to_roll_back(pages: Pages, admin: httpx.Client) -> None:
    """Nothing changes before it is applied; then a pair, then all; a roll back shows exactly what was before."""
    before = shown(pages)
    with pages.database.transaction() as session:
        second = activate_next(session, "second")
        say(session, local_admin(session), [min(before)], label_id=version_label_ids(session, second)[0])
    by_person = shown(pages)
    started = admin.post("/api/models/retag")
    assert (started.status_code, started.json()["version"], started.json()["batch"]["state"]) == (
        201,
        "second",
        "running",
    )
    assert admin.post("/api/models/retag").json()["batch"]["id"] == started.json()["batch"]["id"]
    with pages.database.transaction() as session:
        assert work_on_retag(session, second) == 10
    state = admin.get("/api/models/retag").json()
    assert (state["batch"]["state"], state["batch"]["counts"]["tagged"], state["restoring"]) == ("finished", 10, 0)

    found = admin.get("/api/models/retag/preview").json()
    flips = found["flips"]
    assert found["version"] == "second"
    assert sum(flip["photos"] for flip in flips) + found["same"] == 9
    assert {photo["id"] for photo in flips[0]["samples"]} <= set(before)
    assert shown(pages) == by_person
    assert through(admin, "apply", version="second", pair=flips[0]["pair"]) == flips[0]["photos"]
    assert [flip["pair"] for flip in admin.get("/api/models/retag/preview").json()["flips"]] == [
        flip["pair"] for flip in flips[1:]
    ]
    through(admin, "apply", version="second")
    left = admin.get("/api/models/retag/preview").json()
    assert (left["flips"], left["same"]) == ([], 0)
    known = admin.get("/api/models/versions").json()
    assert (known["back"]["before"], known["back"]["photos"]) == ("first", 10)

    assert admin.post("/api/models/rollback", json={"expected": "second"}).status_code == 200
    assert shown(pages) == by_person
    assert admin.get("/api/models/retag").json()["restoring"] == 0


def test_a_roll_back_that_was_interrupted_goes_on(pages: Pages, admin: httpx.Client) -> None:
    """The page sees how many photos are left, and takes them back."""
    before = shown(pages)
    with pages.database.transaction() as session:
        second = activate_next(session, "second")
    admin.post("/api/models/retag")
    with pages.database.transaction() as session:
        work_on_retag(session, second)
    through(admin, "apply", version="second")
    with pages.database.transaction() as session:
        roll_back(session, local_admin(session))

    left = admin.get("/api/models/retag").json()["restoring"]
    restored = through(admin, "restore")
    assert shown(pages) == before
    assert (left, restored) in {(10, 10), (10, 0), (0, 0)}, (
        "all of them, by the page or by the janitor's round just then"
    )
    assert admin.get("/api/models/retag").json()["restoring"] == 0


def test_what_cannot_be_applied_is_said(pages: Pages, admin: httpx.Client) -> None:
    """There is nothing to re-tag with the version that tagged all; only the active version's word is shown."""
    nothing = admin.post("/api/models/retag")
    assert (nothing.status_code, "nothing is left to re-tag" in nothing.json()["message"]) == (409, True)
    with pages.database.transaction() as session:
        activate_next(session, "second")
        roll_back(session, local_admin(session))

    assert admin.post("/api/models/retag/apply", json={"version": "second"}).status_code == 409
    assert admin.post("/api/models/retag/apply", json={"version": "none"}).status_code == 404


def test_only_admins_re_tag(alice: httpx.Client, stranger: httpx.Client) -> None:
    """Owners and who is not logged in are turned away."""
    for path in ("", "/preview"):
        assert (
            stranger.get(f"/api/models/retag{path}").status_code,
            alice.get(f"/api/models/retag{path}").status_code,
        ) == (401, 403)
    for path in ("", "/apply", "/restore"):
        assert alice.post(f"/api/models/retag{path}", json={"version": "x"}).status_code == 403
