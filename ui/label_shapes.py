"""Labels as the JSON routes and `phototag labels --json` answer them."""

from sqlalchemy.orm import Session

from db.label_changes import Changed
from db.label_history import ChangeView, words_of_change
from db.label_lists import LabelView, PhotoCounts, Suggestion
from db.label_preview import Preview
from db.schema import LabelChange
from ui.label_words import words_of
from ui.shapes import Json


def label_shape(label: LabelView) -> Json:
    """A label without its counts."""
    return {
        "id": label.label_id,
        "name": label.name,
        "parent": label.parent_id,
        "retired": label.retired_at is not None,
        "also": label.also,
        "children": label.children,
    }


def counts_shape(counts: PhotoCounts | None) -> Json:
    """How many photos show a label."""
    return (counts or PhotoCounts(0, 0))._asdict()


def suggestion_shape(found: Suggestion) -> Json:
    """A label that is offered."""
    return {"id": found.label_id, "name": found.name, "path": list(found.path), "matched": found.matched}


def preview_shape(found: Preview) -> Json:
    """What would come of a change."""
    return {
        "words": words_of(found),
        "reviewed": found.reviewed,
        "predicted": found.predicted,
        "children": found.children,
        "versions": found.versions,
        "samples": found.samples,
    }


def changed_shape(session: Session, changed: Changed) -> Json:
    """What was changed; `label` is the label's id."""
    row = session.get_one(LabelChange, changed.change_id)
    undone = row if row.undoes_id is None else session.get_one(LabelChange, row.undoes_id)
    words = words_of_change(undone)
    return {
        "change": changed.change_id,
        "kind": row.kind,
        "label": changed.label_id,
        "photos": changed.photos,
        "what": words if undone is row else f"undone: {words}",
    }


def change_shape(change: ChangeView) -> Json:
    """A change of the history."""
    return {
        "id": change.change_id,
        "kind": change.kind,
        "what": change.what,
        "by": change.by,
        "at": change.at.isoformat(),
        "undone_by": change.undone_by_id,
        "undoable": change.undoable,
    }
