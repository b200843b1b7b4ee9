"""/api/v1: re-tagging with the active version, showing a pair of labels and all, and the way back."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from db.audit import list_audit
from db.label_changes import merge_labels
from db.labels import ensure_labels
from db.model_versions import version_label_ids
from db.users import local_admin
from tests.integration.v1 import ok, problem, program
from tests.retag_rows import activate_next, photo_ids, tagged_library, work_on_retag
from tests.review_rows import say, shown_of
from tests.stack import Pages, serving


@pytest.fixture
def pages(tmp_path: Any) -> Iterator[Pages]:
    """A library of ten photos that the first version has tagged, without workers."""
    with serving(tmp_path / "phototag-data") as running:
        tagged_library(running.database, 10)
        yield running


@pytest.fixture
def api(pages: Pages) -> Iterator[httpx.Client]:
    """A program of an admin's that may read, and change which version tags."""
    with program(pages, "admin", "read", "models") as client:
        yield client


def shown(pages: Pages) -> dict[int, dict[str, Any]]:
    """What each photo shows."""
    with pages.database.reading() as session:
        return shown_of(session, photo_ids(session))


def retagged(pages: Pages, api: httpx.Client) -> int:
    """The id of a second version that is active and has tagged all ten photos; none shows it."""
    with pages.database.transaction() as session:
        second = activate_next(session, "second")
    ok(api.post("models/retag"), 201)
    with pages.database.transaction() as session:
        assert work_on_retag(session, second) == 10
    return second


def applied(api: httpx.Client, **asked: Any) -> int:
    """Applies until nothing is left; how many photos changed."""
    done = 0
    for _ in range(20):
        answer = ok(api.post("models/retag/apply", json=asked))
        assert answer["version"] == "second"
        done += answer["done"]
        if not answer["left"]:
            return done
    raise AssertionError(asked)


def test_a_retag_is_a_batch_that_says_so(pages: Pages, api: httpx.Client, admin: httpx.Client) -> None:
    """The same again gives the open one; lists of programs and pages tell it from photos that were sent."""
    with pages.database.transaction() as session:
        second = activate_next(session, "second")
    answer = api.post("models/retag", json={"expected": "second"})
    started = ok(answer, 201)
    again = ok(api.post("models/retag"), 201)

    assert (started["kind"], started["state"], started["counts"]["open"]) == ("retag", "running", 10)
    assert answer.headers["Location"] == f"/api/v1/batches/{started['id']}"
    assert again["id"] == started["id"]
    kinds = {batch["id"]: batch["kind"] for batch in ok(api.get("batches"))["batches"]}
    assert kinds.pop(started["id"]) == "retag"
    assert set(kinds.values()) == {"photos"}
    of_pages = {batch["id"]: batch["kind"] for batch in admin.get("/api/batches").json()["batches"]}
    assert of_pages == kinds | {started["id"]: "retag"}

    with pages.database.transaction() as session:
        work_on_retag(session, second)
    state = ok(api.get("models/retag", params={"limit": 0}))
    assert (state["version"], state["batch"]["id"], state["batch"]["state"]) == ("second", started["id"], "finished")
    assert (state["batch"]["counts"]["tagged"], state["preview"], state["restoring"]) == (10, None, 0)


def test_a_pair_then_all_is_applied_and_rolled_back(pages: Pages, api: httpx.Client) -> None:
    """A person's label stays; a roll back shows what was before, exactly; both are in the log."""
    second = retagged(pages, api)
    with pages.database.transaction() as session:
        kept = photo_ids(session)[0]
        say(session, local_admin(session), [kept], label_id=version_label_ids(session, second)[0])
    before = shown(pages)
    found = ok(api.get("models/retag"))["preview"]
    flip = found["flips"][0]

    assert sum(one["photos"] for one in found["flips"]) + found["same"] == 9
    assert found["pairs"] == len(found["flips"])
    assert set(flip["samples"]) <= set(before)
    cut = ok(api.get("models/retag", params={"limit": 1}))["preview"]
    assert (cut["flips"], cut["pairs"]) == ([flip], found["pairs"])

    pair = {"from_label": flip["from_label"].upper(), "to_label": flip["to_label_id"]}
    assert applied(api, version="second", pair=pair) == flip["photos"]
    changed = {photo_id for photo_id, one in shown(pages).items() if one != before[photo_id]}
    assert len(changed) == flip["photos"]
    assert set(flip["samples"]) <= changed
    assert flip not in ok(api.get("models/retag"))["preview"]["flips"]
    assert applied(api) == 10 - flip["photos"]
    left = ok(api.get("models/retag"))["preview"]
    assert (left["flips"], left["pairs"], left["same"]) == ([], 0, 0)
    assert shown(pages)[kept]["shown_label_id"] == before[kept]["shown_label_id"]

    back = ok(api.post("models/rollback", json={"expected": "second"}))
    assert back == {"active": "first", "restored": 10, "left": 0}
    assert shown(pages) == before
    problem(api.post("models/rollback", json={"expected": "second"}), 409, "CONFLICT")
    with pages.database.reading() as session:
        log = [(entry.subject, entry.details) for entry in list_audit(session) if entry.action == "models.apply"]
    assert [(subject, details["photos"]) for subject, details in log] == [
        ("second", 10 - flip["photos"]),
        ("second", flip["photos"]),
    ]


