"""Where a destination that is only proposed may be tested (hostile-inputs.md row 93). Pure.

Whoever may set up the box may have it call whatever they type. So what is not in force yet is called at addresses of other machines only,
never at a port where another kind of service lives, and never with a secret that was meant for somebody else.

Promises: the address that was judged is the one that is called; of several that a name leads to, each must be allowed. What is refused is
refused in fixed words that hold nothing a peer sent.
Failures: none are raised; `refusal` and `secret_refusal` return what to say.
Limits: a proxy looks names up itself: then the proxy's address is judged, and the server's only where it is written as one.
Standard: RFC 1122 3.2.1.3, RFC 4291 2.5, RFC 6052 (addresses of IPv4 within IPv6).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from appliance.config.model import AnyDestination, DicomDestination, FolderDestination, SftpDestination, Site, StowDestination
from appliance.config.secret_files import SECRET_KEYS
from appliance.config.sources import Address, read_address
from appliance.deliver.remedies import Remark

# Ports of services that have nothing to do with images and act on what they are sent: mail, names, shells, files, printers, databases.
_OTHER_SERVICES = frozenset(
    {1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 79, 80, 88, 109, 110, 111, 113, 119, 123, 135, 137, 139, 143}
    | {161, 179, 389, 443, 445, 465, 512, 513, 514, 515, 548, 554, 587, 631, 636, 873, 989, 990, 993, 995, 1433, 1521, 2049, 2375, 2376}
    | {2379, 3306, 3389, 4369, 5432, 5672, 5900, 5985, 5986, 6379, 6443, 9100, 9200, 10250, 11211, 15672, 27017}
)
_OWN_SERVICES: Mapping[str, frozenset[int]] = MappingProxyType({"sftp": frozenset({22}), "stow": frozenset({80, 443})})
"""Which of those a kind of destination is at home at."""
_WEB_PORTS = {"http": 80, "https": 443}
# RFC 6052 2.1: an IPv4 address in its last 32 bits; RFC 4291 2.5.5.1 had the same with nothing before it.
_HOLDING_IPV4 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
_LAST_32_BITS = 0xFFFFFFFF
_SAVE_FIRST = "Save it first if it is meant: a destination that is in force can be tested wherever it is."


@dataclass(frozen=True, slots=True)
class Target:
    """What is called first on the way to a destination: a name or address, and a port."""

    kind: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Vicinity:
    """What the box knows of itself: the ports where it listens, which addresses are its own, and whether this is a demonstration."""

    ports: frozenset[int]
    is_own: Callable[[str], bool]
    is_demo: bool = False


def target_of(destination: AnyDestination) -> Target | None:
    """Return what is called on the way to a destination, None for a folder of this machine."""
    match destination:
        case DicomDestination() | SftpDestination():
            return Target(destination.kind, str(destination.host), destination.port)
        case StowDestination(proxy=None):
            parts = urlsplit(destination.url)
            return Target(destination.kind, parts.hostname or "", parts.port or _WEB_PORTS[parts.scheme])
        case StowDestination(proxy=proxy):
            parts = urlsplit(proxy or "")
            return Target("proxy", parts.hostname or "", parts.port or 0)
        case FolderDestination():
            return None


def refusal(destination: AnyDestination, addresses: Sequence[str], vicinity: Vicinity) -> Remark | None:
    """Return why a proposal may not be tested, None where it may; `addresses` are all that its target's name leads to."""
    target = target_of(destination)
    if target is None:
        return None
    if target.port in _OTHER_SERVICES - _OWN_SERVICES.get(target.kind, frozenset()):
        return Remark(f"port {target.port} belongs to another kind of service, and is not called to try it out", _SAVE_FIRST)
    judged = [*addresses, *_written_behind_a_proxy(destination)]
    for text in judged:
        refused = _refused(text, target.port, vicinity)
        if refused is not None:
            return refused
    return None if judged else Remark(f"{target.host} leads to no address", "Is it spelled right?")


def _written_behind_a_proxy(destination: AnyDestination) -> list[str]:
    """Return the server's address where a proxy leads to it and it is written as one; "localhost" is one."""
    if not isinstance(destination, StowDestination) or destination.proxy is None:
        return []
    host = urlsplit(destination.url).hostname or ""
    if host.rstrip(".").rpartition(".")[2] == "localhost":
        return ["127.0.0.1"]
    return [host] if read_address(host) is not None else []


def _refused(text: str, port: int, vicinity: Vicinity) -> Remark | None:
    address = read_address(text)
    if address is None:
        return Remark("the name leads to something that is no address", "Write the destination's IP address as host.")
    inner = _within(address)
    if inner.is_loopback and not vicinity.is_demo:
        return Remark(f"{text} is this box itself, which is not called to try a destination out", _SAVE_FIRST)
    if inner.is_link_local:
        return Remark(f"{text} is an address of this network cable only, where no archive is", _SAVE_FIRST)
    if inner.is_multicast or inner.is_unspecified or (inner.is_reserved and not inner.is_loopback):
        return Remark(f"{text} is no single machine's address", "Write the address of the destination.")
    if port in vicinity.ports and (inner.is_loopback or vicinity.is_own(str(inner))):
        return Remark(f"{text} with port {port} is where this box itself listens", "Write the address of the destination.")
    return None


def _within(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, in whatever way, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.sixtofour is not None:
        return address.sixtofour
    is_plain = not address.is_loopback and not address.is_unspecified
    if is_plain and any(address in network for network in _HOLDING_IPV4):
        return ipaddress.IPv4Address(int(address) & _LAST_32_BITS)
    return address


def secret_refusal(destination: AnyDestination, site: Site, folder: str) -> Remark | None:
    """Return why a proposal may not use the files with secrets that it names, None where it may.

    It may use one that was typed for it (in `folder`, and no destination's yet), or that of a destination which is in force at the same
    place: a secret goes to nobody but to whom it belongs.
    """
    for path in _secrets_of(destination):
        owners = [known for known in site.destinations if path in _secrets_of(known)]
        if owners and all(_is_same_place(known, destination) for known in owners):
            continue
        if owners:
            return Remark("its password, token or key belongs to a destination at another address", "Type it again for this address.")
        if not path.startswith(f"{folder}/"):
            return Remark("a secret that is not one of the box's own is not used to try a destination out", _SAVE_FIRST)
    return None


def is_in_force(destination: AnyDestination, site: Site) -> bool:
    """Say whether a destination that is in force is at the same place: that may be called wherever it is."""
    return any(_is_same_place(known, destination) for known in site.destinations)


def _is_same_place(one: AnyDestination, other: AnyDestination) -> bool:
    servers = [urlsplit(place.url)[:2] if isinstance(place, StowDestination) else () for place in (one, other)]
    return target_of(one) == target_of(other) is not None and servers[0] == servers[1]


def _secrets_of(destination: AnyDestination) -> list[str]:
    return [path for key in SECRET_KEYS if isinstance(path := getattr(destination, key, None), str)]
