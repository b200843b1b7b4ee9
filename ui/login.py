"""Entering by a name and a password or by a one-time link, and leaving again."""

import ipaddress
import logging
import re
from collections.abc import Callable
from functools import partial
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Form, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from db.api_tokens import PREFIX
from db.audit import record_audit
from db.errors import TooManyAttemptsError, WrongPasswordError
from db.logins import Login, change_password, log_in, redeem_login_link
from db.schema import User
from db.session import Database
from ui.access import USER_KEY, Owner, Sessions, token_of_cookies
from ui.next_page import HOME, next_page
from ui.pages.login_page import login_page
from ui.session_cookie import delete_session_cookies, set_session_cookie

# A name, a password and an address, percent-encoded.
LOGIN_BYTES = 16 * 1024
# Each password that is looked at takes a core for 0.2 s and 64 MiB; the threads of the other routes stay free.
PASSWORDS_AT_ONCE, MAX_WAITING = 2, 50
TITLE = "Please log in"

Typed = Annotated[str, Form()]


class PasswordDesk:
    """Looks at passwords, a few at a time, in threads of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._limiter = CapacityLimiter(PASSWORDS_AT_ONCE)

    async def log_in(self, name: str, password: str, address: str) -> Login:
        """As `db.logins.log_in`.

        Raises:
            TooManyAttemptsError: too many were wrong, or too many wait.
        """
        return await self._run(partial(log_in, self._database, name, password, address))

    async def change_password(self, user_id: int, old: str, new: str, address: str) -> Login:
        """As `db.logins.change_password`.

        Raises:
            TooManyAttemptsError: too many were wrong, or too many wait.
        """
        return await self._run(partial(change_password, self._database, user_id, old, new, address))

    async def _run(self, look: Callable[[], Login]) -> Login:
        if self._limiter.statistics().tasks_waiting >= MAX_WAITING:
            raise TooManyAttemptsError("Too many people log in at once. Try again in a moment.", 5)
        return await to_thread.run_sync(look, limiter=self._limiter)


def login_routes(database: Database, desk: PasswordDesk, sessions: Sessions, *, https: bool) -> APIRouter:
    """GET and POST /login, POST /logout."""
    router = APIRouter()

    async def entered(request: Request, login: Login, address: str) -> Response:
        # what this browser was before ends: it has one session, and a new one
        if before := token_of_cookies(request.headers.get("cookie", "")):
            await run_in_threadpool(sessions.end, before)
        # 303 to a clean address: a token does not stay in the address bar or in a Referer header
        answer = RedirectResponse(address, 303)
        set_session_cookie(answer, request, login.token, https=https)
        return answer

    @router.get("/login")
    async def enter(request: Request, token: str = "", next: str = "") -> Response:  # noqa: A002 - as the address says
        if token:
            login = await run_in_threadpool(_redeem, database, token, where_from(request))
            if login is None:
                error = "A link works once, and not for ever. Log in by name, or get a new link."
                return _page("This login link does not work any more", 401, error=error)
            return await entered(request, login, next_page(next))
        if request.scope.get(USER_KEY) is not None:
            return RedirectResponse(next_page(next), 303)
        return _page(TITLE, 200, asked=next)

    @router.post("/login")
    async def try_password(request: Request, name: Typed = "", password: Typed = "", next: Typed = "") -> Response:  # noqa: A002
        try:
            login = await desk.log_in(name, password, where_from(request))
        except WrongPasswordError as error:
            return _page(TITLE, 401, error=str(error), name=name, asked=next)
        except TooManyAttemptsError as error:
            page = _page(TITLE, 429, error=str(error), name=name, asked=next)
            page.headers["Retry-After"] = str(error.retry_after_s)
            return page
        return await entered(request, login, next_page(next))

    @router.post("/logout")
    async def leave(request: Request, user: Owner) -> Response:
        token = token_of_cookies(request.headers.get("cookie", ""))
        if token:
            await run_in_threadpool(_leave, database, sessions, user, token)
        answer = Response(status_code=204)
        delete_session_cookies(answer)
        return answer

    return router


class WithoutTokens(logging.Filter):
    """Takes tokens from addresses in uvicorn's access log, those put there by mistake too: a log lets nobody in."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_without_tokens(part) if isinstance(part, str) else part for part in record.args)
        return True


def _without_tokens(address: str) -> str:
    if address.startswith("/login"):
        return address.partition("?")[0]
    return re.sub(rf"{PREFIX}[\w%-]+", "(token)", address)


def hide_login_tokens() -> None:
    """Installs the filter; more than once does no harm."""
    access_log = logging.getLogger("uvicorn.access")
    if not any(isinstance(known, WithoutTokens) for known in access_log.filters):
        access_log.addFilter(WithoutTokens())


def where_from(request: Request) -> str:
    """The address that wrong passwords are counted for; of IPv6 the network, in which one person has all addresses."""
    host = request.client.host if request.client else "?"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host[:64]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or ipaddress.IPv6Network((int(address), 64), strict=False))


def _redeem(database: Database, token: str, address: str) -> Login | None:
    with database.transaction() as session:
        return redeem_login_link(session, token, address)


def _leave(database: Database, sessions: Sessions, user: User, token: str) -> None:
    sessions.end(token)
    with database.transaction() as session:
        record_audit(session, user, "logout", user.name)


def _page(title: str, status: int, *, error: str = "", name: str = "", asked: str = "") -> HTMLResponse:
    to = next_page(asked)
    return HTMLResponse(login_page(title, error=error, name=name[:64], next_page="" if to == HOME else to), status)
