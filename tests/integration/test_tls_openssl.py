"""What the TLS port refuses, tried with OpenSSL's own client, which is first shown to be able to do it (hostile-inputs.md row 80)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.dimse.tls import CIPHERS, Credentials, Profile
from tests.support.certificates import Authority, Identity
from tests.support.door import SITE, Door
from tests.support.openssl_tool import EVERYTHING, PermissiveServer, agreed, talk
from tests.support.tls_client import client_context, connect

_TLS12 = "-tls1_2"


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Identity, Identity]:
    """A certificate with an RSA key and one with an EC key: a cipher shall not be refused for want of the right key."""
    authority = Authority(tmp_path_factory.mktemp("hospital"))
    return authority.issue("rsa", key="rsa2048"), authority.issue("ec")


@pytest.fixture(scope="module")
def permissive(tmp_path_factory: pytest.TempPathFactory, identities: tuple[Identity, Identity]) -> Iterator[int]:
    """The port of a server that takes everything."""
    with PermissiveServer(tmp_path_factory.mktemp("server"), *identities) as server:
        yield server.port


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory, identities: tuple[Identity, Identity]) -> Iterator[dict[str, int]]:
    """The TLS ports of boxes: one with an RSA key, one with an EC key, one with an EC key and the profile of B.13."""
    ports, opened = {}, []
    for name, identity, profile in (
        ("rsa", identities[0], "bcp195"),
        ("ec", identities[1], "bcp195"),
        ("modified", identities[1], "modified"),
    ):
        own = Credentials(identity.certificate, identity.key)
        site = f'{SITE}\n[listen]\ndicom_tls = ["127.0.0.1:0"]\n[tls]\nprofile = "{profile}"\n'
        opened.append(Door(tmp_path_factory.mktemp(name) / "data", site=site, own=own))
        ports[name] = opened[-1].tls_port
    yield ports
    # All at once: `close` looks for threads of any door.
    for door in opened:
        door.stopping.set()
    for door in opened:
        door.listener.drain(5.0)
    for door in opened:
        door.close()


_OLD_PROTOCOLS = [("-tls1", "-cipher", EVERYTHING), ("-tls1_1", "-cipher", EVERYTHING)]
_WEAK = {
    "RSA key exchange": "AES128-GCM-SHA256",
    "RSA key exchange, CBC, SHA-1": "AES128-SHA",
    "CBC, SHA-1": "ECDHE-RSA-AES128-SHA",
    "CBC, SHA-256": "ECDHE-RSA-AES128-SHA256",
    "finite-field DHE": "DHE-RSA-AES128-GCM-SHA256",
    "anonymous DH": "ADH-AES128-GCM-SHA256",
    "anonymous ECDH": "AECDH-AES256-SHA",
    "NULL cipher": "NULL-SHA256",
    "NULL cipher, ECDHE": "ECDHE-RSA-NULL-SHA",
}


@pytest.mark.parametrize("options", _OLD_PROTOCOLS, ids=lambda options: str(options[0]))
def test_old_protocols_are_refused(permissive: int, doors: dict[str, int], options: tuple[str, ...]) -> None:
    """TLS 1.0 and 1.1, which the client can speak, are not spoken here."""
    possible = agreed(permissive, *options)

    assert possible
    assert [agreed(doors[name], *options) for name in doors] == [""] * 3


@pytest.mark.parametrize("cipher", _WEAK.values(), ids=_WEAK)
def test_weak_ciphers_are_refused(permissive: int, doors: dict[str, int], cipher: str) -> None:
    """A cipher suite that BCP 195 does not recommend, which the client can use, is not used here."""
    options = (_TLS12, "-cipher", f"{cipher}:@SECLEVEL=0")

    possible = agreed(permissive, *options)

    assert possible == cipher
    assert [agreed(doors[name], *options) for name in doors] == [""] * 3


def test_short_curves_are_refused(permissive: int, doors: dict[str, int]) -> None:
    """An elliptic curve of 224 bits, which the client can use, is not used here."""
    options = (_TLS12, "-cipher", "ECDHE:@SECLEVEL=0", "-groups", "secp224r1")

    possible = agreed(permissive, *options)

    assert possible
    assert [agreed(doors[name], *options) for name in doors] == [""] * 3


@pytest.mark.parametrize("cipher", CIPHERS[Profile.BCP195])
def test_what_is_recommended_is_spoken(doors: dict[str, int], cipher: str) -> None:
    """Each cipher suite of the profile works with TLS 1.2, over the key that it is for."""
    kind = "ec" if "ECDSA" in cipher else "rsa"

    assert agreed(doors[kind], _TLS12, "-cipher", cipher) == cipher


def test_tls_1_3_is_preferred(doors: dict[str, int]) -> None:
    """A client that offers both gets TLS 1.3."""
    assert [agreed(doors[name]) for name in doors] == ["TLS_AES_256_GCM_SHA384"] * 3


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-CCM", "ECDHE-ECDSA-AES256-CCM"])
def test_the_modified_profile_adds_ccm(doors: dict[str, int], cipher: str) -> None:
    """AES-CCM is spoken where the profile is B.13, and only there."""
    options = (_TLS12, "-cipher", cipher)

    assert [agreed(doors["modified"], *options), agreed(doors["ec"], *options)] == [cipher, ""]


def test_nobody_may_negotiate_again(permissive: int, doors: dict[str, int]) -> None:
    """A client that asks for a second handshake within the first is refused (RFC 9325 3.5)."""
    possible = talk(permissive, _TLS12, typed="R\n")

    refused = talk(doors["ec"], _TLS12, typed="R\n")

    assert "RENEGOTIATING" in possible
    assert "no renegotiation" not in possible
    assert "no renegotiation" in refused


def test_nothing_is_resumed(doors: dict[str, int]) -> None:
    """No session ticket is given, so that neither resumption nor early data can follow from one."""
    with connect(doors["ec"], client_context()) as connection:
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        session = connection.session

    assert session is not None
    assert not session.has_ticket
