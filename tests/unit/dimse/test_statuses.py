"""What kind of answer a status is."""

from __future__ import annotations

import pytest

from appliance.dimse.statuses import Category, category


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0x0000, Category.SUCCESS),
        (0x0001, Category.WARNING),
        (0x0107, Category.WARNING),
        (0x0116, Category.WARNING),
        (0xB000, Category.WARNING),
        (0xB007, Category.WARNING),
        (0x0110, Category.FAILURE),
        (0x0122, Category.FAILURE),
        (0x0213, Category.FAILURE),
        (0xA700, Category.FAILURE),
        (0xA9FF, Category.FAILURE),
        (0xC000, Category.FAILURE),
        (0xCFFF, Category.FAILURE),
        (0xFE00, Category.CANCEL),
        (0xFF00, Category.PENDING),
        (0xFF01, Category.PENDING),
        (0x1234, Category.UNKNOWN),
        (0x0300, Category.UNKNOWN),
        (0xFF02, Category.UNKNOWN),
        (0xD000, Category.UNKNOWN),
    ],
)
def test_category(status: int, kind: Category) -> None:
    """Each range of the standard has its category, and what nobody defined is unknown."""
    assert category(status) is kind


def test_only_zero_is_success() -> None:
    """No other status is ever a success."""
    assert [status for status in range(0x10000) if category(status) is Category.SUCCESS] == [0]
