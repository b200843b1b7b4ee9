"""The one table of who may call what: every route of ours, every route and every function of Gradio's.

A new route gets its line here; tests/integration/test_access_matrix.py makes the cells from it.
"""

import re
from typing import Any, Literal, NamedTuple

Needs = Literal["public", "anyone", "owner", "reviewer", "admin"]


class Route(NamedTuple):
    """One route of ours.

    Attributes:
        method: of HTTP.
        path: as FastAPI has it.
        needs: the least role; "public": also who is not logged in; "anyone": all who are, the route names no role.
        scope: what an API token needs besides; only of routes below /api/v1. "any": every token will do.
        theirs: which thing of the first owner the request names: batch, receiving (a batch that is being sent) or
            photo. It may stand in `path`, `query` and `body` as {batch_id}, {photo_id}.
        reach: the least role that reaches this thing without owning it: reviewer, admin, or nobody. Below it, 404.
            "all": the request is answered to everybody, but others find nothing of the first owner's in the answer.
        query: to be sent.
        body: JSON to be sent; what is refused for its form only (422) is not refused for its sender.
        raw: bytes to be sent instead.
        may_miss: what it asks for need not exist: 404 is no refusal.
        fresh: it ends the caller's session, so a new one is made for it.
    """

    method: str
    path: str
    needs: Needs
    scope: str | None = None
    theirs: Literal["", "batch", "receiving", "photo"] = ""
    reach: Literal["reviewer", "admin", "nobody", "all"] = "admin"
    query: str = ""
    body: Any = None
    raw: bytes | None = None
    may_miss: bool = False
    fresh: bool = False


IDS = {"ids": ["{photo_id}"]}

