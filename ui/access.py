"""Who is asking: the session cookie, the user behind it, and the role that a route or a handler needs."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, ParamSpec, cast

from fastapi import Depends, HTTPException, Request

from db.api_tokens import Scope
from db.logins import end_session, user_of_session
from db.schema import User
from db.session import Database
from ui.remembered import Remembered

Role = Literal["owner", "reviewer", "admin"]
# What every token is for.
ANY = "any"
RANKS: dict[str, int] = {"owner": 0, "reviewer": 1, "admin": 2}

# Where the guard leaves the user for the routes and the handlers behind it, and what the caller's API token is for:
# a set of scopes, or None for a session, which may do whatever its user may.
USER_KEY = "phototag.user"
SCOPES_KEY = "phototag.scopes"
COOKIE = "phototag_session"
# With __Host- a browser takes the cookie from https and from this very host only.
SECURE_COOKIE = "__Host-phototag_session"

P = ParamSpec("P")


class Sessions:
    """Finds the user of a session token; the answer is remembered for a few seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: Remembered[User] = Remembered()

    def remembered(self, token: str) -> User | None:
        """The user of `token` if it was asked for just now. Never waits."""
        return self._known.get(token)

    def user_of(self, token: str) -> User | None:
        """The user of `token` from the database, None when the session is unknown or over. Waits for the database."""
        with self._database.transaction() as session:
            user = user_of_session(session, token)
        if user is None:
            self._known.forget(token)
            return None
        self._known.keep(token, user, user.id)
        return user

    def end(self, token: str) -> None:
        """Ends the session everywhere: its row goes, so a copied cookie is void too."""
        with self._database.transaction() as session:
            end_session(session, token)
        self._known.forget(token)

    def forget_user(self, user_id: int) -> None:
        """What this person may do has changed, or their sessions have ended."""
        self._known.forget_user(user_id)


class NotEnoughError(HTTPException):
    """Raised when the caller is known, and a role or a scope is missing: 403.

    Attributes:
        code: which of the two.
    """

    def __init__(self, code: Literal["ROLE_REQUIRED", "SCOPE_REQUIRED"], message: str) -> None:
        super().__init__(403, message)
        self.code = code


class Needs:
    """A FastAPI dependency: the caller, who must have at least this role. Tests find it on every route.

    Args:
        role: what a person needs.
        scope: what an API token needs besides; "any": every token will do; None: no token does, only a person's own
            session.
    """

    def __init__(self, role: Role, scope: Scope | Literal["any"] | None = None) -> None:
        self.role: Role = role
        self.scope: Scope | Literal["any"] | None = scope

    def __call__(self, request: Request) -> User:
        """The caller.

        Raises:
            HTTPException: 401 nobody is logged in, 403 the role or the token's scopes are not enough.
        """
        user = allowed(request.scope.get(USER_KEY), self.role)
        scopes: frozenset[str] | None = request.scope.get(SCOPES_KEY)
        if scopes is not None and self.scope != ANY and self.scope not in scopes:
            needed = f"a token with the scope {self.scope}" if self.scope else "a login, not a token"
            raise NotEnoughError("SCOPE_REQUIRED", f"This needs {needed}.")
        return user


# The callers of the pages' own routes: a person in a session, with at least this role.
Owner = Annotated[User, Depends(Needs("owner"))]
Reviewer = Annotated[User, Depends(Needs("reviewer"))]
Admin = Annotated[User, Depends(Needs("admin"))]


def require(role: Role) -> Callable[[Callable[P, object]], Callable[P, Awaitable[Any]]]:
    """Guards a Gradio handler: it runs for callers with at least `role` only. It must take a `gr.Request`.

    Gradio's visibility settings hide a function from pages and docs but do not stop anyone from calling it.
    """

    def decorate(handler: Callable[P, object]) -> Callable[P, Awaitable[Any]]:
        @functools.wraps(handler)
        async def checked(*args: P.args, **kwargs: P.kwargs) -> Any:
            allowed(user_of_event((*args, *kwargs.values())), role)
            result = handler(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        cast("Any", checked).required_role = role
        return checked

    return decorate


def user_of_event(arguments: tuple[object, ...]) -> User | None:
    """The user whom the guard found for the HTTP request behind a Gradio event, from the handler's arguments."""
    for argument in arguments:
        request = getattr(argument, "request", None)
        if isinstance(request, Request):
            return request.scope.get(USER_KEY)
    return None


def has_role(user: User, role: str) -> bool:
    """Whether the user has `role` or one above it."""
    return RANKS[user.role] >= RANKS[role]


def allowed(user: User | None, role: Role) -> User:
    """`user`, if there is one with at least `role`.

    Raises:
        HTTPException: 401 nobody is logged in, 403 the role is not enough.
    """
    if user is None:
        raise HTTPException(401, "Please log in first.")
    if not has_role(user, role):
        raise NotEnoughError("ROLE_REQUIRED", f"This needs the role {role}; yours is {user.role}.")
    return user


def token_of_cookies(cookies: str) -> str | None:
    """The session token in a Cookie header. The https name goes first: it cannot have been set over http."""
    found: dict[str, str] = {}
    for part in cookies.split(";"):
        name, _, value = part.strip().partition("=")
        found.setdefault(name, value)
    return found.get(SECURE_COOKIE) or found.get(COOKIE) or None
