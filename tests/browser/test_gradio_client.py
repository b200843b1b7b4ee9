"""`tag_photo` as a program calls it: gradio_client against `phototag up`, through the login and the guard."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.samples import jpeg
from tests.stack import Pages

# In a process of its own: the client leaves sockets open, of which pytest complains.
PROGRAM = """
import json, sys
from gradio_client import Client, handle_file
address, cookie, photo = sys.argv[1:]
client = Client(address, headers={"Cookie": cookie}, verbose=False)
print(json.dumps(client.predict(handle_file(photo), api_name="/tag_photo")))
client.close()
"""


@pytest.mark.browser
def test_a_program_gets_the_labels_of_a_photo(stack: Pages, tmp_path: Path) -> None:
    """Five, best first, with the version that found them."""
    photo = tmp_path / "red.jpg"
    photo.write_bytes(jpeg(colour=(250, 20, 20)))
    cookies = httpx.get(stack.login_link()).cookies
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())

    printed = subprocess.run(
        [sys.executable, "-c", PROGRAM, f"{stack.url}/app/", cookie, str(photo)],
        capture_output=True, text=True, check=True, timeout=100,
    )  # fmt: skip

    answer = json.loads(printed.stdout.splitlines()[-1])
    scores = [score for _, score in answer["labels"]]
    assert answer["state"] == "tagged"
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert answer["model_version"].startswith("tiny")
