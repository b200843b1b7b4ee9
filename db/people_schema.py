"""The tables of people: accounts, how they get in, and what was done by whom."""

from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column

from db.columns import Base, Instant, PrimaryKey, Reference, Sha256, one_of
from db.names import MAX_PERSON_KEY_CHARS, person_key

ROLES = ("owner", "reviewer", "admin")


def _key_of_name(context: DefaultExecutionContext) -> str:
    return person_key(context.get_current_parameters()["name"])


class User(Base):
    """A person. Rows are never deleted: what someone did keeps their name."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint(one_of("role", ROLES), name="role"),
        Index("ix_users_name_key", "name_key", unique=True),
    )

    id: Mapped[PrimaryKey]
    name: Mapped[str] = mapped_column(String(64), unique=True)
    name_key: Mapped[str] = mapped_column(
        String(MAX_PERSON_KEY_CHARS),
        default=_key_of_name,
        server_default=text("''"),
        comment="the name in NFC, case folded",
    )
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str | None] = mapped_column(
        Text, comment="argon2id with its parameters; null: enters by login links only"
    )
    created_at: Mapped[Instant]
    disabled_at: Mapped[Instant | None] = mapped_column(comment="no way in since then")


class LoginLink(Base):
    """A one-time link printed by `phototag up`; only the hash of its token is kept."""

    __tablename__ = "login_links"

    token_sha256: Mapped[Sha256] = mapped_column(primary_key=True)
    user_id: Mapped[Reference] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    expires_at: Mapped[Instant]
    used_at: Mapped[Instant | None]


class LoginSession(Base):
    """A logged-in browser; the cookie holds the token, the row only its hash."""

    __tablename__ = "login_sessions"

    token_sha256: Mapped[Sha256] = mapped_column(primary_key=True)
    user_id: Mapped[Reference] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant] = mapped_column(comment="slides with use, up to the absolute limit")


class LoginFailure(Base):
    """Wrong passwords in a row for one name from one address. Names that do not exist are counted as well."""

    __tablename__ = "login_failures"

    name_key: Mapped[str] = mapped_column(String(64), primary_key=True, comment="the name as typed, case folded, cut")
    address: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int]
    locked_until: Mapped[Instant | None]
    last_at: Mapped[Instant] = mapped_column(index=True)


class ApiToken(Base):
    """What a script logs in with; shown once, of which only the hash is kept."""

    __tablename__ = "api_tokens"
    __table_args__ = (UniqueConstraint("user_id", "name"),)

    id: Mapped[PrimaryKey]
    user_id: Mapped[Reference] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    token_sha256: Mapped[Sha256] = mapped_column(unique=True)
    scopes: Mapped[str] = mapped_column(String(200), comment="comma separated")
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant | None]
    last_used_at: Mapped[Instant | None] = mapped_column(comment="to a few minutes")
    revoked_at: Mapped[Instant | None]


class AuditEntry(Base):
    """Who did what, when. Only ever added to; verdicts are a history of their own and are not repeated here."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_user_id", "user_id", "id"),
        Index("ix_audit_log_action", "action", "id"),
    )

    id: Mapped[PrimaryKey]
    at: Mapped[Instant]
    user_id: Mapped[Reference | None] = mapped_column(
        ForeignKey("users.id"), comment="null: nobody was logged in, or the command line without accounts"
    )
    action: Mapped[str] = mapped_column(String(40), comment="e.g. users.disable")
    subject: Mapped[str] = mapped_column(String(200), default="", comment="what it was done to; shown, harmless")
    details: Mapped[dict[str, Any] | None] = mapped_column(JSON, comment="never a secret")
