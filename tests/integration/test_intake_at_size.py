"""Short forms of benchmarks/intake.py: what it measures at size must hold at any size."""

from pathlib import Path

import pytest

from benchmarks.intake import FLAT_MB, measure_archive, measure_folder


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_tagging_begins_before_an_archive_is_unpacked_and_memory_stays_flat(tmp_path: Path) -> None:
    """500 files: while rows are added photos are tagged, the pages answer, and no process grows with the archive."""
    found = measure_archive(tmp_path, files=500, kilobytes=300)

    assert found.tagged_early
    assert max(found.added_mb.values()) < FLAT_MB
    assert found.added_mb.keys() == {"web", "intake", "tagging"}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_tagging_begins_before_a_folder_is_submitted_and_memory_stays_flat(tmp_path: Path) -> None:
    """3,000 files: as above, for `phototag tag`."""
    found = measure_folder(tmp_path, files=3000, kilobytes=2)

    assert found.tagged_early
    assert max(found.added_mb.values()) < FLAT_MB
    assert found.added_mb.keys() == {"web", "submit", "tagging"}
