"""What a mounted Gradio 6.31 gives away by itself, and that the guard keeps it. To be run before each bump."""

import json
import re
import secrets
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.samples import jpeg
from tests.stack import Pages

API = "/app/gradio_api"


def file_data(path: object, **more: object) -> dict[str, object]:
    """A FileData as Gradio's front end sends it."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


def upload(client: httpx.Client, content: bytes = b"private") -> str:
    """Uploads through Gradio's own route; returns the server's path."""
    answer = client.post(f"{API}/upload", files={"files": ("holiday.jpg", content, "image/jpeg")})
    assert answer.status_code == 200, answer.text
    return answer.json()[0]


def join(client: httpx.Client, data: list[Any], stream: str) -> httpx.Response:
    """Calls `tag_photo` in the way of the front end."""
    config = client.get("/app/config").json()
    fn_index = next(each["id"] for each in config["dependencies"] if each["api_name"] == "tag_photo")
    body = {"data": data, "fn_index": fn_index, "session_hash": stream, "trigger_id": None}
    return client.post(f"{API}/queue/join", json=body)


def outcome(client: httpx.Client, stream: str) -> dict[str, Any]:
    """The event that ends a stream."""
    with client.stream("GET", f"{API}/queue/data", params={"session_hash": stream}) as events:
        for line in events.iter_lines():
            if "process_completed" in line:
                return json.loads(line.removeprefix("data:"))
    pytest.fail("the stream ended without an answer")


def gradio_files(pages: Pages) -> set[Path]:
    """Everything in Gradio's folder of uploads."""
    return {path for path in (pages.data_dir / "gradio").rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "photo",
    [
        file_data("/etc/passwd"),
        file_data("/etc/passwd", url="http://127.0.0.1/x"),
        file_data("/proc/self/environ"),
        file_data("../../../../etc/passwd"),
        file_data("http://169.254.169.254/latest/meta-data"),
        file_data("file:///etc/passwd"),
        file_data(["/etc/passwd"]),
        file_data(None, url="http://127.0.0.1:1/health"),
        {"path": "/etc/passwd"},
        [[{"x": file_data("/etc/passwd")}]],
    ],
)
def test_no_input_names_a_file_of_this_machine_or_an_address(alice: httpx.Client, photo: object) -> None:
    """A mounted app served /etc/passwd to whoever was logged in; an address would be fetched by the server."""
    answer = join(alice, [photo], secrets.token_hex(5))

    assert answer.status_code == 403
    assert answer.json()["code"] == "NOT_YOUR_FILE"


def test_a_bare_path_is_not_read_either(alice: httpx.Client, pages: Pages) -> None:
    """It reaches Gradio, which refuses it: has_launched is set."""
    secret = pages.data_dir / "secret.jpg"
    secret.write_bytes(b"root:x:0:0")
    stream = secrets.token_hex(5)

    joined = join(alice, [str(secret)], stream)
    ended = outcome(alice, stream)

    assert joined.status_code == 200
    assert ended["success"] is False
    assert "root" not in json.dumps(ended)
    assert alice.get("/api/batches").json()["batches"] == []


def test_an_upload_is_its_owner_s_alone(alice: httpx.Client, bob: httpx.Client) -> None:
    """Gradio gives every upload to every user, by path."""
    path = upload(alice)

    assert alice.get(f"{API}/file={path}").content == b"private"
    assert bob.get(f"{API}/file={path}").status_code == 404
    assert join(bob, [file_data(path)], secrets.token_hex(5)).status_code == 403


def test_an_upload_without_a_name_is_no_crash(alice: httpx.Client, pages: Pages) -> None:
    """Gradio answered 500 with a traceback in the log."""
    before = len(pages.log.read_text().split("Traceback"))
    body = b'--b\r\nContent-Disposition: form-data; name="files"; filename=""\r\n\r\nx\r\n--b--\r\n'
    answer = alice.post(f"{API}/upload", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})

    assert answer.status_code < 500
    assert len(pages.log.read_text().split("Traceback")) == before


