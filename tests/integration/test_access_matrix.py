"""Who may call what: one cell for every route and every function, and everybody who might ask."""

import itertools
import re
import secrets
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from sqlalchemy import func, select

from db.api_tokens import SCOPES, new_api_token
from db.batches import NewItem, add_items, create_batch, seal_batch
from db.blobs import Blobs, open_blobs
from db.labels import ensure_labels
from db.schema import Batch, Item, Photo
from db.settings import DataSettings
from db.users import add_user, find_user, local_admin
from tests.access_table import FUNCTIONS, GRADIO, ROUTES, Route, filled, gradio_routes
from tests.integration.web_batches import tag_all
from tests.samples import encoded, picture
from tests.stack import Pages, described_routes, serving
from ui.access import RANKS
from ui.pages.layout import MOUNTS

# alice owns what the requests name, bob owns nothing; rita is a reviewer.
PEOPLE = {"alice": "owner", "bob": "owner", "rita": "reviewer", "root": "admin"}
CALLERS = ("stranger", *PEOPLE)
# With a token: of whom, and whether it has the scope that the route needs, or all others.
BEARERS = tuple(f"{name} {has}" for name in PEOPLE for has in ("with", "without"))
SECRET = "alice-secret"
HOW = "Give it a line in tests/access_table.py: who may call it, and whose things it names."

