"""The README's program, run as it is printed, against `phototag up`; and docs/api.md against the code."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from db.api_tokens import SCOPES
from tests.integration.v1 import all_pages, bearer
from tests.samples import photo_folder
from tests.stack import ROOT, phototag_up
from ui.problems import TITLES

pytestmark = pytest.mark.timeout(300)

README = (ROOT / "README.md").read_text(encoding="utf-8")
API_MD = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def block_of(language: str) -> str:
    """The code of a language in the section "From a program"."""
    section = README.partition("\n## From a program\n")[2].partition("\n## ")[0]
    (code,) = re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return code


def test_the_program_of_the_readme_works_as_it_is_written(tmp_path: Path) -> None:
    """Its commands make the token; it tags a folder, prints the labels, and records a verdict."""
    photo_folder(tmp_path / "album", 12)
    (tmp_path / "album" / "broken.jpg").write_bytes(b"no photo")
    program = tmp_path / "tag_folder.py"
    program.write_text(block_of("python"), encoding="utf-8")
    with phototag_up(tmp_path / "phototag-data") as pages:
        token = ""
        for line in block_of("sh").splitlines():
            command, *arguments = shlex.split(line)
            assert command == ".venv/bin/phototag"
            token = subprocess.run(
                [sys.executable, "-m", "ui", *arguments, "--data-dir", str(pages.data_dir)],
                cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=60,
            ).stdout.strip()  # fmt: skip
        printed = subprocess.run(
            [sys.executable, str(program), str(tmp_path / "album")],
            env={**os.environ, "PHOTOTAG_TOKEN": token, "PHOTOTAG_URL": pages.url},
            capture_output=True, text=True, check=False, timeout=150,
        )  # fmt: skip
        with bearer(pages, token) as api:
            verdicts = all_pages(api, "verdicts", "verdicts")

    assert printed.returncode == 0, printed.stdout + printed.stderr
    *lines, last = printed.stdout.splitlines()
    assert len(lines) == 13
    labelled = re.compile(r"album-\d{3}/photo-\d{5}\.jpg: (.+ [01]\.\d\d, ){4}.+ [01]\.\d\d")
    assert sum(bool(labelled.fullmatch(line)) for line in lines) == 12
    assert [line for line in lines if line.startswith("broken.jpg: ")] == [
        "broken.jpg: the content is not a photo, whatever its name says"
    ]
    (verdict,) = verdicts
    assert (verdict["verdict"], verdict["by"], verdict["source"]) == ("accept", "robot", "api")
    assert last == (
        f"album-000/photo-00000.jpg is {verdict['label']}, says a person now (action {verdict['action_id']})."
    )


def test_the_page_of_the_interface_has_every_scope_and_every_code() -> None:
    """And none that is gone; those of files that are not accepted stand in docs/cli.md."""
    scopes = re.findall(r"^\| `([a-z]+)` \| [^|]+ \|$", API_MD, re.MULTILINE)
    codes = re.findall(r"^\| `([A-Z_]+)` \| \d{3} \|", API_MD, re.MULTILINE)

    assert scopes == list(SCOPES)
    assert set(codes) == TITLES.keys() - {"REFUSED", "TOO_MANY_ATTEMPTS"}
