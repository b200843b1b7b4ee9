"""What the routes of the programming interface share: who may call them, ids, pages, errors."""

import base64
import binascii
import datetime as dt
from typing import Annotated, Any

from fastapi import Depends, Header, HTTPException, Query, Request
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field

from db.batches import BatchPlace
from db.schema import User
from ui.access import Needs
from ui.problems import PROBLEM_TYPE

MAX_ID = 2**62
MAX_PAGE = 200
MAX_CURSOR_CHARS = 2000
BATCH_ID = "^[a-z][a-z0-9]{11}$"
# A name that a client makes up, for a request that may be sent again.
TOKEN = "^[!-~]{8,64}$"  # noqa: S105 - what one looks like

Anyone = Annotated[User, Depends(Needs("owner", "any"))]
Reader = Annotated[User, Depends(Needs("owner", "read"))]
Submitter = Annotated[User, Depends(Needs("owner", "submit"))]
Reviewer = Annotated[User, Depends(Needs("reviewer", "review"))]
Labeller = Annotated[User, Depends(Needs("reviewer", "labels"))]
# Photos of everybody stand behind runs and re-tags.
ModelReader = Annotated[User, Depends(Needs("admin", "read"))]
Activator = Annotated[User, Depends(Needs("admin", "models"))]

BatchId = Annotated[str, PathParameter(pattern=BATCH_ID, description="The batch, as it was answered when it was made.")]
PhotoId = Annotated[int, PathParameter(ge=1, le=MAX_ID)]
RunId = Annotated[int, PathParameter(ge=1, le=MAX_ID)]
LabelId = Annotated[int, PathParameter(ge=1, le=MAX_ID)]
Id = Annotated[int, Field(ge=1, le=MAX_ID)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="At most so many on this page.")]
Cursor = Annotated[
    str | None,
    Query(max_length=MAX_CURSOR_CHARS, description="Where the page begins; leave it to `next`, which has it."),
]
RowCursor = Annotated[
    int | None, Query(alias="cursor", ge=1, le=MAX_ID, description="Where the page begins; leave it to `next`.")
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=TOKEN,
        description="8 to 64 visible characters that you make up once for what you send. The same key again gives what"
        " was made then, so that a request whose answer was lost can be sent again.",
    ),
]
Next = Annotated[
    str | None, Field(description="The address of the next page, to be asked for as it stands; null: this is the last.")
]
LocalTime = Annotated[
    str | None, Field(description="As the camera's clock said, without a zone.", examples=["2024-07-01T12:30:00"])
]
Score = Annotated[float, Field(description="In [0, 1].")]


class Answer(BaseModel):
    """What a route answers."""

    model_config = ConfigDict(frozen=True)


class Asked(BaseModel):
    """What a route is sent; a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def next_page(request: Request, cursor: str | int | None) -> str | None:
    """The address of the page that begins at `cursor`; None without one."""
    if cursor is None:
        return None
    address = request.url.include_query_params(cursor=cursor)
    return f"{address.path}?{address.query}"


def batch_cursor(place: BatchPlace) -> str:
    """The place of a batch for an address."""
    text = f"{place.created_at.isoformat()} {place.batch_id}"
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def batch_place(cursor: str | None) -> BatchPlace | None:
    """What `batch_cursor` made.

    Raises:
        HTTPException: 422, it is no such place.
    """
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        at, _, batch_id = raw.decode("ascii").partition(" ")
        return BatchPlace(dt.datetime.fromisoformat(at).astimezone(dt.UTC), batch_id)
    except (ValueError, OverflowError, binascii.Error) as error:
        raise HTTPException(422, "This cursor is no place in the list. Begin again without one.") from error


def said(description: str) -> dict[str, Any]:
    """An error of the OpenAPI document: what it means here."""
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": description, "content": content}
