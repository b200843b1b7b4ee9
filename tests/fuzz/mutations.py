"""What a fuzzer does to a file: small changes of valid ones get further than random bytes do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

# Lengths, counts and offsets at which readers go wrong.
EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
MAX_CHANGES = 8


@dataclass(frozen=True)
class Change:
    """One change of a file.

    Attributes:
        kind: name of a function of `CHANGES`.
        at: where, as a share of the length in [0, 1].
        value: what it does with it, 0 to 2^32 - 1.
    """

    kind: str
    at: float
    value: int


def _flip(data: bytearray, at: int, value: int) -> None:
    data[at] ^= 1 << value % 8


def _set_byte(data: bytearray, at: int, value: int) -> None:
    data[at] = value % 256


def _set_number(data: bytearray, at: int, value: int) -> None:
    width, order = (2, 4, 8)[value % 3], ("little", "big")[value // 3 % 2]
    edge = EDGES[value // 6 % len(EDGES)] % 256**width
    data[at : at + width] = edge.to_bytes(width, "little" if order == "little" else "big")


def _cut(data: bytearray, at: int, _value: int) -> None:
    del data[at:]


def _remove(data: bytearray, at: int, value: int) -> None:
    del data[at : at + 1 + value % 64]


def _repeat(data: bytearray, at: int, value: int) -> None:
    length, times = 1 + value % 512, 1 + value // 512 % 32
    data[at:at] = data[at : at + length] * times


def _zero(data: bytearray, at: int, value: int) -> None:
    length = min(1 + value % 512, len(data) - at)
    data[at : at + length] = bytes(length)


CHANGES: dict[str, Callable[[bytearray, int, int], None]] = {
    "flip": _flip,
    "byte": _set_byte,
    "number": _set_number,
    "cut": _cut,
    "remove": _remove,
    "repeat": _repeat,
    "zero": _zero,
}


def mutated(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """One of the seeds with up to `MAX_CHANGES` changes, or the front of one with the back of another."""
    seed = st.sampled_from(seeds)
    changes = st.lists(
        st.builds(Change, st.sampled_from(sorted(CHANGES)), st.floats(0, 1), st.integers(0, 2**32 - 1)),
        max_size=MAX_CHANGES,
    )
    return st.builds(changed, seed | st.builds(_spliced, seed, seed, st.floats(0, 1)), changes)


def changed(data: bytes, changes: Sequence[Change]) -> bytes:
    """`data` after the changes, one after the other."""
    result = bytearray(data)
    for change in changes:
        if result:
            CHANGES[change.kind](result, min(int(change.at * len(result)), len(result) - 1), change.value)
    return bytes(result)


def _spliced(front: bytes, back: bytes, at: float) -> bytes:
    return front[: int(len(front) * at)] + back[int(len(back) * at) :]
