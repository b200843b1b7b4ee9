"""As `tests.review_machine`, with re-tags that are applied, all or by pair, and activations that are rolled back."""

from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from db.activations import activate_version, roll_back
from db.errors import ConflictError
from db.predictions import Tagged, write_predictions
from db.retag_showing import apply_some, restore_some
from tests.review_machine import LABEL, PHOTOS, SOME, VERSION, ReviewMachine
from tests.store import THRESHOLD


@dataclass
class Activated:
    """An activation, and what it made photos show another version's word than: by photo."""

    version: int
    before: int
    undone: bool = False
    shown_before: dict[int, int] = field(default_factory=dict[int, int])


class RetagMachine(ReviewMachine):
    """Set `database` in a subclass."""

    @initialize()
    def begin_activations(self) -> None:
        self.activated: list[Activated] = []

    @rule(version=VERSION)
    def activate(self, version: int) -> None:
        if version == self.active:
            return
        with self.database.transaction() as session:
            seen_id = self.version_ids[self.active]
            activate_version(session, self.version_ids[version], expected_id=seen_id, user=None, reason="test")
        self.activated.append(Activated(version, self.active))
        self.active = version

    @rule(photos=SOME)
    def retag(self, photos: set[int]) -> None:
        """What workers write for items of a re-tag with the active version."""
        tagged = [photo for photo in sorted(photos) if self.shows[photo] is not None]
        with self.database.transaction() as session:
            write_predictions(session, [self._said_again(photo) for photo in tagged])
        for photo in tagged:
            self.said_by[photo].add(self.active)

    @rule()
    def apply_all(self) -> None:
        self._restore()
        flipping = [photo for photo in range(PHOTOS) if self._would_flip(photo)]
        apply_some(self.database, self.version_ids[self.active])
        self._apply(flipping)

    @rule(from_label=LABEL, to_label=LABEL)
    def apply_pair(self, from_label: int, to_label: int) -> None:
        self._restore()
        from_id, to_id = self.label_ids[from_label], self.label_ids[to_label]
        flipping = [
            photo
            for photo, shown in ((photo, self._expected(photo)) for photo in range(PHOTOS))
            if self._would_flip(photo)
            and (shown["shown_origin"], shown["shown_label_id"]) == ("model", from_id)
            and self._top(photo, self.active)[0][0] == to_id
        ]
        apply_some(self.database, self.version_ids[self.active], pair=(from_id, to_id))
        self._apply(flipping)

    @rule(restores=st.booleans())
    def roll_back(self, *, restores: bool) -> None:
        standing = self._standing()
        with self.database.transaction() as session:
            if standing is None:
                with pytest.raises(ConflictError):
                    roll_back(session, None)
                return
            roll_back(session, None)
        standing.undone = True
        self.active = standing.before
        if restores:
            restore_some(self.database)
            self._restore()

    @rule()
    def restore(self) -> None:
        restore_some(self.database)
        self._restore()

    def _show(self, photo: int, version: int) -> None:
        shown = self.shows[photo]
        super()._show(photo, version)
        if shown is not None and self.shows[photo] != shown:
            self._remember(photo, shown)

    def _remember(self, photo: int, shown: int) -> None:
        standing = self._standing()
        if standing is not None and standing.version == self.active:
            standing.shown_before.setdefault(photo, shown)

    def _standing(self) -> Activated | None:
        return next((one for one in reversed(self.activated) if not one.undone), None)

    def _would_flip(self, photo: int) -> bool:
        return self.shows[photo] not in (None, self.active) and self.active in self.said_by[photo]

    def _apply(self, photos: list[int]) -> None:
        for photo in photos:
            shown = self.shows[photo]
            assert shown is not None
            self._remember(photo, shown)
            self.shows[photo] = self.active

    def _restore(self) -> None:
        for one in reversed(self.activated):
            if not one.undone:
                continue
            for photo, shown in one.shown_before.items():
                if self.shows[photo] == one.version:
                    self.shows[photo] = shown
            one.shown_before.clear()

    def _said_again(self, photo: int) -> Tagged:
        top = self._top(photo, self.active)
        not_sure = top[0][1] < THRESHOLD
        return Tagged(0, 1, self.photo_ids[photo], self.version_ids[self.active], None, top, not_sure, is_retag=True)
