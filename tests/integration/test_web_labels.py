"""What the Labels page and type-ahead ask: the list, counts, suggestions, changes with previews, their undo, for whom."""

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import select

from db.schema import AuditEntry
from tests.stack import Pages


@pytest.fixture
def ann(pages: Pages) -> Iterator[httpx.Client]:
    """A browser of a reviewer."""
    with pages.client("ann", "reviewer") as client:
        yield client


@pytest.fixture
def ben(pages: Pages) -> Iterator[httpx.Client]:
    """A browser of another reviewer."""
    with pages.client("ben", "reviewer") as client:
        yield client


def add(client: httpx.Client, name: str, parent: int | None = None) -> int:
    """The id of a new label."""
    answer = client.post("/api/labels", json={"name": name, "parent": parent})
    assert answer.status_code == 200, answer.text
    return answer.json()["label"]


def test_a_merge_is_previewed_made_listed_and_undone(pages: Pages, ann: httpx.Client) -> None:
    """A preview changes nothing; the history and the audit log tell it."""
    hill, mountain = add(ann, "hill"), add(ann, "mountain")
    body = {"sources": [hill]}

    found = ann.post(f"/api/labels/{mountain}/merge", params={"preview": "true"}, json=body).json()
    before = ann.get("/api/labels", params={"search": "hi"}).json()["labels"]
    made = ann.post(f"/api/labels/{mountain}/merge", json=body).json()
    after = ann.get("/api/labels", params={"search": "hi"}).json()["labels"]
    offered = ann.get("/api/labels/suggest", params={"q": "HIL"}).json()["labels"]

    assert found["words"][0] == "No photo shows “hill”."
    assert [label["name"] for label in before] == ["hill"]
    assert (made["what"], made["kind"], made["photos"]) == ("“hill” merged into “mountain”", "merge", 0)
    assert [(label["name"], label["also"]) for label in after] == [("mountain", ["hill"])]
    assert offered == [{"id": mountain, "name": "mountain", "path": ["mountain"], "matched": "hill"}]
    undone = ann.post(f"/api/labels/changes/{made['change']}/undo").json()
    assert undone["what"] == "undone: “hill” merged into “mountain”"
    changes = ann.get("/api/labels/changes", params={"limit": 2}).json()["changes"]
    assert [(change["id"], change["undone_by"]) for change in changes] == [
        (undone["change"], None),
        (made["change"], undone["change"]),
    ]
    with pages.database.reading() as session:
        logged = session.scalars(select(AuditEntry.action).where(AuditEntry.action.like("labels.%"))).all()
    assert logged == ["labels.add", "labels.add", "labels.merge", "labels.undo"]


def test_each_kind_of_change_has_its_route(ann: httpx.Client) -> None:
    """Rename, parent, retire, restore: with a preview, and made."""
    parent, label = add(ann, "vehicle"), add(ann, "lorry")

    for what, body, words in (
        ("rename", {"name": "truck"}, "“lorry” renamed to “truck”"),
        ("parent", {"parent": parent}, "“truck” moved from the top to below “vehicle”"),
        ("retire", None, "“truck” retired"),
        ("restore", None, "“truck” restored"),
    ):
        asked = ann.post(f"/api/labels/{label}/{what}", params={"preview": "true"}, json=body)
        assert asked.json()["words"], asked.text
        assert ann.post(f"/api/labels/{label}/{what}", json=body).json()["what"] == words
    assert ann.get("/api/labels/counts").json() == {"counts": {}}


def test_errors_say_what_to_do(ann: httpx.Client, ben: httpx.Client, admin: httpx.Client) -> None:
    """A name that is taken, nothing, no label; somebody else's change is undone by admins only."""
    label = add(ann, "sofa")
    (last, *_) = ann.get("/api/labels/changes").json()["changes"]

    taken = ben.post("/api/labels", json={"name": "SOFA"})
    empty = ben.post("/api/labels", json={"name": " "})
    missing = ben.post("/api/labels/999999/retire")
    foreign = ben.post(f"/api/labels/changes/{last['id']}/undo")

    assert (taken.status_code, "There is a label “sofa” already" in taken.json()["message"]) == (409, True)
    assert (empty.status_code, missing.status_code, foreign.status_code) == (422, 404, 403)
    assert admin.post(f"/api/labels/changes/{last['id']}/undo").status_code == 200
    for body in ({"sources": []}, {"sources": [0]}, {"sources": [label] * 501}, {}):
        assert ben.post(f"/api/labels/{label}/merge", json=body).status_code == 422


def test_owners_have_no_part_in_the_vocabulary(alice: httpx.Client, stranger: httpx.Client) -> None:
    """They read labels where their photos are."""
    for path in ("", "/counts", "/suggest", "/changes"):
        assert alice.get(f"/api/labels{path}").status_code == 403
        assert stranger.get(f"/api/labels{path}").status_code == 401
    for path in ("", "/1/rename", "/1/parent", "/1/merge", "/1/retire", "/1/restore", "/changes/1/undo"):
        assert alice.post(f"/api/labels{path}", json={"name": "x", "parent": None, "sources": [1]}).status_code == 403
