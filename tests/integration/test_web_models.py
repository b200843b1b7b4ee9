"""What the Models page asks: what can be trained, runs, the exam and its photos, sending back, versions and the way back."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from db.labels import ensure_labels
from db.reviews import Said, record_verdicts
from db.schema import Photo, ReviewHint
from db.training_runs import claim_run, fail_run, report_progress
from db.users import local_admin
from tests.library_rows import add_photos
from tests.model_rows import WORDS, add_finished_run
from tests.stack import Pages, serving
from tests.store import add_version

NAMES = ("glacier", "mountain")
EPOCH = {"number": 1, "loss": 0.7, "accuracy": 0.5, "held_out_loss": 0.8, "held_out_accuracy": 0.4}
# the true label, the candidate's, the base's
ANSWERS = [(0, 0, 1), (0, 1, 0), (1, 1, 0), (1, 1, 1)]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Pages of one's own: readiness and versions are of the whole database."""
    with serving(tmp_path_factory.mktemp("models") / "phototag-data") as running:
        with running.database.transaction() as session:
            add_version(session)
        yield running


@pytest.fixture
def rita(pages: Pages) -> Iterator[httpx.Client]:
    """A browser of a reviewer."""
    with pages.client("rita", "reviewer") as client:
        yield client


def finished_run(pages: Pages, version_name: str = "head-1") -> tuple[int, list[int], list[int]]:
    """A run that made a candidate and its exam of four photos: its id, the photos, the labels."""
    with pages.database.transaction() as session:
        return add_finished_run(session, NAMES, ANSWERS, version=version_name)


def test_nothing_is_reviewed_yet(admin: httpx.Client) -> None:
    """The page can say what to do first; recipes are there, the default one first; no worker trains here."""
    found = admin.get("/api/models").json()

    assert found["readiness"]["labels"] == []
    assert "`phototag labels import`" in found["readiness"]["missing"][0]
    assert found["recipes"][0]["name"] == "default"
    assert found["recipes"][0]["title"]
    assert found["active"] == "first"
    assert "phototag worker --queues training" in found["notice"]


def test_a_run_is_started_seen_and_cancelled(pages: Pages, admin: httpx.Client) -> None:
    """With all values of its recipe; two wait in their order; progress and curves are shown; cancelled twice is told."""
    first = admin.post("/api/models/runs", json={"recipe": "default", "activate": "auto"})
    second = admin.post("/api/models/runs", json={})
    assert (first.status_code, first.json()["ahead"], second.json()["ahead"]) == (201, 0, 1)
    run_id = first.json()["id"]
    with pages.database.transaction() as session:
        claimed = claim_run(session, "w", 60)
        assert claimed is not None
        assert claimed.id == run_id
        assert claimed.recipe["method"]
        assert report_progress(session, claimed, "head", 3, 11, [EPOCH])

    seen = admin.get(f"/api/models/runs/{run_id}").json()
    assert (seen["state"], seen["stage"], seen["done"], seen["total"], seen["curves"]) == (
        "running",
        "head",
        3,
        11,
        [EPOCH],
    )
    assert (seen["by"], seen["activate"], seen["report"]) == ("admin", "auto", None)
    listed = admin.get("/api/models/runs", params={"limit": 1}).json()
    assert ([run["id"] for run in listed["runs"]], listed["more"]) == ([second.json()["id"]], True)
    assert admin.post(f"/api/models/runs/{second.json()['id']}/cancel").json()["state"] == "cancelled"
    with pages.database.transaction() as session:
        fail_run(session, claimed, "Too little memory. Take the recipe gap.")
    failed = admin.get(f"/api/models/runs/{run_id}").json()
    assert (failed["state"], failed["reason"], failed["open"]) == (
        "failed",
        "Too little memory. Take the recipe gap.",
        False,
    )
    again = admin.post(f"/api/models/runs/{run_id}/cancel")
    assert (again.status_code, "nothing to cancel" in again.json()["message"]) == (409, True)


