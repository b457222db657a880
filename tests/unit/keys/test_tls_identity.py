"""The box's own TLS identity: made, requested, installed, and never in clear."""

from __future__ import annotations

import ssl
import stat
import time
from pathlib import Path

import pytest

from appliance.box import ensure_identity
from appliance.config.model import Site
from appliance.keys.certificates import CertificateUnreadableError
from appliance.keys.root import RootKey
from appliance.keys.tls_identity import (
    CertificateMisfitError,
    TlsIdentityExistsError,
    TlsIdentityForeignError,
    TlsIdentityMissingError,
    create_identity,
    install_certificate,
    own_certificate_pem,
    own_certificates,
    signing_request,
)
from appliance.keys.tls_key import identity_path, tls_password
from tests.support.certificates import Authority

PASSWORD = tls_password(RootKey(bytes(range(32))))
OTHER = tls_password(RootKey(bytes(32)))
NAMES = ("edge", "edge.example.org", "10.0.0.5")


def made(data: Path) -> None:
    """Make an identity."""
    create_identity(data, PASSWORD, NAMES, now=time.time())


def test_the_key_is_encrypted_and_fits_its_certificate(tmp_path: Path) -> None:
    """OpenSSL takes key and certificate from the one file with the password, and the key with no other; only the owner reads the file."""
    made(tmp_path)
    path = identity_path(tmp_path)

    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, password=PASSWORD)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"BEGIN PRIVATE KEY" not in path.read_bytes()
    with pytest.raises(ssl.SSLError):
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, password=OTHER)


def test_the_certificate_is_for_the_names_and_for_years(tmp_path: Path) -> None:
    """It names what it was made for, the first as its subject, signed by itself, and holds long enough not to be an outage."""
    made(tmp_path)

    (facts,) = own_certificates(tmp_path)

    assert (facts.subject, facts.issuer, facts.names) == ("CN=edge", "CN=edge", NAMES)
    assert facts.not_before < time.time()
    assert facts.not_after > time.time() + 4 * 365 * 86400


def test_an_identity_is_made_once(tmp_path: Path) -> None:
    """A start makes one where there is none and keeps what is there; making another needs the will to replace it."""
    ensure_identity(tmp_path, RootKey(bytes(range(32))), Site())
    before = own_certificates(tmp_path)
    ensure_identity(tmp_path, RootKey(bytes(range(32))), Site())

    assert own_certificates(tmp_path) == before
    with pytest.raises(TlsIdentityExistsError):
        create_identity(tmp_path, PASSWORD, NAMES, now=time.time())
    assert own_certificates(tmp_path) == before
    create_identity(tmp_path, PASSWORD, NAMES, now=time.time(), replace=True)
    assert own_certificates(tmp_path) != before


def test_a_signed_certificate_takes_the_place_of_the_own_one(tmp_path: Path) -> None:
    """What an authority signed is installed over the same key, first in the file whatever its place in the answer."""
    made(tmp_path)
    authority = Authority(tmp_path / "ca")

    signed = authority.sign(signing_request(tmp_path, PASSWORD, NAMES))
    installed = install_certificate(tmp_path, authority.path.read_bytes() + signed.encode("ascii"))

    assert (installed.issuer, installed.names) == ("CN=Hospital CA", NAMES)
    assert [facts.subject for facts in own_certificates(tmp_path)] == ["CN=edge", "CN=Hospital CA"]
    assert own_certificate_pem(tmp_path).startswith(signed)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(identity_path(tmp_path), password=PASSWORD)


def test_a_certificate_for_another_key_is_refused(tmp_path: Path) -> None:
    """A certificate for somebody else's key, and what is no certificate, change nothing."""
    made(tmp_path)
    before = identity_path(tmp_path).read_bytes()

    with pytest.raises(CertificateMisfitError):
        install_certificate(tmp_path, Authority(tmp_path / "ca").issue("other").certificate.read_bytes())
    with pytest.raises(CertificateUnreadableError):
        install_certificate(tmp_path, b"nothing")

    assert identity_path(tmp_path).read_bytes() == before


def test_another_root_key_opens_nothing(tmp_path: Path) -> None:
    """With the key of another box no request can be made, and it is said whose key is missing."""
    made(tmp_path)

    with pytest.raises(TlsIdentityForeignError):
        signing_request(tmp_path, OTHER, NAMES)


def test_without_an_identity_it_is_said_how_to_make_one(tmp_path: Path) -> None:
    """Before the first start there is nothing to show."""
    with pytest.raises(TlsIdentityMissingError) as missing:
        own_certificates(tmp_path)

    assert "dicom-edge tls generate" in missing.value.advice
