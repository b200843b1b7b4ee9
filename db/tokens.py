"""Tokens of links, sessions and scripts: random, and kept as their SHA-256 only."""

import hashlib
import secrets


def new_token() -> str:
    """43 characters that fit into an address, of 256 random bits."""
    return secrets.token_urlsafe(32)


def token_digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
