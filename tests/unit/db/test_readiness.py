"""What training would be made of: reviewed photos by label and subset, and what is missing."""

from sqlalchemy import insert
from sqlalchemy.orm import Session

from db.label_changes import merge_labels, retire_label
from db.labels import ensure_labels
from db.readiness import FEWEST_PHOTOS, Readiness, readiness
from db.reviews import Said, record_verdicts
from db.schema import PhotoSubset
from db.session import Database, utc_now
from db.users import local_admin
from tests.library_rows import add_photos


def test_an_empty_library_lacks_labels(database: Database) -> None:
    """It says what to do."""
    with database.transaction() as session:
        found = readiness(session)

    assert (found.labels, found.is_ready) == ([], False)
    assert "no label has so many" in found.missing[0]
    assert "phototag labels import" in found.missing[0]


def test_photos_are_counted_by_subset(database: Database) -> None:
    """Those that look like photos of both subsets are of no use, and say so by being missed."""
    with database.transaction() as session:
        photos = label(session, cat=FEWEST_PHOTOS, dog=FEWEST_PHOTOS)
        decide(session, {photos[0]: "training", photos[1]: "holdout", photos[5]: "neither"})

        found = readiness(session)

    assert [tuple_of(found, number) for number in range(2)] == [
        ("cat", FEWEST_PHOTOS, 1, 1, 0, FEWEST_PHOTOS - 2),
        ("dog", FEWEST_PHOTOS, 0, 0, 1, FEWEST_PHOTOS - 1),
    ]
    assert found.missing[1:] == [f"“dog” has {FEWEST_PHOTOS - 1} and lacks 1."]
    assert "one label has so many" in found.missing[0]


def test_two_labels_with_enough_photos_are_ready(database: Database) -> None:
    """What was merged counts for its target; what is retired, and what is no label, does not count."""
    with database.transaction() as session:
        label(session, cat=3, kitten=2, dog=5, old=9)
        ids = ensure_labels(session, [["cat"], ["kitten"], ["old"]])
        merge_labels(session, local_admin(session), [ids[1]], ids[0])
        retire_label(session, local_admin(session), ids[2])

        found = readiness(session)

    assert [(one.name, one.reviewed) for one in found.labels] == [("cat", 5), ("dog", 5)]
    assert found.is_ready


def tuple_of(found: Readiness, number: int) -> tuple[str, int, int, int, int, int]:
    """Name and counts of a label."""
    one = found.labels[number]
    return one.name, one.reviewed, one.training, one.holdout, one.neither, one.undecided


def label(session: Session, **counts: int) -> list[int]:
    """New photos that a person gave labels."""
    ids = ensure_labels(session, [[name] for name in counts])
    photos: list[int] = []
    for label_id, (name, count) in zip(ids, counts.items(), strict=True):
        new = add_photos(session, [{} for _ in range(count)])
        said = [Said(photo_id, "label", label_id) for photo_id in new]
        record_verdicts(session, local_admin(session), said, token=name, source="single")
        photos += new
    return photos


def decide(session: Session, subsets: dict[int, str]) -> None:
    """Says which photos are in which subset."""
    rows = [{"photo_id": n, "subset": subset, "decided_at": utc_now()} for n, subset in subsets.items()]
    session.execute(insert(PhotoSubset), rows)
