"""The web application as a process of its own, for tests: Gradio leaves sockets and loops open that pytest complains of.

`python -m tests.pages_program SETTINGS` serves it; the settings are JSON. With "routes": true it prints the routes, what
each of them needs, and what each Gradio function needs, and ends.
"""

import json
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route

from db.migrate import upgrade
from db.session import Database
from db.settings import DataSettings
from ui.access import Needs
from ui.guard import Guard
from ui.settings import UiSettings
from ui.web import make_web_app
from worker.limits import Limits
from worker.settings import WorkerSettings


def main() -> None:
    """Serves or prints, as the settings say."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    data = DataSettings(data_dir=Path(asked["data_dir"]), database_url=asked.get("database_url"), blobs_url=None)
    database = Database(data.resolved_database_url)
    upgrade(database)
    database.close()
    worker = WorkerSettings(redis_url=None, limits=Limits(**asked.get("limits", {})))
    app = make_web_app(data, worker, UiSettings(host="127.0.0.1", **asked.get("ui", {})))
    assert isinstance(app, Guard)
    if asked.get("routes"):
        print(json.dumps(described(app)))  # noqa: T201 - what the caller reads
        return
    with socket.socket() as listener:
        # as the real server: connections of one that was killed a moment ago still count for the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", asked.get("port", 0)))
        listener.listen(100)
        print(f"serving http://127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201 - what the caller reads
        # The access log is on: a test looks for secrets in it.
        https = bool(asked.get("ui", {}).get("https"))
        config = uvicorn.Config(app, log_level="info", timeout_graceful_shutdown=1, proxy_headers=https)
        uvicorn.Server(config).run(sockets=[listener])


def described(app: Guard) -> dict[str, Any]:
    """Every (method, path, roles, scopes) of the application, ours or Gradio's, and the role of every Gradio function."""
    routes: list[tuple[str, str, list[str], list[str], bool]] = []
    functions: dict[str, str | None] = {}
    by_mount: list[tuple[str, str, str | None]] = []

    def walk(found: list[Any], prefix: str, *, ours: bool) -> None:
        for route in found:
            if isinstance(route, Mount):
                walk(list(route.routes), prefix + route.path, ours=False)
                blocks = route.app.get_blocks()  # pyright: ignore[reportAttributeAccessIssue, reportFunctionMemberAccess]
                for function in blocks.fns.values():
                    functions[str(function.api_name)] = getattr(function.fn, "required_role", None)
                    by_mount.append((prefix + route.path, str(function.api_name), functions[str(function.api_name)]))
            elif hasattr(route, "original_router"):  # FastAPI keeps included routers as they are
                walk(list(route.original_router.routes), prefix + route.include_context.prefix, ours=ours)
            elif isinstance(route, Route | APIRoute):
                needs = route.dependant.dependencies if isinstance(route, APIRoute) else []
                named = [need.call for need in needs if isinstance(need.call, Needs)]
                roles, scopes = [need.role for need in named], [need.scope for need in named if need.scope]
                methods = sorted(route.methods or {"GET"})
                routes.extend((method, prefix + route.path, roles, scopes, ours) for method in methods)

    walk(list(app.app.routes), "", ours=True)  # pyright: ignore[reportAttributeAccessIssue, reportFunctionMemberAccess]
    return {"routes": routes, "functions": functions, "by_mount": by_mount}


if __name__ == "__main__":
    main()
