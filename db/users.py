"""People: who they are, what role they have, and whether they may come in.

Rows are never deleted: what someone did keeps their name. Who takes a way in away ends what came in by it, too.
"""

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from db.errors import ConflictError, NotFoundError
from db.names import person_key, person_name
from db.schema import ROLES, ApiToken, LoginLink, LoginSession, User
from db.session import is_sqlite, utc_now
from db.statements import IN_DATABASE_ONLY, insert_missing, insert_on, table_of

LOCAL_ADMIN = "admin"


def local_admin(session: Session) -> User:
    """The one account of a machine without accounts, and who its command line acts as; made on first use."""
    insert_missing(session, User, [{"name": LOCAL_ADMIN, "role": "admin", "created_at": utc_now()}])
    return session.scalars(select(User).where(User.name == LOCAL_ADMIN)).one()


def list_users(session: Session) -> list[User]:
    """Everybody, disabled ones too, in the order of the alphabet."""
    return list(session.scalars(select(User).order_by(User.name_key)))


def get_user(session: Session, user_id: int) -> User:
    """The person with this id.

    Raises:
        NotFoundError: there is none.
    """
    user = session.get(User, user_id)
    if user is None:
        raise _nobody(user_id)
    return user


def user_named(session: Session, name: str) -> User | None:
    """The person with this name, in whatever case it is written."""
    return session.scalars(select(User).where(User.name_key == person_key(name))).one_or_none()


def find_user(session: Session, name: str) -> User:
    """As `user_named`, of somebody who must be there.

    Raises:
        NotFoundError: nobody has this name.
    """
    user = user_named(session, name)
    if user is None:
        raise _nobody(name)
    return user


def add_user(session: Session, name: str, role: str, password_hash: str | None = None) -> User:
    """A new account.

    Args:
        session: of a writing transaction.
        name: 1 to 64 visible characters; nobody else may have it, in whatever case.
        role: "owner", "reviewer" or "admin".
        password_hash: from `hash_password`, called before the transaction: it takes its time. None: enters by links.

    Raises:
        InvalidNameError: the name is empty, too long, or has characters that cannot be seen.
        ConflictError: the name is taken, or there is no such role.
    """
    _require_role(role)
    local_admin(session)  # first, so that nobody else takes its name
    name = person_name(name)
    row = {"name": name, "role": role, "password_hash": password_hash, "created_at": utc_now()}
    new = insert_on(User, sqlite=is_sqlite(session)).values(row).on_conflict_do_nothing().returning(table_of(User).c.id)
    user_id = session.scalar(new)
    if user_id is None:
        msg = f"This name is taken. Choose another. Received: {name!r}"
        raise ConflictError(msg)
    return get_user(session, user_id)


def disable_user(session: Session, user_id: int) -> User:
    """Closes every way in: sessions and links end, tokens are revoked. Twice is once.

    Raises:
        NotFoundError: there is no such person.
        ConflictError: this is the last admin who can come in.
    """
    user = _locked(session, user_id)
    _require_other_admin(session, user)
    if user.disabled_at is None:
        user.disabled_at = utc_now()
    _end_logins(session, user_id)
    revoked = update(ApiToken).where(ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None))
    session.execute(revoked.values(revoked_at=utc_now()), execution_options=IN_DATABASE_ONLY)
    session.flush()
    return user


def enable_user(session: Session, user_id: int) -> User:
    """Opens the ways in again; revoked tokens stay revoked.

    Raises:
        NotFoundError: there is no such person.
    """
    user = _locked(session, user_id)
    user.disabled_at = None
    session.flush()
    return user


def set_role(session: Session, user_id: int, role: str) -> User:
    """Gives another role. Sessions and tokens go on with it.

    Raises:
        NotFoundError: there is no such person.
        ConflictError: this is the last admin who can come in, the command line's account, or there is no such role.
    """
    _require_role(role)
    user = _locked(session, user_id)
    if user.name == LOCAL_ADMIN and role != "admin":
        msg = "The command line acts as this account, so it stays an admin. Disable it to close its login."
        raise ConflictError(msg)
    if role != "admin":
        _require_other_admin(session, user)
    user.role = role
    session.flush()
    return user


def set_password(session: Session, user_id: int, password_hash: str) -> User:
    """Gives a new password; sessions and links of before end. Tokens stay: they are not made from the password.

    Raises:
        NotFoundError: there is no such person.
    """
    user = _locked(session, user_id)
    user.password_hash = password_hash
    _end_logins(session, user_id)
    session.flush()
    return user


def _end_logins(session: Session, user_id: int) -> None:
    session.execute(delete(LoginSession).where(LoginSession.user_id == user_id), execution_options=IN_DATABASE_ONLY)
    session.execute(delete(LoginLink).where(LoginLink.user_id == user_id), execution_options=IN_DATABASE_ONLY)


def _locked(session: Session, user_id: int) -> User:
    """The person's row as it is now, locked together with those of all admins: two of them cannot go at once."""
    query = (
        select(User)
        .where(or_(User.id == user_id, User.role == "admin"))
        .order_by(User.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    user = next((user for user in session.scalars(query).all() if user.id == user_id), None)
    if user is None:
        raise _nobody(user_id)
    return user


def _require_other_admin(session: Session, user: User) -> None:
    if user.role != "admin" or user.disabled_at is not None:
        return
    others = select(User.id).where(User.role == "admin", User.disabled_at.is_(None), User.id != user.id).limit(1)
    if session.scalar(others) is None:
        msg = "This is the last admin who can come in. Give somebody else the role admin first."
        raise ConflictError(msg)


def _require_role(role: str) -> None:
    if role not in ROLES:
        msg = f"There is no such role. Choose one of {', '.join(ROLES)}. Received: {role!r}"
        raise ConflictError(msg)


def _nobody(received: object) -> NotFoundError:
    return NotFoundError(f"There is no such person; `phototag users list` shows everybody. Received: {received!r}")
