"""Hashes of passwords."""

import statistics
import time

import pytest

from db.errors import InvalidPasswordError
from db.passwords import hash_password, is_password, renewed


def test_a_password_is_kept_as_argon2id_with_a_salt_of_its_own() -> None:
    """Twice the same password, two hashes; both know it."""
    first, second = hash_password("correct horse"), hash_password("correct horse")

    assert first != second
    assert first.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert is_password(first, "correct horse")
    assert is_password(second, "correct horse")
    assert not is_password(first, "Correct horse")
    assert renewed(first, "correct horse") is None


def test_a_password_is_the_same_on_every_keyboard() -> None:
    """An accent may come as a character of its own."""
    assert is_password(hash_password("cafe\u0301 au lait"), "caf\xe9 au lait")


@pytest.mark.parametrize(
    "password", ["", "eleven char", "e\u0301leven chars"[:12], "x" * 1025, "\xe9" * 513, "x" * 12 + "\ud800"]
)
def test_a_password_has_a_least_and_a_greatest_length(password: str) -> None:
    """Twelve characters as a person counts them, and 1,024 bytes."""
    with pytest.raises(InvalidPasswordError, match="at least 12 characters"):
        hash_password(password)


@pytest.mark.parametrize("password", ["x" * 12, "x" * 1024, "\xe9" * 512, " " * 12])
def test_there_are_no_other_rules(password: str) -> None:
    """At the limits, and of nothing but spaces."""
    assert is_password(hash_password(password), password)


@pytest.mark.parametrize("stored", [None, "", "no hash", "$argon2id$v=19$m=65536,t=3,p=4$x"])
@pytest.mark.parametrize("password", ["", "x" * 12, "x" * 2000, "\ud800"])
def test_what_is_no_hash_has_no_password(stored: str | None, password: str) -> None:
    """Not even the empty one."""
    assert not is_password(stored, password)


def test_nobody_costs_as_long_as_a_wrong_password() -> None:
    """Medians of turns taken one by one, so that a busy machine slows both."""
    stored = hash_password("correct horse")
    is_password(None, "warmed up")
    times: dict[str | None, list[float]] = {stored: [], None: []}
    for _ in range(15):
        for each, spent in times.items():
            began = time.thread_time()
            is_password(each, "a wrong one!")
            spent.append(time.thread_time() - began)

    known, unknown = (statistics.median(spent) for spent in times.values())
    assert 0.8 < unknown / known < 1.25
