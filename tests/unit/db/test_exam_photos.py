"""Held-out photos of a training: counted for the matrix, listed for its cells, page by page, without those that are gone."""

from typing import Any

import pytest
from sqlalchemy import delete, update

from db.exam_photos import ExamCount, exam_counts, exam_photos
from db.label_changes import rename_label
from db.schema import HoldoutAnswer, Photo
from db.session import Database
from db.training_views import answers_of
from db.users import local_admin
from tests.model_rows import add_finished_run
from tests.store import add_version

NAMES = ("glacier", "mountain")
# the true label, the candidate's, the base's
ANSWERS = [(0, 0, 1), (0, 1, 0), (1, 1, 0), (1, 1, 1), (0, 0, 1)]


class Exam:
    """A run with the answers above, and another one whose answers must not be mixed in."""

    def __init__(self, database: Database) -> None:
        self.database = database
        with database.transaction() as session:
            add_version(session)
            self.run_id, self.photo_ids, (self.glacier, self.mountain) = add_finished_run(session, NAMES, ANSWERS)
            self.other_id, *_ = add_finished_run(session, NAMES, [(1, 0, 0)] * 3, version="head-2")

    def shown(self, **query: Any) -> list[int]:
        """Which of the photos are listed, by their places."""
        with self.database.reading() as session:
            return [self.photo_ids.index(one.photo_id) for one in exam_photos(session, self.run_id, **query)]

    def counts(self) -> list[ExamCount]:
        """What the matrix is made of."""
        with self.database.reading() as session:
            return exam_counts(session, self.run_id)


@pytest.fixture
def exam(database: Database) -> Exam:
    """Two runs."""
    return Exam(database)


def test_photos_are_counted_by_what_was_said_of_them(exam: Exam) -> None:
    """All three labels together, so that who got better and worse follows from it; of this run alone."""
    glacier, mountain = exam.glacier, exam.mountain

    assert exam.counts() == [
        ExamCount(glacier, glacier, mountain, 2),
        ExamCount(glacier, mountain, glacier, 1),
        ExamCount(mountain, mountain, glacier, 1),
        ExamCount(mountain, mountain, mountain, 1),
    ]
    assert sum(one.photos for one in exam.counts()) == len(exam.shown())


def test_a_cell_lists_its_photos(exam: Exam) -> None:
    """Of either version; a cell's number is the number of its photos."""
    assert exam.shown(label_id=exam.glacier) == [0, 1, 4]
    assert exam.shown(label_id=exam.glacier, said_id=exam.mountain) == [1]
    assert exam.shown(label_id=exam.glacier, said_id=exam.mountain, of="base") == [0, 4]
    assert exam.shown(said_id=exam.glacier) == [0, 4]
    assert exam.shown(label_id=exam.mountain, said_id=exam.glacier) == []


def test_better_and_worse_are_those_that_one_alone_has_right(exam: Exam) -> None:
    """Not those that both have right or wrong; together with a label if one is asked for."""
    assert exam.shown(change="better") == [0, 2, 4]
    assert exam.shown(change="worse") == [1]
    assert exam.shown(change="better", label_id=exam.mountain) == [2]


def test_pages_follow_each_other(exam: Exam) -> None:
    """By id, without a photo twice or none."""
    first = exam.shown(limit=2)
    second = exam.shown(limit=2, after=exam.photo_ids[first[-1]])
    third = exam.shown(limit=2, after=exam.photo_ids[second[-1]])

    assert (first, second, third) == ([0, 1], [2, 3], [4])
    assert exam.shown(after=exam.photo_ids[-1]) == []


def test_a_photo_that_was_deleted_is_in_no_exam(exam: Exam) -> None:
    """Neither counted nor listed, and the other photos stay."""
    with exam.database.transaction() as session:
        session.execute(delete(Photo).where(Photo.id == exam.photo_ids[0]))

    assert exam.shown() == [1, 2, 3, 4]
    assert exam.counts()[0] == ExamCount(exam.glacier, exam.glacier, exam.mountain, 1)


def test_photos_show_names_as_they_are_now(exam: Exam) -> None:
    """And the scores of both versions."""
    with exam.database.transaction() as session:
        rename_label(session, local_admin(session), exam.mountain, "peak")
        photo = exam_photos(session, exam.run_id)[1]

    assert (photo.label, photo.candidate, photo.base) == ("glacier", "peak", "glacier")
    assert (photo.candidate_score, photo.base_score) == (0.9, 0.8)


def test_without_a_version_to_compare_with_nothing_got_better_or_worse(exam: Exam) -> None:
    """Photos are there with the candidate's word alone."""
    with exam.database.transaction() as session:
        change = update(HoldoutAnswer).where(HoldoutAnswer.run_id == exam.run_id)
        session.execute(change.values(base_label_id=None, base_score=None))
        photo = exam_photos(session, exam.run_id)[0]
        answer = answers_of(session, exam.run_id)[0]

    assert (photo.base, photo.base_score, answer.base_label_id) == (None, None, None)
    assert (exam.shown(), exam.shown(change="better"), exam.shown(change="worse")) == ([0, 1, 2, 3, 4], [], [])
    assert {one.base_label_id for one in exam.counts()} == {None}
