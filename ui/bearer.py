"""API tokens in an Authorization header: who is asking, and what for."""

import re
from collections.abc import Mapping

from db.api_tokens import Bearer, find_bearer, note_use
from db.session import Database
from ui.remembered import Remembered

BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,200}=*) *$", re.IGNORECASE)


class ApiTokens:
    """Finds whose a token is; the answer is remembered for a few seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: Remembered[Bearer] = Remembered()

    def remembered(self, token: str) -> Bearer | None:
        """Whose `token` is, if it was asked for just now. Never waits."""
        return self._known.get(token)

    def bearer_of(self, token: str) -> Bearer | None:
        """Whose `token` is; None when it is unknown, revoked or over. Waits for the database."""
        with self._database.reading() as session:
            bearer = find_bearer(session, token)
        if bearer is None:
            self._known.forget(token)
            return None
        if bearer.is_due:
            with self._database.transaction() as session:
                note_use(session, bearer.token_id)
        self._known.keep(token, bearer, bearer.user.id)
        return bearer

    def forget_user(self, user_id: int) -> None:
        """What this person's tokens may do has changed."""
        self._known.forget_user(user_id)


def token_of_header(headers: Mapping[str, str]) -> str | None:
    """The token that an Authorization header claims to hold, "" for one that cannot be any; None: it holds none."""
    header = headers.get("authorization", "")
    if not header.lower().startswith("bearer"):  # e.g. Basic, of a proxy in front
        return None
    found = BEARER.match(header)
    return found[1] if found else ""