ROUTES: tuple[Route, ...] = (
    # how to get in, and what has no data in it
    Route("GET", "/web/{version}/{name}", "public", may_miss=True),
    Route("GET", "/favicon.ico", "public", may_miss=True),
    Route("GET", "/manifest.json", "public", may_miss=True),
    Route("GET", "/login", "public"),
    Route("POST", "/login", "public"),
    Route("GET", "/health", "public"),
    Route("GET", "/", "anyone"),
    Route("POST", "/logout", "owner", fresh=True),
    Route("GET", "/api/me", "owner"),
    Route("POST", "/api/me/password", "owner", body={"new": "too short"}),
    Route("GET", "/api/status", "owner"),
    # sending
    Route("POST", "/api/batches", "owner", body={"name": "one", "count": 1}),
    Route(
        "PUT",
        "/api/batches/{batch_id}/files/{number}",
        "owner",
        theirs="receiving",
        query="path=a.jpg&size=1&offset=0",
        raw=b"a",
    ),
    Route("GET", "/api/batches/{batch_id}/files", "owner", theirs="batch"),
    Route("POST", "/api/batches/{batch_id}/seal", "owner", theirs="receiving", body={"count": 1}),
    Route("POST", "/api/photos", "owner", query="name=a.jpg", raw=b"no photo"),
    # batches
    Route("GET", "/api/batches", "owner", reach="all", theirs="batch"),
    Route("GET", "/api/batches/{batch_id}", "owner", theirs="batch"),
    Route("GET", "/api/batches/{batch_id}/items", "owner", theirs="batch"),
    Route("GET", "/api/batches/{batch_id}/recent", "owner", theirs="batch"),
    Route("POST", "/api/batches/{batch_id}/cancel", "owner", theirs="receiving"),
    Route("POST", "/api/batches/{batch_id}/retry", "owner", theirs="batch"),
    Route("GET", "/api/batches/{batch_id}/results.{form}", "owner", theirs="batch"),
    Route("DELETE", "/api/batches/{batch_id}", "owner", theirs="batch"),
    # photos
    Route("GET", "/media/{photo_id}/{size}.webp", "owner", theirs="photo", reach="reviewer"),
    Route("GET", "/api/library", "owner", theirs="photo", reach="all"),
    Route("GET", "/api/library/counts", "owner", theirs="photo", reach="all"),
    Route("GET", "/api/library/choices", "owner", theirs="photo", reach="all"),
    Route("GET", "/api/library/photos/{photo_id}", "owner", theirs="photo", reach="reviewer"),
    Route("GET", "/api/library/photos/{photo_id}/original", "owner", theirs="photo", reach="nobody"),
    Route("GET", "/api/library/photos.zip", "owner", theirs="photo", reach="nobody", query="ids={photo_id}"),
    Route("GET", "/api/library/export.{form}", "owner", theirs="photo", reach="all", query="ids={photo_id}"),
    Route("POST", "/api/library/tag", "owner", theirs="photo", body=IDS),
    # a reviewer sees the photo, and takes it out of batches of their own only, where it is not
    Route("POST", "/api/library/delete", "owner", theirs="photo", reach="reviewer", body=IDS),
    Route("GET", "/api/duplicates", "owner", theirs="photo", reach="all"),
    Route("GET", "/api/duplicates/files", "owner", theirs="photo", reach="all"),
    Route("POST", "/api/duplicates/apart", "owner", theirs="photo", reach="reviewer", body=IDS),
    # the vocabulary
    Route("GET", "/api/labels", "reviewer"),
    Route("GET", "/api/labels/counts", "reviewer"),
    Route("GET", "/api/labels/suggest", "reviewer", query="q=a"),
    Route("GET", "/api/labels/changes", "reviewer"),
    Route("POST", "/api/labels", "reviewer", body={}),
    Route("POST", "/api/labels/{label_id}/rename", "reviewer", body={}),
    Route("POST", "/api/labels/{label_id}/parent", "reviewer", body={}),
    Route("POST", "/api/labels/{label_id}/merge", "reviewer", body={}),
    Route("POST", "/api/labels/{label_id}/retire", "reviewer", may_miss=True),
    Route("POST", "/api/labels/{label_id}/restore", "reviewer", may_miss=True),
    Route("POST", "/api/labels/changes/{change_id}/undo", "reviewer", may_miss=True),
    # review
    *(Route("POST", f"/api/review/{act}", "reviewer", body={}) for act in ("next", "grid", "release", "labels")),
    *(Route("POST", f"/api/review/{act}", "reviewer", body={}) for act in ("verdicts", "selection", "undo")),
    Route("GET", "/api/review/counts", "reviewer"),
    Route("GET", "/api/review/numbers", "reviewer"),
    Route("GET", "/api/review/photos/{photo_id}/alike", "reviewer", theirs="photo", reach="reviewer"),
    # accounts
    Route("GET", "/api/admin/people", "admin"),
    Route("POST", "/api/admin/people", "admin", body={}),
    Route("POST", "/api/admin/people/{person_id}/role", "admin", body={"role": "reviewer"}),
    Route("POST", "/api/admin/people/{person_id}/disable", "admin"),
    Route("POST", "/api/admin/people/{person_id}/enable", "admin"),
    Route("POST", "/api/admin/people/{person_id}/password", "admin", body={"password": "too short"}),
    Route("POST", "/api/admin/people/{person_id}/link", "admin"),
    Route("GET", "/api/admin/people/{person_id}/tokens", "admin"),
    Route("POST", "/api/admin/people/{person_id}/tokens", "admin", body={"name": "t", "scopes": ["read"]}),
    Route("POST", "/api/admin/people/{person_id}/tokens/revoke", "admin", body={"name": "none"}, may_miss=True),
    Route("GET", "/api/admin/audit", "admin"),
    # models
    Route("GET", "/api/models", "admin"),
    Route("GET", "/api/models/runs", "admin"),
    Route("GET", "/api/models/cost", "admin"),
    Route("POST", "/api/models/runs", "admin", body={"recipe": "none"}, may_miss=True),
    *(Route("GET", f"/api/models/runs/{{run_id}}{of}", "admin", may_miss=True) for of in ("", "/matrix", "/photos")),
    *(Route("POST", f"/api/models/runs/{{run_id}}/{act}", "admin", may_miss=True) for act in ("cancel", "reject")),
    Route("POST", "/api/models/review", "admin", body={}),
    Route("GET", "/api/models/versions", "admin"),
    Route("POST", "/api/models/versions/{name}/activate", "admin", body={"expected": None}, may_miss=True),
    Route("POST", "/api/models/rollback", "admin", body={}),
    *(Route("GET", f"/api/models/retag{of}", "admin") for of in ("", "/preview")),
    # nothing is tagged, so there is nothing to re-tag: 409 is no refusal
    *(Route("POST", f"/api/models/retag{act}", "admin", body={}) for act in ("", "/apply", "/restore")),
    # the programming interface
    Route("GET", "/api/v1/me", "owner", "any"),
    Route("GET", "/api/v1/openapi.json", "owner", "any"),
    Route("POST", "/api/v1/photos", "owner", "submit", query="name=a.jpg", raw=b"no photo"),
    Route("POST", "/api/v1/batches", "owner", "submit", body={"name": "one"}),
    Route(
        "PUT",
        "/api/v1/batches/{batch_id}/files/{number}",
        "owner",
        "submit",
        theirs="receiving",
        query="path=a.jpg",
        raw=b"a",
    ),
    # nothing of the file has been sent
    Route(
        "GET",
        "/api/v1/batches/{batch_id}/files/{number}",
        "owner",
        "submit",
        theirs="receiving",
        may_miss=True,
        reach="all",
    ),
    Route("GET", "/api/v1/batches/{batch_id}/files", "owner", "read", theirs="batch"),
    Route("POST", "/api/v1/batches/{batch_id}/seal", "owner", "submit", theirs="receiving", body={"files": 1}),
    Route("GET", "/api/v1/batches", "owner", "read", theirs="batch", reach="all"),
    Route("GET", "/api/v1/batches/{batch_id}", "owner", "read", theirs="batch"),
    Route("GET", "/api/v1/batches/{batch_id}/items", "owner", "read", theirs="batch"),
    Route("POST", "/api/v1/batches/{batch_id}/cancel", "owner", "submit", theirs="receiving"),
    Route("POST", "/api/v1/batches/{batch_id}/retry", "owner", "submit", theirs="batch"),
    Route("DELETE", "/api/v1/batches/{batch_id}", "owner", "submit", theirs="batch"),
    Route("GET", "/api/v1/photos", "owner", "read", theirs="photo", reach="all"),
    *(
        Route("GET", f"/api/v1/photos/{{photo_id}}{of}", "owner", "read", theirs="photo", reach="reviewer", query=query)
        for of, query in (("", ""), ("/predictions", ""), ("/preview", "size=320"))
    ),
    Route("POST", "/api/v1/verdicts", "reviewer", "review", body={}),
    Route("POST", "/api/v1/verdicts/{action_id}/undo", "reviewer", "review", may_miss=True),
    Route("GET", "/api/v1/verdicts", "reviewer", "review"),
    Route("GET", "/api/v1/labels", "owner", "read"),
    Route("GET", "/api/v1/labels/counts", "reviewer", "labels"),
    Route("GET", "/api/v1/labels/changes", "reviewer", "labels"),
    Route("POST", "/api/v1/labels", "reviewer", "labels", body={}),
    *(
        Route("POST", f"/api/v1/labels/{{label_id}}/{act}", "reviewer", "labels", body={})
        for act in ("rename", "parent", "merge")
    ),
    Route("POST", "/api/v1/labels/{label_id}/retire", "reviewer", "labels"),
    Route("POST", "/api/v1/labels/{label_id}/restore", "reviewer", "labels"),
    Route("POST", "/api/v1/labels/changes/{change_id}/undo", "reviewer", "labels", may_miss=True),
    Route("GET", "/api/v1/models", "owner", "read"),
    Route("GET", "/api/v1/models/{name}", "owner", "read", may_miss=True),
    Route("POST", "/api/v1/models/{name}/activate", "admin", "models", may_miss=True),
    Route("POST", "/api/v1/models/rollback", "admin", "models", body={}),
    Route("POST", "/api/v1/models/train", "admin", "models", body={"recipe": "none"}, may_miss=True),
    Route("GET", "/api/v1/models/runs", "admin", "read"),
    Route("GET", "/api/v1/models/runs/{run_id}", "admin", "read", may_miss=True),
    Route("POST", "/api/v1/models/runs/{run_id}/cancel", "admin", "models", may_miss=True),
    Route("GET", "/api/v1/models/retag", "admin", "read"),
    # nothing is tagged, so there is nothing to re-tag: 409 is no refusal
    *(Route("POST", f"/api/v1/models/retag{act}", "admin", "models", body={}) for act in ("", "/apply")),
)

