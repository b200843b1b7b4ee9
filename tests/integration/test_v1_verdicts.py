"""/api/v1: verdicts are recorded once, shown at once, kept from others' eyes, and taken back."""

import json
import secrets
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from db.label_changes import retire_label
from db.labels import ensure_labels
from db.schema import Review
from db.users import local_admin
from tests.integration.v1 import all_pages, ok, problem, program
from tests.integration.web_batches import tag_all
from tests.samples import numbered_photo
from tests.stack import Pages


@pytest.fixture
def api(pages: Pages) -> Iterator[httpx.Client]:
    """A program of a reviewer's."""
    with program(pages, "reviewer", "read", "submit", "review") as client:
        yield client


@pytest.fixture
def photos(pages: Pages, api: httpx.Client) -> list[int]:
    """Three photos that the model takes for dogs, new for each test."""
    batch = ok(api.post("batches", json={"name": "holiday"}), 201)["id"]
    for place in (1, 2, 3):
        data = numbered_photo(200) + secrets.token_bytes(8)
        ok(api.put(f"batches/{batch}/files/{place}", params={"path": f"{place}.jpg"}, content=data))
    ok(api.post(f"batches/{batch}/seal", json={"files": 3}))
    tag_all(pages, batch)
    return [item["photo_id"] for item in all_pages(api, f"batches/{batch}/items", "items")]


def say(api: httpx.Client, *verdicts: dict[str, Any], token: str = "") -> httpx.Response:
    """Sends verdicts as one stroke."""
    return api.post("verdicts", json={"token": token or secrets.token_hex(8), "verdicts": list(verdicts)})


def shown(api: httpx.Client, photo_id: int) -> tuple[Any, ...]:
    """What a photo shows, and by whom."""
    found = ok(api.get(f"photos/{photo_id}"))["shown"]
    return found["label"], found["by"]


def test_verdicts_are_shown_at_once_and_taken_back(api: httpx.Client, photos: list[int]) -> None:
    """By name whatever its case, by id, and those that give no label; the history has each of them."""
    first, second, third = photos
    before = ok(api.get(f"photos/{first}"))
    cat = next(label["id"] for label in ok(api.get("labels"))["labels"] if label["name"] == "cat")
    recorded = ok(
        say(
            api,
            {"photo_id": first, "label": "CAT"},
            {"photo_id": second, "label_id": cat},
            {"photo_id": third, "verdict": "none"},
        )
    )
    now = [shown(api, photo_id) for photo_id in photos]
    history = all_pages(api, f"verdicts?photo={first}", "verdicts")
    undone, again = (ok(api.post(f"verdicts/{recorded['action_id']}/undo")) for _ in range(2))

    assert (recorded["photo_ids"], recorded["missing"], recorded["conflicts"]) == (sorted(photos), [], [])
    assert recorded["repeated"] is False
    assert now == [("cat", "person"), ("cat", "person"), (None, "person")]
    (verdict,) = history
    assert (verdict["verdict"], verdict["label"], verdict["source"], verdict["counts"]) == (
        "correct",
        "cat",
        "api",
        True,
    )
    assert (verdict["model_label"], verdict["model_version"]) == ("dog", "test")
    assert verdict["model_score"] == pytest.approx(0.9)
    assert undone == again
    assert (undone["undone_action_id"], undone["photo_ids"]) == (recorded["action_id"], sorted(photos))
    after = ok(api.get(f"photos/{first}"))
    assert [(review["verdict"], review["counts"]) for review in after["reviews"]] == [
        ("undo", False),
        ("correct", False),
    ]
    assert {**after, "reviews": []} == before


def test_a_verdict_that_is_sent_twice_or_ten_times_at_once_is_one(
    pages: Pages, api: httpx.Client, photos: list[int]
) -> None:
    """The same token gives the same answer."""
    answers: list[httpx.Response] = []

    def send() -> None:
        answers.append(say(api, {"photo_id": photos[0], "label": "dog"}, token="the-same-stroke"))

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    bodies = [ok(answer) for answer in answers]
    assert len({body["action_id"] for body in bodies}) == 1
    assert [body["repeated"] for body in bodies].count(False) == 1
    with pages.database.reading() as session:
        assert session.scalar(select(func.count()).where(Review.photo_id == photos[0])) == 1


def test_a_photo_that_somebody_decided_meanwhile_is_a_conflict(
    pages: Pages, api: httpx.Client, photos: list[int]
) -> None:
    """With `seen`; the others are written. Photos that are not there are told."""
    with program(pages, "reviewer") as other:
        name = ok(other.get("me"))["name"]
        ok(say(other, {"photo_id": photos[0], "label": "cat"}))
    stroke = [
        {"photo_id": photos[0], "label": "dog", "seen": 0},
        {"photo_id": photos[1], "label": "dog", "seen": 0},
        {"photo_id": 2**60, "label": "dog"},
    ]
    recorded = ok(say(api, *stroke))
    nothing = ok(say(api, stroke[0]))
    counting = ok(api.get(f"photos/{photos[0]}"))["reviews"][0]["id"]
    seen = ok(say(api, {"photo_id": photos[0], "label": "dog", "seen": counting}))

    assert (recorded["photo_ids"], recorded["missing"]) == ([photos[1]], [2**60])
    assert recorded["conflicts"] == [{"photo_id": photos[0], "by": name, "verdict": "label", "label": "cat"}]
    assert (nothing["action_id"], nothing["photo_ids"]) == (None, [])
    assert seen["photo_ids"] == [photos[0]]


