"""/api/v1: the library: filters, pages, one photo, its preview; and whose photos they are."""

from collections.abc import Iterator

import httpx
import pytest

from db.labels import ensure_labels
from tests.integration.v1 import all_pages, bearer, ok, person, problem, program, token_of
from tests.integration.web_batches import tag_all
from tests.samples import numbered_photo
from tests.stack import Pages


@pytest.fixture
def api(pages: Pages) -> Iterator[httpx.Client]:
    """A program of an owner's."""
    with program(pages, "owner", "read", "submit") as client:
        yield client


def tagged(pages: Pages, api: httpx.Client, *numbers: int) -> list[int]:
    """Ids of photos that the model takes for dogs."""
    batch = ok(api.post("batches", json={"name": "holiday"}), 201)["id"]
    for place, number in enumerate(numbers, 1):
        path = {"path": f"album/photo-{number}.jpg"}
        ok(api.put(f"batches/{batch}/files/{place}", params=path, content=numbered_photo(number)))
    ok(api.post(f"batches/{batch}/seal", json={"files": len(numbers)}))
    tag_all(pages, batch)
    return [item["photo_id"] for item in all_pages(api, f"batches/{batch}/items", "items")]


@pytest.mark.parametrize("sort", ["date", "score", "name", "newest"])
def test_the_library_comes_page_by_page_in_each_order(pages: Pages, api: httpx.Client, sort: str) -> None:
    """Each photo once, whatever the size of the pages; both directions."""
    ids = tagged(pages, api, 100, 101, 102, 103, 104)

    rising = all_pages(api, f"photos?sort={sort}&order=up&limit=2", "photos")
    falling = all_pages(api, f"photos?sort={sort}&order=down&limit=2", "photos")

    assert sorted(photo["id"] for photo in rising) == sorted(ids)
    assert [photo["id"] for photo in falling] == [photo["id"] for photo in rising][::-1]


def test_the_library_takes_the_filters_of_its_page(pages: Pages, api: httpx.Client) -> None:
    """Label, score, name, state, days; a misspelt filter is an error, not the whole library."""
    ids = tagged(pages, api, 110, 111)
    with pages.database.transaction() as session:
        dog, cat = ensure_labels(session, [("dog",), ("cat",)])

    def found(query: str) -> set[int]:
        return {photo["id"] for photo in all_pages(api, f"photos?{query}", "photos")}

    assert found(f"label={dog}") == found("min_score=0.9") == found("format=JPEG&sure=yes") == set(ids)
    assert found(f"label={cat}") == found("max_score=0.5") == found("state=refused") == found("to=1999-12-31") == set()
    assert found("name=photo 111") == {ids[1]}
    for query in (
        "lable=3",
        "min_score=2",
        "from=2024-02-30",
        "sort=size",
        "limit=0",
        "limit=201",
        "batch=x",
        "label=0",
    ):
        answer = problem(api.get(f"photos?{query}"), 422, "INVALID")
        assert answer["errors"][0]["where"].startswith("query")
    problem(api.get("photos?batch=zzzzzzzzzzzz"), 404, "NOT_FOUND")


def test_a_photo_says_all_that_is_known_of_it(pages: Pages, api: httpx.Client) -> None:
    """What is shown, what each version said, facts, places."""
    (photo_id,) = tagged(pages, api, 120)
    photo = ok(api.get(f"photos/{photo_id}"))
    predictions = ok(api.get(f"photos/{photo_id}/predictions"))

    assert (photo["name"], photo["state"], photo["not_sure"]) == ("photo-120.jpg", "tagged", False)
    assert (photo["shown"]["label"], photo["shown"]["by"], photo["shown_version"]) == ("dog", "model", "test")
    assert photo["shown"]["score"] == pytest.approx(0.9)
    assert (photo["width"], photo["height"], photo["facts"]["format"]) == (640, 480, "JPEG")
    assert photo["reviews"] == []
    assert [(place["batch"], place["path"]) for place in photo["places"]] == [("holiday", "album/photo-120.jpg")]
    (version,) = predictions["predictions"]
    assert photo["predictions"] == [version]
    assert [(one["rank"], one["label"]) for one in version["labels"]] == [(1, "dog"), (2, "cat")]
    assert version["labels"][0]["label_id"] == photo["shown"]["label_id"]


def test_a_preview_is_for_those_who_may_see_the_photo(pages: Pages, api: httpx.Client) -> None:
    """WebP; what the program has already is not sent again."""
    (photo_id,) = tagged(pages, api, 130)
    preview = api.get(f"photos/{photo_id}/preview", params={"size": "320"})
    again = api.get(
        f"photos/{photo_id}/preview", params={"size": "320"}, headers={"If-None-Match": preview.headers["etag"]}
    )

    assert preview.content[:4] == b"RIFF"
    assert preview.headers["content-type"] == "image/webp"
    assert "Authorization" in preview.headers["vary"]
    assert "private" in preview.headers["cache-control"]
    assert (again.status_code, again.content) == (304, b"")
    problem(api.get(f"photos/{photo_id}/preview", params={"size": "99"}), 422, "INVALID")


@pytest.mark.parametrize("what", ["", "/predictions", "/preview?size=320"])
def test_a_photo_is_its_owner_s_and_the_reviewers(pages: Pages, api: httpx.Client, what: str) -> None:
    """For another owner it does not exist; ids that cannot be are refused."""
    (photo_id,) = tagged(pages, api, 140)
    with program(pages) as other, program(pages, "reviewer", "read") as reviewer:
        assert all_pages(other, "photos", "photos") == []
        hidden = problem(other.get(f"photos/{photo_id}{what}"), 404, "NOT_FOUND")
        unknown = problem(other.get(f"photos/{2**61}{what}"), 404, "NOT_FOUND")
        seen = reviewer.get(f"photos/{photo_id}{what}")

    assert seen.status_code == 200
    assert hidden["detail"] == unknown["detail"]
    for wrong in ("0", "-1", "x", str(2**63), "1e3", "%00"):
        problem(api.get(f"photos/{wrong}{what}"), 422, "INVALID")


def test_the_scope_read_reads_and_does_nothing_else(pages: Pages) -> None:
    """A token for one thing is not for another, though its person may do it; the answer says what is missing."""
    user_id = person(pages, "admin")
    with bearer(pages, token_of(pages, user_id, "read")) as reading:
        ok(reading.get("photos"))
        missing = {
            "submit": reading.post("batches", json={"name": "x"}),
            "review": reading.post("verdicts", json={}),
            "labels": reading.post("labels", json={"name": "x"}),
            "models": reading.post("models/test/activate"),
        }
        for scope, answer in missing.items():
            assert f"the scope {scope}" in problem(answer, 403, "SCOPE_REQUIRED")["detail"]
    with bearer(pages, token_of(pages, user_id, "admin")) as other:
        problem(other.get("photos"), 403, "SCOPE_REQUIRED")
    with program(pages, "owner") as owner:
        refused = problem(owner.post("verdicts", json={}), 403, "ROLE_REQUIRED")
        assert refused["detail"] == "This needs the role reviewer; yours is owner."
