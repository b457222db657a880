"""Certificates for tests: an authority of the test's own, and what it issues, good and bad.

Promises: everything is made anew in the directory given; keys are unencrypted PEM, which is what the peers' tools take.
Failures: none.
Limits: one authority, no chain between.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

LOCAL = ("localhost", "127.0.0.1")
YEAR = dt.timedelta(days=365)
DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path

    @property
    def sha256(self) -> str:
        """The fingerprint, in hexadecimal digits."""
        certificate = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()

    @property
    def serial(self) -> str:
        """The serial number, in hexadecimal digits."""
        return f"{x509.load_pem_x509_certificate(self.certificate.read_bytes()).serial_number:x}"


def a_key(kind: str = "ec") -> Key:
    """Return a new key: "ec" (P-256), or "rsa" with its bits, as in "rsa2048"."""
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, int(kind.removeprefix("rsa")))


class Authority:
    """Whoever signs; `path` is its own certificate."""

    def __init__(self, directory: Path, name: str = "Hospital CA") -> None:
        """Make its key and certificate in `directory`."""
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = a_key()
        certificate = (
            _builder(self.name, self.name, self._key, -DAY, YEAR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, SHA256())
        )
        self.path = directory / "authority.pem"
        self.path.write_bytes(certificate.public_bytes(Encoding.PEM))
        self.key_path = write_identity(directory, "signing", certificate, self._key).key

    def issue(
        self,
        name: str,
        *,
        names: Sequence[str] = LOCAL,
        begins: dt.timedelta = -DAY,
        ends: dt.timedelta = YEAR,
        key: str = "ec",
    ) -> Identity:
        """Return a certificate with this common name, for `names`, valid from `begins` to `ends` from now."""
        own = a_key(key)
        builder = _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), self.name, own, begins, ends)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(one) for one in names]), critical=False)
        certificate = builder.sign(self._key, SHA256())
        return write_identity(self.directory, name, certificate, own)

    def sign(self, request_pem: str) -> str:
        """Return the certificate for a request, with what it asks for, in PEM."""
        request = x509.load_pem_x509_csr(request_pem.encode("ascii"))
        assert request.is_signature_valid
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self.name)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + YEAR)
        )
        for extension in request.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        return builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM).decode("ascii")


def write_identity(directory: Path, name: str, certificate: x509.Certificate, key: Key) -> Identity:
    """Write both files and return where they are; what was there before is replaced as whole files are."""
    identity = Identity(directory / f"{name}.pem", directory / f"{name}.key")
    for path, content in (
        (identity.certificate, certificate.public_bytes(Encoding.PEM)),
        (identity.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())),
    ):
        draft = path.with_suffix(".new")
        draft.touch(0o600)
        draft.write_bytes(content)
        draft.replace(path)
    return identity


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, begins: dt.timedelta, ends: dt.timedelta) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
