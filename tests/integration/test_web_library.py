"""What the Library page asks: pages, counts, one photo, downloads, exports, tag again; and whose photos they are."""

import csv
import io
import zipfile

import httpx
import pytest
from sqlalchemy import select, update

from db.labels import ensure_labels
from db.schema import Item, Label, Photo
from tests.integration.web_batches import send_batch, tag_all
from tests.samples import jpeg
from tests.stack import Pages


def photos(count: int, mark: int) -> dict[str, bytes]:
    """Photos that no other test sends."""
    return {f"IMG_{mark}_{number}.jpg": jpeg(64, 48, colour=(mark, number, 9)) for number in range(count)}


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [photo["name"] for photo in answer.json()["photos"]]


def ids_of(client: httpx.Client, batch: str) -> list[int]:
    return [photo["id"] for photo in client.get("/api/library", params={"batch": batch}).json()["photos"]]


def test_the_library_is_read_page_by_page(pages: Pages, alice: httpx.Client) -> None:
    """Forwards and backwards by cursors; filters and order as in the address."""
    batch = send_batch(alice, photos(5, 10))
    tag_all(pages, batch)
    asked = {"batch": batch, "sort": "name", "limit": 2}
    first = alice.get("/api/library", params=asked)
    second = alice.get("/api/library", params={**asked, "after": first.json()["photos"][-1]["cursor"]})
    back = alice.get("/api/library", params={**asked, "before": second.json()["photos"][0]["cursor"]})

    assert names(first) == names(back) == ["IMG_10_0.jpg", "IMG_10_1.jpg"]
    assert names(second) == ["IMG_10_2.jpg", "IMG_10_3.jpg"]
    assert (first.json()["more_after"], first.json()["more_before"]) == (True, False)
    assert names(alice.get("/api/library", params={**asked, "order": "down", "limit": 1})) == ["IMG_10_4.jpg"]
    assert names(alice.get("/api/library", params={"name": "10 4", "batch": batch})) == ["IMG_10_4.jpg"]
    assert names(alice.get("/api/library", params={"batch": batch, "sure": "no"})) == []


@pytest.mark.parametrize(
    "query",
    [
        {"after": "x"},
        {"after": "WyJuYW1lIiwiYSIsMV0"},  # a place in the order of names
        {"limit": 10**9},
        {"sort": "size"},
        {"label": "dog"},
        {"from": "yesterday"},
        {"from": "2024-02-01", "to": "2024-01-01"},
        {"min_score": 2},
        {"min_score": 0.9, "max_score": 0.1},
        {"batch": "../../etc"},
        {"name": "x" * 300},
        {"format": "<b>"},
    ],
)
def test_an_address_that_makes_no_sense_is_refused(alice: httpx.Client, query: dict[str, str]) -> None:
    """In words, not with a crash."""
    answer = alice.get("/api/library", params=query)

    assert answer.status_code == 422
    assert answer.json()["message"]


def test_counts_stand_beside_the_photos(pages: Pages, alice: httpx.Client) -> None:
    """Of each label under the other filters, of the view, and of what waits."""
    batch = send_batch(alice, photos(3, 20))
    waiting = alice.get("/api/library/counts").json()["waiting"]
    tag_all(pages, batch)

    counts = alice.get("/api/library/counts", params={"batch": batch}).json()

    assert waiting >= 3
    assert counts["photos"] == 3
    assert [(label["name"], label["photos"]) for label in counts["labels"] if label["photos"]] == [("dog", 3)]
    dog = next(label["id"] for label in counts["labels"] if label["name"] == "dog")
    assert len(names(alice.get("/api/library", params={"batch": batch, "label": dog}))) == 3
    choices = alice.get("/api/library/choices").json()
    assert "JPEG" in [each["name"] for each in choices["formats"]]
    assert batch in [each["id"] for each in choices["batches"]]


