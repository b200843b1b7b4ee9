"""Mounts the Gradio app with everything switched off that we do not use. Imported only by a process that serves pages."""

import warnings
from functools import partial
from pathlib import Path

import gradio as gr
from fastapi import FastAPI, Request

from db.settings import DataSettings
from ui.access import USER_KEY, Role, has_role
from ui.gradio_upload import track_temp_files
from ui.pages.blocks import make_admin_blocks, make_blocks, make_review_blocks
from ui.pages.layout import MOUNTS
from ui.single import SinglePhotos
from ui.theme import make_theme

# Calls of gradio_client that wait; more are answered 503.
QUEUE_SIZE = 200


def mount_gradio(app: FastAPI, singles: SinglePhotos, data_settings: DataSettings, max_photo_bytes: int) -> None:
    """Mounts the pages of each role under its path. The guard must stand in front of `app`."""
    track_temp_files()
    blocks: dict[Role, gr.Blocks] = {
        "owner": make_blocks(singles),
        "reviewer": make_review_blocks(),
        "admin": make_admin_blocks(),
    }
    for path, role in MOUNTS.items():
        _mount(app, path, blocks[role], role, data_settings, max_photo_bytes)


def _mount(
    app: FastAPI, path: str, blocks: gr.Blocks, role: Role, data_settings: DataSettings, max_photo_bytes: int
) -> None:
    # Without this a mounted app (6.31) serves any file of this machine to any logged-in user.
    blocks.has_launched = True
    blocks.queue(max_size=QUEUE_SIZE, default_concurrency_limit=8)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="SSR mode is not supported")  # said although it is switched off
        gr.mount_gradio_app(
            app,
            blocks,
            path=path,
            auth_dependency=partial(_name_of_user, role),
            allowed_paths=[],
            blocked_paths=["/etc", "/proc", *_kept_from_gradio(data_settings.data_dir.resolve())],
            show_error=False,
            max_file_size=max_photo_bytes,
            run_history=False,
            enable_monitoring=False,
            mcp_server=False,
            ssr_mode=False,
            footer_links=[],
            theme=make_theme(),
        )


def _kept_from_gradio(data_dir: Path) -> list[str]:
    """Our own files. Gradio's uploads lie beside them, so the data directory as a whole cannot be named."""
    return [str(data_dir / name) for name in ("blobs", "staging", "previews", "features", "models", "phototag.sqlite3")]


def _name_of_user(role: Role, request: Request) -> str | None:
    """For Gradio's own check and `gr.Request.username`; the guard has found the user already."""
    user = request.scope.get(USER_KEY)
    return user.name if user is not None and has_role(user, role) else None
