"""Who a caller is, is decided in one place."""

from __future__ import annotations

import pytest

from appliance.config.sources import find_source, read_address
from tests.unit.route.sites import a_site


@pytest.mark.parametrize(
    ("calling", "address", "expected"),
    [
        ("CT1", "10.0.0.7", "exact"),
        ("ct1", "10.0.0.7", "exact"),
        ("CT1 ", "::ffff:10.0.0.7", "exact"),
        ("CT1", "10.0.0.8", "network"),
        ("CT1", "192.0.2.1", "anywhere"),
        ("US9", "10.0.0.7", "any title"),
        ("US9", "192.0.2.1", None),
        ("US9", "not an address", None),
        ("CT1", "", "anywhere"),
    ],
)
def test_the_closest_entry_is_the_source(calling: str, address: str, expected: str | None) -> None:
    """The most exact entry that fits title and address is the source."""
    site = a_site(
        sources=[
            {"name": "any title", "ae_title": "*", "address": "10.0.0.7"},
            {"name": "anywhere", "ae_title": "CT1"},
            {"name": "network", "ae_title": "CT1", "address": "10.0.0.0/24"},
            {"name": "exact", "ae_title": "CT1", "address": "10.0.0.7"},
        ]
    )

    source = find_source(site, calling, address)

    assert expected == (source.name if source else None)


def test_addresses_of_the_wire() -> None:
    """Zones and the IPv6 form of IPv4 do not matter."""
    assert str(read_address("fe80::1%eth0")) == "fe80::1"
    assert str(read_address("::ffff:10.0.0.7")) == "10.0.0.7"
    assert read_address("") is None
