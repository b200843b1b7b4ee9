"""Changes of the vocabulary: what they refuse and why, what photos show, who may undo what."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from db.errors import ConflictError, InvalidNameError, NotAllowedError, NotFoundError
from db.label_changes import (
    add_label,
    merge_labels,
    rename_label,
    restore_label,
    retire_label,
    set_parent,
    undo_change,
)
from db.label_history import list_changes
from db.label_plans import plan_merge, plan_retire
from db.label_preview import preview
from db.labels import ensure_labels, label_paths
from db.library import library_page
from db.library_filter import LibraryFilter
from db.model_versions import version_label_ids
from db.predictions import Tagged, write_predictions
from db.schema import Label, Photo
from db.session import Database
from db.users import local_admin
from tests.library_rows import add_user
from tests.review_rows import new_photos, say, shown_of, tagged_photos
from tests.store import add_version, run_together


def test_a_name_that_is_taken_is_refused_with_what_to_do(database: Database) -> None:
    """Whatever its case or Unicode form; by a label, a retired or a merged one."""
    with database.transaction() as session:
        user = add_user(session, "ann", "reviewer")
        cafe, bar, inn = (add_label(session, user, name).label_id for name in ("Caf\u00e9", "Bar", "Inn"))
        retire_label(session, user, bar)
        merge_labels(session, user, [inn], cafe)

        for name, words in (
            ("CAFE\u0301", "There is a label “Café” already"),
            ("bar", "retired label “Bar”. Restore it"),
            ("INN", "“Inn” was merged into “Café” and its name still finds that label"),
        ):
            with pytest.raises(ConflictError, match=words):
                add_label(session, user, name)
            if name != "CAFE\u0301":
                with pytest.raises(ConflictError, match=words):
                    rename_label(session, user, cafe, name)

        rename_label(session, user, cafe, "CAFE\u0301")
        assert session.get_one(Label, cafe, populate_existing=True).name == "CAF\u00c9"


def test_what_makes_no_sense_is_refused(database: Database) -> None:
    """Nothing is changed by it."""
    with database.transaction() as session:
        user = add_user(session, "ann", "reviewer")
        pug = ensure_labels(session, [["animal", "dog", "pug"]])[0]
        animal, dog = (session.scalars(select(Label.id).where(Label.name == name)).one() for name in ("animal", "dog"))

        for action, words in (
            (lambda: set_parent(session, user, animal, pug), "lies below it"),
            (lambda: set_parent(session, user, dog, dog), "is “dog” or lies below"),
            (lambda: set_parent(session, user, dog, animal), "stands there already"),
            (lambda: rename_label(session, user, dog, "dog"), "called that already"),
            (lambda: merge_labels(session, user, [dog], dog), "Choose 1 to 500"),
            (lambda: restore_label(session, user, dog), "not retired"),
        ):
            with pytest.raises(ConflictError, match=words):
                action()
        with pytest.raises(NotFoundError):
            retire_label(session, user, 999)
        with pytest.raises(NotFoundError):
            undo_change(session, user, 999)
        with pytest.raises(InvalidNameError):
            add_label(session, user, " ")

        assert list_changes(session, user) == []


def test_a_merged_or_retired_label_takes_no_part(database: Database) -> None:
    """Changes go to the label that it stands for, or wait until it is restored."""
    with database.transaction() as session:
        user = add_user(session, "ann", "reviewer")
        one, two, three = ensure_labels(session, [["one"], ["two"], ["three"]])
        merge_labels(session, user, [one], two)
        retire_label(session, user, three)

        for action in (
            lambda: rename_label(session, user, one, "uno"),
            lambda: merge_labels(session, user, [one], three),
            lambda: set_parent(session, user, two, one),
        ):
            with pytest.raises(ConflictError, match=r"“one” is merged into “two”|“three” is retired"):
                action()
        with pytest.raises(ConflictError, match=r"“three” is retired\. Restore it first"):
            merge_labels(session, user, [two], three)


def test_photos_of_merged_labels_show_the_target_and_go_back(database: Database) -> None:
    """Those named by people and those said by models; what was said since stays."""
    with database.transaction() as session:
        user = add_user(session, "ann", "reviewer")
        version_id = add_version(session)
        cat, dog, car, *_ = version_label_ids(session, version_id)
        said, named, later = tagged_photos(session, version_id, 3)
        say(session, user, [named], label_id=dog)
        before = shown_of(session, [said, named])
        (old,) = ensure_labels(session, [["feline"]])
        first = merge_labels(session, user, [cat], old)

        second = merge_labels(session, user, [old, dog], car)

        assert (first.photos, second.photos) == (2, 3)
        assert {row["shown_label_id"] for row in shown_of(session, [said, named, later]).values()} == {car}
        assert dict(session.execute(select(Label.id, Label.merged_into_id)).all()) | {cat: car, old: car, dog: car} == {
            **dict.fromkeys(session.scalars(select(Label.id))), cat: car, old: car, dog: car
        }  # fmt: skip

        say(session, user, [later], label_id=cat)  # found by its old name: that is the car by now
        undone = undo_change(session, user, second.change_id)
        undo_change(session, user, first.change_id)

        assert undone.photos == 2
        assert shown_of(session, [said, named]) == before
        assert shown_of(session, [later])[later]["shown_label_id"] == car


def test_children_go_where_their_parent_goes(database: Database) -> None:
    """A target that lay below the label that goes takes its place."""
    with database.transaction() as session:
        user = add_user(session, "ann", "reviewer")
        pug, tabby = ensure_labels(session, [["life", "animal", "dog", "pug"], ["life", "animal", "cat", "tabby"]])
        animal, dog = (session.scalars(select(Label.id).where(Label.name == name)).one() for name in ("animal", "dog"))

        merged = merge_labels(session, user, [animal], dog)

        assert label_paths(session, [pug, tabby]) == {
            pug: ("life", "dog", "pug"),
            tabby: ("life", "dog", "cat", "tabby"),
        }
        undo_change(session, user, merged.change_id)
        assert label_paths(session, [tabby]) == {tabby: ("life", "animal", "cat", "tabby")}


def test_new_labels_are_not_put_below_one_that_was_merged(database: Database) -> None:
    """A model version that comes later knows the old name of their parent."""
    with database.transaction() as session:
        user = add_user(session, "ann", "reviewer")
        old, new = ensure_labels(session, [["critter"], ["animal"]])
        merge_labels(session, user, [old], new)

        (pug,) = ensure_labels(session, [["critter", "pug"]])

        assert label_paths(session, [pug]) == {pug: ("animal", "pug")}


def test_what_came_later_has_to_be_undone_first(database: Database) -> None:
    """The error names it; then it goes."""
    with database.transaction() as session:
        user = add_user(session, "ann", "reviewer")
        one, two, three = ensure_labels(session, [["one"], ["two"], ["three"]])
        first = merge_labels(session, user, [one], two)
        second = merge_labels(session, user, [two], three)

        with pytest.raises(ConflictError, match=f"“two” merged into “three” .change {second.change_id}.*Undo that"):
            undo_change(session, user, first.change_id)

        undo_change(session, user, second.change_id)
        undo_change(session, user, first.change_id)
        assert set(session.scalars(select(Label.merged_into_id))) == {None}
        with pytest.raises(ConflictError, match="undone already"):
            undo_change(session, user, first.change_id)


def test_a_name_that_somebody_took_meanwhile_keeps_an_undo_away(database: Database) -> None:
    """And so does a parent that lies below by now."""
    with database.transaction() as session:
        user = add_user(session, "ann", "reviewer")
        one, two = ensure_labels(session, [["one"], ["two"]])
        renamed = rename_label(session, user, one, "uno")
        add_label(session, user, "One")
        moved = set_parent(session, user, two, one)
        back = set_parent(session, user, two, None)
        set_parent(session, user, one, two)

        with pytest.raises(ConflictError, match="There is a label “One” already"):
            undo_change(session, user, renamed.change_id)
        with pytest.raises(ConflictError, match="“uno” was put below “two” since"):
            undo_change(session, user, back.change_id)
        with pytest.raises(ConflictError, match="Something came after it"):
            undo_change(session, user, moved.change_id)


def test_an_added_label_goes_by_being_retired_unless_it_is_in_use(database: Database) -> None:
    """None is ever deleted."""
    with database.transaction() as session:
        user = add_user(session, "ann", "reviewer")
        used, unused = (add_label(session, user, name) for name in ("used", "unused"))
        say(session, user, new_photos(session, 1), label_id=used.label_id)

        undo_change(session, user, unused.change_id)

        assert session.get_one(Label, unused.label_id, populate_existing=True).retired_at is not None
        with pytest.raises(ConflictError, match="“used” is in use: people have given it to photos"):
            undo_change(session, user, used.change_id)


def test_reviewers_undo_their_own_changes_and_admins_all(database: Database) -> None:
    """Owners change nothing."""
    with database.transaction() as session:
        owner, ann, ben = (
            add_user(session, name, role) for name, role in (("o", "owner"), ("a", "reviewer"), ("b", "reviewer"))
        )
        first, second = (add_label(session, ann, name) for name in ("one", "two"))

        with pytest.raises(NotAllowedError, match="Another person"):
            undo_change(session, ben, first.change_id)
        with pytest.raises(NotAllowedError, match="Only reviewers"):
            add_label(session, owner, "three")
        undo_change(session, ann, first.change_id)
        undo_change(session, local_admin(session), second.change_id)

        told = [(change.what, change.by, change.undoable) for change in list_changes(session, ann)]
        assert told == [
            ("undone: “two” added", "admin", False),
            ("undone: “one” added", "a", False),
            ("“two” added", "a", False),
            ("“one” added", "a", False),
        ]


def test_the_history_tells_changes_in_words(database: Database) -> None:
    """With the names that labels had then; newest first, page by page."""
    with database.transaction() as session:
        user = local_admin(session)
        hill, mountain = (add_label(session, user, name).label_id for name in ("hill", "mountain"))
        set_parent(session, user, hill, mountain)
        set_parent(session, user, hill, None)
        rename_label(session, user, hill, "knoll")
        merge_labels(session, user, [hill], mountain)
        retire_label(session, user, mountain)
        restore_label(session, user, mountain)

        changes = list_changes(session, user)

        assert [change.what for change in changes][:-2] == [
            "“mountain” restored",
            "“mountain” retired",
            "“knoll” merged into “mountain”",
            "“hill” renamed to “knoll”",
            "“hill” moved from below “mountain” to the top",
            "“hill” moved from the top to below “mountain”",
        ]
        assert list_changes(session, user, before=changes[2].change_id, limit=2) == changes[3:5]


def test_a_preview_says_what_a_change_would_touch(database: Database) -> None:
    """And changes nothing."""
    with database.transaction() as session:
        user = add_user(session, "ann", "reviewer")
        version_id = add_version(session)
        cat, dog, *_ = version_label_ids(session, version_id)
        photos = tagged_photos(session, version_id, 4)
        say(session, user, photos[:1], label_id=cat)
        ensure_labels(session, [["cat", "tabby"]])
        for photo_id in photos:
            session.get_one(Photo, photo_id).has_previews = True
        session.flush()

        found = preview(session, plan_merge(session, [cat], dog))

        assert (found.reviewed, found.predicted, found.children, found.child_names) == (1, 3, 1, ["tabby"])
        assert (found.versions, sorted(found.samples)) == (["first"], photos)
        assert preview(session, plan_merge(session, [dog], cat)).samples == []
        assert preview(session, plan_retire(session, cat)).reviewed == 1
        set_parent(session, user, cat, dog)
        assert preview(session, plan_retire(session, dog)).children == 1
        assert session.get_one(Label, cat).merged_into_id is None


def test_the_library_filters_by_the_target_at_once(database: Database) -> None:
    """An address with the old label still finds the photos."""
    with database.transaction() as session:
        user = local_admin(session)
        version_id = add_version(session)
        cat, dog, *_ = version_label_ids(session, version_id)
        photos = tagged_photos(session, version_id, 2)

        merge_labels(session, user, [cat], dog)

        for label_id in (cat, dog):
            page = library_page(session, user, LibraryFilter(label_id=label_id), "date", descending=True, limit=9)
            assert sorted(tile.photo_id for tile in page.photos) == photos
            assert {tile.shown for tile in page.photos} == {"dog"}


@pytest.mark.timeout(120)
def test_no_photo_shows_a_merged_label_whoever_writes_at_the_same_time(database: Database) -> None:
    """Workers write predictions and people verdicts while labels are merged and the merge undone."""
    with database.transaction() as session:
        version_id = add_version(session)
        cat, dog, *_ = version_label_ids(session, version_id)
        ann = add_user(session, "ann", "reviewer")
        photos = new_photos(session, 100)
    errors: list[Exception] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - told at the end
            errors.append(error)

    def tagging() -> None:
        for start in range(0, 100, 10):
            with database.transaction() as session:
                known = [Tagged(0, 1, one, version_id, None, [(cat, 0.9)]) for one in photos[start : start + 10]]
                write_predictions(session, known)
            time.sleep(0.02)

    def reviewing() -> None:
        for _ in range(15):
            with database.transaction() as session:
                say(session, ann, photos[::7], label_id=cat)
            time.sleep(0.02)

    def merging() -> None:
        for _ in range(8):
            with database.transaction() as session:
                merged = merge_labels(session, ann, [cat], dog)
            time.sleep(0.02)
            with database.transaction() as session:
                undo_change(session, ann, merged.change_id)
            time.sleep(0.02)
        with database.transaction() as session:
            merge_labels(session, ann, [cat], dog)

    run_together([lambda: guarded(tagging), lambda: guarded(reviewing), lambda: guarded(merging)])

    assert errors == []
    with database.reading() as session:
        query = select(Photo.shown_label_id, func.count()).group_by(Photo.shown_label_id)
        assert dict(session.execute(query).all()) == {dog: 100}
