"""`phototag models activate|retag|rollback` as real processes: a version comes, what flips is seen, applied, taken back."""

import json
from pathlib import Path
from typing import Any

import pytest

from db.session import Database
from db.settings import DataSettings
from tests.integration.bench import activate_copy
from tests.integration.command_line import phototag, query
from tests.samples import photo_folder

pytestmark = pytest.mark.timeout(600)

PHOTOS = 6
SHOWN = "SELECT id || ' ' || shown_label_id || ' ' || shown_score || ' ' || shown_model_version_id || ' ' || margin FROM photos"


def test_a_library_is_re_tagged_looked_at_applied_and_rolled_back(tmp_path: Path) -> None:
    """Nothing is shown before it is applied, and a roll back leaves no trace."""
    data = tmp_path / "data"
    photo_folder(tmp_path / "photos", PHOTOS)
    assert phototag("tag", tmp_path / "photos", "--data-dir", data).returncode == 0
    database = Database(DataSettings(data_dir=data).resolved_database_url)
    activate_copy(database, data, "mine", reverses=True)
    database.close()
    before = query(data, SHOWN)

    assert as_json("models", "activate", "tiny", data=data) == {"active": "tiny", "before": "mine"}
    assert "already" in phototag("models", "activate", "tiny", "--data-dir", data).stdout
    assert phototag("models", "activate", "nosuch", "--data-dir", data).returncode == 1
    assert as_json("models", "activate", "mine", data=data) == {"active": "mine", "before": "tiny"}

    started = as_json("models", "retag", "--no-wait", data=data)
    looked = phototag("models", "retag", "--data-dir", data)
    assert looked.returncode == 0, looked.stderr
    assert "->" in looked.stdout
    assert "Nothing is changed yet" in looked.stderr
    assert query(data, SHOWN) == before
    found = as_json("models", "retag", "--apply", "none", data=data)
    assert (found["version"], found["batch"], found["applied"]) == ("mine", None, 0)
    assert sum(flip["photos"] for flip in found["flips"]) + found["same"] == PHOTOS
    newest, *_ = as_json("batches", "list", data=data)
    assert (newest["id"], newest["name"], newest["state"]) == (started["batch"], "Re-tag with mine", "finished")

    flip = found["flips"][0]
    one = as_json("models", "retag", "--apply", f"{flip['from']}->{flip['to']}", data=data)
    assert one["applied"] == flip["photos"]
    rest = as_json("models", "retag", "--apply", "all", data=data)
    assert rest["applied"] == PHOTOS - one["applied"]
    assert all(row not in before for row in query(data, SHOWN))
    assert phototag("models", "retag", "--apply", "a->b", "--data-dir", data).returncode == 1
    assert phototag("models", "retag", "--apply", "some", "--data-dir", data).returncode == 2

    assert as_json("models", "rollback", data=data) == {"active": "tiny", "restored": PHOTOS}
    assert query(data, SHOWN) == before


def as_json(*arguments: object, data: Path) -> Any:
    """What a command prints with --json."""
    result = phototag(*arguments, "--json", "--data-dir", data)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)