def test_what_a_network_of_ones_own_costs_is_shown_and_must_be_accepted(pages: Pages, admin: httpx.Client) -> None:
    """Before anything is started; a head costs nothing to speak of."""
    with pages.database.transaction() as session:
        add_photos(session, [{} for _ in range(3)])
        tagged = session.scalars(select(func.count()).select_from(Photo).where(Photo.state == "tagged")).one()
    shown = admin.get("/api/models/cost", params={"recipe": "vgg16-finetune"}).json()["cost"]
    runs = len(admin.get("/api/models/runs").json()["runs"])

    refused = admin.post("/api/models/runs", json={"recipe": "vgg16-finetune"})
    started = admin.post("/api/models/runs", json={"recipe": "vgg16-finetune", "accept_cost": True})

    assert shown["to_train"] + shown["to_examine"] + shown["to_retag"] == tagged
    assert "the library to be re-tagged" in shown["lines"][2]
    assert (refused.status_code, started.status_code) == (409, 201)
    assert refused.json()["message"].startswith(shown["lines"][0])
    assert len(admin.get("/api/models/runs").json()["runs"]) == runs + 1
    assert admin.post(f"/api/models/runs/{started.json()['id']}/cancel").status_code == 200
    assert admin.get("/api/models/cost", params={"recipe": "default"}).json() == {"cost": None}
    assert admin.get("/api/models/cost", params={"recipe": "none"}).status_code == 404


def test_the_exam_is_shown_with_its_photos(pages: Pages, admin: httpx.Client) -> None:
    """Figures with intervals, labels by name, both matrices, the photos of a cell, those that changed; no photo that is gone."""
    run_id, photo_ids, (glacier, mountain) = finished_run(pages)

    run = admin.get(f"/api/models/runs/{run_id}").json()
    candidate = run["report"]["candidate"]
    assert (run["gate"], run["words"], run["base"], run["active"]) == ("better", WORDS, "first", "first")
    assert candidate["top1"]["low"] < 0.75 < candidate["top1"]["high"]
    assert [one["name"] for one in candidate["by_label"]] == ["glacier", "mountain"]
    assert [(one["id"], one["label"], one["fits"]) for one in run["report"]["hurting"]] == [
        (photo_ids[0], "glacier", 0.05),
        (photo_ids[1], "glacier", 0.05),
        (photo_ids[2], "mountain", 0.05),
    ]
    matrix = admin.get(f"/api/models/runs/{run_id}/matrix").json()
    assert matrix["cells"]["candidate"] == [[glacier, glacier, 1], [glacier, mountain, 1], [mountain, mountain, 2]]
    assert matrix["cells"]["base"] == [
        [glacier, glacier, 1],
        [glacier, mountain, 1],
        [mountain, glacier, 1],
        [mountain, mountain, 1],
    ]
    assert (matrix["better"], matrix["worse"], matrix["names"][str(glacier)]) == (2, 1, "glacier")

    def shown(**query: Any) -> list[int]:
        return [photo["id"] for photo in admin.get(f"/api/models/runs/{run_id}/photos", params=query).json()["photos"]]

    assert shown() == photo_ids
    assert shown(label=mountain, said=mountain) == photo_ids[2:]
    assert shown(label=mountain, said=mountain, after=photo_ids[2]) == photo_ids[3:]
    assert shown(label=glacier, said=glacier, of="base") == [photo_ids[1]]
    assert shown(change="better") == [photo_ids[0], photo_ids[2]]
    assert shown(change="worse") == [photo_ids[1]]
    one = admin.get(f"/api/models/runs/{run_id}/photos", params={"change": "worse"}).json()["photos"][0]
    assert (one["label"], one["candidate"], one["base"], one["base_score"]) == ("glacier", "mountain", "glacier", 0.8)


