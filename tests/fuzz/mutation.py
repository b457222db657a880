"""New inputs from old ones. Pure: all chance comes from the generator that is passed in.

Promises: a mutant has at most `longest` bytes; the same generator makes the same mutants.
Failures: none.
Limits: knows bytes, numbers and tokens, no grammar: targets whose inputs have one read them as scripts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, Literal

# Where lengths and counters break: around zero, around the sign, and at the end of what a field holds.
_NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    127,
    128,
    255,
    256,
    1024,
    32767,
    32768,
    65534,
    65535,
    65536,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 2,
    (1 << 32) - 1,
)
_ORDERS: Final[tuple[Literal["little", "big"], ...]] = ("little", "big")
_WIDTHS = (1, 2, 2, 4, 4)
# Most inputs that lead somewhere new are a step or two away from a known one; some are far.
_MOST_STEPS_LOG2 = 4
_LONGEST_BLOCK = 64


class Mutator:
    """Makes mutants for one target."""

    def __init__(self, chance: random.Random, tokens: Sequence[bytes], longest: int) -> None:
        """Use `tokens` where bytes that mean something are wanted."""
        self._chance = chance
        self._tokens = tokens
        self._longest = longest
        self._steps: list[Callable[[bytearray, bytes], None]] = [
            self._flip, self._byte, self._number, self._nudge, self._delete, self._insert, self._repeat, self._move, self._splice,
        ]  # fmt: skip
        if tokens:
            self._steps += [self._token, self._token]

    def mutant(self, data: bytes, other: bytes) -> bytes:
        """Return `data` changed in a few places, perhaps with pieces of `other`."""
        out = bytearray(data)
        for _ in range(1 << self._chance.randrange(_MOST_STEPS_LOG2)):
            self._chance.choice(self._steps)(out, other)
        return bytes(out[: self._longest])

    def _place(self, out: bytearray) -> int:
        return self._chance.randrange(len(out) + 1)

    def _block(self, data: bytes | bytearray) -> slice:
        start = self._chance.randrange(len(data) + 1)
        # Short blocks mostly, sometimes anything up to the end.
        most = len(data) - start if not self._chance.randrange(8) else min(_LONGEST_BLOCK, len(data) - start)
        return slice(start, start + self._chance.randint(0, most))

    def _flip(self, out: bytearray, _other: bytes) -> None:
        if out:
            out[self._chance.randrange(len(out))] ^= 1 << self._chance.randrange(8)

    def _byte(self, out: bytearray, _other: bytes) -> None:
        if out:
            out[self._chance.randrange(len(out))] = self._chance.randrange(256)

    def _number(self, out: bytearray, _other: bytes) -> None:
        width, at = self._chance.choice(_WIDTHS), self._place(out)
        number = self._chance.choice((*_NUMBERS, len(out) - at, len(out) - at - width)) & ((1 << 8 * width) - 1)
        out[at : at + width] = number.to_bytes(width, self._chance.choice(_ORDERS))

    def _nudge(self, out: bytearray, _other: bytes) -> None:
        width, at = self._chance.choice(_WIDTHS), self._place(out)
        order = self._chance.choice(_ORDERS)
        field = out[at : at + width]
        number = int.from_bytes(field, order) + self._chance.randint(-16, 16)
        out[at : at + width] = (number & ((1 << 8 * len(field)) - 1)).to_bytes(len(field), order)

    def _delete(self, out: bytearray, _other: bytes) -> None:
        del out[self._block(out)]

    def _insert(self, out: bytearray, _other: bytes) -> None:
        at = self._place(out)
        out[at:at] = self._chance.randbytes(self._chance.randint(1, 8))

    def _repeat(self, out: bytearray, _other: bytes) -> None:
        block = bytes(out[self._block(out)])
        at = self._place(out)
        # Depth and counts are found by doing the same again and again.
        out[at:at] = block * self._chance.choice((1, 1, 1, 2, 4, 16, 64))
        del out[self._longest :]

    def _move(self, out: bytearray, _other: bytes) -> None:
        block = self._block(out)
        moved = bytes(out[block])
        del out[block]
        at = self._place(out)
        out[at:at] = moved

    def _splice(self, out: bytearray, other: bytes) -> None:
        out[self._block(out)] = other[self._block(other)]

    def _token(self, out: bytearray, _other: bytes) -> None:
        token, at = self._chance.choice(self._tokens), self._place(out)
        out[at : at + (len(token) if self._chance.randrange(2) else 0)] = token
