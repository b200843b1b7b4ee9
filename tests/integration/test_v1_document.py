"""The OpenAPI document: complete, sound, and as the repository shows it."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from db.api_tokens import SCOPES
from tests.access_table import ROUTES
from tests.integration.v1 import problem, program
from tests.stack import Pages
from tests.write_openapi import DOCUMENT, written
from ui.problems import TITLES
from ui.v1_document import SCOPES as DESCRIBED_SCOPES
from ui.v1_document import Problem
from ui.v1_verdicts import Verdict, Verdicts

METHODS = {"get", "put", "post", "delete", "patch"}


@pytest.fixture(scope="module")
def document(pages: Pages) -> dict[str, Any]:
    """As a token gets it, whatever it is for."""
    with program(pages, "owner", "labels") as client:
        return client.get("openapi.json").json()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(method, path, operation)."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert method in METHODS
            yield method, path, operation


def inner(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from inner(each)
    elif isinstance(value, list):
        for each in value:
            yield from inner(each)


def test_the_document_is_as_the_repository_shows_it(admin: httpx.Client) -> None:
    """So that a change of the interface is seen in review."""
    assert written(admin) == DOCUMENT.read_text(encoding="utf-8"), "run `make openapi` and look at what changed"


def test_every_route_below_api_v1_is_described(document: dict[str, Any]) -> None:
    """The table of who may call what has them all."""
    routes = {(route.method.lower(), route.path) for route in ROUTES if route.path.startswith("/api/v1/")}

    assert {(method, path) for method, path, _ in operations(document)} == routes


def test_who_may_call_a_route_is_said_as_it_is(document: dict[str, Any]) -> None:
    """Scope and role, from the table."""
    table = {(route.method.lower(), route.path): route for route in ROUTES}
    for method, path, operation in operations(document):
        route = table[method, path]
        scopes = [] if route.scope == "any" else [route.scope]
        assert operation["security"] == [{"token": scopes}, {"session": []}]
        assert (f"Role: {route.needs}." in operation["description"]) == (route.needs != "owner"), path
        assert not scopes or f"Scope: `{route.scope}`." in operation["description"]
    assert set(DESCRIBED_SCOPES) <= set(SCOPES)


def test_the_document_keeps_the_rules_of_openapi(document: dict[str, Any]) -> None:
    """References lead somewhere, ids are unique, path parameters are declared, answers are described."""
    assert document["openapi"].startswith("3.1.")
    assert {"title", "version", "description"} <= document["info"].keys()
    for found in inner(document):
        if isinstance(found.get("$ref"), str):
            part: Any = document
            for name in found["$ref"].removeprefix("#/").split("/"):
                part = part[name]
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    tags = {tag["name"] for tag in document["tags"]}
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[a-z_]+[a-z]", each) for each in ids)
    for method, path, operation in operations(document):
        parameters = operation.get("parameters", [])
        in_path = {each["name"] for each in parameters if each["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path)), path
        assert all(each["required"] for each in parameters if each["in"] == "path")
        assert len({(each["in"], each["name"]) for each in parameters}) == len(parameters)
        assert set(operation["tags"]) <= tags
        assert operation["summary"]
        assert all(re.fullmatch(r"[1-5]\d\d", status) for status in operation["responses"])
        assert all(answer["description"] for answer in operation["responses"].values())
        assert (method in {"post", "put"} and "{" not in path) <= ("requestBody" in operation), path
        assert not {each for security in operation["security"] for each in security} - set(
            document["components"]["securitySchemes"]
        )


def test_every_error_is_a_problem(document: dict[str, Any]) -> None:
    """In the same shape; what everybody must reckon with is said of every route."""
    for _, path, operation in operations(document):
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"401", "403", "422", "429", "503"} <= errors.keys(), path
        assert ("404" in errors) >= ("{" in path), path
        for answer in errors.values():
            assert list(answer["content"]) == ["application/problem+json"], (path, answer)
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_schema_and_every_parameter_that_needs_it_says_what_it_is(document: dict[str, Any]) -> None:
    """A stranger writes a client from this alone."""
    silent = [name for name, schema in document["components"]["schemas"].items() if not schema.get("description")]
    parameters = [
        (path, each["name"])
        for _, path, operation in operations(document)
        for each in operation.get("parameters", [])
        if each["in"] != "path" and not (each.get("description") or each["schema"].get("description"))
    ]

    assert silent == []
    assert parameters == []


def test_the_examples_are_what_they_show() -> None:
    """They would be accepted."""
    for model in (Verdict, Verdicts, Problem):
        examples = model.model_json_schema()["examples"]
        assert [model.model_validate(example) for example in examples]
    assert Problem.model_json_schema()["examples"][0]["code"] in TITLES


def test_the_document_is_not_for_strangers(stranger: httpx.Client) -> None:
    """Whoever is logged in may read it, or has a token of any kind."""
    problem(stranger.get("/api/v1/openapi.json"), 401, "LOGIN_REQUIRED")
