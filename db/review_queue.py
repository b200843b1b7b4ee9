"""What a reviewer gets on the screen: photos that wait for a verdict, on nobody else's screen meanwhile."""

import secrets
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from sqlalchemy.orm import Session

from db.library_filter import LibraryFilter
from db.review_candidates import Reason, candidates, of_label
from db.review_leases import keep_only, take
from db.review_scope import in_order, scope_of
from db.reviews import require_reviewer
from db.schema import User

LEASE_S = 180.0
# Turns of the mixed queue: what is most likely wrong first, and a fixed share for the audit.
MIX: tuple[Reason, ...] = (
    *("contradiction", "mislabelled", "not_sure", "disagree", "not_sure"),
    *("few", "not_sure", "audit", "never"),
)
# Who looks for photos finds some that another has just taken; looks again; then is alone with the leases.
ROUNDS = 3

Find = Callable[[int], list["Queued"]]


class Queued(NamedTuple):
    """A photo, and why it is shown."""

    photo_id: int
    reason: Reason


def claim_photos(
    session: Session,
    user: User,
    seat: str,
    *,
    queue: Reason | Literal["mixed"],
    chosen: LibraryFilter,
    keep: Sequence[int],
    count: int,
    lease_s: float = LEASE_S,
) -> list[Queued]:
    """Up to `count` photos more for this seat, in the queue's order, without those that the person skipped lately.

    Args:
        session: of a write transaction.
        user: a reviewer or an admin.
        seat: the tab, by a name that it made; two tabs share no photo.
        queue: one reason, or "mixed": all but second opinions take turns.
        chosen: the library's filter.
        keep: what stays on the screen; its leases are prolonged, the seat's others are given back.
        count: of new ones.
        lease_s: how long nobody else gets them.

    Raises:
        NotAllowedError: the person is no reviewer.
        NotFoundError: the batch of the filter does not exist.
    """
    require_reviewer(user)
    keep_only(session, user, seat, keep, lease_s)
    scope = scope_of(session, user, chosen)

    def read(reason: Reason, limit: int) -> list[Queued]:
        return [Queued(photo_id, reason) for photo_id in session.scalars(candidates(session, scope, reason, limit))]

    def find(wanted: int) -> list[Queued]:
        with in_order(session, scope):
            return _mixed(read, wanted) if queue == "mixed" else read(queue, wanted)

    return _claim(session, user, seat, find, count, lease_s)


def claim_grid(
    session: Session,
    user: User,
    seat: str,
    *,
    label_id: int,
    chosen: LibraryFilter,
    keep: Sequence[int],
    count: int,
    after: tuple[float, int] | None = None,
    lease_s: float = LEASE_S,
) -> list[int]:
    """As `claim_photos`: undecided photos that models show under exactly this label, most certain first.

    Args:
        session: of a write transaction.
        user: a reviewer or an admin.
        seat: the tab.
        label_id: the label.
        chosen: the library's filter.
        keep: what stays on the screen.
        count: of new ones.
        after: score and id of the photo behind which to begin.
        lease_s: how long nobody else gets them.

    Raises:
        NotAllowedError: the person is no reviewer.
        NotFoundError: the batch of the filter does not exist.
    """
    require_reviewer(user)
    keep_only(session, user, seat, keep, lease_s)
    scope = scope_of(session, user, chosen)

    def find(wanted: int) -> list[Queued]:
        with in_order(session, scope):
            ids = session.scalars(of_label(scope, label_id, after, wanted)).all()
        return [Queued(photo_id, "never") for photo_id in ids]

    return [queued.photo_id for queued in _claim(session, user, seat, find, count, lease_s)]


def _claim(session: Session, user: User, seat: str, find: Find, count: int, lease_s: float) -> list[Queued]:
    claimed: list[Queued] = []
    for _ in range(ROUNDS):
        wanted = count - len(claimed)
        if wanted <= 0:
            break
        found = find(wanted)
        taken = take(session, user, seat, [queued.photo_id for queued in found], lease_s)
        claimed += [queued for queued in found if queued.photo_id in taken]
        if len(taken) == len(found):
            break
    return claimed


def _mixed(read: Callable[[Reason, int], list[Queued]], count: int) -> list[Queued]:
    """Reasons take turns, from any of them: whoever asks for one photo at a time gets all kinds as well."""
    found: dict[Reason, list[Queued]] = {}
    chosen: dict[int, Queued] = {}
    turn = secrets.randbelow(len(MIX))
    passed = 0
    while len(chosen) < count and passed < len(MIX):
        reason = MIX[turn % len(MIX)]
        turn += 1
        if reason not in found:
            found[reason] = read(reason, count)
        left = (queued for queued in found[reason] if queued.photo_id not in chosen)
        queued = next(left, None)
        passed = passed + 1 if queued is None else 0
        if queued is not None:
            chosen[queued.photo_id] = queued
    return list(chosen.values())
