"""The Gradio apps, one for each role: what owners, reviewers and admins see, and `tag_photo` for gradio_client.

The pages are empty columns that our own modules fill: gr.HTML would need 'unsafe-eval' in the policy, and gr.State
one endless stream per tab, of which a browser allows six.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr

from db.errors import PhototagError
from ui.access import allowed, require, user_of_event
from ui.shapes import item_shape
from ui.single import SinglePhotos

READ_BYTES = 1024**2
# Gradio's copies of what gradio_client sent: looked for every hour, removed after two.
DELETE_CACHE_S = (3600, 7200)


def make_blocks(singles: SinglePhotos) -> gr.Blocks:
    """All pages for the role owner. Handlers name their role themselves, whatever the mount checks."""
    with gr.Blocks(title="Tag photos - phototag", analytics_enabled=False, delete_cache=DELETE_CACHE_S) as blocks:
        gr.Column(elem_id="pt-tag")
        with gr.Column(visible=False):
            photo = gr.File(label="photo", file_count="single", type="filepath")
            labels = gr.JSON(label="labels")
            gr.Button("Tag").click(_tag_photo_with(singles), photo, labels, api_name="tag_photo", concurrency_limit=8)
    with blocks.route("Library", "/library", show_in_navbar=False):
        gr.Column(elem_id="pt-library")
    with blocks.route("Duplicates", "/duplicates", show_in_navbar=False):
        gr.Column(elem_id="pt-duplicates")
    with blocks.route("Batches", "/batches", show_in_navbar=False):
        gr.Column(elem_id="pt-batches")
    return blocks


def make_review_blocks() -> gr.Blocks:
    """The pages for the role reviewer: Review and Labels. They have no handlers."""
    with gr.Blocks(title="Review - phototag", analytics_enabled=False) as blocks:
        gr.Column(elem_id="pt-review")
    with blocks.route("Labels", "/labels", show_in_navbar=False):
        gr.Column(elem_id="pt-labels")
    return blocks


def make_admin_blocks() -> gr.Blocks:
    """The pages for the role admin: Admin and Models. They have no handlers."""
    with gr.Blocks(title="Admin - phototag", analytics_enabled=False) as blocks:
        gr.Column(elem_id="pt-admin")
    with blocks.route("Models", "/models", show_in_navbar=False):
        gr.Column(elem_id="pt-models")
    return blocks


def _tag_photo_with(singles: SinglePhotos) -> Any:
    @require("owner")
    async def tag_photo(photo: str | None, request: gr.Request) -> dict[str, Any]:
        """The labels of one photo, best first, each with its score from 0 to 1."""
        user = allowed(user_of_event((request,)), "owner")
        if not photo:
            raise gr.Error("Send a photo: handle_file('photo.jpg') with gradio_client.")
        path = Path(photo)
        try:
            batch_id = await singles.accept(user, path.name, _parts(path))
            item = await singles.wait(user, batch_id)
        except PhototagError as error:
            raise gr.Error(str(error)) from error
        finally:
            path.unlink(missing_ok=True)  # Gradio's copy; ours is a blob by now
        if item is None:
            return {"batch": batch_id, "state": "ready", "labels": []}
        shape = item_shape(item)
        kept = ("state", "reason", "shown", "not_sure", "labels", "model_version", "photo_id")
        return {"batch": batch_id} | {name: shape[name] for name in kept}

    return tag_photo


async def _parts(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as stream:
        while data := await asyncio.to_thread(stream.read, READ_BYTES):
            yield data
