"""Addresses: where the box listens, who may call, where a peer is. Pure: no name is looked up.

Promises: a `ListenAddress` and a network print as they are read; nothing with a scheme, a port or a zone hides in a host.
Failures: a pydantic refusal with a plain problem and advice (see `problem.refusal`).
Limits: whether a name can be resolved, and whether a port is free, is known only when it is used.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import PlainSerializer, PlainValidator

from appliance.config.problem import kind_of, quoted, refusal
from appliance.config.quantities import WholeNumber

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HIGHEST_PORT = 65535

# RFC 1123, and the underscore that Windows names in hospitals have.
_HOST_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_HOST_LENGTH = 253
_LISTEN_ADVICE = 'Write address and port in quotes: "0.0.0.0:11112" for every network of the box, "127.0.0.1:11112" for this machine only.'
_HOST_ADVICE = 'Write the IP address or the name alone, for example "10.1.0.5" or "pacs.example.org"; the port has its own key.'
_NETWORK_ADVICE = 'Write one address ("10.0.0.7") or a network ("10.0.0.0/24"): four numbers from 0 to 255 without leading zeros.'


@dataclass(frozen=True, slots=True, order=True)
class ListenAddress:
    """One address the box listens on; port 0 means that the kernel chooses."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return the address as it stands in the file."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def collides(self, other: ListenAddress) -> bool:
        """Say whether the kernel would refuse to bind both."""
        if self.port != other.port or self.port == 0:
            return False
        mine, theirs = ipaddress.ip_address(self.host), ipaddress.ip_address(other.host)
        return mine.version == theirs.version and (mine == theirs or mine.is_unspecified or theirs.is_unspecified)


def _read_listen_address(value: object) -> ListenAddress:
    """Return the address that "host:port" names, or refuse."""
    if isinstance(value, ListenAddress):
        return value
    if not isinstance(value, str):
        raise refusal(f"must be an address and a port, not {kind_of(value)}", _LISTEN_ADVICE)
    host, colon, port = value.strip().rpartition(":")
    if not colon or not host:
        raise refusal(f"{quoted(value)} is not an address and a port", _LISTEN_ADVICE)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise refusal(f"{quoted(value)} does not say where the address ends", 'Put an IPv6 address in brackets: "[::]:11112".')
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise refusal(f"{quoted(host)} is not an IP address of this box", _LISTEN_ADVICE) from None
    if not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > HIGHEST_PORT:  # noqa: PLR2004 (digits of 65535)
        raise refusal(f"the port {quoted(port)} is not a number from 0 to {HIGHEST_PORT}", _LISTEN_ADVICE)
    return ListenAddress(str(address), int(port))


def _read_web_address(value: object) -> ListenAddress | Literal["off"]:
    """Return where the pages are served, or refuse."""
    return "off" if value == "off" else _read_listen_address(value)


def _read_network(value: object) -> Network:
    """Return the network that an address or CIDR names (one address: a network of one), or refuse."""
    if isinstance(value, (ipaddress.IPv4Network, ipaddress.IPv6Network)):
        return value
    if not isinstance(value, str):
        raise refusal(f"must be an address or a network, not {kind_of(value)}", _NETWORK_ADVICE)
    text = value.strip()
    if "%" in text:
        raise refusal(f"{quoted(value)} holds the name of a network card", "Leave the part from the % on away.")
    try:
        network = ipaddress.ip_network(text, strict=False)
        exact = ipaddress.ip_interface(text).ip == network.network_address
    except ValueError:
        raise refusal(f"{quoted(value)} is not an IP address or a network", _NETWORK_ADVICE) from None
    if not exact:
        raise refusal(
            f"{quoted(value)} is an address inside a network, not a network",
            f'Write "{network}" for the whole network, or "{ipaddress.ip_interface(text).ip}" for the one machine.',
        )
    if network.prefixlen == network.max_prefixlen and network.network_address.is_unspecified:
        raise refusal(f"{quoted(value)} is no machine's address", f'For every address write "{network.network_address}/0".')
    return network


def network_text(network: Network) -> str:
    """Return a network as it may stand in the file: a single address without its /32."""
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def _read_host(value: object) -> str:
    """Return the IP address or name of a peer, or refuse."""
    if not isinstance(value, str):
        raise refusal(f"must be an address or a name, not {kind_of(value)}", _HOST_ADVICE)
    text = value.strip(" ")
    if not text:
        raise refusal("is blank", _HOST_ADVICE)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        _refuse_bad_name(text)
        return text
    if address.is_unspecified:
        raise refusal(f"{quoted(text)} is no machine's address", _HOST_ADVICE)
    return text


def _refuse_bad_name(text: str) -> None:
    """Return if `text` can be the name of a host; refuse with the likeliest reason if not."""
    if "://" in text or "/" in text:
        raise refusal(f"{quoted(text)} looks like a web address", _HOST_ADVICE)
    if ":" in text or text.startswith("["):
        raise refusal(f"{quoted(text)} holds more than an address", _HOST_ADVICE)
    if re.fullmatch(r"[0-9.]+", text):
        raise refusal(f"{quoted(text)} is not an IP address", "An IP address is four numbers from 0 to 255 without leading zeros.")
    if len(text) > _HOST_LENGTH or not all(_HOST_LABEL.fullmatch(label) for label in text.removesuffix(".").split(".")):
        raise refusal(f"{quoted(text)} cannot be the name of a machine", _HOST_ADVICE)


def _read_box_name(value: object) -> str:
    """Return the box's own name, one part of a host name, or refuse."""
    advice = 'Use letters, digits and hyphens, at most 63, for example "vinh-general-ct".'
    if not isinstance(value, str):
        raise refusal(f"must be a name in quotes, not {kind_of(value)}", advice)
    if not _HOST_LABEL.fullmatch(value) or "_" in value:
        raise refusal(f"{quoted(value)} cannot be the name of a machine", advice)
    return value


Port = Annotated[int, PlainValidator(WholeNumber(1, HIGHEST_PORT))]
"""A TCP port of a peer."""
Host = Annotated[str, PlainValidator(_read_host)]
"""An IP address or a host name."""
BoxName = Annotated[str, PlainValidator(_read_box_name)]
"""The first part of a host name."""
Listen = Annotated[ListenAddress, PlainValidator(_read_listen_address), PlainSerializer(str)]
"""Where the box listens."""
WebListen = Annotated[ListenAddress | Literal["off"], PlainValidator(_read_web_address), PlainSerializer(str)]
"""Where the pages are served; "off" is nowhere."""
PeerNetwork = Annotated[Network, PlainValidator(_read_network), PlainSerializer(network_text)]
"""The addresses a peer may call from."""
