"""What all pages share: the navigation, the head with our scripts and styles, and plain pages without Gradio."""

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path

from ui.access import RANKS, Role

# Each role's pages are a Gradio app of their own, under a path of its own; a role has those of the roles below it too.
MOUNTS: dict[str, Role] = {"/app": "owner", "/review": "reviewer", "/admin": "admin"}
# The one navigation: (name, address, role). Every page shows what its reader may open; the page finds itself in it.
NAVIGATION: tuple[tuple[str, str, Role], ...] = (
    ("Tag", "/app/", "owner"),
    ("Library", "/app/library", "owner"),
    ("Duplicates", "/app/duplicates", "owner"),
    ("Batches", "/app/batches", "owner"),
    ("Review", "/review/", "reviewer"),
    ("Labels", "/review/labels", "reviewer"),
    ("Models", "/admin/models", "admin"),
    ("Admin", "/admin/", "admin"),
)

_FOLDERS = (Path(__file__).parent, Path(__file__).parents[1] / "static")
_KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
STYLES = (
    *("base.css", "tag.css", "batch.css", "library.css", "duplicates.css", "review.css", "labels.css", "admin.css"),
    "models.css",
)
# Loaded while the first one is still being read, instead of one after the other.
MODULES = ("boot.js", "dom.js", "api.js", "status.js", "me.js", "ask.js")


@cache
def web_files() -> dict[str, tuple[str, bytes]]:
    """Every script, style and picture of ours: media type and bytes by name."""
    return {
        path.name: (_KINDS[path.suffix], path.read_bytes())
        for folder in _FOLDERS
        for path in sorted(folder.iterdir())
        if path.suffix in _KINDS
    }


@cache
def web_root() -> str:
    """Their address. It changes with their content, so browsers keep them for ever and never mix versions."""
    digest = hashlib.sha256()
    for name, (_, content) in sorted(web_files().items()):
        digest.update(name.encode() + b"\0" + content)
    return f"/web/{digest.hexdigest()[:12]}"


@cache
def page_head(role: Role) -> str:
    """HTML for the head of every Gradio page, as this role sees it.

    The server puts it in: Gradio's `head=` comes 300 ms later.
    """
    root = web_root()
    links = [{"name": name, "href": href} for name, href, needed in NAVIGATION if RANKS[role] >= RANKS[needed]]
    navigation = escape(json.dumps(links))
    return "".join(
        [
            f'<meta name="phototag-navigation" content="{navigation}">',
            '<meta name="color-scheme" content="light dark">',
            f'<link rel="icon" href="{root}/icon.svg" type="image/svg+xml">',
            *(f'<link rel="stylesheet" href="{root}/{name}">' for name in STYLES),
            *(f'<link rel="modulepreload" href="{root}/{name}">' for name in MODULES),
            f'<script type="module" src="{root}/boot.js"></script>',
        ]
    )


def plain_page(title: str, text: str, commands: Sequence[str] = (), *, link: tuple[str, str] | None = None) -> str:
    """A small page without scripts that says something, e.g. what went wrong."""
    shown = "".join(f"<li><code>{escape(command)}</code></li>" for command in commands)
    onward = f'<p><a class="pt-button" href="{escape(link[1])}">{escape(link[0])}</a></p>' if link else ""
    listed = f'<ul class="pt-commands">{shown}</ul>' if shown else ""
    return plain_frame(title, f"<p>{escape(text)}</p>\n{listed}\n{onward}")


def plain_frame(title: str, content: str) -> str:
    """A page without scripts and without Gradio. `content` is HTML, of what people wrote only what was escaped."""
    root = web_root()
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)} - phototag</title>
<link rel="icon" href="{root}/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="{root}/base.css">
</head>
<body class="pt-plain">
<main>
<p class="pt-brand"><img src="{root}/icon.svg" alt="" width="28" height="28">phototag</p>
<h1>{escape(title)}</h1>
{content}
</main>
</body>
</html>
"""