@pytest.mark.parametrize("name", ["evil.svg", "evil.html", "evil.xhtml"])
def test_an_upload_never_becomes_a_page_of_ours(alice: httpx.Client, name: str) -> None:
    """Scripts in it would run with the rights of whoever opens it."""
    script = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    path = alice.post(f"{API}/upload", files={"files": (name, script)}).json()[0]
    answer = alice.get(f"{API}/file={path}")

    assert answer.content == script
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "script-src" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "http://127.0.0.1:7860/health", "HTTP://x/", "%2fetc%2fpasswd", "../../etc/passwd"]
)
def test_the_file_route_gives_uploads_only(alice: httpx.Client, name: str) -> None:
    """No path of this machine, and the server fetches nothing."""
    assert alice.get(f"{API}/file={name}").status_code == 404


def test_an_event_stream_is_its_owner_s_alone(alice: httpx.Client, bob: httpx.Client) -> None:
    """The client makes its name up; who names it first has it. Also when it is given twice."""
    stream = secrets.token_hex(5)
    assert join(alice, [file_data(upload(alice))], stream).status_code == 200

    mine = secrets.token_hex(5)
    stolen = {
        "read": bob.get(f"{API}/queue/data", params={"session_hash": stream}).status_code,
        "twice": bob.get(f"{API}/queue/data?session_hash={mine}&session_hash={stream}").status_code,
        "heartbeat": bob.get(f"{API}/heartbeat/{stream}").status_code,
        "cancel": bob.post(f"{API}/cancel", json={"session_hash": stream, "fn_index": 0, "event_id": "x"}).status_code,
        "join": join(bob, [None], stream).status_code,
        "unnamed": bob.get(f"{API}/queue/data").status_code,
    }

    assert stolen == {"read": 404, "twice": 400, "heartbeat": 404, "cancel": 404, "join": 404, "unnamed": 400}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "proxy=http://127.0.0.1:1/"),
        ("GET", "openapi.json"),
        ("GET", "runs"),
        ("GET", "mcp/"),
        ("GET", "vibe-code"),
        ("GET", "dev/reload"),
        ("GET", "deep_link"),
        ("GET", "file/etc/passwd"),
        ("GET", "stream/a/b/c/playlist.m3u8"),
        ("POST", "run/tag_photo"),
        ("POST", "call/tag_photo"),
        ("POST", "api/tag_photo"),
        ("POST", "component_server"),
        ("POST", "process_recording"),
        ("POST", "reset"),
        ("POST", "queue%2Fjoin/../run/tag_photo"),
    ],
)
def test_routes_that_nobody_needs_are_not_there(admin: httpx.Client, method: str, path: str) -> None:
    """An allow-list: what a release adds stays closed."""
    body = {"data": [None], "session_hash": secrets.token_hex(5), "event_id": "x"} if method == "POST" else None
    answer = admin.request(method, f"{API}/{path}", json=body)

    assert answer.status_code == 404


def test_pages_of_gradio_that_nobody_needs_are_not_there(admin: httpx.Client) -> None:
    """Its login, its monitoring, links that restore a state."""
    for path in ("monitoring", "monitoring/summary", "login", "logout", "manifest.json", "pwa_icon", "?deep_link=x"):
        assert admin.get(f"/app/{path}").status_code == 404, path


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_another_site_can_neither_upload_nor_call(alice: httpx.Client, headers: dict[str, str]) -> None:
    """The cookie alone does not do."""
    sent = alice.post(f"{API}/upload", files={"files": ("x.jpg", b"1")}, headers=headers)
    called = alice.post(f"{API}/queue/join", json={"data": [], "session_hash": "x1"}, headers=headers)

    assert (sent.status_code, called.status_code) == (403, 403)


def test_a_form_of_another_kind_is_not_taken_for_json(alice: httpx.Client) -> None:
    """text/plain crosses origins without asking first."""
    answer = alice.post(f"{API}/queue/join", content="{}", headers={"Content-Type": "text/plain"})

    assert answer.status_code == 415