def test_a_label_finds_what_stands_below_it(pages: Pages, alice: httpx.Client) -> None:
    """And is listed above it, although no photo shows it by itself."""
    batch = send_batch(alice, photos(2, 25))
    tag_all(pages, batch)
    with pages.database.transaction() as session:
        (animal,) = ensure_labels(session, [("animal",)])
        session.execute(update(Label).where(Label.name == "dog").values(parent_id=animal))

    counts = alice.get("/api/library/counts", params={"batch": batch, "label": animal}).json()

    found = {label["name"]: (label["parent"], label["photos"]) for label in counts["labels"]}
    assert found == {"animal": (None, 0), "dog": (animal, 2)}
    assert counts["photos"] == 2
    assert len(names(alice.get("/api/library", params={"batch": batch, "label": animal}))) == 2


def test_one_photo_tells_all(pages: Pages, alice: httpx.Client) -> None:
    """Labels, facts, places, history."""
    files = photos(1, 30)
    first, second = send_batch(alice, files, "first"), send_batch(alice, files, "second")
    tag_all(pages, first)
    (photo_id,) = ids_of(alice, second)

    photo = alice.get(f"/api/library/photos/{photo_id}").json()

    assert (photo["shown"], photo["version"], photo["state"]) == ("dog", "test", "tagged")
    assert photo["versions"] == [{"name": "test", "labels": [["dog", 0.9], ["cat", 0.1]]}]
    assert {place["batch"] for place in photo["places"]} == {"first", "second"}
    assert photo["facts"]["format"] == "JPEG"
    assert len(photo["facts"]["sha256"]) == 64
    assert photo["history"]


def test_nobody_sees_photos_of_somebody_else(pages: Pages, alice: httpx.Client, bob: httpx.Client) -> None:
    """The answer is the same as for photos that do not exist; an admin sees all."""
    batch = send_batch(alice, photos(1, 40))
    tag_all(pages, batch)
    (photo_id,) = ids_of(alice, batch)
    chosen = {"ids": [photo_id]}

    answers = [
        bob.get(f"/api/library/photos/{photo_id}"),
        bob.get(f"/api/library/photos/{photo_id}/original"),
        bob.get("/api/library", params={"batch": batch}),
        bob.get("/api/library/counts", params={"batch": batch}),
        bob.get("/api/library/photos.zip", params={"ids": str(photo_id)}),
        bob.post("/api/library/tag", json=chosen),
        bob.post("/api/library/delete", json=chosen),
    ]

    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert photo_id not in [photo["id"] for photo in bob.get("/api/library").json()["photos"]]
    exported = bob.get("/api/library/export.csv", params={"ids": str(photo_id)})
    assert len(exported.text.splitlines()) == 1
    with pages.client() as admin:
        assert admin.get(f"/api/library/photos/{photo_id}").status_code == 200
        # seen by an admin, but not sent by them
        assert admin.get(f"/api/library/photos/{photo_id}/original").status_code == 404


def test_originals_come_back_as_they_were_sent(pages: Pages, alice: httpx.Client) -> None:
    """To be saved, never to be shown: what a stranger made must not run in our pages."""
    files = photos(2, 50)
    batch = send_batch(alice, files)
    tag_all(pages, batch)
    ids = sorted(ids_of(alice, batch))

    one = alice.get(f"/api/library/photos/{ids[0]}/original")
    many = alice.get("/api/library/photos.zip", params={"ids": ",".join(map(str, ids))})
    whole = alice.get("/api/library/photos.zip", params={"batch": batch})

    assert one.content == files["IMG_50_0.jpg"]
    assert one.headers["content-disposition"].startswith('attachment; filename="IMG_50_0.jpg"')
    assert one.headers["content-type"] == "application/octet-stream"
    for answer in (many, whole):
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.testzip() is None
            assert {name: archive.read(name) for name in archive.namelist()} == files


