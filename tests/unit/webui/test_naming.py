"""Names of boxes from a scheme."""

from __future__ import annotations

import pytest

from appliance.config.check import check
from webui.naming import box_name


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("Vinh", "General", "CT"), "vinh-general-ct"),
        (("Bệnh viện Đà Nẵng", "", "MR 1"), "benh-vien-da-nang-mr-1"),
        (("Hôpital St. Œdipe", "Radio", ""), "hopital-st-oedipe-radio"),
        (("  --  ", "", ""), ""),
        (("a" * 80, "b", "c"), "a" * 63),
        (("a" * 62, "b", "c"), "a" * 62),
    ],
)
def test_a_name_is_made_from_where_the_box_stands(parts: tuple[str, ...], name: str) -> None:
    """Accents go, what is no letter becomes one hyphen, and what comes out is a name that the configuration takes."""
    made = box_name(*parts)

    assert name == made
    assert not made or check(f'[box]\nname = "{made}"\n', where="test").site is not None
