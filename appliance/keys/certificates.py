"""X.509 certificates as the box sees them: what a PEM file or a peer shows, as plain values.

Promises: what comes out is plain text and numbers, cut and escaped, so that a peer's words can stand in a log; a peer's certificate that
cannot be read in full still has its fingerprint.
Failures: `CertificateUnreadableError` (operator) for a file without a certificate, or with one that cannot be read.
Limits: trust is not judged here: that is OpenSSL's, in the handshake. A name that is an address is compared as an address, others without
regard to capitals; wildcards mean nothing.
Standard: RFC 5280, RFC 6125 (names in the subject alternative name first, the common name only where there is none).
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.core.errors import ApplianceError, Fault
from appliance.core.identity import escaped

if TYPE_CHECKING:
    # Nine megabytes in every daemon that reads the configuration: loaded where a certificate is looked at, which most boxes never do.
    from cryptography import x509

    NameType = x509.DNSName | x509.IPAddress

# Enough for any distinguished name that a person wrote; a line of a log stays a line.
_SHOWN_CHARACTERS = 200
# A certificate names a handful of machines; one that names thousands is not read to its end.
_MOST_NAMES = 64


class CertificateUnreadableError(ApplianceError):
    """What should be a certificate is none."""

    fault = Fault.OPERATOR
    advice = "A certificate is PEM text between BEGIN CERTIFICATE and END CERTIFICATE; convert others with `openssl x509`."


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What one certificate says: moments in seconds since 1970, `serial` and `sha256` (of its DER form) in hexadecimal digits."""

    subject: str
    issuer: str
    serial: str
    not_before: float
    not_after: float
    names: tuple[str, ...]
    sha256: str

    def is_named(self, name: str) -> bool:
        """Say whether the certificate is for `name`: an address, a host name, or the common name where it names no machine."""
        return _comparable(name) in {_comparable(own) for own in self.names}


def read_certificates(pem: bytes) -> tuple[CertificateFacts, ...]:
    """Return what the certificates of a PEM text say, the first being the owner's. Raises `CertificateUnreadableError`."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise CertificateUnreadableError("holds no certificate that can be read") from None
    return tuple(facts_of(certificate.public_bytes(Encoding.DER)) for certificate in found)


def facts_of(der: bytes) -> CertificateFacts:
    """Return what a certificate says; of one that this program cannot read, which OpenSSL may have taken all the same, the fingerprint."""
    from cryptography import x509

    sha256 = hashlib.sha256(der).hexdigest()
    try:
        certificate = x509.load_der_x509_certificate(der)
        return CertificateFacts(
            subject=_shown(certificate.subject),
            issuer=_shown(certificate.issuer),
            serial=f"{certificate.serial_number:x}",
            not_before=certificate.not_valid_before_utc.timestamp(),
            not_after=certificate.not_valid_after_utc.timestamp(),
            names=tuple(_names(certificate)),
            sha256=sha256,
        )
    except (ValueError, TypeError, x509.DuplicateExtension):
        return CertificateFacts("", "", "", 0.0, 0.0, (), sha256)


def general_names(names: Iterable[str]) -> list[NameType]:
    """Return machines' names and addresses as a certificate holds them, each once, in their order."""
    from cryptography import x509

    found: dict[NameType, None] = {}
    for name in names:
        try:
            found[x509.IPAddress(ipaddress.ip_address(name))] = None
        except ValueError:
            found[x509.DNSName(name)] = None
    return list(found)


def _names(certificate: x509.Certificate) -> list[str]:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        machines: list[str] = []
    else:
        addresses = [str(address) for address in alternative.get_values_for_type(x509.IPAddress)]
        machines = [*alternative.get_values_for_type(x509.DNSName), *addresses]
    if machines:
        return [escaped(name) for name in machines[:_MOST_NAMES]]
    return [escaped(str(part.value)) for part in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def _shown(name: x509.Name) -> str:
    text = escaped(name.rfc4514_string())
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _comparable(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.rstrip(".").casefold()
