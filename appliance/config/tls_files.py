"""The files of TLS, of the box and of web services: whether they are there, hold what they should, belong together, and are in their time.

Promises: every file that is named is looked at; nothing of a key's content is in a problem.
Failures: none are raised.
Limits: looked at when a configuration is checked: what becomes of the files later shows in the log and in `tls show`.
Standard: PEM (RFC 7468).
"""

from __future__ import annotations

import ssl
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from appliance.config.model import Site, StowDestination
from appliance.config.problem import Problem, printable
from appliance.keys.certificates import CertificateFacts, CertificateUnreadableError, read_certificates

# All authorities of a country's hospitals fit; more is not a list of authorities.
_LARGEST_BYTES = 1 << 20
# hostile-inputs.md row 82: the first warning.
_SOON_S = 60 * 86400.0
_CLOCK = "Is the box's clock right?"
_NO_CERTIFICATE = "Name a PEM file with the text BEGIN CERTIFICATE; `openssl x509 -inform der` converts others."


def tls_file_problems(site: Site, now: float) -> tuple[Problem, ...]:
    """Return what is wrong with the files of [tls] at the moment `now` (seconds since 1970)."""
    problems = [
        problem for index, path in enumerate(site.tls.authorities) for problem in _authority(f"tls.authorities[{index}]", path, now)
    ]
    if site.tls.certificate is not None and site.tls.key is not None:
        problems += _identity("tls", site.tls.certificate, site.tls.key, now)
    for number, destination in enumerate(site.destinations):
        if not isinstance(destination, StowDestination):
            continue
        where = f"destination[{number}]"
        for index, path in enumerate(destination.authorities):
            problems += _authority(f"{where}.authorities[{index}]", path, now)
        if destination.certificate is not None and destination.key is not None:
            problems += _identity(where, destination.certificate, destination.key, now)
    return tuple(problems)


def _authority(where: str, path: str, now: float) -> Iterator[Problem]:
    content = _read(where, path)
    if isinstance(content, Problem):
        yield content
        return
    try:
        certificates = read_certificates(content)
    except CertificateUnreadableError:
        yield Problem(where, f"{printable(path)} holds no certificate", _NO_CERTIFICATE)
        return
    for certificate in certificates:
        if certificate.not_after < now:
            problem = f"{printable(certificate.subject)} expired on {_day(certificate.not_after)}"
            yield Problem(where, problem, f"Peers that it signed are refused: ask for its successor. {_CLOCK}", "notice")


def _identity(section: str, certificate_path: str, key_path: str, now: float) -> Iterator[Problem]:
    """Find what is wrong with a certificate that the box shows, and its key."""
    certificate, key = _read(f"{section}.certificate", certificate_path), _read(f"{section}.key", key_path)
    found = [problem for problem in (certificate, key) if isinstance(problem, Problem)]
    yield from found
    if isinstance(certificate, Problem):
        return
    try:
        (own, *_) = read_certificates(certificate)
    except CertificateUnreadableError:
        yield Problem(f"{section}.certificate", f"{printable(certificate_path)} holds no certificate", _NO_CERTIFICATE)
        return
    yield from _validity(f"{section}.certificate", own, now)
    if not isinstance(key, Problem):
        yield from _key(section, certificate_path, key_path, key)


def _validity(where: str, own: CertificateFacts, now: float) -> Iterator[Problem]:
    if own.not_after < now:
        yield Problem(where, f"expired on {_day(own.not_after)}", f"Ask the authority for a new one. {_CLOCK}")
    elif own.not_before > now:
        yield Problem(where, f"is not valid before {_day(own.not_before)}", _CLOCK, "notice")
    elif own.not_after < now + _SOON_S:
        yield Problem(where, f"expires on {_day(own.not_after)}", "Ask the authority for its successor in time.", "notice")


def _key(section: str, certificate_path: str, key_path: str, key: bytes) -> Iterator[Problem]:
    where = f"{section}.key"
    if b"ENCRYPTED" in key:
        yield Problem(where, "is protected by a password, which nobody could type", "Write it without: `openssl pkey -in … -out …`.")
        return
    try:
        if stat.S_IMODE(Path(key_path).stat().st_mode) & stat.S_IROTH:
            yield Problem(where, "can be read by every user of this machine", f"chmod 640 {printable(key_path)}")
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate_path, key_path, password=lambda: b"")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            yield Problem(where, f"is not the key of {section}.certificate", "Name the key that the certificate was requested with.")
        else:
            yield Problem(where, f"cannot be used ({error.reason})", "Name a PEM file with the text BEGIN PRIVATE KEY.")
    except OSError as error:
        yield Problem(where, f"cannot be read ({error.strerror})", "Check the path and the rights of the service's user.")


def _read(where: str, path: str) -> bytes | Problem:
    """Return the content of a regular file, or why there is none."""
    shown = printable(path)
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return Problem(where, f"{shown} is not a file", "Name the PEM file itself.")
        with Path(path).open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except FileNotFoundError:
        return Problem(where, f"there is no file {shown}", "Check the path, and that the file is on this machine.")
    except OSError as error:
        return Problem(where, f"{shown} cannot be read ({error.strerror})", "Give read permission to the user that runs the box.")
    if len(content) > _LARGEST_BYTES:
        return Problem(where, f"{shown} is larger than 1 MiB", "This cannot be a PEM file with certificates: check the path.")
    return content


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()
