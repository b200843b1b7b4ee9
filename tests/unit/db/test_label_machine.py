"""The vocabulary against random sequences of changes, verdicts and predictions, beside a model in plain Python."""

import copy
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete, select, update

from db.errors import ConflictError
from db.label_changes import (
    Changed,
    add_label,
    merge_labels,
    rename_label,
    restore_label,
    retire_label,
    set_parent,
    undo_change,
)
from db.label_lists import count_label_photos
from db.labels import name_key, normalise_name
from db.model_versions import activate, active_version, version_label_ids
from db.reviews import undo
from db.schema import (
    ActiveVersion,
    Label,
    LabelChange,
    ModelVersion,
    ModelVersionLabel,
    Photo,
    Prediction,
    Review,
    ReviewAction,
    ReviewHint,
)
from db.session import Database
from db.users import local_admin
from tests.review_rows import new_photos, say, tag
from tests.store import add_version, without_disk_syncs

PHOTOS = 6
NAMES = st.sampled_from(["cat", "CAT", "Dog", "caf\u00e9", "cafe\u0301", "kitten", "pet", "thing", "a", "b"])
INDEX = st.integers(0, 8)
SOME = st.lists(INDEX, min_size=1, max_size=3)
Values = dict[str, Any]


@dataclass
class Made:
    """A change as the model has it: what was there before, and after, of each label and column."""

    kind: str
    before: dict[tuple[int, str], Any]
    after: dict[tuple[int, str], Any]
    undone: bool = False


@dataclass
class World:
    """What should be: labels by id, what was said of photos, and the changes by their number."""

    labels: dict[int, Values] = field(default_factory=dict[int, Values])
    known: set[int] = field(default_factory=set[int])  # to a version
    said: list[int | None] = field(default_factory=lambda: [None] * PHOTOS)  # the model's first label
    verdicts: list[tuple[int, int, str, int | None]] = field(default_factory=list[tuple[int, int, str, int | None]])
    made: dict[int, Made] = field(default_factory=dict[int, Made])

    def stands_for(self, label_id: int | None) -> int | None:
        return None if label_id is None else self.labels[label_id]["merged"] or label_id

    def above(self, label_id: int | None) -> list[int]:
        """The label and all above it."""
        found: list[int] = []
        while label_id is not None and label_id not in found:
            found.append(label_id)
            label_id = self.labels[label_id]["parent"]
        return found

    def shown(self, place: int) -> int | None:
        for _, photo, verdict, label_id in reversed(self.verdicts):
            if photo == place and verdict in ("label", "none"):
                return self.stands_for(label_id)
        return self.stands_for(self.said[place])

    def is_free(self, name: str, but: int | None = None) -> bool:
        key = name_key(name)
        return all(name_key(each["name"]) != key for label_id, each in self.labels.items() if label_id != but)

    def is_used(self, label_id: int) -> bool:
        given = {label for _, _, _, label in self.ever}
        below = any(label_id in (each["parent"], each["merged"]) for each in self.labels.values())
        return label_id in given | self.known or below

    ever: list[tuple[int, int, str, int | None]] = field(default_factory=list[tuple[int, int, str, int | None]])

    def merge(self, sources: set[int], target: int) -> None:
        line = self.above(target)[1:]
        crossed = [place for place, each in enumerate(line) if each in sources]
        if crossed:
            self.labels[target]["parent"] = self.labels[line[crossed[-1]]]["parent"]
        for label_id, each in self.labels.items():
            if label_id in sources or each["merged"] in sources:
                each["merged"] = target
            elif each["parent"] in sources and label_id != target:
                each["parent"] = target

    def is_tree(self, moved: set[int]) -> bool:
        parents = {label_id: self.labels[label_id]["parent"] for label_id in moved}
        if any(parent is not None and self.labels[parent]["merged"] for parent in parents.values()):
            return False
        return all(parents[label_id] not in self._below(label_id) for label_id in moved)

    def _below(self, label_id: int) -> set[int]:
        return {each for each in self.labels if label_id in self.above(each)}


