"""The audit log: who did what, when. Written in the transaction of what was done; read by admins."""

import datetime as dt
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.names import clean_text
from db.schema import AuditEntry, User
from db.session import utc_now

MAX_SUBJECT = 200
# What the command line does has no user: whoever can open the data directory may do all of it.
COMMAND_LINE = {"by": "command line"}


class AuditView(NamedTuple):
    """One row of the log with its person's name; None: nobody was logged in, or the command line."""

    entry_id: int
    at: dt.datetime
    user: str | None
    action: str
    subject: str
    details: dict[str, Any]


def record_audit(
    session: Session, user: User | None, action: str, subject: str = "", details: dict[str, Any] | None = None
) -> None:
    """Adds a row to the log.

    Args:
        session: of the transaction that does it: both are kept, or neither.
        user: who; None for nobody and for the command line.
        action: what, as "users.disable"; at most 40 characters.
        subject: what it was done to, a name or an id.
        details: more of it, as JSON. Never a secret.
    """
    session.add(
        AuditEntry(
            at=utc_now(),
            user_id=user.id if user else None,
            action=action,
            subject=clean_text(subject, MAX_SUBJECT),
            details=details,
        )
    )
    session.flush()


def list_audit(
    session: Session,
    *,
    user_id: int | None = None,
    action: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[AuditView]:
    """Rows of the log, newest first.

    Args:
        session: for queries.
        user_id: only what this person did.
        action: only this action.
        before: only rows older than the one with this id, for the next page.
        limit: at most so many.
    """
    query = (
        select(AuditEntry, User.name)
        .outerjoin(User, User.id == AuditEntry.user_id)
        .order_by(AuditEntry.id.desc())
        .limit(limit)
    )
    if user_id is not None:
        query = query.where(AuditEntry.user_id == user_id)
    if action is not None:
        query = query.where(AuditEntry.action == action)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return [
        AuditView(entry.id, entry.at, name, entry.action, entry.subject, entry.details or {})
        for entry, name in session.execute(query)
    ]


def list_actions(session: Session) -> list[str]:
    """The actions that the log has, in the order of the alphabet."""
    return list(session.scalars(select(AuditEntry.action).distinct().order_by(AuditEntry.action)))
