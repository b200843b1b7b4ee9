"""GET /web/...: our own scripts, styles and pictures. Public: they are code, without anyone's data."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from ui.pages.layout import web_files, web_root

# The address changes with the content.
FOR_EVER = "public, max-age=31536000, immutable"


def web_file_routes() -> APIRouter:
    """The files of `ui/static` and `ui/pages` by name, and what browsers ask for by themselves."""
    router = APIRouter()

    @router.get("/web/{version}/{name}")
    def web_file(version: str, name: str) -> Response:
        found = web_files().get(name)
        if found is None:
            raise HTTPException(404)
        media_type, content = found
        # An old page asks for its old version while the new one is being started: serve it, but do not keep it.
        cache = FOR_EVER if f"/web/{version}" == web_root() else "no-store"
        return Response(content, media_type=media_type, headers={"Cache-Control": cache})

    @router.get("/favicon.ico")
    def favicon() -> Response:
        media_type, content = web_files()["icon.svg"]
        return Response(content, media_type=media_type, headers={"Cache-Control": "public, max-age=86400"})

    @router.get("/manifest.json")
    def manifest() -> Response:
        icon = {"src": f"{web_root()}/icon.svg", "type": "image/svg+xml", "sizes": "any"}
        return JSONResponse({"name": "phototag", "start_url": "/app/", "display": "browser", "icons": [icon]})

    return router
