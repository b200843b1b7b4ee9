"""What the Review page asks and says: photos for one screen only, verdicts, undo, selections; by whom."""

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.web_batches import send_batch, tag_all
from tests.samples import numbered_photo
from tests.stack import Pages

PHOTOS = 40


@pytest.fixture(scope="module")
def tagged(pages: Pages) -> list[int]:
    """Ids of tagged photos of the local admin: the model says dog, then cat."""
    with pages.client() as client:
        batch = send_batch(client, {f"{n}.jpg": numbered_photo(n) for n in range(PHOTOS)})
        tag_all(pages, batch)
        photos = client.get("/api/library", params={"limit": 240, "batch": batch}).json()["photos"]
    return sorted(photo["id"] for photo in photos)


@pytest.fixture
def ann(pages: Pages, tagged: list[int]) -> Iterator[httpx.Client]:
    """A reviewer."""
    with pages.client("Ann", role="reviewer") as client:
        yield client


@pytest.fixture
def ben(pages: Pages, tagged: list[int]) -> Iterator[httpx.Client]:
    """Another reviewer."""
    with pages.client("Ben", role="reviewer") as client:
        yield client


def new_token() -> str:
    return str(uuid.uuid4())


def label_of(client: httpx.Client, name: str) -> int:
    found = client.get("/api/labels/suggest", params={"q": name}).json()["labels"]
    return next(label["id"] for label in found if label["name"] == name)


def decide(client: httpx.Client, photos: list[int], label: int | None, token: str = "", **said: Any) -> httpx.Response:
    verdict = {"verdict": "label" if label else "none", "label": label} | said
    body = {
        "token": token or new_token(),
        "source": "grid",
        "verdicts": [{"photo": photo} | verdict for photo in photos],
    }
    return client.post("/api/review/verdicts", json=body)


def claim(client: httpx.Client, seat: str, queue: str = "never", count: int = 10, **more: Any) -> list[dict[str, Any]]:
    answer = client.post("/api/review/next", json={"seat": seat, "queue": queue, "count": count} | more)
    assert answer.status_code == 200, answer.text
    return answer.json()["photos"]


def test_photos_on_one_screen_are_on_no_other_until_they_are_given_back(ann: httpx.Client, ben: httpx.Client) -> None:
    """Two people, two tabs of one person; what is kept stays theirs, what is left or released is free."""
    here, there, other_tab = new_token(), new_token(), new_token()
    first = {photo["id"] for photo in claim(ann, here)}
    second = {photo["id"] for photo in claim(ben, there)}
    third = {photo["id"] for photo in claim(ann, other_tab)}
    kept = {photo["id"] for photo in claim(ann, here, keep=list(first)[:5], count=5)}
    ann.post("/api/review/release", json={"seat": here})
    free = {photo["id"] for photo in claim(ben, there, keep=list(second), count=30)}
    for client, seat in ((ann, other_tab), (ben, there)):
        client.post("/api/review/release", json={"seat": seat})

    assert len(first) == len(second) == len(third) == 10
    assert len(first | second | third) == 30, "a photo is on two screens"
    assert not kept & set(list(first)[:5]), "what is on the screen is not given twice"
    assert first <= free | kept | second


def test_a_card_says_what_the_model_said_and_why_it_is_there(ann: httpx.Client) -> None:
    """Labels best first; nothing was said by people yet."""
    seat = new_token()
    card = claim(ann, seat, count=1)[0]
    ann.post("/api/review/release", json={"seat": seat})

    assert [name for _, name, _ in card["labels"]] == ["dog", "cat"]
    assert (card["reason"], card["seen"], card["said"], card["by_person"]) == ("never", 0, None, False)


def test_a_stroke_that_arrives_twice_is_one_and_one_undo_takes_it_back(ann: httpx.Client, tagged: list[int]) -> None:
    """The library shows the person's word, then the model's again."""
    cat, token = label_of(ann, "cat"), new_token()
    photos = tagged[:3]
    first, again = decide(ann, photos, cat, token), decide(ann, photos, cat, token)
    shown = [ann.get(f"/api/library/photos/{photo}").json() for photo in photos]
    undo = new_token()
    undone = ann.post("/api/review/undo", json={"token": undo}).json()
    undone_again = ann.post("/api/review/undo", json={"token": undo}).json()
    restored = [ann.get(f"/api/library/photos/{photo}").json() for photo in photos]

    assert first.json() == again.json()
    assert [one["photo"] for one in first.json()["done"]] == photos
    assert {(one["shown"], one["by_person"]) for one in shown} == {("cat", True)}
    assert undone["count"] == undone_again["count"] == 3
    assert undone["done"] == [{"photo": photo, "seen": 0} for photo in photos]
    assert {(one["shown"], one["by_person"]) for one in restored} == {("dog", False)}
    assert [event["what"] for event in restored[0]["history"]][-2:] != []


def test_who_was_slower_is_told_and_overwrites_nothing(ann: httpx.Client, ben: httpx.Client, tagged: list[int]) -> None:
    """Both saw the photo undecided; the first word stays, unless it is changed knowingly."""
    dog, cat = label_of(ann, "dog"), label_of(ann, "cat")
    photo = tagged[5]
    seen = decide(ann, [photo], cat, seen=0).json()["done"][0]["seen"]
    late = decide(ben, [photo], dog, seen=0).json()
    stays = ben.get(f"/api/library/photos/{photo}").json()["shown"]
    knowing = decide(ben, [photo], dog, seen=seen).json()

    assert (late["done"], late["conflicts"]) == ([], [{"photo": photo, "by": "Ann", "words": "cat"}])
    assert stays == "cat"
    assert [one["photo"] for one in knowing["done"]] == [photo]
    assert ben.get(f"/api/library/photos/{photo}").json()["shown"] == "dog"


