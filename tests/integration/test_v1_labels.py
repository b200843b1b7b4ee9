"""/api/v1: the vocabulary and model versions, as programs change them."""

import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from db.model_versions import activate, active_version, register_version
from db.schema import AuditEntry
from tests.integration.v1 import all_pages, ok, problem, program
from tests.stack import Pages


@pytest.fixture
def api(pages: Pages) -> Iterator[httpx.Client]:
    """A program of a reviewer's that may change labels."""
    with program(pages, "reviewer", "read", "labels") as client:
        yield client


def new_label(api: httpx.Client, name: str = "", **more: Any) -> tuple[int, int, str]:
    """Id of the change, id of the label, its name."""
    name = name or f"label {secrets.token_hex(4)}"
    made = ok(api.post("labels", json={"name": name, **more}), 201)
    return made["change_id"], made["label_id"], name


def labels(api: httpx.Client, **query: Any) -> dict[int, dict[str, Any]]:
    """The vocabulary by id."""
    return {label["id"]: label for label in ok(api.get("labels", params=query))["labels"]}


def test_a_label_is_added_renamed_moved_and_found(api: httpx.Client) -> None:
    """By any spelling of its name; a name is there once."""
    _, parent, name = new_label(api)
    change, child, old = new_label(api, parent_id=parent)
    renamed = ok(api.post(f"labels/{child}/rename", json={"name": f"Größe {old}"}))
    moved = ok(api.post(f"labels/{child}/parent", json={"parent_id": None}))
    found = labels(api, search=f"GRÖSSE {old}")

    assert (renamed["label_id"], renamed["photos"], moved["label_id"]) == (child, 0, child)
    assert renamed["change_id"] > change
    assert found[child]["name"] == f"Größe {old}"
    assert found[child]["parent_id"] is None
    problem(api.post("labels", json={"name": name.upper()}), 409, "CONFLICT")
    problem(api.post(f"labels/{child}/parent", json={"parent_id": child}), 409, "CONFLICT")


def test_a_merge_is_undone_exactly_and_a_retired_label_is_restored(api: httpx.Client) -> None:
    """The list and the history follow."""
    _, target, _ = new_label(api)
    _, source, name = new_label(api)
    merged = ok(api.post(f"labels/{target}/merge", json={"label_ids": [source]}))
    also = labels(api)[target]["also"]
    undone = ok(api.post(f"labels/changes/{merged['change_id']}/undo"))
    retired = ok(api.post(f"labels/{source}/retire"))
    offered, every = labels(api), labels(api, retired=True)
    ok(api.post(f"labels/{source}/restore"))
    history = all_pages(api, "labels/changes?limit=3", "changes")

    assert also == [name]
    assert undone["what"].startswith("undone: ")
    assert retired["label_id"] == source
    assert source not in offered
    assert every[source]["retired"] is True
    assert source in labels(api)
    by_id = {change["id"]: change for change in history}
    assert by_id[merged["change_id"]]["undone_by"] == undone["change_id"]
    assert [change["id"] for change in history] == sorted(by_id, reverse=True)
    problem(api.post(f"labels/changes/{merged['change_id']}/undo"), 409, "CONFLICT")


def test_another_person_s_change_is_undone_by_an_admin(pages: Pages, api: httpx.Client) -> None:
    """Not by another reviewer."""
    change, label, _ = new_label(api)
    with program(pages, "reviewer") as other, program(pages, "admin") as admin:
        problem(other.post(f"labels/changes/{change}/undo"), 403, "NOT_ALLOWED")
        ok(admin.post(f"labels/changes/{change}/undo"))

    assert label not in labels(api)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("labels", {"name": ""}, 422),
        ("labels", {"name": "a" * 201}, 422),
        ("labels", {"name": " \t\u0000 "}, 422),
        ("labels", {"name": 3}, 422),
        ("labels", {"name": "x", "parent": 1}, 422),
        ("labels", {"name": "an orphan", "parent_id": 2**60}, 404),
        (f"labels/{2**60}/rename", {"name": "nobody"}, 404),
        (f"labels/{2**60}/merge", {"label_ids": [1]}, 404),
        ("labels/1/merge", {"label_ids": []}, 422),
        ("labels/1/merge", {"label_ids": list(range(1, 5000))}, 422),
        ("labels/1/parent", {}, 422),
        ("labels/0/retire", None, 422),
        (f"labels/changes/{2**60}/undo", None, 404),
    ],
)
def test_a_change_that_cannot_be_is_refused(api: httpx.Client, path: str, body: Any, status: int) -> None:
    """In the shape of a problem."""
    problem(api.post(path, json=body), status, "INVALID" if status == 422 else "NOT_FOUND")


def test_owners_read_the_vocabulary_and_not_what_others_have(pages: Pages, api: httpx.Client) -> None:
    """Labels, for their filters; counts are of everybody's photos."""
    with program(pages, "owner") as owner:
        assert labels(owner).keys() == labels(api).keys()
        problem(owner.get("labels/counts"), 403, "ROLE_REQUIRED")
        problem(owner.get("labels/changes"), 403, "ROLE_REQUIRED")
    assert isinstance(ok(api.get("labels/counts"))["counts"], list)


def test_model_versions_are_listed_shown_and_activated(pages: Pages, api: httpx.Client) -> None:
    """By an admin, if nobody else was quicker; the log says who. Activating twice is once."""
    with pages.database.transaction() as session:
        _, label, name = new_label(api)
        first = register_version(session, "first", "built-in", "package:first", {"notice": "weak"}, [label])
        register_version(session, "second/é", "trained", "x", {"notice": "", "threshold": 0.5}, [label])
        before = active_version(session)
        assert activate(session, first.id, before.id if before else None, "test")
    listed = {model["name"]: model for model in ok(api.get("models"))["models"]}
    with program(pages, "admin", "read", "models") as admin:
        shown = ok(admin.get("models/first"))
        late = admin.post("models/second/activate", json={"expected": "first"})
        wrong = admin.post("models/first/activate", json={"expected": "another"})
        same = [ok(admin.post("models/first/activate")) for _ in range(2)]
    with pages.database.transaction() as session:
        register_version(session, "third", "trained", "y", {"notice": ""}, [label])
    with program(pages, "admin", "models") as admin:
        active = ok(admin.post("models/third/activate", json={"expected": "first"}))
        me = ok(admin.get("me"))["name"]

    assert (listed["first"]["active"], listed["first"]["notice"], listed["first"]["label_count"]) == (True, "weak", 1)
    assert (shown["labels"], shown["card"]) == ([[name]], {"notice": "weak"})
    problem(late, 404, "NOT_FOUND")
    problem(wrong, 409, "CONFLICT")
    assert same[0] == same[1] == shown
    assert (active["name"], active["active"]) == ("third", True)
    with pages.database.reading() as session:
        logged = session.execute(
            select(AuditEntry.subject, AuditEntry.details).where(AuditEntry.action == "models.activate")
        ).all()
        assert [tuple(row) for row in logged] == [("third", {"before": "first", "reason": f"by {me}"})]
    with program(pages, "reviewer") as reviewer:
        problem(reviewer.post("models/first/activate"), 403, "ROLE_REQUIRED")
    assert me.startswith("admin")
