"""A client that does not give up: it sends a batch as the page does, through restarts and kills of the web process."""

import random
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import httpx

# As `ui/static/api.js`: the connection, the server or its load.
PASSING = {408, 429, 500, 502, 503}
PATIENCE_S = 240.0


class PersistentClient:
    """One person's browser. `pause_s`: at most so long between two requests."""

    def __init__(self, url: str, cookies: httpx.Cookies, dice: random.Random, pause_s: float = 0.0) -> None:
        self._client = httpx.Client(base_url=url, cookies=cookies, timeout=20)
        self._dice = dice
        self._pause_s = pause_s
        self.refusals = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def submit(self, key: str, files: Mapping[str, bytes]) -> str:
        """Sends a batch under a key that makes every repeat the same batch; returns its id once it is sealed."""
        batch = self._ask("POST", "/api/batches", json={"name": key, "count": len(files), "idem_key": key})["id"]
        for number, (path, content) in enumerate(files.items(), 1):
            self._send(batch, number, path, content)
        self._ask("POST", f"/api/batches/{batch}/seal", json={"count": len(files)})
        return batch

    def _send(self, batch: str, number: int, path: str, content: bytes) -> None:
        at, done = 0, False
        while not done:
            query = {"path": path, "size": len(content), "offset": at}
            url = f"/api/batches/{batch}/files/{number}"
            answer = self._ask("PUT", url, offset=at, params=query, content=content[at:])
            at, done = answer["received"], answer.get("done", False)

    def _ask(self, method: str, url: str, *, offset: int | None = None, **request: Any) -> dict[str, Any]:
        """The answer's JSON; asks again for as long as that can help."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            time.sleep(self._dice.uniform(0, self._pause_s))
            try:
                answer = self._client.request(method, url, **request)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.is_success:
                return answer.json()
            found = answer.json() if answer is not None and answer.status_code == 409 else {}
            if found.get("code") == "WRONG_OFFSET" and found["received"] != offset:
                return {"received": found["received"]}
            passing = answer is None or answer.status_code in PASSING or found.get("code") == "WRONG_OFFSET"
            assert passing, f"{method} {url}: {answer and answer.text}"
            assert time.monotonic() < deadline, f"{method} {url} is not answered"
            self.refusals += 1
            time.sleep(self._dice.uniform(0.05, 0.3))


def noting(errors: list[BaseException], work: Callable[[], None]) -> None:
    """Runs `work` in a thread; what goes wrong is seen by the test."""
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - shown by the test
        errors.append(error)


def free_port() -> int:
    """A port that nobody listens on: the web process comes back where people ask."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