def test_two_photos_of_one_name_are_both_in_the_archive_and_a_lost_one_is_named(
    pages: Pages, alice: httpx.Client
) -> None:
    """Nothing is overwritten, nothing is left out in silence."""
    same = {"a/x.jpg": jpeg(64, 48, colour=(60, 1, 1)), "b/X.jpg": jpeg(64, 48, colour=(60, 2, 1))}
    batch = send_batch(alice, {**same, "gone.jpg": jpeg(64, 48, colour=(60, 3, 1))})
    tag_all(pages, batch)
    with pages.database.transaction() as session:
        gone = select(Photo.id).where(Photo.name == "gone.jpg")
        session.execute(update(Item).where(Item.photo_id.in_(gone)).values(source_path="/nowhere/gone.jpg"))

    answer = alice.get("/api/library/photos.zip", params={"batch": batch})

    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert sorted(archive.namelist()) == ["X (2).jpg", "not included.txt", "x.jpg"]
        assert {archive.read("x.jpg"), archive.read("X (2).jpg")} == set(same.values())
        assert "gone.jpg: The file of gone.jpg was moved" in archive.read("not included.txt").decode()


def test_rows_of_a_view_are_exported_once_for_each_photo(pages: Pages, alice: httpx.Client) -> None:
    """In the order of the view, with the columns of every results file."""
    files = photos(3, 70)
    batch = send_batch(alice, files)
    send_batch(alice, files, "again")
    tag_all(pages, batch)

    asked = {"batch": batch, "sort": "name"}
    rows = list(csv.DictReader(io.StringIO(alice.get("/api/library/export.csv", params=asked).text)))
    lines = alice.get("/api/library/export.jsonl", params=asked).text.splitlines()

    assert [row["path"] for row in rows] == sorted(files)
    assert {row["label_1"] for row in rows} == {"dog"}
    assert len(lines) == 3


def test_photos_are_tagged_again_as_a_batch(pages: Pages, alice: httpx.Client) -> None:
    """Some by id, or all of a view."""
    batch = send_batch(alice, photos(3, 80))
    tag_all(pages, batch)
    ids = ids_of(alice, batch)

    some = alice.post("/api/library/tag", json={"ids": ids[:2]})
    all_of_it = alice.post("/api/library/tag", json={"view": {"batch": batch}})

    assert (some.status_code, all_of_it.status_code) == (201, 201)
    shown = alice.get(f"/api/batches/{some.json()['id']}").json()
    assert (shown["name"], shown["counts"]["total"]) == ("2 photos, again", 2)
    assert alice.get(f"/api/batches/{all_of_it.json()['id']}").json()["counts"]["total"] == 3
    for bad in ({}, {"ids": [], "view": {}}, {"ids": ["x"]}, {"ids": [1] * 10_001}, {"view": {"sort": "size"}}):
        assert alice.post("/api/library/tag", json=bad).status_code == 422, bad
    assert alice.post("/api/library/tag", json={"ids": [10**9]}).status_code == 404


def test_deleted_photos_are_gone_for_their_owner_and_stay_for_others(
    pages: Pages, alice: httpx.Client, bob: httpx.Client
) -> None:
    """A photo belongs to whoever has a place of it."""
    files = photos(2, 90)
    batch, of_bob = send_batch(alice, files), send_batch(bob, files)
    tag_all(pages, batch)
    ids = sorted(ids_of(alice, batch))

    alice.get("/api/batches")  # the list remembers what it showed
    deleted = alice.post("/api/library/delete", json={"ids": ids[:1]})
    listed = {each["id"]: each["counts"]["total"] for each in alice.get("/api/batches").json()["batches"]}

    assert deleted.status_code == 200, deleted.text
    assert ids_of(alice, batch) == ids[1:]
    assert listed[batch] == 1
    assert sorted(ids_of(bob, of_bob)) == ids
    assert alice.get(f"/api/library/photos/{ids[0]}").status_code == 404
    bob.post("/api/library/delete", json={"view": {"batch": of_bob}})
    with pages.database.reading() as session:
        assert set(session.scalars(select(Photo.id).where(Photo.id.in_(ids)))) == {ids[1]}


def test_names_in_tables_never_become_formulas(pages: Pages, alice: httpx.Client) -> None:
    """A spreadsheet would run them."""
    batch = send_batch(alice, {"=HYPERLINK(1).jpg": jpeg(64, 48, colour=(99, 1, 1))})
    tag_all(pages, batch)

    row = next(csv.DictReader(io.StringIO(alice.get("/api/library/export.csv", params={"batch": batch}).text)))

    assert row["path"] == "'=HYPERLINK(1).jpg"
