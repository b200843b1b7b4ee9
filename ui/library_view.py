"""A view of the library as an address or a command names it: filters, order, and where a page begins."""

import datetime as dt
from typing import Annotated, Literal, Self

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field, model_validator

from db.library_filter import LibraryFilter
from db.library_order import Cursor, Sort, beyond

State = Literal["tagged", "untagged", "refused", "failed", "any"]
# Nothing was photographed before; the year 9999 ends what dates can say.
EARLIEST, LATEST = dt.date(1800, 1, 1), dt.date(9998, 12, 31)
FALLING: tuple[Sort, ...] = ("date", "score", "newest")


class View(BaseModel):
    """The query of a library address. Names are short: people read and share them."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    label: Annotated[
        int | None, Field(ge=1, le=2**62, description="Id of a label: photos that show it, or one below it.")
    ] = None
    min_score: Annotated[
        float | None, Field(ge=0, le=1, description="Least score of the shown label; photos without one are left out.")
    ] = None
    max_score: Annotated[float | None, Field(ge=0, le=1, description="Greatest score, as `min_score`.")] = None
    sure: Annotated[
        Literal["yes", "no"] | None, Field(description="Whether the model's best score reaches its threshold.")
    ] = None
    batch: Annotated[str | None, Field(pattern="^[a-z][a-z0-9]{11}$", description="Only photos of this batch.")] = None
    state: Annotated[State, Field(description="Only photos in this state.")] = "tagged"
    taken_from: Annotated[
        dt.date | None, Field(alias="from", ge=EARLIEST, le=LATEST, description="First day, by the photo's date.")
    ] = None
    taken_to: Annotated[
        dt.date | None, Field(alias="to", ge=EARLIEST, le=LATEST, description="Last day, included.")
    ] = None
    camera: Annotated[int | None, Field(ge=1, le=2**62, description="Id of a camera.")] = None
    format: Annotated[
        str | None, Field(pattern="^[A-Z0-9]{1,8}$", description="Format of the file.", examples=["JPEG"])
    ] = None
    name: Annotated[str, Field(max_length=200, description="Each word of it begins a word of the file's name.")] = ""
    sort: Annotated[
        Sort,
        Field(description="`date` taken, `score` (only photos that have one), `name`, or `newest` accepted first."),
    ] = "date"
    order: Annotated[
        Literal["up", "down"] | None, Field(description="Names rise unless asked otherwise, all else falls.")
    ] = None

    @model_validator(mode="after")
    def _ranges_are_not_empty(self) -> Self:
        if self.taken_from and self.taken_to and self.taken_from > self.taken_to:
            msg = "The first day must not be after the last one."
            raise ValueError(msg)
        if self.min_score is not None and self.max_score is not None and self.min_score > self.max_score:
            msg = "The lowest score must not be above the highest one."
            raise ValueError(msg)
        return self

    @property
    def chosen(self) -> LibraryFilter:
        """What the database filters by."""
        return LibraryFilter(
            label_id=self.label,
            min_score=self.min_score,
            max_score=self.max_score,
            not_sure=None if self.sure is None else self.sure == "no",
            batch_id=self.batch,
            state=None if self.state == "any" else self.state,
            taken_from=self.taken_from,
            taken_to=self.taken_to,
            camera_id=self.camera,
            format=self.format,
            name=self.name,
        )

    @property
    def descending(self) -> bool:
        """Names rise unless asked otherwise; dates, scores and arrivals fall."""
        return self.sort in FALLING if self.order is None else self.order == "down"


class Selection(BaseModel):
    """Photos that something is to be done with: by id, or all of a view."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: Annotated[list[Annotated[int, Field(ge=1, le=2**62)]], Field(max_length=10_000)] | None = None
    view: View | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.ids is None) == (self.view is None):
            msg = "Send either `ids` or `view`."
            raise ValueError(msg)
        return self


def cursor_of(text: str | None, view: View) -> Cursor | None:
    """The place that `text` names in the order of `view`.

    Raises:
        HTTPException: 422, it is no place of that order.
    """
    if not text:
        return None
    try:
        cursor = Cursor.from_text(text)
        beyond(view.sort, cursor, descending=view.descending)  # is it of this order?
    except ValueError as error:
        raise HTTPException(422, "This address is cut off or of another order. Open the Library again.") from error
    return cursor
