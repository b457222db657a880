"""Pixels that look to a codec like a scanner's: a body with organs and vessels in air, and noise. Nobody's image.

Promises: the same size and levels give the same pixels.
Failures: none.
Limits: levels are those of the middle of a body; noise is Gaussian, and shared by neighbours as reconstruction leaves it.
"""

from __future__ import annotations

import array
import random
import sys

# Ellipses as shares of the size: centre, half axes, and what is added to the level of the body, as a share of it.
_ORGANS = (
    (0.50, 0.52, 0.42, 0.34, 0.00),
    (0.35, 0.48, 0.14, 0.20, 0.06),
    (0.66, 0.46, 0.11, 0.13, 0.10),
    (0.50, 0.72, 0.07, 0.07, 0.55),
    (0.52, 0.55, 0.03, 0.03, 0.20),
    (0.44, 0.33, 0.10, 0.05, -0.35),
)
# The level falls by this share from the middle to the rim, as coils and beams leave it.
_SHADING = 0.08
_MOST = (1 << 12) - 1
_SEED = 5


def pixels(size: int, *, air: int, body: int, noise: float) -> bytes:
    """Return `size` x `size` pixels of 12 bits in 16, little endian; `noise` is the standard deviation inside the body."""
    dice = random.Random(_SEED)  # noqa: S311 - an image, not a secret
    values = array.array("H")
    above = [dice.gauss(0.0, noise) for _ in range(size)]
    for row in range(size):
        left, y = 0.0, row / size
        for column in range(size):
            level = _level(column / size, y, air, body)
            fresh = dice.gauss(0.0, noise)
            left = 0.35 * left + 0.35 * above[column] + 0.75 * fresh
            above[column] = left
            values.append(min(_MOST, max(0, round(level + (left if level > air else left / 3)))))
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def _level(x: float, y: float, air: int, body: int) -> float:
    level = float(air)
    for centre_x, centre_y, half_x, half_y, more in _ORGANS:
        distance = ((x - centre_x) / half_x) ** 2 + ((y - centre_y) / half_y) ** 2
        if distance <= 1.0:
            level = body * (1.0 + more - _SHADING * distance)
    return level
