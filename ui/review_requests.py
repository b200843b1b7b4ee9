"""What the Review page asks for and says, as its routes take it."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from db.review_queue import Reason
from db.reviews import Said
from ui.library_view import Selection, View

PhotoId = Annotated[int, Field(ge=1, le=2**62)]
Seat = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{8,40}$")]
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{8,64}$")]
# A page of the grid, what is on its way, and room.
MAX_KEPT = 600
MAX_CLAIMED = 30
MAX_GRID = 240
MAX_VERDICTS = 1000
DAY_MS = 24 * 3600 * 1000


class Asked(BaseModel):
    """Base of all: a field that is not known is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class InSeat(Asked):
    """Whose screen it is about."""

    seat: Seat


class NextPhotos(InSeat):
    """The next photos of a queue, for this seat alone.

    Attributes:
        keep: photos that are still on the screen; the seat's others are given back.
        count: how many more.
    """

    queue: Reason | Literal["mixed"] = "mixed"
    view: View = View()
    keep: Annotated[list[PhotoId], Field(max_length=MAX_KEPT)] = []
    count: Annotated[int, Field(ge=0, le=MAX_CLAIMED)] = 10


class GridPage(InSeat):
    """Photos that show one label, most certain first, for this seat alone.

    Attributes:
        after: score and id of the photo before the first one.
    """

    label: PhotoId
    view: View = View()
    keep: Annotated[list[PhotoId], Field(max_length=MAX_KEPT)] = []
    after: tuple[Annotated[float, Field(ge=0, le=1)], PhotoId] | None = None
    count: Annotated[int, Field(ge=0, le=MAX_GRID)] = 60


class OfView(Asked):
    """Under the Library's filters."""

    view: View = View()


class VerdictWords(Asked):
    """What a person says: a label, which is named then, or something else."""

    verdict: Literal["label", "none", "unsure", "skip"]
    label: PhotoId | None = None

    @model_validator(mode="after")
    def _label_where_it_belongs(self) -> Self:
        if (self.verdict == "label") != (self.label is not None):
            msg = "The verdict `label` needs a `label`, the others take none."
            raise ValueError(msg)
        return self


class OneVerdict(VerdictWords):
    """What a person says of one photo; see `db.reviews.Said`."""

    photo: PhotoId
    seen: Annotated[int, Field(ge=0, le=2**62)] | None = None
    reason: Reason | None = None
    took_ms: Annotated[int, Field(ge=0, le=DAY_MS)] | None = None

    @property
    def said(self) -> Said:
        """As the database takes it."""
        return Said(self.photo, self.verdict, self.label, self.seen, self.reason, self.took_ms)


class Stroke(Asked):
    """Verdicts that a person gave with one key."""

    token: Token
    source: Literal["single", "grid", "alike", "library"]
    verdicts: Annotated[list[OneVerdict], Field(min_length=1, max_length=MAX_VERDICTS)]


class SelectionVerdict(VerdictWords):
    """One verdict on photos that were selected in the Library."""

    token: Token
    selection: Selection


class TakeBack(Asked):
    """The undo of the person's last stroke."""

    token: Token
