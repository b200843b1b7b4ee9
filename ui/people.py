"""What is done with accounts, by an admin or on the command line: each act with its row in the audit log."""

import datetime as dt
from collections.abc import Collection

from sqlalchemy.orm import Session

from db.api_tokens import new_api_token, revoke_api_token
from db.audit import COMMAND_LINE, record_audit
from db.logins import new_login_link
from db.passwords import hash_password
from db.schema import ApiToken, User
from db.session import Database
from db.users import add_user, disable_user, enable_user, get_user, set_password, set_role


class People:
    """The acts of one person; each is a transaction of its own.

    Args:
        database: where the accounts are.
        by: who acts; None: the command line.
    """

    def __init__(self, database: Database, by: User | None) -> None:
        self._database = database
        self._by = by

    def add(self, name: str, role: str, password: str | None) -> User:
        """A new account; without a password it is entered by login links. Raises as `db.users.add_user`."""
        password_hash = hash_password(password) if password is not None else None
        with self._database.transaction() as session:
            user = add_user(session, name, role, password_hash)
            self._record(session, "users.add", user, role=role)
        return user

    def set_role(self, user_id: int, role: str) -> User:
        """Gives another role. Raises as `db.users.set_role`."""
        with self._database.transaction() as session:
            before = get_user(session, user_id).role
            user = set_role(session, user_id, role)
            self._record(session, "users.role", user, before=before, after=role)
        return user

    def disable(self, user_id: int) -> User:
        """Closes every way in. Raises as `db.users.disable_user`."""
        with self._database.transaction() as session:
            user = disable_user(session, user_id)
            self._record(session, "users.disable", user)
        return user

    def enable(self, user_id: int) -> User:
        """Opens the ways in again."""
        with self._database.transaction() as session:
            user = enable_user(session, user_id)
            self._record(session, "users.enable", user)
        return user

    def set_password(self, user_id: int, password: str) -> User:
        """Gives a new password; sessions and links of before end."""
        password_hash = hash_password(password)
        with self._database.transaction() as session:
            user = set_password(session, user_id, password_hash)
            self._record(session, "users.password", user)
        return user

    def new_link(self, user_id: int, valid_for: dt.timedelta) -> str:
        """The token of a link that logs this person in once."""
        with self._database.transaction() as session:
            token = new_login_link(session, user_id, valid_for)
            self._record(session, "users.link", get_user(session, user_id))
        return token

    def new_token(
        self, user_id: int, name: str, scopes: Collection[str], valid_for: dt.timedelta | None
    ) -> tuple[ApiToken, str]:
        """A new API token: its row, and the text that is shown once. Raises as `db.api_tokens.new_api_token`."""
        with self._database.transaction() as session:
            token, text = new_api_token(session, user_id, name, scopes, valid_for)
            self._record(session, "tokens.add", get_user(session, user_id), token=token.name, scopes=token.scopes)
        return token, text

    def revoke_token(self, user_id: int, name: str) -> None:
        """Ends a token for good."""
        with self._database.transaction() as session:
            revoke_api_token(session, user_id, name)
            self._record(session, "tokens.revoke", get_user(session, user_id), token=name)

    def _record(self, session: Session, action: str, subject: User, **details: str) -> None:
        by = {} if self._by is not None else COMMAND_LINE
        record_audit(session, self._by, action, subject.name, (details | by) or None)