def test_a_candidate_is_rejected_or_activated_and_rolled_back(pages: Pages, admin: httpx.Client) -> None:
    """What the page has seen to be active must still be; the history marks the active one."""
    run_id, *_ = finished_run(pages, "head-2")
    late = admin.post("/api/models/versions/head-2/activate", json={"expected": "another"})
    assert (late.status_code, "Look again" in late.json()["message"]) == (409, True)
    assert admin.post(f"/api/models/runs/{run_id}/reject").json()["outcome"] == "rejected"
    assert admin.post(f"/api/models/runs/{run_id}/reject").status_code == 409

    known = admin.post("/api/models/versions/head-2/activate", json={"expected": "first"}).json()
    active = next(version for version in known["versions"] if version["active"])
    assert (active["name"], active["activated_by"], active["recipe"], active["run"]) == (
        "head-2",
        "admin",
        "default",
        run_id,
    )
    assert active["figures"] == {"top1": 0.75, "photos": 4}
    assert admin.get(f"/api/models/runs/{run_id}").json()["outcome"] == "activated"
    assert known["back"] == {"version": "head-2", "before": "first", "photos": 0}
    assert admin.post("/api/models/rollback", json={"expected": "first"}).status_code == 409
    back = admin.post("/api/models/rollback", json={"expected": "head-2"}).json()
    assert [version["name"] for version in back["versions"] if version["active"]] == ["first"]
    assert back["back"] is None
    assert admin.get("/api/models/versions").json() == back


def test_photos_are_sent_back_to_review(pages: Pages, admin: httpx.Client) -> None:
    """Those that people labelled; others, and photos that do not exist, are left out."""
    with pages.database.transaction() as session:
        said, other = add_photos(session, [{}, {}])
        label_id = ensure_labels(session, [["glacier"]])[0]
        record_verdicts(
            session, local_admin(session), [Said(said, "label", label_id, None, None)], token="t", source="single"
        )

    assert admin.post("/api/models/review", json={"ids": [said, other, 10**9]}).json() == {"photos": 1}
    with pages.database.reading() as session:
        hint = session.scalars(select(ReviewHint).where(ReviewHint.reason == "mislabelled")).one()
    assert (hint.photo_id, hint.urgency, hint.settled) == (said, 1.0, False)
    assert admin.get("/api/review/counts").json()["queues"]["mislabelled"] == 1
    ready = {label["name"]: label for label in admin.get("/api/models").json()["readiness"]["labels"]}
    assert ready["glacier"]["undecided"] == 1
    assert ready["glacier"]["reviewed"] == ready["glacier"]["holdout"] + 1


def test_only_admins_come_in(alice: httpx.Client, rita: httpx.Client, stranger: httpx.Client) -> None:
    """Owners and reviewers are told which role it needs; what does not exist is told to admins alone."""
    for path in ("", "/runs", "/runs/1", "/runs/1/matrix", "/runs/1/photos", "/versions"):
        assert (stranger.get(f"/api/models{path}").status_code, alice.get(f"/api/models{path}").status_code) == (
            401,
            403,
        )
        assert rita.get(f"/api/models{path}").json()["code"] == "ROLE_REQUIRED"
    for path in ("/runs", "/runs/1/cancel", "/runs/1/reject", "/review", "/versions/first/activate", "/rollback"):
        assert rita.post(f"/api/models{path}", json={"ids": [1], "expected": None}).status_code == 403


def test_what_is_not_there_is_said(admin: httpx.Client) -> None:
    """A recipe, a run, a version."""
    recipe = admin.post("/api/models/runs", json={"recipe": "none"})
    assert (recipe.status_code, "default" in recipe.json()["message"]) == (404, True)
    for path in ("/api/models/runs/999", "/api/models/runs/999/photos"):
        assert admin.get(path).status_code == 404
    assert admin.post("/api/models/runs/999/cancel").status_code == 404
    assert admin.post("/api/models/versions/none/activate", json={"expected": "first"}).status_code == 404
