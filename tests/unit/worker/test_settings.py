"""The worker's settings from the environment."""

import pytest
from pydantic import ValidationError

from worker.limits import Limits
from worker.settings import WorkerSettings


def test_one_limit_can_be_changed_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others keep their defaults."""
    monkeypatch.setenv("PHOTOTAG_LIMITS__MAX_PHOTO_BYTES", "1000")

    limits = WorkerSettings().limits

    assert limits == Limits(max_photo_bytes=1000)


def test_a_chunk_must_end_before_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or two workers would tag the same photos; the message names both variables."""
    monkeypatch.setenv("PHOTOTAG_CHUNK_LIMIT_S", "120")

    with pytest.raises(ValidationError, match=r"PHOTOTAG_CHUNK_LIMIT_S below PHOTOTAG_LEASE_S"):
        WorkerSettings()


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a copied env file has them."""
    monkeypatch.setenv("PHOTOTAG_BACKBONE_WEIGHTS", "")
    monkeypatch.setenv("PHOTOTAG_CHUNK_SIZE", "")

    settings = WorkerSettings()

    assert settings.backbone_weights is None
    assert settings.chunk_size is None


def test_settings_are_frozen() -> None:
    """What was built in the entry point holds for the life of the process."""
    with pytest.raises(ValidationError, match="frozen"):
        WorkerSettings().offline = True  # pyright: ignore[reportAttributeAccessIssue]
