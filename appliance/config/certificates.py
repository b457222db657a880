"""Certificates in the configuration: which one a peer must show, and in which files those of the box are. Pure: no file is looked at.

Promises: a pin and a name print as they are read; a fingerprint is understood in every form in which tools print it.
Failures: a pydantic refusal with a plain problem and advice (see `problem.refusal`).
Limits: whether a file is there and holds what it should is for `tls_files`.
Standard: a fingerprint is SHA-256 over the certificate's DER form, as `openssl x509 -fingerprint -sha256` prints it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator

from appliance.config.problem import kind_of, quoted, refusal

_PREFIX = "sha256:"
_SHA256_DIGITS = 64
_HEX_PAIRS = re.compile(r"[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}")
# What stands in a certificate for a machine: a host name, an address, or the common name that devices have instead of one.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._: -]{0,126}[A-Za-z0-9])?")
_PATH_CHARACTERS = 4096
_ADVICE = 'Write its fingerprint ("sha256:…", as `dicom-edge tls show FILE` prints it), or the name in it ("pacs.example.org").'
_PATH_ADVICE = 'Write the whole path, for example "/etc/dicom-edge/box.pem".'


@dataclass(frozen=True, slots=True)
class ExpectedCertificate:
    """What a peer must show: the one certificate with this `sha256`, or any for `name` that an authority vouches for. One is empty."""

    sha256: str = ""
    name: str = ""

    def __str__(self) -> str:
        """Return it as it stands in the file."""
        return f"{_PREFIX}{self.sha256}" if self.sha256 else self.name


def _read_expected(value: object) -> ExpectedCertificate:
    if isinstance(value, ExpectedCertificate):
        return value
    if not isinstance(value, str):
        raise refusal(f"must be a fingerprint or a name in quotes, not {kind_of(value)}", _ADVICE)
    text = value.strip(" ")
    pin = text[len(_PREFIX) :].strip(" ") if text.lower().startswith(_PREFIX) else text
    if _HEX_PAIRS.fullmatch(pin):
        return ExpectedCertificate(sha256=pin.replace(":", "").lower())
    if pin is not text:
        raise refusal(f"{quoted(value)} is not a fingerprint", f"A SHA-256 fingerprint has {_SHA256_DIGITS} digits from 0 to f.")
    if not _NAME.fullmatch(text):
        raise refusal(f"{quoted(value)} is neither a fingerprint nor a name", _ADVICE)
    return ExpectedCertificate(name=text)


def _read_pem_file(value: object) -> str:
    if not isinstance(value, str):
        raise refusal(f"must be the path of a file in quotes, not {kind_of(value)}", _PATH_ADVICE)
    if not value.startswith("/"):
        raise refusal(f"{quoted(value)} is not a whole path", _PATH_ADVICE)
    if len(value) > _PATH_CHARACTERS or not value.isprintable():
        raise refusal(f"{quoted(value)} cannot be the path of a file", _PATH_ADVICE)
    return value


PeerCertificate = Annotated[ExpectedCertificate, PlainValidator(_read_expected), PlainSerializer(str)]
"""What a peer's certificate must be."""
PemFile = Annotated[str, PlainValidator(_read_pem_file)]
"""The path of a PEM file."""
