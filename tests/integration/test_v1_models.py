"""/api/v1: asking for a training, following it to its exam, and cancelling it."""

from collections.abc import Iterator

import httpx
import pytest

from db.training_runs import claim_run, fail_run, report_progress
from tests.integration.v1 import all_pages, ok, problem, program
from tests.model_rows import WORDS, add_finished_run
from tests.stack import Pages, serving
from tests.store import add_version

KEY = "a training that is asked for once"
EPOCH = {"number": 1, "loss": 0.7, "accuracy": 0.5, "held_out_loss": 0.8, "held_out_accuracy": 0.4}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Pages of one's own: runs and versions are of the whole database."""
    with serving(tmp_path_factory.mktemp("models") / "phototag-data") as running:
        with running.database.transaction() as session:
            add_version(session)
        yield running


@pytest.fixture
def api(pages: Pages) -> Iterator[httpx.Client]:
    """A program of an admin's that may read, and train."""
    with program(pages, "admin", "read", "models") as client:
        yield client


def test_a_training_is_asked_for_followed_and_cancelled(pages: Pages, api: httpx.Client) -> None:
    """Two wait in their order; progress and curves are told; cancelled twice is once; one that failed says why."""
    answer = api.post("models/train", json={"recipe": "default", "activate": "auto"})
    first, second = ok(answer, 201), ok(api.post("models/train", json={}), 201)
    assert answer.headers["Location"] == f"/api/v1/models/runs/{first['id']}"
    assert (first["state"], first["activate"], first["ahead"], second["ahead"]) == ("queued", "auto", 0, 1)
    assert (second["recipe"], second["activate"], second["by"]) == ("default", "never", ok(api.get("me"))["name"])
    with pages.database.transaction() as session:
        claimed = claim_run(session, "w", 60)
        assert claimed is not None
        assert report_progress(session, claimed, "head", 3, 11, [EPOCH])

    seen = ok(api.get(f"models/runs/{first['id']}"))
    assert (seen["state"], seen["stage"], seen["done"], seen["total"]) == ("running", "head", 3, 11)
    assert (seen["curves"], seen["values"]["name"], seen["report"], seen["active"]) == (
        [EPOCH],
        "default",
        None,
        "first",
    )
    stopped, again = (ok(api.post(f"models/runs/{second['id']}/cancel")) for _ in range(2))
    assert (stopped["state"], again) == ("cancelled", stopped)
    with pages.database.transaction() as session:
        fail_run(session, claimed, "Too little memory. Take the recipe gap.")
    failed = ok(api.get(f"models/runs/{first['id']}"))
    assert (failed["state"], failed["reason"]) == ("failed", "Too little memory. Take the recipe gap.")
    ended = problem(api.post(f"models/runs/{first['id']}/cancel"), 409, "CONFLICT")
    assert "nothing to cancel" in ended["detail"]


def test_a_network_of_ones_own_is_trained_by_whoever_accepts_its_cost(api: httpx.Client) -> None:
    """The problem says what it costs."""
    refused = problem(api.post("models/train", json={"recipe": "vgg16-finetune"}), 409, "CONFLICT")
    started = ok(api.post("models/train", json={"recipe": "vgg16-finetune", "accept_cost": True}), 201)

    assert "`accept_cost`" in refused["detail"]
    assert "photos a second" in refused["detail"]
    assert (started["recipe"], started["state"]) == ("vgg16-finetune", "queued")
    ok(api.post(f"models/runs/{started['id']}/cancel"))


def test_a_training_that_is_asked_for_again_with_its_key_is_one(pages: Pages, api: httpx.Client) -> None:
    """An answer that was lost makes no second training; another person's same key is another one."""
    key = {"Idempotency-Key": KEY.replace(" ", "-")}
    first, again = (ok(api.post("models/train", json={}, headers=key), 201) for _ in range(2))
    with program(pages, "admin", "models") as other:
        theirs = ok(other.post("models/train", json={}, headers=key), 201)
    without = ok(api.post("models/train", json={}), 201)

    assert again == first
    assert len({first["id"], theirs["id"], without["id"]}) == 3
    listed = all_pages(api, "models/runs?limit=1", "runs")
    assert [run["id"] for run in listed][:3] == [without["id"], theirs["id"], first["id"]]
    assert [run["id"] for run in listed] == sorted({run["id"] for run in listed}, reverse=True)
    for run in (first, theirs, without):
        ok(api.post(f"models/runs/{run['id']}/cancel"))


def test_what_a_training_found_is_told(pages: Pages, api: httpx.Client) -> None:
    """The exam of both versions, the gate and its words, the version that it made and what became of it."""
    with pages.database.transaction() as session:
        names, answers = ("glacier", "mountain"), [(0, 0, 1), (0, 1, 0), (1, 1, 0), (1, 1, 1)]
        run_id, photos, _ = add_finished_run(session, names, answers, version="head-9")

    found = ok(api.get(f"models/runs/{run_id}"))
    assert (found["state"], found["gate"], found["outcome"], found["words"]) == ("done", "better", None, WORDS)
    assert (found["base"], found["version"], found["photos"]) == ("first", "head-9", 4)
    assert found["report"]["candidate"]["top1"]["value"] == 0.75
    assert [one["id"] for one in found["report"]["hurting"]] == photos[:3]
    ok(api.post("models/head-9/activate"))
    assert ok(api.get(f"models/runs/{run_id}"))["outcome"] == "activated"
    assert ok(api.post("models/rollback", json={"expected": "head-9"}))["active"] == "first"


@pytest.mark.parametrize(
    "asked", [{"activate": "maybe"}, {"recipe": "a" * 65}, {"recipe": None}, {"seed": 1}, []], ids=str
)
def test_a_training_that_is_not_understood_is_refused(api: httpx.Client, asked: object) -> None:
    """Where it is wrong is said; no run is made."""
    before = ok(api.get("models/runs"))
    assert problem(api.post("models/train", json=asked), 422, "INVALID")["errors"]
    assert ok(api.get("models/runs")) == before


def test_what_is_not_there_is_said(api: httpx.Client) -> None:
    """A recipe with the names of those there are, and a run."""
    assert "default" in problem(api.post("models/train", json={"recipe": "no-such"}), 404, "NOT_FOUND")["detail"]
    problem(api.get("models/runs/99999"), 404, "NOT_FOUND")
    problem(api.post("models/runs/99999/cancel"), 404, "NOT_FOUND")
    problem(api.get("models/runs/x"), 422, "INVALID")


def test_only_admins_with_the_scope_train(pages: Pages) -> None:
    """Reviewers neither see runs nor start one; an admin's token for reading sees them."""
    with program(pages, "reviewer") as reviewer, program(pages, "admin", "read") as reading:
        problem(reviewer.post("models/train", json={}), 403, "ROLE_REQUIRED")
        problem(reading.post("models/train", json={}), 403, "SCOPE_REQUIRED")
        problem(reading.post("models/runs/1/cancel"), 403, "SCOPE_REQUIRED")
        for path in ("models/runs", "models/runs/1"):
            problem(reviewer.get(path), 403, "ROLE_REQUIRED")
        assert "runs" in ok(reading.get("models/runs"))
