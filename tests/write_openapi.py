"""`make openapi`: writes docs/openapi.json as the running pages answer it."""

import json
import tempfile
from pathlib import Path

import httpx

from tests.stack import ROOT, serving

DOCUMENT = ROOT / "docs" / "openapi.json"


def written(client: httpx.Client) -> str:
    """The document as the file has it."""
    answer = client.get("/api/v1/openapi.json")
    assert answer.status_code == 200, answer.text
    return json.dumps(answer.json(), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Serves the pages of an empty data directory for a moment."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder) / "phototag-data") as pages,
        pages.client() as client,
    ):
        DOCUMENT.write_text(written(client), encoding="utf-8")


if __name__ == "__main__":
    main()
