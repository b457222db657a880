"""TLS contexts: what the box offers and accepts in a handshake, on both sides of an association.

`bcp195` is PS3.15 B.12 as RFC 9325 reads it: TLS 1.3 preferred, 1.2 at least, in 1.2 only ephemeral elliptic curves with an authenticated
cipher. `modified` is B.13: the same within a fixed list, to which B.13 adds AES-CCM.

Promises: no TLS 1.1 or older, no RSA key exchange, no CBC, no anonymous or NULL cipher, no compression, no renegotiation, no session
tickets, no early data, no certificate with RSA below 2048 bits or a SHA-1 signature, whatever the machine's own OpenSSL settings are. A
context is made anew when one of its files was replaced; while the new files cannot be used, the one before stays.
Failures: `TlsMaterialUnusableError` (operator): a file is missing, unreadable, damaged, or the key is not the certificate's.
Limits: finite-field DHE is never offered (RFC 9325 4.2 advises against it, B.13 allows it); B.13's Camellia and CCM_8 are not either
(OpenSSL has no Camellia-GCM, and CCM_8 has a short tag); in TLS 1.3 Python offers OpenSSL's own three suites. Revocation lists are not
looked at.
Standard: PS3.15 B.12 and B.13; BCP 195 (RFC 8996, RFC 9325); RFC 8446, RFC 5246.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from appliance.core.errors import ApplianceError, Fault
from appliance.keys.certificates import CertificateFacts
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

_RECOMMENDED = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
)
# OpenSSL's level 2: 112 bits of security in every key, curve, signature and group; also what keeps SHA-1 signatures out.
_SECURITY_LEVEL = "@SECLEVEL=2"
# One a destination and one for the listener; what a changed configuration does not use any more is forgotten.
_MOST_REMEMBERED = 64


class TlsMaterialUnusableError(ApplianceError):
    """A certificate, key or authorities file cannot be used."""

    fault = Fault.OPERATOR
    advice = "`dicom-edge config check` and `dicom-edge tls show` say what is wrong with the files of [tls]."


class Profile(StrEnum):
    """A secure transport connection profile."""

    BCP195 = "bcp195"
    MODIFIED = "modified"


CIPHERS = {
    Profile.BCP195: _RECOMMENDED,
    Profile.MODIFIED: (*_RECOMMENDED, "ECDHE-ECDSA-AES256-CCM", "ECDHE-ECDSA-AES128-CCM"),
}
"""The TLS 1.2 cipher suites of each profile, by OpenSSL's names, in our order."""


class Check(StrEnum):
    """What the peer must show."""

    NOTHING = "nothing"
    """No certificate is asked for (the acceptor's side), or whoever asks compares it himself (a pin)."""
    CERTIFICATE = "certificate"
    """A certificate that one of the authorities vouches for."""
    CERTIFICATE_AND_NAME = "certificate and name"
    """That, and it is for the name that was called."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Our own certificate (with the chain above it) and key; without `key` both are in one file. `password` opens the key."""

    certificate: Path
    key: Path | None = None
    password: bytes | None = field(default=None, repr=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read."""
        return (self.certificate,) if self.key is None else (self.certificate, self.key)


def named_credentials(certificate: str | None, key: str | None) -> Credentials | None:
    """Return the identity in these two files, None where they are not named."""
    return None if certificate is None or key is None else Credentials(Path(certificate), Path(key))


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a context is made of."""

    is_acceptor: bool
    profile: Profile
    check: Check
    credentials: Credentials | None = None
    authorities: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read."""
        return (*(self.credentials.files if self.credentials is not None else ()), *self.authorities)


@dataclass(frozen=True, slots=True)
class TlsRequest:
    """How to speak TLS with one peer: `name` is what its certificate must be for, or `sha256` pins the certificate itself."""

    context: Callable[[], ssl.SSLContext]
    name: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Secured:
    """What a handshake led to; `certificate` is the peer's, None where it showed none."""

    version: str
    cipher: str
    certificate: CertificateFacts | None


def make_context(recipe: Recipe) -> ssl.SSLContext:
    """Return a context. Raises `TlsMaterialUnusableError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if recipe.is_acceptor else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.set_ciphers(":".join((*CIPHERS[recipe.profile], _SECURITY_LEVEL)))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_TICKET
    if recipe.is_acceptor:
        # An association lasts minutes and handshakes take milliseconds: no ticket, so no key that would undo forward secrecy.
        context.num_tickets = 0
    context.check_hostname = recipe.check is Check.CERTIFICATE_AND_NAME
    context.verify_mode = ssl.CERT_NONE if recipe.check is Check.NOTHING else ssl.CERT_REQUIRED
    # A file of authorities may also hold the certificate of a single peer: it is trusted, and nothing above it need be.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    _load(context, recipe)
    return context


class Contexts:
    """Contexts that were made before, looked up by what they are made of. Threads may share it."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._lock = threading.Lock()
        self._made: dict[Recipe, tuple[object, ssl.SSLContext]] = {}

    def get(self, recipe: Recipe) -> ssl.SSLContext:
        """Return the context for `recipe`, with its files as they are now. Raises `TlsMaterialUnusableError` where there never was one."""
        stamps = tuple(_stamp(path) for path in recipe.files)
        with self._lock:
            known = self._made.get(recipe)
        if known is not None and known[0] == stamps:
            return known[1]
        try:
            context = make_context(recipe)
        except TlsMaterialUnusableError as error:
            if known is None:
                raise
            log.error("tls.files_unusable", problem=str(error), goes_on_with="the files before")  # noqa: TRY400 (the message says all)
            context = known[1]
        with self._lock:
            self._made.pop(recipe, None)
            self._made[recipe] = (stamps, context)
            while len(self._made) > _MOST_REMEMBERED:
                del self._made[next(iter(self._made))]
        return context


def _load(context: ssl.SSLContext, recipe: Recipe) -> None:
    own = recipe.credentials
    if own is not None:
        # Without a password OpenSSL would ask the terminal for one.
        password = own.password or b""
        try:
            context.load_cert_chain(own.certificate, own.key, password=lambda: password)
        except ssl.SSLError as error:
            words = "do not belong together" if error.reason == "KEY_VALUES_MISMATCH" else "cannot be used"
            names = " and ".join(str(path) for path in own.files)
            raise TlsMaterialUnusableError(f"certificate and key in {names} {words} ({error.reason})") from None
        except OSError as error:
            raise TlsMaterialUnusableError(f"{' or '.join(map(str, own.files))} cannot be read ({error.strerror})") from None
    for path in recipe.authorities:
        try:
            context.load_verify_locations(path)
        except ssl.SSLError as error:
            raise TlsMaterialUnusableError(f"the authorities in {path} cannot be used ({error.reason})") from None
        except OSError as error:
            raise TlsMaterialUnusableError(f"{path} cannot be read ({error.strerror})") from None


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
