"""Passwords as argon2id hashes. A name without a password costs as much time as one with a wrong password."""

import secrets
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from db.errors import InvalidPasswordError

MIN_CHARS = 12
# Hashing time does not grow with it; the request that carries it would.
MAX_BYTES = 1024


def hash_password(password: str) -> str:
    """The hash to store, with its parameters. Takes 0.2 s of a core and 64 MiB: call it in a thread.

    Raises:
        InvalidPasswordError: fewer than 12 characters, or more than 1,024 bytes.
    """
    secret = _secret(password)
    if len(unicodedata.normalize("NFC", password)) < MIN_CHARS or secret is None:
        msg = f"A password has at least {MIN_CHARS} characters and at most {MAX_BYTES:,} bytes. Choose another."
        raise InvalidPasswordError(msg)
    return _hasher().hash(secret)


def is_password(stored: str | None, password: str) -> bool:
    """Whether `password` belongs to a stored hash; None never has one. Takes as long as `hash_password`."""
    secret, decoy = _secret(password), _decoy()
    try:
        _hasher().verify(stored or decoy, secret if secret is not None else b"")
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None and secret is not None


def renewed(stored: str | None, password: str) -> str | None:
    """The hash to store instead of one that was made with other parameters than today's, of its right password."""
    secret = _secret(password)
    if stored is None or secret is None or not _hasher().check_needs_rehash(stored):
        return None
    return _hasher().hash(secret)


@cache
def _hasher() -> PasswordHasher:
    # RFC 9106, second recommendation: 3 passes over 64 MiB, 4 lanes.
    return PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)


@cache
def _decoy() -> str:
    return _hasher().hash(secrets.token_bytes(16))


def _secret(password: str) -> bytes | None:
    """The same bytes on every keyboard; None for what cannot be a password."""
    try:
        secret = unicodedata.normalize("NFC", password).encode()
    except UnicodeEncodeError:  # half of a character
        return None
    return secret if len(secret) <= MAX_BYTES else None