OUR_CELLS = [
    *((route, caller) for route in ROUTES for caller in CALLERS),
    *((route, bearer) for route in ROUTES if route.scope for bearer in BEARERS),
]
GRADIO_CELLS = [
    (mount, method, path, kind, caller)
    for mount in MOUNTS
    for (method, path), kind in gradio_routes(mount).items()
    for caller in CALLERS
]
FUNCTION_CELLS = [
    (mount, name, role, by, caller) for (mount, name), role in FUNCTIONS.items() for by in ("name", "index") for caller in CALLERS
]  # fmt: skip

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The routes and functions that there are."""
    return described_routes(tmp_path_factory.mktemp("routes") / "phototag-data")


class Stage(NamedTuple):
    """The running pages, and everybody's client."""

    pages: Pages
    blobs: Blobs
    clients: dict[str, httpx.Client]

    def client(self, route: Route, caller: str) -> httpx.Client:
        """The caller's client; a new one where the route ends the session."""
        key = f"{caller} {route.scope}" if " " in caller else f"{caller} once" if route.fresh else caller
        if key not in self.clients:
            self.clients[key] = self._made(route, caller)
        return self.clients[key]

    def _made(self, route: Route, caller: str) -> httpx.Client:
        name, _, has = caller.partition(" ")
        if not has:
            return self.pages.client(name) if name in PEOPLE else self.pages.stranger()
        scopes = [scope for scope in SCOPES if route.scope == "any" or (scope == route.scope) == (has == "with")]
        with self.pages.database.transaction() as session:
            _, token = new_api_token(session, find_user(session, name).id, secrets.token_hex(8), scopes)
        return httpx.Client(base_url=self.pages.url, timeout=30, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Everybody is logged in."""
    with serving(tmp_path_factory.mktemp("matrix") / "phototag-data") as pages:
        with pages.database.transaction() as session:
            local_admin(session)
            for name, role in PEOPLE.items():
                add_user(session, name, role)
        clients = {name: pages.client(name) for name in PEOPLE} | {"stranger": pages.stranger()}
        yield Stage(pages, open_blobs(DataSettings(data_dir=pages.data_dir, blobs_url=None)), clients)
        for client in clients.values():
            client.close()


def alices_things(stage: Stage, theirs: str) -> dict[str, Any]:
    """Ids of things that are alice's: a batch with one tagged photo that nobody else has, or one that is being sent."""
    data = f"photo {next(numbers)}".encode()
    with stage.pages.database.transaction() as session:
        batch = create_batch(session, find_user(session, "alice").id, SECRET, priority=2)
        if theirs == "receiving":
            return {"batch_id": batch.id}
        sha256 = stage.blobs.add_bytes(data)
        stage.blobs.write_preview(sha256, 320, encoded(picture(32, 24), "WEBP"))
        add_items(session, batch.id, [NewItem(1, f"{SECRET}.jpg", sha256, len(data))])
        seal_batch(session, batch.id)
    tag_all(stage.pages, batch.id)
    with stage.pages.database.reading() as session:
        photo_id = session.scalars(select(Photo.id).where(Photo.sha256 == sha256)).one()
    return {"batch_id": batch.id, "photo_id": photo_id}


def somebody(stage: Stage) -> int:
    """An account for an admin to act on."""
    with stage.pages.database.transaction() as session:
        return add_user(session, f"person {next(numbers)}", "owner").id


def a_label(stage: Stage) -> int:
    """A label to act on."""
    with stage.pages.database.transaction() as session:
        return ensure_labels(session, [(f"label {next(numbers)}",)])[0]


def state_of(stage: Stage, things: dict[str, Any]) -> tuple[Any, ...]:
    """What others must not be able to change: the batch, its items, the photo."""
    with stage.pages.database.reading() as session:
        batch = session.get(Batch, things.get("batch_id", ""))
        items = session.scalar(select(func.count()).where(Item.batch_id == things.get("batch_id", "")))
        photo = session.get(Photo, things.get("photo_id", 0))
        return (batch and (batch.state, batch.name), items, photo and (photo.state, photo.shown_label_id))


def expected(route: Route, caller: str) -> str:
    """What should happen: 401, 303, 403, 404 or open."""
    if route.needs == "public":
        return "open"
    if caller == "stranger":
        return "401"
    name, _, has = caller.partition(" ")
    role = PEOPLE[name]
    if route.needs != "anyone" and RANKS[role] < RANKS[route.needs]:
        return "403"
    if has.startswith("without") and route.scope != "any":
        return "403"
    if route.theirs and name != "alice" and route.reach != "all":
        reaches = route.reach != "nobody" and RANKS[role] >= RANKS[route.reach]
        return "open" if reaches else "404"
    return "open"


def outcome(answer: httpx.Response, *, may_miss: bool = False) -> str:
    """The same words for what happened."""
    if answer.status_code == 303 and answer.headers["location"].startswith("/login"):
        return "401"
    if answer.status_code == 401 and answer.url.path == "/login":  # a wrong password, not a refusal of whoever asks
        return "open"
    if answer.status_code in {401, 403}:
        return str(answer.status_code)
    if answer.status_code == 404:
        return "open" if may_miss else "404"
    assert answer.status_code < 500, answer.text
    return "open"


def send(stage: Stage, route: Route, caller: str, values: dict[str, Any]) -> httpx.Response:
    """The request of one cell."""
    path = filled(route.path, values) + (f"?{filled(route.query, values)}" if route.query else "")
    client = stage.client(route, caller)
    if route.raw is not None:
        return client.request(route.method, path, content=route.raw)
    return client.request(route.method, path, json=None if route.body is None else filled(route.body, values))


def name_of(cell: tuple[Any, ...]) -> str:
    """A cell's name in the list of tests."""
    return " ".join(f"{part.method} {part.path}" if isinstance(part, Route) else str(part) for part in cell)


@pytest.mark.parametrize(("route", "caller"), OUR_CELLS, ids=map(name_of, OUR_CELLS))
def test_a_route_of_ours(stage: Stage, route: Route, caller: str) -> None:
    """Answered or refused as the table says; who is refused has changed nothing and has seen nothing."""
    things = alices_things(stage, route.theirs) if route.theirs else {}
    values = {"form": "csv", "size": "320", "number": 1, "version": "abc", "name": "boot.js", **things}
    values |= {"person_id": somebody(stage)} if "{person_id}" in route.path else {}
    values |= {"label_id": a_label(stage)} if "{label_id}" in route.path else {}
    before = state_of(stage, things)

    answer = send(stage, route, caller, values)

    may_miss = route.may_miss and not (caller == "stranger" and route.needs != "public")
    assert outcome(answer, may_miss=may_miss) == expected(route, caller), answer.text[:300]
    mine = caller.partition(" ")[0]
    if route.theirs and mine not in {"alice", "root"}:
        assert state_of(stage, things) == before
    if mine in {"stranger", "bob"}:
        assert SECRET not in answer.text


@pytest.mark.parametrize(("mount", "method", "path", "kind", "caller"), GRADIO_CELLS, ids=map(name_of, GRADIO_CELLS))
def test_a_route_of_gradio_s(stage: Stage, mount: str, method: str, path: str, kind: str, caller: str) -> None:
    """For the role of its mount, or for nobody."""
    address = re.sub(r"\{[^}]+\}", "x1", path)
    if path.endswith(("heartbeat/{session_hash}", "queue/data", "upload_progress")):
        address = address.replace("x1", "")  # a stream would not end; without a name it is refused, but for its form

    client = stage.clients[caller]
    answer = client.request(method, address, json={"data": []} if method == "POST" else None)

    if kind == "static":
        allowed = {"open", "404"}
    elif caller == "stranger":
        allowed = {"401"}
    elif RANKS[PEOPLE[caller]] < RANKS[MOUNTS[mount]]:
        allowed = {"403"}
    else:
        # 404: of calls, that a stream or an upload must be named to be one's own
        allowed = {"404"} if kind == "closed" else {"open"} if kind == "page" else {"open", "404"}
    assert outcome(answer) in allowed, answer.text[:300]
    if kind == "closed":
        assert answer.status_code in {401, 403, 404}


@pytest.mark.parametrize(("mount", "name", "role", "by", "caller"), FUNCTION_CELLS, ids=map(name_of, FUNCTION_CELLS))
def test_a_function_of_gradio_s(stage: Stage, mount: str, name: str, role: str, by: str, caller: str) -> None:
    """By its number through the queue, as the front end calls it; by its name in no other way."""
    client = stage.clients[caller]
    config = stage.clients["root"].get(f"{mount}/config").json()
    index = next(each["id"] for each in config["dependencies"] if each["api_name"] == name)
    called = {"data": [None], "session_hash": secrets.token_hex(5), "trigger_id": None}
    if by == "index":
        answer = client.post(f"{mount}/gradio_api/queue/join", json=called | {"fn_index": index})
        wanted = "open"
    else:
        answers = [
            client.post(f"{mount}/gradio_api/{kind}/{name}", json=called) for kind in ("run", "call", "api", "call/v2")
        ]
        assert len({outcome(each) for each in answers}) == 1
        answer, wanted = answers[0], "404"

    if caller == "stranger":
        wanted = "401"
    elif RANKS[PEOPLE[caller]] < max(RANKS[role], RANKS[MOUNTS[mount]]):
        wanted = "403"
    assert outcome(answer) == wanted, answer.text[:300]


def test_every_route_and_function_is_in_the_table(described: dict[str, Any]) -> None:
    """With the role and the scope that it names itself; and the table names none that is gone."""
    ours = {(method, path): (roles, scopes) for method, path, roles, scopes, is_ours in described["routes"] if is_ours}
    listed = {(route.method, route.path): route for route in ROUTES}
    for method, path in ours.keys() - listed.keys():
        pytest.fail(f"{method} {path} is new. {HOW}")
    assert listed.keys() - ours.keys() == set(), "these are gone: take their lines out of tests/access_table.py"
    for key, (roles, scopes) in ours.items():
        route = listed[key]
        assert roles == ([] if route.needs in {"public", "anyone"} else [route.needs]), key
        assert scopes == ([route.scope] if route.scope else []), key

    theirs = {(method, path) for method, path, *_, is_ours in described["routes"] if not is_ours}
    known = {key for mount in MOUNTS for key in gradio_routes(mount)}
    for method, path in theirs - known:
        pytest.fail(f"{method} {path} is new in Gradio. Decide about it in tests/access_table.py: most are closed.")
    assert known - theirs == set(), "Gradio has these no more: take them out of tests/access_table.py"
    assert {(mount, name): role for mount, name, role in described["by_mount"]} == FUNCTIONS


def test_routes_below_api_v1_name_a_scope_and_no_others_do() -> None:
    """A token is for those; a route that forgot its scope would be closed to all tokens."""
    for route in ROUTES:
        below = route.path.startswith("/api/v1/") and route.needs not in {"public", "anyone"}
        assert bool(route.scope) == below, route.path


def test_the_matrix_has_hundreds_of_cells() -> None:
    """Generated, none by hand."""
    assert len(OUR_CELLS) > 280
    assert len(OUR_CELLS) + len(GRADIO_CELLS) + len(FUNCTION_CELLS) > 1000
    assert sum(map(len, GRADIO.values())) > 60