@pytest.mark.parametrize("body", ["[" * 200_000, '{"a": ', '"' + "a" * 2_000_000 + '"'])
def test_hostile_json_is_refused_at_once(alice: httpx.Client, body: str) -> None:
    """Deep, broken, or large."""
    began = time.monotonic()
    answer = alice.post(f"{API}/queue/join", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in {400, 413}
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("fn_index", [-1, 10**9, "x", None])
def test_a_function_that_does_not_exist_is_not_a_crash(alice: httpx.Client, pages: Pages, fn_index: object) -> None:
    """No traceback in the answer, and the process lives."""
    body = {"data": [], "fn_index": fn_index, "session_hash": secrets.token_hex(5)}
    answer = alice.post(f"{API}/queue/join", json=body)

    assert "Traceback" not in answer.text
    assert httpx.get(f"{pages.url}/health").is_success


def test_a_form_field_is_not_gathered_in_memory(alice: httpx.Client, pages: Pages) -> None:
    """300 MB in a field without a file name made the process grow by 900 MB."""
    before = _resident_mb(pages.process.pid)
    head = b'--b\r\nContent-Disposition: form-data; name="junk"\r\n\r\n'

    try:
        status = alice.post(
            f"{API}/upload",
            content=(head if part == 0 else b"A" * 2**20 for part in range(100)),
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        ).status_code
    except httpx.TransportError:  # the connection is ended while we still send
        status = 413

    assert status == 413
    assert _resident_mb(pages.process.pid) - before < 50


def test_a_file_beyond_the_limit_leaves_nothing(alice: httpx.Client, pages: Pages) -> None:
    """Refused while it streams; its temp file goes."""
    before = gradio_files(pages)
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'

    announced = alice.post(f"{API}/upload", files={"files": ("big.jpg", b"\xff\xd8" * 600_000, "image/jpeg")})
    try:
        streamed = alice.post(
            f"{API}/upload",
            content=(head if part == 0 else b"A" * 100_000 for part in range(16)),
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        ).status_code
    except httpx.TransportError:  # the connection is ended while we still send
        streamed = 413
    time.sleep(0.5)

    assert (announced.status_code, streamed) == (413, 413)
    assert gradio_files(pages) == before


def test_aborted_uploads_leave_nothing_and_disturb_nobody(alice: httpx.Client, pages: Pages) -> None:
    """Gradio keeps their temp files for ever. A running upload of someone else must finish."""
    before = gradio_files(pages)
    running = _half_an_upload(alice)
    time.sleep(0.3)
    for _ in range(5):
        broken = _half_an_upload(alice)
        time.sleep(0.1)
        broken.close()
    time.sleep(1.0)
    left = len(gradio_files(pages) - before)
    running.sendall(b"\r\n--b--\r\n")
    answer = running.recv(65536)
    running.close()

    assert left <= 1  # the one that is running
    assert answer.startswith(b"HTTP/1.1 200")


def test_gradio_client_tags_a_photo(alice: httpx.Client, pages: Pages, tmp_path: Path) -> None:
    """Stored as a batch of its owner, ahead of every folder; Gradio's copy goes. Without workers nothing tags it."""
    path = upload(alice, jpeg())
    stream = secrets.token_hex(5)

    assert join(alice, [file_data(path)], stream).status_code == 200
    answer = outcome(alice, stream)["output"]["data"][0]

    assert re.fullmatch(r"[a-z][a-z0-9]{11}", answer["batch"])
    assert answer["state"] == "ready"
    assert alice.get(f"/api/batches/{answer['batch']}").json()["counts"]["total"] == 1
    assert not Path(path).exists()


def _half_an_upload(client: httpx.Client) -> socket.socket:
    body = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n' + b"Z" * 500_000
    length = len(body) + len(b"\r\n--b--\r\n")
    host, port = client.base_url.host, client.base_url.port or 80
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    head = (
        f"POST {API}/upload HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookie}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n"
    )
    connection = socket.create_connection((host, port), timeout=20)
    connection.sendall(head.encode() + body)
    return connection


def _resident_mb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024  # pyright: ignore[reportOptionalSubscript]
