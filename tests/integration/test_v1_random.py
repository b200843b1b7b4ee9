"""/api/v1 with values that nobody would send: drawn from the OpenAPI document, or against it. Never an error of ours."""

import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.sql import SQL, Identifier
from sqlalchemy import make_url

from db.batches import create_batch
from db.users import find_user
from tests.integration.v1 import PROBLEM, program
from tests.stack import Pages, serving
from tests.write_openapi import DOCUMENT

SPEC: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
OPERATIONS = [(method, path) for path, methods in SPEC["paths"].items() for method in methods]
EXAMPLES = 10
SLOW = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large, HealthCheck.large_base_example)

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["\0", "\ud800", "\u202e", "'; DROP TABLE photos; --", "../../etc/passwd", "%00", "9" * 400]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def pages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """The pages on each database: what one takes, the other may refuse, zero characters for one."""
    url = None
    if request.param == "postgres":
        server = make_url(request.getfixturevalue("postgres_server"))
        name = f"random_{uuid.uuid4().hex}"
        with psycopg.connect(server.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        url = server.set(drivername="postgresql+psycopg", database=name).render_as_string(hide_password=False)
    with serving(tmp_path_factory.mktemp("random") / "phototag-data", database_url=url) as running:
        yield running


@pytest.fixture(scope="module")
def api(pages: Pages) -> Iterator[httpx.Client]:
    """A program of an admin's: it gets furthest."""
    with program(pages, "admin") as client:
        client.headers["Content-Type"] = "application/json"
        yield client


@pytest.fixture(scope="module")
def batch_id(pages: Pages, api: httpx.Client) -> str:
    """A batch that takes files, to get beyond the id."""
    with pages.database.transaction() as session:
        user = find_user(session, api.get("me").json()["name"])
        return create_batch(session, user.id, "random", priority=5).id


def of_schema(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema allows, mostly; its limits among them."""
    if "$ref" in schema:
        return of_schema(SPEC["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return st.one_of([of_schema(each) for each in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = {"integer": integers, "number": numbers, "string": texts, "array": lists, "object": objects}
    return kinds.get(schema.get("type", ""), lambda _: st.sampled_from([None, True, False]))(schema)


def integers(schema: dict[str, Any]) -> st.SearchStrategy[int]:
    """Small ones, the limits, one beyond each, and what no column takes."""
    low, high = schema.get("minimum", -(2**63)), schema.get("maximum", 2**63)
    limits = [low, high, low - 1, high + 1, 2**31, 2**63, -(2**63) - 1, 2**70]
    usual = st.integers(low, min(high, low + 20))
    return st.booleans().flatmap(lambda odd: st.sampled_from(limits) if odd else usual)


def numbers(schema: dict[str, Any]) -> st.SearchStrategy[float]:
    """Within the limits."""
    return st.floats(schema.get("minimum", -1e9), schema.get("maximum", 1e9))


def texts(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    """Of the pattern, or of a length that is allowed; and some that a database does not take."""
    if "pattern" in schema:
        usual = st.from_regex(schema["pattern"].replace("$", r"\Z"))
    else:
        usual = st.text(min_size=schema.get("minLength", 0), max_size=min(schema.get("maxLength", 30), 250))
    odd_ones = st.sampled_from(["a\0b", "\0", "\ud800x", "a" * 300])
    return st.integers(0, 2).flatmap(lambda n: odd_ones if n == 0 else usual)


def lists(schema: dict[str, Any]) -> st.SearchStrategy[list[Any]]:
    """Short ones."""
    return st.lists(of_schema(schema["items"]), max_size=3)


def objects(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """With all that is required, and some of the rest."""
    required = set(schema.get("required", ()))
    parts = {name: of_schema(each) for name, each in schema.get("properties", {}).items()}
    return st.fixed_dictionaries(
        {name: each for name, each in parts.items() if name in required},
        optional={name: each for name, each in parts.items() if name not in required},
    )


def rarely_odd(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One in five is anything."""
    return st.integers(0, 4).flatmap(lambda n: ODD if n == 0 else usual)


def text_of(value: Any) -> str:
    """A value as an address or a header has it."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode(errors="replace").decode()


def send(api: httpx.Client, data: st.DataObject, method: str, path: str, batch_id: str) -> httpx.Response:
    """A request of random parts; those of the path are there at least."""
    operation = SPEC["paths"][path][method]
    query: list[tuple[str, str]] = []
    headers: dict[str, str] = {}
    for parameter in operation.get("parameters", []):
        name, place = parameter["name"], parameter["in"]
        if place == "path":
            known = st.just(batch_id) if name == "batch_id" else of_schema(parameter["schema"])
            value = data.draw(rarely_odd(known), label=name)
            path = path.replace(f"{{{name}}}", quote(text_of(value) or "x", safe=""))
        elif data.draw(st.booleans(), label=f"with {name}"):
            text = text_of(data.draw(rarely_odd(of_schema(parameter["schema"])), label=name))
            if place == "query":
                query.append((name, text[:500]))
            else:
                headers[name] = "".join(c for c in text if " " <= c <= "~")[:500]
    # nobody waits for labels here
    query = [(name, value) for name, value in query if name != "wait_s"]
    body = None
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        schema = content["application/json"]["schema"]
        body = json.dumps(data.draw(rarely_odd(of_schema(schema)), label="body")).encode()
    elif content:
        body = data.draw(st.binary(max_size=50), label="body")
    address = f"{api.base_url.join(path)}?{urlencode(query)}"
    return api.request(method.upper(), address, content=body, headers=headers)


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[f"{method} {path}" for method, path in OPERATIONS])
def test_no_request_is_answered_by_an_error_of_ours(
    pages: Pages, api: httpx.Client, batch_id: str, method: str, path: str
) -> None:
    """What is not understood is refused in the shape of a problem, with a status that the document names."""
    named = SPEC["paths"][path][method]["responses"]

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[*SLOW], database=None)
    @given(st.data())
    def requests(data: st.DataObject) -> None:
        answer = send(api, data, method, path, batch_id)

        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == PROBLEM, answer.text
            assert answer.json()["code"], answer.text
        # an odd part of the path may lead elsewhere, to another route or to none
        assert str(answer.status_code) in named or answer.status_code in {404, 405}, answer.text

    requests()


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[f"{method} {path}" for method, path in OPERATIONS])
def test_no_parameter_takes_what_no_column_takes(
    pages: Pages, api: httpx.Client, batch_id: str, method: str, path: str
) -> None:
    """Each parameter in turn, the others as they should be: numbers beyond 64 bits, zero characters."""
    parameters = SPEC["paths"][path][method].get("parameters", [])
    usual = {"batch_id": batch_id, "path": "a.jpg", "name": "a"}
    needed = {each["name"]: usual.get(each["name"], "1") for each in parameters if each["required"]}
    for parameter in parameters:
        for value in ("9223372036854775808", str(2**70), str(-(2**70)), "0", "-1", "a\0b", "\0", "NaN"):
            if parameter["in"] == "header" and "\0" in value:
                continue
            values = needed | {parameter["name"]: value}
            where = {each["name"]: each["in"] for each in parameters}
            address = path
            for name in (name for name, place in where.items() if place == "path"):
                address = address.replace(f"{{{name}}}", quote(values[name], safe=""))
            query = {name: text for name, text in values.items() if where[name] == "query"}
            headers = {name: text for name, text in values.items() if where[name] == "header"}

            answer = api.request(
                method.upper(), f"{api.base_url.join(address)}?{urlencode(query)}", content=b"{}", headers=headers
            )

            assert answer.status_code < 500, (parameter["name"], value, answer.text)
