"""JSON routes of the page Admin: people, their API tokens, and the audit log."""

import datetime as dt
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field

from db.api_tokens import SCOPES, Scope, list_api_tokens
from db.audit import AuditView, list_actions, list_audit
from db.schema import ApiToken, User
from db.session import Database
from db.users import get_user, list_users
from ui.access import Admin, Role
from ui.people import People
from ui.shapes import Json

Id = Annotated[int, PathParameter(ge=1, le=2**62)]

PAGE = 50
MAX_DAYS = 3650


class NewPerson(BaseModel):
    """An account to make; without a password a login link is made too."""

    name: str = Field(max_length=200)
    role: Role
    password: str | None = Field(default=None, max_length=2000)


class NewRole(BaseModel):
    """Another role."""

    role: Role


class NewPassword(BaseModel):
    """Another password."""

    password: str = Field(max_length=2000)


class NewToken(BaseModel):
    """An API token to make; without days it works until it is revoked."""

    name: str = Field(max_length=200)
    scopes: list[Scope] = Field(max_length=len(SCOPES))
    days: int | None = Field(default=None, ge=1, le=MAX_DAYS)


class OldToken(BaseModel):
    """An API token to end."""

    name: str = Field(max_length=200)


def admin_routes(database: Database, forget: Callable[[int], None], link_valid_s: int) -> APIRouter:
    """Everything for the role admin.

    Args:
        database: where the accounts are.
        forget: called with the id of a person whose rights have changed.
        link_valid_s: seconds for which a login link works.
    """
    router = APIRouter(prefix="/api/admin")
    _add_people_routes(router, database, forget, dt.timedelta(seconds=link_valid_s))
    _add_token_routes(router, database, forget)

    @router.get("/audit")
    def audit(
        _user: Admin,
        person: Annotated[int | None, Query(ge=1, le=2**62)] = None,
        action: Annotated[str | None, Query(max_length=40)] = None,
        before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = PAGE,
    ) -> Json:
        with database.reading() as session:
            rows = list_audit(session, user_id=person, action=action, before=before, limit=limit + 1)
            actions = list_actions(session) if before is None else []
        return {"entries": [_entry_shape(row) for row in rows[:limit]], "more": len(rows) > limit, "actions": actions}

    return router


def _add_people_routes(
    router: APIRouter, database: Database, forget: Callable[[int], None], link_valid: dt.timedelta
) -> None:
    def link_of(people: People, user_id: int) -> Json:
        token = people.new_link(user_id, link_valid)
        return {"path": f"/login?token={token}", "minutes": int(link_valid.total_seconds() // 60)}

    @router.get("/people")
    def people(user: Admin) -> Json:
        with database.reading() as session:
            return {"people": [_person_shape(each) for each in list_users(session)], "you": user.id}

    @router.post("/people", status_code=201)
    def add(asked: NewPerson, user: Admin) -> Json:
        acting = People(database, user)
        person = acting.add(asked.name, asked.role, asked.password)
        link = link_of(acting, person.id) if asked.password is None else None
        return {"person": _person_shape(person), "link": link}

    @router.post("/people/{person_id}/role")
    def change_role(person_id: Id, asked: NewRole, user: Admin) -> Json:
        person = People(database, user).set_role(person_id, asked.role)
        forget(person_id)
        return _person_shape(person)

    @router.post("/people/{person_id}/disable")
    def disable(person_id: Id, user: Admin) -> Json:
        person = People(database, user).disable(person_id)
        forget(person_id)
        return _person_shape(person)

    @router.post("/people/{person_id}/enable")
    def enable(person_id: Id, user: Admin) -> Json:
        return _person_shape(People(database, user).enable(person_id))

    @router.post("/people/{person_id}/password")
    def change_password(person_id: Id, asked: NewPassword, user: Admin) -> Json:
        person = People(database, user).set_password(person_id, asked.password)
        forget(person_id)
        return _person_shape(person)

    @router.post("/people/{person_id}/link", status_code=201)
    def link(person_id: Id, user: Admin) -> Json:
        return link_of(People(database, user), person_id)


def _add_token_routes(router: APIRouter, database: Database, forget: Callable[[int], None]) -> None:
    @router.get("/people/{person_id}/tokens")
    def tokens(person_id: Id, _user: Admin) -> Json:
        with database.reading() as session:
            get_user(session, person_id)
            return {"tokens": [_token_shape(token) for token in list_api_tokens(session, person_id)]}

    @router.post("/people/{person_id}/tokens", status_code=201)
    def add_token(person_id: Id, asked: NewToken, user: Admin) -> Json:
        valid_for = dt.timedelta(days=asked.days) if asked.days is not None else None
        token, text = People(database, user).new_token(person_id, asked.name, asked.scopes, valid_for)
        return {"token": _token_shape(token), "text": text}

    @router.post("/people/{person_id}/tokens/revoke")
    def revoke_token(person_id: Id, asked: OldToken, user: Admin) -> Json:
        People(database, user).revoke_token(person_id, asked.name)
        forget(person_id)
        return {"name": asked.name}


def _person_shape(user: User) -> Json:
    return {
        "id": user.id,
        "name": user.name,
        "role": user.role,
        "has_password": user.password_hash is not None,
        "created_at": user.created_at.isoformat(),
        "disabled_at": user.disabled_at.isoformat() if user.disabled_at else None,
    }


def _token_shape(token: ApiToken) -> Json:
    return {
        "name": token.name,
        "scopes": token.scopes.split(","),
        "created_at": token.created_at.isoformat(),
        "expires_at": token.expires_at.isoformat() if token.expires_at else None,
        "last_used_at": token.last_used_at.isoformat() if token.last_used_at else None,
    }


def _entry_shape(row: AuditView) -> Json:
    return {
        "id": row.entry_id,
        "at": row.at.isoformat(),
        "person": row.user,
        "action": row.action,
        "subject": row.subject,
        "details": row.details,
    }
