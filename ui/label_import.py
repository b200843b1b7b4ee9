"""Gives the photos of a batch the labels that their folders name, as soon as they are accepted."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from db.errors import InvalidNameError
from db.label_import import ImportItem, ensure_import_label, give_labels, is_all_there, iter_import_items
from db.schema import User
from db.session import Database
from ui.class_folders import Folders, Layout, folders_of, layout_of
from ui.review_shapes import said_words

# Photos that get their labels in one action; a repeat finds the same ones under the same token.
WINDOW = 200
MOST_LISTED = 20


@dataclass(frozen=True, slots=True)
class Target:
    """The label that a folder stands for.

    Attributes:
        trouble: why its photos cannot have it.
    """

    label_id: int
    name: str
    trouble: str | None = None


@dataclass
class FolderLabels:
    """What an import has done so far.

    Attributes:
        layout: what of the folders is no label; None: it is decided when the archive is unpacked.
        replace: whether what people have said otherwise is replaced.
        labels: photos by the name of their label.
        outside: paths of photos in no class folder.
        conflicts: path, the folder's label, and what stands against it.
    """

    database: Database
    user: User
    layout: Layout | None
    replace: bool = False
    labels: Counter[str] = field(default_factory=Counter[str])
    outside: list[str] = field(default_factory=list[str])
    conflicts: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    _done: tuple[int, int] = (-1, -1)
    _given: dict[int, Target] = field(default_factory=dict[int, Target])
    _targets: dict[Folders, Target] = field(default_factory=dict[Folders, Target])

    def record(self, batch_id: str) -> None:
        """Gives labels to what has come since the last call, in whole windows; the last one once all is there."""
        with self.database.reading() as session:
            complete = is_all_there(session, batch_id)
            if self.layout is None:
                if not complete:
                    return
                self.layout = layout_of({folders_of(item.path) for item in iter_import_items(session, batch_id)})
            items = list(iter_import_items(session, batch_id, self._done))
        windows = [list(group) for _, group in groupby(items, _window)]
        for window in windows if complete else windows[:-1]:
            self._record_window(batch_id, window)
            last = window[-1]
            self._done = last.archive_number, last.position

    @property
    def is_complete(self) -> bool:
        """Whether every photo has the label of its folder."""
        return not self.outside and not self.conflicts

    def lines(self) -> Iterator[str]:
        """What came of it, for a person."""
        photos = sum(self.labels.values())
        yield f"{photos:,} {'photo' if photos == 1 else 'photos'} labelled by {'its folder' if photos == 1 else 'their folders'}."
        yield from _skipped(self.layout)
        for name, count in sorted(self.labels.items(), key=lambda each: (-each[1], each[0])):
            yield f"  {count:>8,}  {name}"
        if self.conflicts:
            how = "" if self.replace else " --replace gives them their folder's label."
            yield f"{len(self.conflicts):,} not labelled, because something else was said of them.{how}"
            yield from _some([f"  {path}: {label}, but {other}" for path, label, other in self.conflicts])
        if self.outside:
            yield f"{len(self.outside):,} in no class folder: tagged, not labelled."
            yield from _some([f"  {path}" for path in self.outside])

    def as_json(self) -> dict[str, Any]:
        """What came of it, for scripts; lists are complete."""
        layout = self.layout or Layout()
        return {
            "labelled": sum(self.labels.values()),
            "labels": dict(self.labels),
            "conflicts": [{"path": path, "label": label, "reason": other} for path, label, other in self.conflicts],
            "outside": self.outside,
            "skipped_folders": [*([layout.outer] if layout.outer else []), *sorted(layout.splits)],
        }

    def _record_window(self, batch_id: str, window: Sequence[ImportItem]) -> None:
        labels: dict[int, int] = {}
        paths: dict[int, str] = {}
        with self.database.transaction() as session:
            for item in window:
                folders = self.layout.labels_of(item.path) if self.layout else ()
                if not folders:
                    self.outside.append(item.path)
                    continue
                target = self._targets.get(folders)
                if target is None:
                    target = self._targets[folders] = self._target(session, folders)
                if self._is_free(item, target):
                    labels[item.photo_id] = target.label_id
                    paths[item.photo_id] = item.path
            word = "replaced" if self.replace else "import"
            token = f"{word} {batch_id} {window[0].archive_number} {_window(window[0])[1]}"
            outcome = give_labels(session, self.user, labels, token=token, replace=self.replace)
        self.labels.update(self._given[photo_id].name for photo_id in outcome.photo_ids if photo_id in labels)
        for conflict in outcome.conflicts:
            other = f"{conflict.by} said {said_words(conflict.verdict, conflict.label)}"
            self.conflicts.append((paths[conflict.photo_id], self._given[conflict.photo_id].name, other))

    def _target(self, session: Any, folders: Folders) -> Target:
        try:
            label = ensure_import_label(session, self.user, folders)
        except InvalidNameError as error:
            return Target(0, folders[-1], str(error))
        retired = f"{label.name} is retired: `phototag labels restore` offers it again"
        return Target(label.id, label.name, retired if label.retired_at is not None else None)

    def _is_free(self, item: ImportItem, target: Target) -> bool:
        """Whether the photo comes by for the first time; the same one may lie in folders of two labels."""
        first = self._given.get(item.photo_id)
        if first is None:
            self._given[item.photo_id] = target
            if target.trouble is not None:
                self.conflicts.append((item.path, target.name, target.trouble))
            return target.trouble is None
        if first.label_id != target.label_id:
            self.conflicts.append((item.path, target.name, f"the same photo lies in a folder {first.name} as well"))
        return False


def _window(item: ImportItem) -> tuple[int, int]:
    return item.archive_number, item.position // WINDOW


def _skipped(layout: Layout | None) -> Iterator[str]:
    if layout is not None and layout.outer is not None:
        yield f"The folder {layout.outer} holds only folders: it is taken for the collection's name, not for a label."
    if layout is not None and layout.splits:
        yield f"Taken for parts of a data set, not for labels: {', '.join(sorted(layout.splits))}."


def _some(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:MOST_LISTED]
    if len(lines) > MOST_LISTED:
        yield f"  and {len(lines) - MOST_LISTED:,} more; --json lists them"
