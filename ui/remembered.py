"""Who a token belongs to, remembered for a few seconds: a page with 60 thumbnails asks 70 times in a second."""

import threading
import time
from collections import OrderedDict
from typing import Generic, TypeVar

from db.tokens import token_digest

# A logout, a revoked token or a disabled person counts at once in the process where it was done, and after this long
# in every other.
REMEMBERED_S = 5.0
MAX_REMEMBERED = 10_000

T = TypeVar("T")


class Remembered(Generic[T]):
    """Answers by token, bounded and forgetful. The tokens themselves are not kept. For all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[T, int, float]] = OrderedDict()

    def get(self, token: str) -> T | None:
        """The answer for `token`, if it was kept a moment ago."""
        with self._lock:
            answer, _, until = self._known.get(token_digest(token), (None, 0, 0.0))
        return answer if time.monotonic() < until else None

    def keep(self, token: str, answer: T, user_id: int) -> None:
        """Remembers whom `token` belongs to; the oldest answer goes when there are too many."""
        with self._lock:
            self._known[token_digest(token)] = (answer, user_id, time.monotonic() + REMEMBERED_S)
            while len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)

    def forget(self, token: str) -> None:
        """`token` is over."""
        with self._lock:
            self._known.pop(token_digest(token), None)

    def forget_user(self, user_id: int) -> None:
        """What this person may do has changed."""
        with self._lock:
            for key in [key for key, (_, owner_id, _) in self._known.items() if owner_id == user_id]:
                del self._known[key]
