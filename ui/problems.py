"""Problem details (RFC 9457): how errors are told below /api/v1, to programs of other people."""

from http import HTTPStatus
from typing import Any

from db.codes import REASONS

API = "/api/v1"
PROBLEM_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:phototag:problem:"

# What each code means, whatever the case. A code and its type never change their meaning.
TITLES = {
    "BAD_HOST": "This host name is not served",
    "CONFLICT": "The state of what was asked for does not allow it",
    "CROSS_SITE": "A page of another site sent this",
    "DATABASE_AWAY": "The database does not answer",
    "FAILED": "Our fault",
    "INVALID": "The request was not understood",
    "LENGTH_REQUIRED": "The length of the body is missing",
    "LOGIN_REQUIRED": "No valid token",
    "METHOD_NOT_ALLOWED": "This address does not take this method",
    "NOT_ALLOWED": "This person may not do this",
    "NOT_FOUND": "There is nothing here, or it is not yours",
    "REFUSED": "The file was not accepted",
    "ROLE_REQUIRED": "The person's role is not enough",
    "SCOPE_REQUIRED": "The token is not for this",
    "SILENT": "The body stopped arriving",
    "STORAGE_FULL": "The disk is full",
    "TOO_LARGE": "More than the limit",
    "TOO_MANY_ATTEMPTS": "Too many attempts",
    "TOO_MANY_CONNECTIONS": "Too many requests at once",
    "WRONG_OFFSET": "The bytes do not start where the file ends so far",
}


def is_api(path: str) -> bool:
    """Whether a path belongs to the programming interface: API tokens count there, and errors are problem details."""
    return path == API or path.startswith(f"{API}/")


def problem(status: int, code: str, message: str, more: dict[str, Any] | None = None) -> dict[str, Any]:
    """The body of problem details.

    Args:
        status: HTTP status.
        code: a key of `TITLES`, or of `db.codes.REASONS` for a file that was not accepted.
        message: what happened and what to do.
        more: further members.
    """
    title = TITLES.get("REFUSED" if code in REASONS else code) or HTTPStatus(status).phrase
    kind = TYPE_PREFIX + code.lower().replace("_", "-")
    return {"type": kind, "title": title, "status": status, "detail": message, "code": code, **(more or {})}
