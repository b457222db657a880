"""Which listed source a caller is: the one place that says so, for admission and for routing. Pure.

Promises: an exact title goes before "any title", a smaller network before a larger one, the first of equals; an IPv4 caller
is the same whether it came in through an IPv4 or an IPv6 socket.
Failures: none; an address that is none fits only sources without one.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from appliance.config.model import Site, Source

# A department has some dozens of scanners, and each of their objects asks again.
_ADDRESSES_REMEMBERED = 256

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def find_source(site: Site, calling_title: str, address: str) -> Source | None:
    """Return the source that (title, address) is, or None for a stranger. The title may carry padding and any case."""
    caller = read_address(address)
    fitting = (source for source in site.sources if _fits(source, calling_title, caller))
    return max(fitting, key=_closeness, default=None)


@lru_cache(maxsize=_ADDRESSES_REMEMBERED)
def read_address(text: str) -> Address | None:
    """Return a peer's address without its zone, or None where it is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _fits(source: Source, calling_title: str, caller: Address | None) -> bool:
    if source.ae_title is not None and source.ae_title.key != calling_title.strip(" ").upper():
        return False
    return source.address is None or (caller is not None and caller in source.address)


def _closeness(source: Source) -> tuple[bool, int]:
    """Return how much the entry says: an exact title first, then the number of address bits it fixes."""
    if source.address is None:
        return source.ae_title is not None, -1
    # An IPv4 host (/32) and an IPv6 host (/128) are equally close: what counts is the bits left open.
    return source.ae_title is not None, 128 - (source.address.max_prefixlen - source.address.prefixlen)
