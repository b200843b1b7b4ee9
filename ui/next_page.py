"""Where a person goes after the login: the page that they had asked for, never another site."""

import re
from urllib.parse import parse_qsl, quote, urlencode

HOME = "/app/"
MAX_CHARS = 2000
# A browser takes // and /\ for another host, and drops tabs and line breaks first: only plain paths of ours pass.
PATH = re.compile(r"/(?![/\\])[A-Za-z0-9._~!$&'()*+,;=:@%/-]*(\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?")
NOT_PAGES = re.compile(r"/(login|logout|api|media|web|health)\b")


def next_page(asked: str) -> str:
    """`asked` if it is an address of a page of ours, else the start page."""
    if len(asked) > MAX_CHARS or not PATH.fullmatch(asked) or "//" in asked.partition("?")[0] or NOT_PAGES.match(asked):
        return HOME
    return asked


def login_address(path: str, query: str) -> str:
    """The address of the login that leads back to this one."""
    asked = quote(path, safe="/") + (f"?{urlencode(parse_qsl(query, keep_blank_values=True))}" if query else "")
    return "/login" if next_page(asked) in ("/", HOME) else f"/login?{urlencode({'next': asked})}"