def test_the_name_of_a_merged_label_stands_for_its_target(pages: Pages, api: httpx.Client) -> None:
    """A pair may be named by what the labels were called before."""
    retagged(pages, api)
    flip = ok(api.get("models/retag"))["preview"]["flips"][0]
    with pages.database.transaction() as session:
        old = ensure_labels(session, [["the old name"]])
        merge_labels(session, local_admin(session), old, flip["to_label_id"])

    pair = {"from_label": flip["from_label_id"], "to_label": "The Old Name"}
    assert applied(api, pair=pair) == flip["photos"]


def test_what_cannot_be_done_is_said(pages: Pages, api: httpx.Client) -> None:
    """Nothing to re-tag, nothing to go back to, another version, no such version or label, bad input: nothing changes."""
    assert "nothing is left to re-tag" in problem(api.post("models/retag"), 409, "CONFLICT")["detail"]
    assert "“first”" in problem(api.post("models/rollback", json={"expected": "none"}), 409, "CONFLICT")["detail"]
    first = problem(api.post("models/rollback", json={"expected": "first"}), 409, "CONFLICT")
    assert "nothing to go back to" in first["detail"]
    problem(api.post("models/rollback", json={}), 422, "INVALID")
    retagged(pages, api)
    before = shown(pages)

    problem(api.post("models/retag/apply", json={"version": "first"}), 409, "CONFLICT")
    problem(api.post("models/retag/apply", json={"version": "none"}), 404, "NOT_FOUND")
    for pair in ({"from_label": "no such", "to_label": 1}, {"from_label": 1, "to_label": 2**62}):
        problem(api.post("models/retag/apply", json={"pair": pair}), 404, "NOT_FOUND")
    for bad in ({"pair": ["a", "b"]}, {"pair": {"from_label": 0, "to_label": 1}}, {"all": True}):
        problem(api.post("models/retag/apply", json=bad), 422, "INVALID")
    problem(api.get("models/retag", params={"limit": 1001}), 422, "INVALID")
    assert shown(pages) == before


def test_a_retag_with_another_version_than_expected_is_not_started(pages: Pages, api: httpx.Client) -> None:
    """The version was changed by somebody else meanwhile: no batch is left."""
    with pages.database.transaction() as session:
        activate_next(session, "second")
    problem(api.post("models/retag", json={"expected": "first"}), 409, "CONFLICT")

    assert ok(api.get("models/retag"))["batch"] is None


def test_without_a_version_nothing_can_be_done(tmp_path: Any) -> None:
    """The state says so; the rest is refused in words."""
    with serving(tmp_path / "phototag-data") as pages, program(pages, "admin", "read", "models") as api:
        nothing = ok(api.get("models/retag"))
        refused = [api.post("models/retag"), api.post("models/retag/apply", json={})]

    assert (nothing["version"], nothing["batch"], nothing["preview"]["flips"]) == (None, None, [])
    assert all("No model version is active yet" in problem(one, 409, "CONFLICT")["detail"] for one in refused)


def test_only_admins_with_the_scope_re_tag(pages: Pages) -> None:
    """Reviewers may not, nor an admin's token that is only for reading: no photo changes, the version stays."""
    before = shown(pages)
    posts = (("models/retag", {}), ("models/retag/apply", {}), ("models/rollback", {"expected": "first"}))
    with program(pages, "reviewer") as reviewer, program(pages, "admin", "read") as reading:
        for path, asked in posts:
            problem(reviewer.post(path, json=asked), 403, "ROLE_REQUIRED")
            problem(reading.post(path, json=asked), 403, "SCOPE_REQUIRED")
        problem(reviewer.get("models/retag"), 403, "ROLE_REQUIRED")
        assert ok(reading.get("models/retag"))["version"] == "first"
    assert shown(pages) == before