# Gradio's routes below a mount. static: its front end, the same for everybody; page and call: for the mount's role;
# closed: 404 for everybody who may see the mount, as nobody needs it.
GRADIO: dict[str, tuple[str, ...]] = {
    "static": (
        *("GET /svelte/{path:path}", "GET /static/{path:path}", "GET /assets/{path:path}"),
        *("GET /favicon.ico", "GET /theme.css", "GET /robots.txt"),
    ),
    "page": ("GET /", "HEAD /", "GET /config", "GET /config/"),
    "call": (
        *("GET /gradio_api/info", "GET /gradio_api/info/", "GET /gradio_api/user", "GET /gradio_api/user/"),
        *("GET /gradio_api/app_id", "GET /gradio_api/login_check", "GET /gradio_api/theme.css"),
        *("GET /gradio_api/startup-events", "GET /gradio_api/queue/data", "GET /gradio_api/upload_progress"),
        *("GET /gradio_api/heartbeat/{session_hash}", "POST /gradio_api/queue/join", "POST /gradio_api/cancel"),
        "POST /gradio_api/upload",
    ),
    "closed": (
        *("GET /openapi.json", "HEAD /openapi.json", "POST /login", "POST /login/", "GET /logout"),
        *("GET /pwa_icon", "GET /pwa_icon/{size}", "GET /manifest.json"),
        *("GET /monitoring", "GET /monitoring/summary", "GET /monitoring/{key}"),
        *("GET /gradio_api/deep_link", "GET /gradio_api/login_check/", "GET /gradio_api/app_id/"),
        *("GET /gradio_api/token", "GET /gradio_api/token/", "GET /gradio_api/dev/reload"),
        *("GET /gradio_api/runs", "GET /gradio_api/runs/", "GET /gradio_api/openapi.json"),
        "GET /gradio_api/custom_component/{id}/{environment}/{type}/{file_name}",
        *("GET /gradio_api/proxy={url_path:path}", "HEAD /gradio_api/proxy={url_path:path}"),
        # only one's own uploads; none is named here
        *("GET /gradio_api/file={path_or_url:path}", "HEAD /gradio_api/file={path_or_url:path}"),
        *("POST /gradio_api/stream/{event_id}", "POST /gradio_api/stream/{event_id}/close"),
        "GET /gradio_api/stream/{session_hash}/{run}/{component_id}/playlist.m3u8",
        "GET /gradio_api/stream/{session_hash}/{run}/{component_id}/{segment_id}.{ext}",
        "GET /gradio_api/stream/{session_hash}/{run}/{component_id}/playlist-file",
        *("GET /gradio_api/file/{path:path}", "POST /gradio_api/reset", "POST /gradio_api/reset/"),
        *(f"POST /gradio_api/{kind}/{{api_name}}{end}" for kind in ("api", "run", "call", "call/v2") for end in ("", "/")),
        *("GET /gradio_api/call/{api_name}/{event_id}", "GET /gradio_api/call/v2/{api_name}/{event_id}"),
        *("POST /gradio_api/component_server", "POST /gradio_api/component_server/", "GET /gradio_api/queue/status"),
        "POST /gradio_api/process_recording",
        *(
            f"{method} /gradio_api/{name}{end}"
            for method, name in (
                *(("POST", "vibe-edit"), ("POST", "undo-vibe-edit"), ("GET", "vibe-code"), ("POST", "vibe-code")),
                ("POST", "vibe-starter-queries"),
            )
            for end in ("", "/")
        ),
    ),
}  # fmt: skip
# The pages inside a mount, which we made.
PAGES = {"/app": ("library", "duplicates", "batches"), "/review": ("labels",), "/admin": ("models",)}
# Gradio's functions by mount and name: the role that each asks for itself, whatever the mount does.
FUNCTIONS = {("/app", "tag_photo"): "owner"}


def gradio_routes(mount: str) -> dict[tuple[str, str], str]:
    """What kind each route below a mount is, by its method and its whole path."""
    kinds = {
        (method, mount + path): kind
        for kind, routes in GRADIO.items()
        for method, path in (route.split(" ", 1) for route in routes)
    }
    return kinds | {("GET", f"{mount}/{page}{end}"): "page" for page in PAGES[mount] for end in ("", "/")}


def filled(template: Any, values: dict[str, Any]) -> Any:
    """`template` with {names} replaced; a text that is one name becomes the value itself."""
    if isinstance(template, dict):
        return {key: filled(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [filled(value, values) for value in template]
    if not isinstance(template, str):
        return template
    if template[1:-1] in values and template == f"{{{template[1:-1]}}}":
        return values[template[1:-1]]
    return re.sub(r"\{(\w+)[^}]*\}", lambda found: str(values.get(found[1], "x")), template)
