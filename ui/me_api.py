"""JSON routes about whoever asks: who they are, and a new password."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from db.schema import User
from ui.access import Owner, Sessions
from ui.login import PasswordDesk, where_from
from ui.session_cookie import set_session_cookie
from ui.shapes import Json


class Passwords(BaseModel):
    """The password until now, empty if there was none, and the new one."""

    old: str = Field(default="", max_length=2000)
    new: str = Field(max_length=2000)


def me_routes(desk: PasswordDesk, sessions: Sessions, *, https: bool) -> APIRouter:
    """GET /api/me and POST /api/me/password."""
    router = APIRouter(prefix="/api/me")

    @router.get("")
    def me(user: Owner) -> Json:
        return _shape(user)

    @router.post("/password")
    async def change_password(request: Request, asked: Passwords, user: Owner) -> JSONResponse:
        """All sessions and links of before end; this browser gets a new session."""
        login = await desk.change_password(user.id, asked.old, asked.new, where_from(request))
        sessions.forget_user(user.id)
        answer = JSONResponse(_shape(login.user))
        set_session_cookie(answer, request, login.token, https=https)
        return answer

    return router


def _shape(user: User) -> Json:
    return {"name": user.name, "role": user.role, "has_password": user.password_hash is not None}
