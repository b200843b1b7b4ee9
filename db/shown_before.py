"""Whose word photos showed before a version that was activated took its place: what a roll back shows again.

One row for each photo and activation, written whenever a version's word takes the place of another's: by a re-tag that is
applied, and by photos that are tagged again. The first one stays, as it tells what the photo showed before the activation.
"""

from typing import Any

from sqlalchemy import CTE, ColumnElement, Executable, ScalarSelect, exists, select

from db.schema import Activation, Photo, ShownBefore
from db.statements import insert_on, table_of

PHOTO = table_of(Photo).c


def remember_shown(new: CTE, *conditions: ColumnElement[bool], sqlite: bool) -> Executable:
    """The statement that keeps whose word photos show, to be executed before that is changed.

    Args:
        new: rows of photo_id, and shown_model_version_id: whose word they show from now on.
        conditions: which of the photos change.
        sqlite: for SQLite, else PostgreSQL.
    """
    standing = _standing_activation(new)
    found: Any = (
        select(standing, PHOTO.id, PHOTO.shown_model_version_id)
        .select_from(new)
        .join(table_of(Photo), PHOTO.id == new.c.photo_id)
        .where(PHOTO.shown_model_version_id.is_not(None), standing.is_not(None), *conditions)
        .order_by(PHOTO.id)
    )
    columns = ["activation_id", "photo_id", "model_version_id"]
    return insert_on(ShownBefore, sqlite=sqlite).from_select(columns, found).on_conflict_do_nothing()


def _standing_activation(new: CTE) -> ScalarSelect[Any]:
    """The last activation of the version that is no roll back and was not rolled back: that one would be taken back."""
    one, undoing = table_of(Activation).alias("one"), table_of(Activation).alias("undoing")
    undone = exists().where(undoing.c.undoes_id == one.c.id)
    of_version = one.c.version_id == new.c.shown_model_version_id, one.c.undoes_id.is_(None), ~undone
    last = select(one.c.id).where(*of_version).order_by(one.c.id.desc()).limit(1)
    return last.correlate(new).scalar_subquery()
