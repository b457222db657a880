"""The box's own TLS identity: a key that only the root key opens, and the certificate that stands for it.

One file, `keys/tls.pem`: an encrypted private key (PKCS #8), then the certificate and the chain above it. What the box made itself is
self-signed, until the hospital's authority signs a request and the answer is installed.

Promises: the file is whole, durable and readable by its owner alone when a call returns, and a reader never sees half of it; the private
key never stands in clear on the disk, and leaves this module only as `signing_request` uses it. A certificate is installed only over the
key that it was made for, and the one before stays usable until then.
Failures: `TlsIdentityMissingError`, `TlsIdentityExistsError`, `TlsIdentityForeignError`, `CertificateMisfitError`,
`CertificateUnreadableError` (operator); `OSError` of a full or sick disk.
Limits: whoever can read the memory of a receiver or the sender has the key: they cannot shake hands without it.
Standard: RFC 5958 (encrypted key), RFC 5280 (certificate), RFC 2986 (request); elliptic curve P-256, ECDSA with SHA-256.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.core.errors import ApplianceError, Fault
from appliance.keys.certificates import CertificateFacts, CertificateUnreadableError, facts_of, general_names, read_certificates
from appliance.keys.keyfile import write_key_file
from appliance.keys.tls_key import identity_path

# Five years: nobody but the peers that were given it trusts a self-signed certificate, so that a short life would only bring outages.
_SELF_SIGNED_DAYS = 5 * 365
# A scanner's clock may be behind; a certificate of the future is refused.
_BACKDATED = dt.timedelta(days=1)
# RFC 5280 upper bound of a common name.
_COMMON_NAME_CHARACTERS = 64
_KEY_END = b"-----END ENCRYPTED PRIVATE KEY-----\n"


class TlsIdentityMissingError(ApplianceError):
    """The box has no TLS key of its own yet."""

    fault = Fault.OPERATOR
    advice = "Start the box once: it makes a key and a certificate. `dicom-edge tls generate` makes them anew."


class TlsIdentityExistsError(ApplianceError):
    """The box has a TLS key, and peers may know its certificate."""

    fault = Fault.OPERATOR
    advice = "Add --replace to make a new one; peers that pinned the old certificate must then be given the new one."


class TlsIdentityForeignError(ApplianceError):
    """The TLS key cannot be opened with this root key."""

    fault = Fault.OPERATOR
    advice = "Put back keys/tls.pem from the backup of this box, or make a new one: `dicom-edge tls generate --replace`."


class CertificateMisfitError(ApplianceError):
    """A certificate is for another key."""

    fault = Fault.OPERATOR
    advice = "Install the certificate that was signed for the latest `dicom-edge tls request`; a key that was replaced needs a new request."


def create_identity(data: Path, password: bytes, names: Sequence[str], *, now: float, replace: bool = False) -> CertificateFacts:
    """Make a key and a self-signed certificate for `names`, the first being the common name, and return what it says.

    Raises `TlsIdentityExistsError` where there is one and it shall not be replaced, `ValueError` for no name or one that cannot stand in a
    certificate, and `OSError`.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(names)
    begins = dt.datetime.fromtimestamp(now, dt.UTC) - _BACKDATED
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + _BACKDATED + dt.timedelta(days=_SELF_SIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName(general_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_SIGNING_ONLY, critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
    try:
        write_key_file(identity_path(data), sealed + certificate.public_bytes(Encoding.PEM), must_be_new=not replace)
    except FileExistsError:
        raise TlsIdentityExistsError("the box has a TLS key already") from None
    return facts_of(certificate.public_bytes(Encoding.DER))


def own_certificates(data: Path) -> tuple[CertificateFacts, ...]:
    """Return the certificate of the identity and the chain above it. Needs no secret. Raises `TlsIdentityMissingError`."""
    return read_certificates(_read(data))


def own_certificate_pem(data: Path) -> str:
    """Return the certificate of the identity and the chain above it, for peers that shall trust it. Raises `TlsIdentityMissingError`."""
    return _split(_read(data))[1].decode("ascii")


def signing_request(data: Path, password: bytes, names: Sequence[str]) -> str:
    """Return a request, in PEM, for a certificate of the identity's key for `names`.

    Raises `TlsIdentityMissingError`, `TlsIdentityForeignError`, `ValueError` as `create_identity`.
    """
    key = _open(_split(_read(data))[0], password)
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_subject(names))
        .add_extension(x509.SubjectAlternativeName(general_names(names)), critical=False)
        .add_extension(_SIGNING_ONLY, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, SHA256())
    )
    return request.public_bytes(Encoding.PEM).decode("ascii")


def install_certificate(data: Path, pem: bytes) -> CertificateFacts:
    """Put a signed certificate (and the chain above it, in any order) in the place of the present one, and return what it says.

    Needs no secret: the present certificate tells which key it must be for. Raises `TlsIdentityMissingError`, `CertificateUnreadableError`,
    `CertificateMisfitError`, and `OSError`.
    """
    sealed, present = _split(_read(data))
    (wanted, *_) = x509.load_pem_x509_certificates(present)
    try:
        offered = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise CertificateUnreadableError("the file holds no certificate that can be read") from None
    mine = [certificate for certificate in offered if _public(certificate) == _public(wanted)]
    if not mine:
        raise CertificateMisfitError("the certificate is for another key than the box's")
    ordered = [mine[0], *(certificate for certificate in offered if certificate not in mine)]
    write_key_file(identity_path(data), sealed + b"".join(certificate.public_bytes(Encoding.PEM) for certificate in ordered))
    return facts_of(mine[0].public_bytes(Encoding.DER))


_SIGNING_ONLY = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _subject(names: Sequence[str]) -> x509.Name:
    if not names:
        raise ValueError("a certificate needs a name")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:_COMMON_NAME_CHARACTERS])])


def _read(data: Path) -> bytes:
    try:
        return identity_path(data).read_bytes()
    except FileNotFoundError:
        raise TlsIdentityMissingError("the box has no TLS key yet") from None


def _split(identity: bytes) -> tuple[bytes, bytes]:
    """Return the encrypted key and the certificates."""
    key, end, certificates = identity.partition(_KEY_END)
    return key + end, certificates


def _open(sealed: bytes, password: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(sealed, password)
    except (ValueError, TypeError):
        raise TlsIdentityForeignError("the root key does not open the box's TLS key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TlsIdentityForeignError("the box's TLS key is not one that the box made")
    return key


def _public(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