def test_a_selection_of_the_library_is_one_stroke(ann: httpx.Client, tagged: list[int]) -> None:
    """By ids and by a view."""
    cat = label_of(ann, "cat")
    by_ids = {"token": new_token(), "selection": {"ids": tagged[10:15]}, "verdict": "label", "label": cat}
    labelled = ann.post("/api/review/selection", json=by_ids).json()
    view = ann.get("/api/library", params={"label": cat, "limit": 240}).json()["photos"]
    by_view = {"token": new_token(), "selection": {"view": {"label": cat}}, "verdict": "none"}
    refused = ann.post("/api/review/selection", json=by_view).json()
    undone = [ann.post("/api/review/undo", json={"token": new_token()}).json()["count"] for _ in range(2)]

    assert labelled == {"photos": 5}
    assert set(tagged[10:15]) <= {photo["id"] for photo in view}
    assert refused == {"photos": len(view)}
    assert undone == [len(view), 5]


def test_nothing_left_to_undo_is_no_error(pages: Pages, tagged: list[int]) -> None:
    """The page says so."""
    with pages.client("Zoe", role="reviewer") as zoe:
        answer = zoe.post("/api/review/undo", json={"token": new_token()})

    assert (answer.status_code, answer.json()) == (200, {"photos": [], "done": [], "count": 0})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("next", {"seat": "short"}),
        ("next", {"seat": "a" * 36, "queue": "everything"}),
        ("next", {"seat": "a" * 36, "count": 10_000}),
        ("next", {"seat": "a" * 36, "keep": [2**70]}),
        ("next", {"seat": "a" * 36, "surprise": 1}),
        ("grid", {"seat": "a" * 36, "label": 0}),
        ("grid", {"seat": "a" * 36, "label": 1, "after": ["x", 1]}),
        ("verdicts", {"token": "a" * 36, "source": "grid", "verdicts": []}),
        ("verdicts", {"token": "a" * 36, "source": "import", "verdicts": [{"photo": 1, "verdict": "none"}]}),
        ("verdicts", {"token": "a" * 36, "source": "grid", "verdicts": [{"photo": 1, "verdict": "undo"}]}),
        ("verdicts", {"token": "../../etc", "source": "grid", "verdicts": [{"photo": 1, "verdict": "none"}]}),
        ("verdicts", {"token": "a" * 36, "source": "grid", "verdicts": [{"photo": 1, "verdict": "label"}]}),
        ("selection", {"token": "a" * 36, "selection": {"ids": [1], "view": {}}, "verdict": "none"}),
        ("undo", {}),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(ann: httpx.Client, path: str, body: dict[str, Any]) -> None:
    """Never a 500."""
    answer = ann.post(f"/api/review/{path}", json=body)

    assert answer.status_code in {404, 409, 422}
    assert len(answer.json()["message"]) > 20


def test_an_unknown_label_and_a_photo_that_is_gone(ann: httpx.Client, tagged: list[int]) -> None:
    """The one is an error; the other is left out, as another person may have deleted it."""
    unknown = decide(ann, [tagged[20]], 2**40)
    gone = decide(ann, [2**40], label_of(ann, "cat"))

    assert unknown.status_code == 404
    assert (gone.status_code, gone.json()["done"]) == (200, [])


def test_owners_do_not_review(alice: httpx.Client, tagged: list[int]) -> None:
    """Neither the routes nor the page."""
    answers = [
        alice.post("/api/review/next", json={"seat": "a" * 36}),
        decide(alice, [tagged[0]], None),
        alice.get("/api/review/counts"),
        alice.get("/review/", headers={"Accept": "text/html"}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403, 403]
    assert "needs the role reviewer" in answers[-1].text


def test_counts_and_labels_of_what_is_undecided(ann: httpx.Client, tagged: list[int]) -> None:
    """By queue, and by label for the grid; under a filter of the Library, too."""
    counts = ann.get("/api/review/counts", params={"name": "39"}).json()["queues"]
    labels = ann.post("/api/review/labels", json={"view": {}}).json()["labels"]
    grid = ann.post("/api/review/grid", json={"seat": "g" * 36, "label": labels[0]["id"]}).json()["photos"]
    ann.post("/api/review/release", json={"seat": "g" * 36})

    assert counts["never"] + counts["audit"] == 1
    assert labels[0]["name"] == "dog"
    assert len(grid) == labels[0]["photos"]
    assert {photo["shown"] for photo in grid} == {"dog"}


def test_the_numbers_are_own_for_reviewers_and_of_all_for_admins(
    ann: httpx.Client, ben: httpx.Client, admin: httpx.Client, tagged: list[int]
) -> None:
    """With the model's agreement, once photos of the random sample were decided."""
    dog = label_of(ann, "dog")
    decide(ann, [tagged[30]], dog)
    decide(ben, [tagged[31]], dog)
    own, everyones = ann.get("/api/review/numbers").json(), admin.get("/api/review/numbers").json()

    assert [person["name"] for person in own["people"]] == ["Ann"]
    assert {"Ann", "Ben"} <= {person["name"] for person in everyones["people"]}
    assert own["people"][0]["today"] >= 1
    assert own["undecided"] < PHOTOS
    assert ann.get("/api/review/numbers", params={"day_begins": "soon"}).status_code == 422
