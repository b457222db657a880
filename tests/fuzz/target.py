"""What is fuzzed: a function of bytes, and the bounds that hold for every input.

Promises: a target's `run` returns for every input, or raises what is wrong; it keeps nothing between two inputs and draws nothing from
anywhere but its input.
Failures: none of its own.
Limits: `Script` is how an input becomes choices; it never ends, it gives zeros behind its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Bound:
    """What an input may cost: so much, and so much more for each of its bytes."""

    constant: int
    per_byte: int

    def of(self, data: bytes) -> int:
        """Return what `data` may cost."""
        return self.constant + self.per_byte * len(data)


@dataclass(frozen=True)
class Target:
    """One parser under its invariants.

    `tokens` are byte sequences that mean something to it. Steps are lines of Python in the packages `traced`, memory is the peak that
    tracemalloc sees. `longest` caps the inputs that are made.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    tokens: tuple[bytes, ...] = ()
    traced: tuple[str, ...] = ("appliance",)
    steps: Bound = Bound(2_000, 60)
    memory: Bound = Bound(256 << 10, 64)
    longest: int = 4096


class Script:
    """An input read as choices, from its beginning."""

    def __init__(self, data: bytes) -> None:
        """Begin with the first byte."""
        self._data = data
        self._at = 0

    def byte(self) -> int:
        """Return the next byte."""
        return self.take(1)[0]

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken.ljust(size, b"\0")

    def rest(self) -> bytes:
        """Return everything that is left."""
        taken, self._at = self._data[self._at :], len(self._data)
        return taken

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Yield what is left as records: a byte that says what it is, two bytes of length, the content; the last one may be cut."""
        while self._at < len(self._data):
            kind, size = self.byte(), int.from_bytes(self.take(2), "big")
            content = self._data[self._at : self._at + size]
            self._at += size
            yield kind, content


def record(kind: int, content: bytes) -> bytes:
    """Return one record of a script."""
    return bytes([kind]) + len(content).to_bytes(2, "big") + content


def pieces(data: bytes, sizes: bytes) -> Iterator[bytes]:
    """Yield `data` in pieces whose sizes the bytes `sizes` give, over and over."""
    at = turn = 0
    while at < len(data):
        size = sizes[turn % len(sizes)] + 1
        yield data[at : at + size]
        at, turn = at + size, turn + 1