def test_a_stroke_is_taken_back_by_who_made_it(pages: Pages, api: httpx.Client, photos: list[int]) -> None:
    """Others have no such stroke; an undo is not taken back."""
    action = ok(say(api, {"photo_id": photos[0], "verdict": "unsure"}))["action_id"]
    with program(pages, "reviewer") as other:
        problem(other.post(f"verdicts/{action}/undo"), 404, "NOT_FOUND")
    undo = ok(api.post(f"verdicts/{action}/undo"))["action_id"]

    problem(api.post(f"verdicts/{undo}/undo"), 409, "CONFLICT")
    problem(api.post(f"verdicts/{2**60}/undo"), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "verdict",
    [
        {},
        {"photo_id": 1},
        {"photo_id": 1, "label": "dog", "label_id": 1},
        {"photo_id": 1, "verdict": "none", "label": "dog"},
        {"photo_id": 1, "verdict": "accept", "label": "dog"},
        {"photo_id": "x", "label": "dog"},
        {"photo_id": 2**63, "label": "dog"},
        {"photo_id": 1, "label": ""},
        {"photo_id": 1, "label": "a" * 201},
        {"photo_id": 1, "label": "dog", "seen": -1},
        {"photo_id": 1, "label": "dog", "labels": "cat"},
        {"photo_id": 1, "label": "\ud800"},
        [],
        None,
    ],
)
def test_what_is_no_verdict_is_refused(api: httpx.Client, verdict: Any) -> None:
    """With the place of the mistake, and nothing is written."""
    body = json.dumps({"token": "12345678", "verdicts": [verdict]})  # in ASCII: halves of characters go as escapes
    answer = api.post("verdicts", content=body, headers={"Content-Type": "application/json"})

    assert problem(answer, 422, "INVALID")["errors"][0]["where"].startswith("body.verdicts.0")


def test_a_list_is_bounded_and_a_token_has_a_form(api: httpx.Client) -> None:
    """A thousand at once; the errors of many are told in a short answer."""
    one = {"photo_id": 2**60, "verdict": "skip"}
    assert len(ok(say(api, *[one | {"photo_id": 2**60 + n} for n in range(1000)]))["missing"]) == 1000
    problem(say(api, *[one] * 1001), 422, "INVALID")
    problem(api.post("verdicts", json={"token": "12345678", "verdicts": []}), 422, "INVALID")
    many = problem(say(api, *[{}] * 900), 422, "INVALID")
    assert len(many["errors"]) == 10
    assert len(many["detail"]) < 2000
    for token in ("short", "a" * 65, "with a space", "\N{LATIN SMALL LETTER U WITH DIAERESIS}" * 9):
        problem(api.post("verdicts", json={"token": token, "verdicts": [one]}), 422, "INVALID")
    assert api.post("verdicts", content=b"x" * 1_100_000).status_code == 413
    problem(api.post("verdicts", content=b"{", headers={"Content-Type": "application/json"}), 422, "INVALID")


def test_a_label_that_is_not_there_or_retired_is_refused(pages: Pages, api: httpx.Client, photos: list[int]) -> None:
    """Nothing of the stroke is written."""
    with pages.database.transaction() as session:
        (old,) = ensure_labels(session, [("old label",)])
        retire_label(session, local_admin(session), old)
    good = {"photo_id": photos[1], "label": "cat"}

    missing = problem(say(api, good, {"photo_id": photos[0], "label": "griffin"}), 404, "NOT_FOUND")
    unknown = problem(say(api, good, {"photo_id": photos[0], "label_id": 2**60}), 404, "NOT_FOUND")
    retired = problem(say(api, good, {"photo_id": photos[0], "label": "Old Label"}), 409, "CONFLICT")

    assert "griffin" in missing["detail"]
    assert "no label" in unknown["detail"]
    assert "retired" in retired["detail"]
    assert shown(api, photos[1]) == ("dog", "model")


def test_the_history_comes_page_by_page(api: httpx.Client, photos: list[int]) -> None:
    """The newest first."""
    for photo_id in photos:
        ok(say(api, {"photo_id": photo_id, "verdict": "skip"}))

    first = ok(api.get("verdicts", params={"limit": 2}))
    every = all_pages(api, "verdicts?limit=2", "verdicts")

    assert [row["photo_id"] for row in first["verdicts"]] == photos[:0:-1]
    assert [row["id"] for row in every] == sorted((row["id"] for row in every), reverse=True)
    for cursor in ("x", "0", "-1", str(2**63)):
        problem(api.get(f"verdicts?cursor={cursor}"), 422, "INVALID")
