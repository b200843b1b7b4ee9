"""Verdicts row by row, and the names of labels as programs send them."""

import pytest

from db.errors import InvalidNameError, NotFoundError
from db.label_changes import merge_labels
from db.labels import ensure_labels, ids_of_names
from db.review_list import list_verdicts
from db.reviews import undo
from db.session import Database
from tests.library_rows import add_user
from tests.review_rows import say, tagged_photos
from tests.store import add_version


def test_verdicts_are_listed_newest_first_with_what_the_model_had_said(database: Database) -> None:
    """Page by page, of all photos or of one; labels by the names that they have now."""
    with database.transaction() as session:
        first, second = tagged_photos(session, add_version(session), 2)
        ann = add_user(session, "ann", "reviewer")
        (own, other) = ensure_labels(session, [("own",), ("other",)])
        say(session, ann, [first, second], label_id=own, reason="audit")
        taken_back = say(session, ann, [first], "none").action_id
        undoing = undo(session, ann, token="u").action_id
        merge_labels(session, ann, [own], other)

        rows = list_verdicts(session, limit=9)
        pages = [*list_verdicts(session, limit=2), *list_verdicts(session, before=rows[1].review_id, limit=9)]
        of_first = list_verdicts(session, photo_id=first, limit=9)

    assert pages == rows
    assert [(row.photo_id, row.verdict, row.counts) for row in rows] == [
        (first, "undo", False),
        (first, "none", False),
        (second, "correct", True),
        (first, "correct", True),
    ]
    assert of_first == [row for row in rows if row.photo_id == first]
    assert (rows[0].action_id, rows[0].undoes_action_id) == (undoing, taken_back)
    assert (rows[3].label_id, rows[3].label, rows[3].by, rows[3].reason) == (other, "other", "ann", "audit")
    assert rows[3].model_label is not None
    assert rows[3].model_score == pytest.approx(0.9)


def test_names_find_labels_however_they_are_spelt(database: Database) -> None:
    """One that is not there is named in the error, before anything is done."""
    with database.transaction() as session:
        (great,) = ensure_labels(session, [("Größe",)])

        assert ids_of_names(session, ["GRÖSSE", "Gro\u0308ße"]) == {"GRÖSSE": great, "Gro\u0308ße": great}
        assert ids_of_names(session, []) == {}
        with pytest.raises(NotFoundError, match="griffin"):
            ids_of_names(session, ["größe", "griffin"])
        with pytest.raises(InvalidNameError):
            ids_of_names(session, [" \0 "])
