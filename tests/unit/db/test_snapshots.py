"""Snapshots and subsets: what counts is frozen, what was decided stays, and equal content is the same snapshot."""

from pathlib import Path

import numpy as np
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db.blobs import open_blobs
from db.features import forget_features, read_features, record_shard, store_shard
from db.label_changes import merge_labels, rename_label, retire_label
from db.labels import ensure_labels
from db.review_export import iter_reviews
from db.reviews import undo
from db.schema import Photo, SnapshotPhoto
from db.session import Database, utc_now
from db.settings import DataSettings
from db.snapshots import SnapshotEntry, freeze_snapshot, labelled_now, snapshot_entries
from db.subsets import labelled_ever, record_subsets, subsets_of
from db.users import local_admin
from tests.labelled import SPACE, make_world
from tests.review_rows import new_photos, say


def test_what_counts_is_what_a_run_is_made_from(database: Database) -> None:
    """Labels only, merged ones under their target, retired ones not; and not what was taken back."""
    with database.transaction() as session:
        cat, kitten, old = ensure_labels(session, [["cat"], ["kitten"], ["old"]])
        photos = new_photos(session, 6)
        for photo_id, label_id in zip(photos, (cat, kitten, old, cat), strict=False):
            say(session, local_admin(session), [photo_id], label_id=label_id)
        undo(session, local_admin(session), token="undo")
        say(session, local_admin(session), photos[4:5], "none")
        merge_labels(session, local_admin(session), [kitten], cat)
        retire_label(session, local_admin(session), old)

        now = labelled_now(session, SPACE)
        ever = labelled_ever(session, SPACE)

        assert [(row.photo_id, row.label_id, row.subset, row.key) for row in now] == [
            (photos[0], cat, None, None),
            (photos[1], cat, None, None),
        ]
        assert [row.photo_id for row in ever] == photos[:4], "in the order in which they were first labelled"


def test_photos_are_told_in_the_order_in_which_they_were_first_labelled(database: Database) -> None:
    """Whatever was said of them since."""
    with database.transaction() as session:
        cat, dog = ensure_labels(session, [["cat"], ["dog"]])
        photos = new_photos(session, 3)
        for photo_id, label_id in ((photos[2], cat), (photos[0], dog), (photos[2], dog), (photos[1], cat)):
            say(session, local_admin(session), [photo_id], label_id=label_id)

        assert [row.photo_id for row in labelled_ever(session, SPACE)] == [photos[2], photos[0], photos[1]]


def test_a_photo_knows_where_its_features_lie(database: Database, data_dir: Path) -> None:
    """Of the space that is asked for."""
    world = make_world(database, open_blobs(DataSettings(data_dir=data_dir)), 10)
    with database.transaction() as session:
        say(session, local_admin(session), world.photo_ids, label_id=world.label_ids[0])

        now, other = labelled_now(session, SPACE), labelled_now(session, "b" * 64)

    assert [(row.photo_id, row.rows, row.row) for row in now][-2:] == [
        (world.photo_ids[8], 9, 8),
        (world.photo_ids[9], 1, 0),
    ]
    assert {row.key for row in other} == {None}


def test_what_was_decided_is_never_changed(database: Database) -> None:
    """A second decision is not taken; photos that are gone are left out; the export tells."""
    with database.transaction() as session:
        photos = new_photos(session, 3)
        say(session, local_admin(session), photos, label_id=ensure_labels(session, [["cat"]])[0])

        record_subsets(session, {photos[0]: "holdout", 9999: "training"})
        record_subsets(session, {photos[0]: "training", photos[1]: "neither"})

        assert subsets_of(session, photos) == {photos[0]: "holdout", photos[1]: "neither"}
        assert [row.subset for row in iter_reviews(session)] == ["holdout", "neither", None]


def test_the_same_content_is_the_same_snapshot(database: Database) -> None:
    """Another label, another subset or another name is another one; photos that are gone are in none."""
    with database.transaction() as session:
        cat, dog = ensure_labels(session, [["animal", "cat"], ["animal", "dog"]])
        entries = entries_of(session, new_photos(session, 4), cat, dog)

        first = freeze_snapshot(session, entries)
        gone = SnapshotEntry(9999, "0" * 64, cat, "training")
        again = freeze_snapshot(session, [gone, *reversed(entries)])
        moved = freeze_snapshot(session, [entries[0]._replace(label_id=dog), *entries[1:]])
        held = freeze_snapshot(session, [entries[0]._replace(subset="holdout"), *entries[1:]])
        rename_label(session, local_admin(session), cat, "tomcat")
        renamed = freeze_snapshot(session, entries)

        assert again.id == first.id
        assert len({one.digest for one in (first, moved, held, renamed)}) == 4
        assert snapshot_entries(session, first.id) == sorted(entries)
        assert first.photos == 4


def test_a_deleted_photo_leaves_its_snapshots(database: Database) -> None:
    """It goes on nowhere; the digest says that there was one. Sent again it is in again."""
    with database.transaction() as session:
        cat, dog = ensure_labels(session, [["cat"], ["dog"]])
        entries = entries_of(session, new_photos(session, 3), cat, dog)
        snapshot = freeze_snapshot(session, entries)

        session.execute(delete(Photo).where(Photo.id == entries[1].photo_id))

        assert [one.photo_id for one in snapshot_entries(session, snapshot.id)] == [
            entries[0].photo_id,
            entries[2].photo_id,
        ]
        session.add(again := Photo(**_columns(entries[1].sha256)))
        session.flush()
        same = freeze_snapshot(session, [entries[0], entries[1]._replace(photo_id=again.id), entries[2]])
        assert same.id == snapshot.id
        assert session.scalars(select(func.count()).select_from(SnapshotPhoto)).one() == 3


def test_features_that_are_computed_again_take_the_place_of_lost_ones(database: Database, data_dir: Path) -> None:
    """Else their row would lead to the lost file for ever."""
    world = make_world(database, blobs := open_blobs(DataSettings(data_dir=data_dir)), 4)
    with database.reading() as session:
        known = read_features(session, blobs, SPACE, world.photo_ids)
    for key in list(blobs.list_keys("features")):
        blobs.delete_object(key)
    some = world.photo_ids[:2]
    again = store_shard(blobs, SPACE, np.stack([known[photo_id] for photo_id in some]))

    with database.transaction() as session:
        forget_features(session, SPACE, some)
        record_shard(session, SPACE, again, some)

    with database.reading() as session:
        found = read_features(session, blobs, SPACE, world.photo_ids)
    assert {photo_id: array.tobytes() for photo_id, array in found.items()} == {
        photo_id: known[photo_id].tobytes() for photo_id in some
    }


def entries_of(session: Session, photos: list[int], *labels: int) -> list[SnapshotEntry]:
    """The photos with these labels in turn, the last one held out."""
    sha256s = {row.id: row.sha256 for row in session.execute(select(Photo.id, Photo.sha256))}
    subsets = ["training"] * (len(photos) - 1) + ["holdout"]
    return [
        SnapshotEntry(photo_id, sha256s[photo_id], labels[n % len(labels)], subset)
        for n, (photo_id, subset) in enumerate(zip(photos, subsets, strict=True))
    ]


def _columns(sha256: str) -> dict[str, object]:
    return {"sha256": sha256, "size_bytes": 1, "created_at": utc_now()}
