"""The OpenAPI document of the programming interface: what the routes say, with who may call them and their errors."""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

from ui.access import COOKIE, Needs
from ui.problems import TYPE_PREFIX
from ui.v1_fields import said

# Of the interface, not of phototag: it changes when a client has to.
VERSION = "1"
DESCRIPTION = """\
Tag photos, follow batches, read the library, record verdicts, change labels and model versions.

**Tokens.** Send `Authorization: Bearer TOKEN`. `phototag users token NAME --name SCRIPT --scopes read,submit` makes one
and prints it once; each route says which scope it needs. A token never allows more than its person's role: an owner
sees their own batches and photos, a reviewer all photos, an admin everything.

**Pages.** A list answers `next`, the address of the next page, to be asked for as it stands; null on the last page.

**Again.** Every request may be sent again when its answer was lost: what makes something takes an `Idempotency-Key`, or
has a token of its own, and is done once.

**Errors** are problem details (RFC 9457). Look at `code`; `detail` says what to do, for a person. After 429 and 503
wait as many seconds as `Retry-After` says.
"""
TAGS = {
    "submit": "Send photos: one alone, or a batch of files, each in parts if it is large.",
    "batches": "Follow batches; cancel, retry and delete them.",
    "library": "Photos, each once, with what models and people say of them.",
    "verdicts": "What people say of photos.",
    "labels": "The vocabulary.",
    "models": "Model versions: which tags, the way back, re-tagging with one, training one.",
    "about": "Who you are, and this document.",
}
SCOPES = {
    "read": "read batches, photos, labels and model versions",
    "submit": "send photos; cancel, retry and delete batches",
    "review": "record verdicts",
    "labels": "change labels",
    "models": "train, choose the model version that tags, re-tag",
}


class InvalidField(BaseModel):
    """A part of the request that was not understood."""

    where: Annotated[str, Field(examples=["query.limit"])]
    message: str


class Problem(BaseModel):
    """What went wrong, and what to do (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": f"{TYPE_PREFIX}scope-required",
                    "title": "The token is not for this",
                    "status": 403,
                    "detail": "This needs a token with the scope review.",
                    "code": "SCOPE_REQUIRED",
                }
            ]
        }
    )

    type: Annotated[str, Field(description="Names the kind of problem; it stays.")]
    title: Annotated[str, Field(description="The kind in words.")]
    status: int
    detail: Annotated[str, Field(description="What happened this time, and what to do.")]
    code: Annotated[str, Field(description="The kind, short.")]
    received: Annotated[int | None, Field(description="With `WRONG_OFFSET`: where the next part starts.")] = None
    errors: Annotated[list[InvalidField] | None, Field(description="With `INVALID`: what was not understood.")] = None


EVERYWHERE = {
    401: said("No token, or one that is unknown, revoked, over, or of a disabled person."),
    403: said("The token lacks the scope, or the person the role; `code` says which."),
    422: said("The request was not understood; `errors` says where."),
    429: said("Too many requests at once."),
    503: said("The database does not answer; try again soon."),
}
ON_WRITES = {507: said("The disk is full.")}
NOT_THERE = said("It does not exist, or is not yours.")


def api_routes(routes: list[Any]) -> Iterator[APIRoute]:
    """The routes below a router; FastAPI keeps included routers as they are."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from api_routes(route.original_router.routes)


def operation_id(route: APIRoute) -> str:
    """The function's name: those that would hide an imported one end with an underscore."""
    return route.name.removesuffix("_")


def needs_of(route: APIRoute) -> Needs:
    """The role and the scope that a route needs."""
    return next(need.call for need in route.dependant.dependencies if isinstance(need.call, Needs))


def document(router: APIRouter) -> dict[str, Any]:
    """The document, made from the routes."""
    made = get_openapi(
        title="phototag",
        version=VERSION,
        description=DESCRIPTION,
        routes=router.routes,
        tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        servers=[{"url": "/"}],
        separate_input_output_schemas=False,
    )
    needs = {operation_id(route): needs_of(route) for route in api_routes(list(router.routes))}
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            _say_who(operation, needs[operation["operationId"]])
            _add_errors(operation, path, method)
    components = made["components"]
    for replaced in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(replaced, None)
    components["schemas"] |= _schemas()
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "An API token: `phototag users token`."},
        "session": {
            "type": "apiKey", "in": "cookie", "name": COOKIE, "description": "The session of a person's browser.",
        },
    }  # fmt: skip
    return made


def _say_who(operation: dict[str, Any], needs: Needs) -> None:
    scope = f"Scope: `{needs.scope}`." if needs.scope in SCOPES else "Any token."
    role = "" if needs.role == "owner" else f" Role: {needs.role}."
    operation["description"] = f"{operation['description']}\n\n{scope}{role}"
    operation["security"] = [{"token": [needs.scope] if needs.scope in SCOPES else []}, {"session": []}]


def _add_errors(operation: dict[str, Any], path: str, method: str) -> None:
    errors = dict(EVERYWHERE)
    if "{" in path:
        errors[404] = NOT_THERE
    if method in {"post", "put"}:
        errors |= ON_WRITES
    own = operation["responses"]
    found = {str(status): answer for status, answer in errors.items()} | {
        status: answer for status, answer in own.items() if "HTTPValidationError" not in str(answer)
    }
    operation["responses"] = dict(sorted(found.items()))


def _schemas() -> dict[str, Any]:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs"), "Problem": schema}