class LabelMachine(RuleBasedStateMachine):
    """Set `database` in a subclass."""

    database: ClassVar[Database]

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.words: dict[tuple[int, int], int] = {}
        with self.database.transaction() as session:
            for table in (LabelChange, ReviewAction):
                session.execute(update(table).values(undoes_id=None))
            for table in (LabelChange, ReviewHint, Review, ReviewAction, Prediction, Photo, ActiveVersion):
                session.execute(delete(table))
            for table in (ModelVersionLabel, ModelVersion, Label):
                session.execute(delete(table))
            self.user = local_admin(session)
            self.versions = [add_version(session, "first"), add_version(session, "second", active=False)]
            self.photos = new_photos(session, PHOTOS)
            for label in session.scalars(select(Label)):
                self.world.labels[label.id] = {"name": label.name, "parent": None, "merged": None, "retired": False}
            self.known = version_label_ids(session, self.versions[0])
            self.world.known = set(self.known)

    def pick(self, index: int) -> int:
        """A label, whatever became of it."""
        return sorted(self.world.labels)[index % len(self.world.labels)]

    @rule(name=NAMES, parent=st.none() | INDEX)
    def add(self, name: str, parent: int | None) -> None:
        """A name that is free, below a label that is offered."""
        parent_id = None if parent is None else self.pick(parent)
        allowed = self.world.is_free(name) and (parent_id is None or self.is_offered(parent_id))

        def change(label_id: int) -> None:
            fresh = {"name": normalise_name(name), "parent": parent_id, "merged": None, "retired": False}
            self.world.labels[label_id] = fresh

        self.make("add", lambda session: add_label(session, self.user, name, parent_id), change, allowed=allowed)

    @rule(index=INDEX, name=NAMES)
    def rename(self, index: int, name: str) -> None:
        """To a name that is free, or the same in other letters."""
        label_id = self.pick(index)
        label = self.world.labels[label_id]
        allowed = not label["merged"] and normalise_name(name) != label["name"] and self.world.is_free(name, label_id)
        self.make(
            "rename",
            lambda session: rename_label(session, self.user, label_id, name),
            lambda _: label.update(name=normalise_name(name)),
            allowed=allowed,
        )

    @rule(index=INDEX, parent=st.none() | INDEX)
    def move(self, index: int, parent: int | None) -> None:
        """Never below itself."""
        label_id, parent_id = self.pick(index), None if parent is None else self.pick(parent)
        label = self.world.labels[label_id]
        allowed = not label["merged"] and label["parent"] != parent_id
        if parent_id is not None:
            allowed = allowed and self.is_offered(parent_id) and label_id not in self.world.above(parent_id)
        self.make(
            "parent",
            lambda session: set_parent(session, self.user, label_id, parent_id),
            lambda _: label.update(parent=parent_id),
            allowed=allowed,
        )

    @rule(sources=SOME, into=INDEX)
    def merge(self, sources: list[int], into: int) -> None:
        """Whatever lies above and below."""
        target_id = self.pick(into)
        source_ids = {self.pick(source) for source in sources} - {target_id}
        whole = all(not self.world.labels[source_id]["merged"] for source_id in source_ids)
        self.make(
            "merge",
            lambda session: merge_labels(session, self.user, source_ids, target_id),
            lambda _: self.world.merge(source_ids, target_id),
            allowed=self.is_offered(target_id) and bool(source_ids) and whole,
        )

    @rule(index=INDEX)
    def retire(self, index: int) -> None:
        """One that is offered."""
        label_id = self.pick(index)
        self.make(
            "retire",
            lambda session: retire_label(session, self.user, label_id),
            lambda _: self.world.labels[label_id].update(retired=True),
            allowed=self.is_offered(label_id),
        )

    @rule(index=INDEX)
    def restore(self, index: int) -> None:
        """One that is retired."""
        label_id = self.pick(index)
        label = self.world.labels[label_id]
        self.make(
            "restore",
            lambda session: restore_label(session, self.user, label_id),
            lambda _: label.update(retired=False),
            allowed=label["retired"] and not label["merged"],
        )

    @rule(back=st.integers(0, 5))
    def take_back(self, back: int) -> None:
        """One of the last changes: the labels are as before, unless something came after it."""
        numbers = sorted(self.world.made)
        if not numbers:
            return
        change_id = numbers[-1 - back % len(numbers)]
        made = self.world.made[change_id]
        before = copy.deepcopy(self.world.labels)
        allowed = made.kind != "undo" and not made.undone and self.is_last(change_id, made)
        if allowed and made.kind == "add":
            ((label_id, _), *_) = made.after
            allowed = not self.world.is_used(label_id)
            self.world.labels[label_id]["retired"] = True
        elif allowed:
            for (label_id, column), value in made.before.items():
                self.world.labels[label_id][column] = value
            moved = {label_id for label_id, column in made.before if column == "parent"}
            renamed = [label_id for label_id, column in made.before if column == "name"]
            free = all(self.world.is_free(self.world.labels[each]["name"], each) for each in renamed)
            allowed = free and self.world.is_tree(moved)
        try:
            with self.database.transaction() as session:
                changed = undo_change(session, self.user, change_id)
        except ConflictError:
            assert not allowed
            self.world.labels = before
            return
        assert allowed
        made.undone = True
        self.world.made[changed.change_id] = Made("undo", {}, {})

    @rule(place=st.integers(0, PHOTOS - 1), index=INDEX, version=st.integers(0, 1))
    def predict(self, place: int, index: int, version: int) -> None:
        """A version that is active now says a label of a photo; of the same photo always the same."""
        label_id = self.words.setdefault((place, version), self.known[index % len(self.known)])
        with self.database.transaction() as session:
            active = active_version(session)
            if active is None or active.id != self.versions[version]:
                activate(session, self.versions[version], active and active.id, "test")
            tag(session, self.photos[place], self.versions[version], [(label_id, 0.9)])
        self.world.said[place] = label_id

    @rule(places=st.lists(st.integers(0, PHOTOS - 1), min_size=1, max_size=3, unique=True), index=INDEX)
    def review(self, places: list[int], index: int) -> None:
        """A label, by whatever name it is found, or none of these."""
        label_id = self.pick(index)
        stands_for = self.world.stands_for(label_id)
        assert stands_for is not None
        is_label = index != 8
        photos = [self.photos[place] for place in places]
        try:
            with self.database.transaction() as session:
                outcome = say(
                    session, self.user, photos, "label" if is_label else "none", label_id=label_id if is_label else None
                )
        except ConflictError:
            assert is_label
            assert self.world.labels[stands_for]["retired"]
            return
        assert outcome.action_id is not None
        verdicts = [
            (outcome.action_id, place, "label" if is_label else "none", stands_for if is_label else None)
            for place in places
        ]
        self.world.verdicts += verdicts
        self.world.ever += verdicts

    @rule()
    def unreview(self) -> None:
        """The last stroke."""
        if not self.world.verdicts:
            return
        last = self.world.verdicts[-1][0]
        with self.database.transaction() as session:
            undo(session, self.user, token=f"undo {last}")
        self.world.verdicts = [verdict for verdict in self.world.verdicts if verdict[0] != last]

    @invariant()
    def labels_are_as_they_should_be(self) -> None:
        """Names, parents, what stands for what, what is retired."""
        with self.database.reading() as session:
            rows = session.scalars(select(Label)).all()
        assert {
            row.id: {
                "name": row.name,
                "parent": row.parent_id,
                "merged": row.merged_into_id,
                "retired": row.retired_at is not None,
            }
            for row in rows
        } == self.world.labels
        assert all(row.name_key == name_key(row.name) for row in rows)
        assert all(self.world.stands_for(each["merged"]) == each["merged"] for each in self.world.labels.values())

    @invariant()
    def photos_show_what_they_should(self) -> None:
        """And the counts say so."""
        with self.database.reading() as session:
            query = select(Photo.shown_label_id).order_by(Photo.id)
            shown = session.scalars(query).all()
            counts = {label_id: sum(each) for label_id, each in count_label_photos(session).items()}
        expected = [self.world.shown(place) for place in range(PHOTOS)]
        assert shown == expected
        assert counts == {label_id: expected.count(label_id) for label_id in set(expected) - {None}}

    def is_offered(self, label_id: int) -> bool:
        return not self.world.labels[label_id]["merged"] and not self.world.labels[label_id]["retired"]

    def is_last(self, change_id: int, made: Made) -> bool:
        later = [each for number, each in self.world.made.items() if number > change_id and not each.undone]
        return all(made.after.keys().isdisjoint(each.after) for each in later)

    def make(self, kind: str, change: Any, in_world: Any, *, allowed: bool) -> None:
        """Makes a change in the database and in the world, if it is allowed; else both stay."""
        before = copy.deepcopy(self.world.labels)
        try:
            with self.database.transaction() as session:
                changed: Changed = change(session)
        except ConflictError:
            assert not allowed, kind
            return
        assert allowed, kind
        in_world(changed.label_id)
        columns = {
            (label_id, column): (before.get(label_id, {}).get(column), value)
            for label_id, each in self.world.labels.items()
            for column, value in each.items()
            if before.get(label_id, {}).get(column) != value
        }
        self.world.made[changed.change_id] = Made(
            kind,
            {place: old for place, (old, _) in columns.items()},
            {place: new for place, (_, new) in columns.items()},
        )


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("kind", "examples"), [("sqlite", 60), ("postgres", 10)])
def test_no_sequence_of_changes_breaks_the_vocabulary(kind: str, examples: int, request: pytest.FixtureRequest) -> None:
    """What labels are, and what photos show, is as in a model of a page, and an undo restores it."""
    found: Database = request.getfixturevalue(f"{kind}_database")

    class Machine(LabelMachine):
        database = without_disk_syncs(found) if found.is_sqlite else found

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=(HealthCheck.too_slow,),
            database=None,
            print_blob=True,
        ),
    )
