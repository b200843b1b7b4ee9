"""Entering by a one-time link and leaving again."""

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from db.schema import User
from db.session import Database
from db.users import redeem_login_link
from ui.access import COOKIE, SECURE_COOKIE, Needs, Sessions, token_of_cookies
from ui.pages.layout import plain_page

# The row ends the session (12 h unused, 30 days at most); the cookie may live as long as the row can.
COOKIE_MAX_AGE_S = 30 * 24 * 3600
HOW_TO_GET_IN = (
    "phototag prints a login link when it starts. To get a new one, run one of these on the machine that serves"
    " phototag, and open the link that it prints:"
)
COMMANDS = ("phototag up", "phototag web --login-link")


def login_routes(database: Database, sessions: Sessions, *, https: bool) -> APIRouter:
    """GET /login and POST /logout. Without a link /login says how to get one."""
    router = APIRouter()

    @router.get("/login")
    async def enter(request: Request, token: str = "") -> Response:
        if not token:
            return _page("Please log in", HOW_TO_GET_IN, status=200)
        session_token = await run_in_threadpool(_redeem, database, token)
        if session_token is None:
            return _page("This login link does not work any more", f"A link works once. {HOW_TO_GET_IN}", status=401)
        # 303 to a clean address: the token does not stay in the address bar or in a Referer header.
        answer = RedirectResponse("/app/", 303)
        secure = https or request.url.scheme == "https"
        answer.set_cookie(
            SECURE_COOKIE if secure else COOKIE,
            session_token,
            max_age=COOKIE_MAX_AGE_S,
            path="/",
            secure=secure,
            httponly=True,
            samesite="lax",
        )
        return answer

    @router.post("/logout")
    async def leave(request: Request, _user: Annotated[User, Depends(Needs("owner"))]) -> Response:
        token = token_of_cookies(request.headers.get("cookie", ""))
        if token:
            await run_in_threadpool(sessions.end, token)
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
        answer.delete_cookie(SECURE_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
        return answer

    return router


class WithoutTokens(logging.Filter):
    """Takes the query from login addresses in uvicorn's access log: a log must not let anyone in."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                part.partition("?")[0] if isinstance(part, str) and part.startswith("/login") else part
                for part in record.args
            )
        return True


def hide_login_tokens() -> None:
    """Installs the filter; more than once does no harm."""
    access_log = logging.getLogger("uvicorn.access")
    if not any(isinstance(known, WithoutTokens) for known in access_log.filters):
        access_log.addFilter(WithoutTokens())


def _redeem(database: Database, token: str) -> str | None:
    with database.transaction() as session:
        return redeem_login_link(session, token)


def _page(title: str, text: str, *, status: int) -> HTMLResponse:
    return HTMLResponse(plain_page(title, text, COMMANDS), status)
