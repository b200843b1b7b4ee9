"""Verdicts of two people, their undo and predictions in any order, held against a model of a few lines of Python."""

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import delete, select

from db.errors import NotFoundError
from db.labels import ensure_labels
from db.model_versions import activate
from db.predictions import show_known
from db.reviews import undo, undoable
from db.schema import ActiveVersion, ReviewAction
from db.session import Database
from tests.library_rows import add_user
from tests.review_rows import new_photos, say, shown_of, tag
from tests.store import LABELS, THRESHOLD, add_version

PHOTOS, VERSIONS = 3, 3
PHOTO, VERSION, USER, LABEL = (st.integers(0, n - 1) for n in (PHOTOS, VERSIONS, 2, len(LABELS)))
SOME = st.sets(PHOTO, min_size=1)
VERDICT = st.sampled_from(["label", "none", "unsure", "skip"])
_names = itertools.count(1)


class Stroke(NamedTuple):
    """What a person did."""

    user: int
    photos: frozenset[int]
    verdict: str
    label: int
    action_id: int


class ReviewMachine(RuleBasedStateMachine):
    """Set `database` in a subclass."""

    database: ClassVar[Database]

    @initialize()
    def begin(self) -> None:
        number = next(_names)
        with self.database.transaction() as session:
            session.execute(delete(ActiveVersion))
            self.label_ids = ensure_labels(session, [[label] for label in LABELS])
            self.version_ids = [add_version(session, f"{number}.{n}", active=n == 0) for n in range(VERSIONS)]
            self.photo_ids = new_photos(session, PHOTOS)
            self.users = [add_user(session, f"{name} {number}", "reviewer") for name in ("ann", "bob")]
        self.active = 0
        self.strokes: list[Stroke] = []
        self.undone: set[int] = set()
        self.said_by: dict[int, set[int]] = {photo: set() for photo in range(PHOTOS)}
        self.shows: dict[int, int | None] = dict.fromkeys(range(PHOTOS))

    @rule(user=USER, photos=SOME, verdict=VERDICT, label=LABEL)
    def say(self, user: int, photos: set[int], verdict: str, label: int) -> None:
        self._say(user, photos, verdict, label)

    @rule(user=USER, photos=SOME, verdict=VERDICT, label=LABEL)
    def say_and_take_back(self, user: int, photos: set[int], verdict: str, label: int) -> None:
        before = self._shown()
        self._say(user, photos, verdict, label)
        self.take_back(user)
        assert self._shown() == before

    @rule(user=USER)
    def take_back(self, user: int) -> None:
        standing = [n for n, stroke in enumerate(self.strokes) if stroke.user == user and n not in self.undone]
        with self.database.transaction() as session:
            person = self.users[user]
            assert undoable(session, person) == bool(standing)
            if not standing:
                try:
                    undo(session, person, token=str(next(_names)))
                except NotFoundError:
                    return
            undone = undo(session, person, token=str(next(_names)))
        self.undone.add(standing[-1])
        assert undone.undone_action_id == self.strokes[standing[-1]].action_id
        assert set(undone.photo_ids) == {self.photo_ids[photo] for photo in self.strokes[standing[-1]].photos}

    @rule(photo=PHOTO, version=VERSION)
    def tag(self, photo: int, version: int) -> None:
        with self.database.transaction() as session:
            tag(session, self.photo_ids[photo], self.version_ids[version], self._top(photo, version))
        self.said_by[photo].add(version)
        self._show(photo, version)

    @rule(version=VERSION)
    def show_known(self, version: int) -> None:
        known = [photo for photo, versions in self.said_by.items() if version in versions]
        with self.database.transaction() as session:
            show_known(session, [self.photo_ids[photo] for photo in known], self.version_ids[version])
        for photo in known:
            self._show(photo, version)

    @rule(version=VERSION)
    def activate(self, version: int) -> None:
        with self.database.transaction() as session:
            activate(session, self.version_ids[version], self.version_ids[self.active], "test")
        self.active = version

    @invariant()
    def pages_show_what_was_said(self) -> None:
        if hasattr(self, "strokes"):
            shown = self._shown()
            assert {photo: shown[self.photo_ids[photo]] for photo in range(PHOTOS)} == {
                photo: self._expected(photo) for photo in range(PHOTOS)
            }

    def _say(self, user: int, photos: set[int], verdict: str, label: int) -> None:
        with self.database.transaction() as session:
            label_id = self.label_ids[label] if verdict == "label" else None
            outcome = say(session, self.users[user], [self.photo_ids[n] for n in photos], verdict, label_id=label_id)
        assert outcome.action_id is not None
        self.strokes.append(Stroke(user, frozenset(photos), verdict, label, outcome.action_id))

    def _show(self, photo: int, version: int) -> None:
        shown = self.shows[photo]
        if shown is None or (shown != version and version == self.active):
            self.shows[photo] = version

    def _top(self, photo: int, version: int) -> list[tuple[int, float]]:
        """Always the same of a version; some sure, some not, some with one label only."""
        score = 0.1 + 0.83 * ((photo + 2 * version) % 4) / 3
        labels: Sequence[int] = self.label_ids[(photo + version) % 5 :] + self.label_ids[: (photo + version) % 5]
        return [(label_id, score / 3**n) for n, label_id in enumerate(labels[: 1 + (photo + version) % 3])]

    def _shown(self) -> dict[int, dict[str, Any]]:
        with self.database.reading() as session:
            return shown_of(session, self.photo_ids)

    def _expected(self, photo: int) -> dict[str, Any]:
        counting = None
        for n, stroke in enumerate(self.strokes):
            if photo in stroke.photos and stroke.verdict != "skip" and n not in self.undone:
                counting = stroke
        expected = self._by_model(photo)
        if counting is None:
            return expected | {"review_state": None, "reviewed_at": None}
        state = "labelled" if counting.verdict == "label" else counting.verdict
        with self.database.reading() as session:
            at = session.scalars(select(ReviewAction.at).where(ReviewAction.id == counting.action_id)).one()
        if counting.verdict != "unsure":
            label_id = self.label_ids[counting.label] if counting.verdict == "label" else None
            expected |= {"shown_label_id": label_id, "shown_score": None, "shown_origin": "person"}
            expected |= {"not_sure": False, "margin": None}
        return expected | {"review_state": state, "reviewed_at": at}

    def _by_model(self, photo: int) -> dict[str, Any]:
        version = self.shows[photo]
        if version is None:
            unknown = dict.fromkeys(
                ("shown_label_id", "shown_score", "shown_origin", "shown_model_version_id", "margin")
            )
            return unknown | {"not_sure": False}
        top = self._top(photo, version)
        return {
            "shown_label_id": top[0][0],
            "shown_score": top[0][1],
            "shown_origin": "model",
            "shown_model_version_id": self.version_ids[version],
            "not_sure": top[0][1] < THRESHOLD,
            "margin": top[0][1] - (top[1][1] if len(top) > 1 else 0.0),
        }
