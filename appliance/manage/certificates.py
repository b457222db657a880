"""The box's own TLS identity for whoever manages it: made and requested by the daemon with the keys, shown to everybody.

Promises: nothing here returns or logs a private key. A renewed identity counts for the next association, without a restart.
Failures: those of `keys.tls_identity`; `CertificateNameInvalidError` (operator).
Limits: the names of the box's network cards are not known here: the address from which it would call others is, and the rest can be given.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.config.model import Site
from appliance.core.errors import ApplianceError, Fault
from appliance.keys.certificates import CertificateFacts, read_certificates
from appliance.keys.root import RootKey
from appliance.keys.tls_identity import create_identity, install_certificate, own_certificate_pem, own_certificates, signing_request
from appliance.keys.tls_key import tls_password
from appliance.runtime.clock import Clock
from appliance.runtime.control import Handler
from appliance.runtime.logging import get_logger
from appliance.runtime.requests import CertificateReply, CertificateRequest

log = get_logger(__name__)

# RFC 5737: an address that is nobody's. Nothing is sent: the kernel only says from which of ours it would be.
_SOMEBODY_ELSE = ("192.0.2.1", 9)
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


class CertificateNameInvalidError(ApplianceError):
    """A name cannot stand in a certificate."""

    fault = Fault.OPERATOR
    exit_code = 2
    advice = "Give host names and addresses, for example --name edge.example.org --name 10.0.0.5."


@dataclass(frozen=True, slots=True)
class Shown:
    """The certificates in use, the box's own first; `is_own` where the box keeps the key itself."""

    where: str
    is_own: bool
    certificates: tuple[CertificateFacts, ...]


class CertificateDesk:
    """Answers with the root key at hand."""

    def __init__(self, data: Path, root: RootKey, site: Callable[[], Site], clock: Clock) -> None:
        """Keep what is needed; `site` gives the configuration in force."""
        self._data = data
        self._password = tls_password(root)
        self._site = site
        self._clock = clock

    def handlers(self) -> Mapping[type, Handler]:
        """Return which request is answered by what."""
        return {CertificateRequest: self.certificate}

    def certificate(self, request: CertificateRequest) -> CertificateReply:
        """Make an identity, or a request for its certificate to be signed, or take what was signed."""
        if request.install:
            installed = install_certificate(self._data, request.install.encode("utf-8"))
            log.info("tls.certificate_installed", certificate=installed.subject, certificate_serial=installed.serial)
            return CertificateReply(own_certificate_pem(self._data), installed.names)
        names = tuple(_checked(request.names)) or names_of(self._site())
        if request.sign:
            return CertificateReply(signing_request(self._data, self._password, names), names)
        made = create_identity(self._data, self._password, names, now=self._clock.now().wall, replace=request.replace)
        log.info("tls.identity_made", certificate=made.subject, certificate_serial=made.serial)
        return CertificateReply(own_certificate_pem(self._data), names)


def shown_certificates(data: Path, site: Site) -> Shown:
    """Return the certificates in use. Raises what reading them raises."""
    if site.tls.certificate is None:
        return Shown("keys/tls.pem", is_own=True, certificates=own_certificates(data))
    return Shown(site.tls.certificate, is_own=False, certificates=read_certificates(Path(site.tls.certificate).read_bytes()))


def shown_pem(data: Path, site: Site) -> str:
    """Return the certificates in use in PEM, for peers that shall trust them. Raises what reading them raises."""
    return own_certificate_pem(data) if site.tls.certificate is None else Path(site.tls.certificate).read_text(encoding="utf-8")


def names_of(site: Site) -> tuple[str, ...]:
    """Return what peers may call this box: its name, the machine's, and the addresses it listens on or calls from."""
    pages = [] if site.listen.web == "off" else [site.listen.web]
    listening = [address.host for address in (*site.listen.dicom, *site.listen.dicom_tls, *pages)]
    addresses = [host for host in listening if not ipaddress.ip_address(host).is_unspecified]
    if len(addresses) < len(listening):
        addresses.append(own_address())
    found = (site.box.name, socket.gethostname(), *addresses)
    return tuple(dict.fromkeys(name for name in found if _is_name(name)))


def own_address() -> str:
    """Return the address that others reach this machine at, as far as it can tell; "" where it has no network."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(_SOMEBODY_ELSE)
        return str(probe.getsockname()[0])
    return ""


def _checked(names: Sequence[str]) -> Sequence[str]:
    for name in names:
        if not _is_name(name):
            raise CertificateNameInvalidError(f"{name[:60]!r} is neither a host name nor an address")
    return names


def _is_name(name: str) -> bool:
    if _NAME.fullmatch(name):
        return True
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    return False
