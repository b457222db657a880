"""The TLS port in process: handshakes good and bad, silent and slow ones, and who is taken for whom (hostile-inputs.md section D, N3)."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from appliance.dimse.acceptor import Deadlines
from appliance.dimse.tls import Credentials
from tests.support import dcmtk, samples, wire
from tests.support.certificates import DAY, Authority, Identity
from tests.support.door import SITE, Door, site_of, threads
from tests.support.eventually import eventually
from tests.support.openssl_tool import signed_with_sha1
from tests.support.tls_client import client_context, connect, shake

QUICK = Deadlines(establish_s=0.5, progress_s=0.5)
REFUSED = wire.AssociateAnswer(wire.REJECTED, (1, 1, 3))

Logs = list[MutableMapping[str, Any]]
MakeDoor = Callable[..., Door]


@pytest.fixture
def hospital(tmp_path: Path) -> Authority:
    """The authority that everybody trusts."""
    return Authority(tmp_path / "hospital")


@pytest.fixture
def box(hospital: Authority) -> Identity:
    """The box's own certificate."""
    return hospital.issue("box")


@pytest.fixture
def make_door(tmp_path: Path, box: Identity) -> Iterator[MakeDoor]:
    """Make doors with a TLS port; each is closed, and must leave no thread and no descriptor."""
    doors: list[Door] = []
    before = descriptors()

    def make(tls: str = "", source: str = "", **settings: object) -> Door:
        site = SITE.replace('ae_title = "CT1"\n', f'ae_title = "CT1"\n{source}\n')
        own = Credentials(box.certificate, box.key)
        doors.append(Door(tmp_path / "data", site=f'{site}\n[listen]\ndicom_tls = ["127.0.0.1:0"]\n[tls]\n{tls}\n', own=own, **settings))  # type: ignore[arg-type]
        return doors[-1]

    yield make
    for door in doors:
        door.close()
    assert descriptors() == before


@pytest.fixture
def logs() -> Iterator[Logs]:
    """What is logged during the test."""
    with capture_logs() as captured:
        yield captured


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def required(hospital: Authority) -> str:
    """Return the settings that ask for a certificate of the hospital's."""
    return f'client_certificates = "required"\nauthorities = ["{hospital.path}"]'


def event(logs: Logs, name: str) -> MutableMapping[str, Any]:
    """Return the first event of this name, when it has come."""
    return eventually(lambda: next((entry for entry in logs if entry["event"] == name), None), message=name)


def ask(connection: socket.socket, calling: bytes = b"CT1") -> wire.AssociateAnswer:
    """Ask for an association and return the answer."""
    connection.sendall(wire.associate_request(called=b"EDGE", calling=calling, abstract_syntaxes=[wire.VERIFICATION]))
    head = connection.recv(6)
    body = connection.recv(4096) if head else b""
    return wire.AssociateAnswer(head[0] if head else 0, (body[1], body[2], body[3]) if head[:1] == b"\x03" else None)


def test_plain_and_tls_stand_side_by_side(make_door: MakeDoor, hospital: Authority, tmp_path: Path) -> None:
    """DCMTK stores over TLS while it stores in plain, and what is kept says how it came."""
    dcmtk.require("storescu")
    door = make_door(required(hospital))
    files = samples.ct(64).write(tmp_path / "files", 2)
    scanner = hospital.issue("ct1")

    plain = dcmtk.storescu(door.port, files[:1], calling="CT1")
    secure = dcmtk.storescu(door.tls_port, files[1:], calling="CT1", options=dcmtk.tls_options(scanner, hospital))

    assert (dcmtk.successes(plain), dcmtk.successes(secure)) == (1, 1)
    assert len(door.stored()) == 2
    in_plain, over_tls = (origin.secured for origin in door.origins)
    assert in_plain is None
    assert over_tls is not None
    assert over_tls.version in {"TLSv1.2", "TLSv1.3"}
    assert over_tls.certificate is not None
    assert over_tls.certificate.sha256 == scanner.sha256


def test_the_log_says_who_came_and_how(make_door: MakeDoor, hospital: Authority, logs: Logs) -> None:
    """An accepted association is logged with TLS version, cipher, and the subject and serial number of the peer's certificate."""
    door = make_door(required(hospital))
    scanner = hospital.issue("ct1")

    with connect(door.tls_port, client_context(scanner, trusts=hospital.path)) as connection:
        answer = ask(connection)

    accepted = event(logs, "association.accepted")
    assert answer.pdu_type == wire.ACCEPTED
    assert {key: accepted[key] for key in ("tls", "cipher", "certificate", "certificate_serial")} == {
        "tls": "TLSv1.3",
        "cipher": "TLS_AES_256_GCM_SHA384",
        "certificate": "CN=ct1",
        "certificate_serial": scanner.serial,
    }


def test_without_client_certificates_nobody_is_asked_for_one(make_door: MakeDoor) -> None:
    """With client_certificates = "off" a scanner without a certificate is served."""
    door = make_door()

    with connect(door.tls_port, client_context()) as connection:
        answer = ask(connection)

    assert answer.pdu_type == wire.ACCEPTED


@pytest.mark.parametrize(
    ("kind", "alert", "problem"),
    [
        ("none", "TLSV13_ALERT_CERTIFICATE_REQUIRED", "the peer shows no certificate, and one is demanded"),
        ("wrong authority", "TLSV1_ALERT_UNKNOWN_CA", "the certificate is not trusted (unable to get local issuer certificate)"),
        ("expired", "SSLV3_ALERT_CERTIFICATE_EXPIRED", "the certificate has expired"),
        ("not yet valid", "SSLV3_ALERT_BAD_CERTIFICATE", "the certificate is not valid yet"),
        ("SHA-1", "SSLV3_ALERT_BAD_CERTIFICATE", "the certificate is not trusted (CA signature digest algorithm too weak)"),
        ("a megabyte", "SSLV3_ALERT_ILLEGAL_PARAMETER", "the handshake failed (EXCESSIVE_MESSAGE_SIZE)"),
        ("1024 bits", "SSLV3_ALERT_BAD_CERTIFICATE", "the certificate is not trusted (EE certificate key too weak)"),
    ],
)
def test_a_bad_client_certificate_is_refused_with_an_alert(
    make_door: MakeDoor, hospital: Authority, tmp_path: Path, logs: Logs, kind: str, alert: str, problem: str
) -> None:
    """Who shows no certificate, or one that is not good, gets the alert that says so, and the log says it to the technician."""
    door = make_door(required(hospital))
    identity = {
        "none": lambda: None,
        "wrong authority": lambda: Authority(tmp_path / "elsewhere", "Other CA").issue("ct1"),
        "expired": lambda: hospital.issue("ct1", begins=-3 * DAY, ends=-DAY),
        "not yet valid": lambda: hospital.issue("ct1", begins=DAY),
        "SHA-1": lambda: signed_with_sha1(hospital, "ct1"),
        "a megabyte": lambda: hospital.issue("ct1", names=[f"{number}.{'x' * 40}.example.org" for number in range(20_000)]),
        "1024 bits": lambda: hospital.issue("ct1", key="rsa1024"),
    }[kind]()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)

    handshake = shake(door.tls_port, context)

    assert (handshake.refused, event(logs, "association.tls_refused")["problem"]) == (alert, problem)


def test_a_source_may_be_bound_to_one_certificate(make_door: MakeDoor, hospital: Authority, logs: Logs) -> None:
    """With its fingerprint configured, a known title with any other good certificate, or in plain, gets the answer of strangers."""
    scanner, other = hospital.issue("ct1"), hospital.issue("mr7")
    door = make_door(required(hospital), f'certificate = "sha256:{scanner.sha256}"')

    with connect(door.tls_port, client_context(scanner)) as connection:
        known = ask(connection)
    with connect(door.tls_port, client_context(other)) as connection:
        impostor, stranger = ask(connection), None
    with connect(door.tls_port, client_context(other)) as connection:
        stranger = ask(connection, b"NOBODY")
    with socket.create_connection(("127.0.0.1", door.port), 10.0) as connection:
        in_plain = ask(connection)

    assert known.pdu_type == wire.ACCEPTED
    assert [impostor, stranger, in_plain] == [REFUSED] * 3
    reasons = [entry["reason"] for entry in logs if entry["event"] == "association.refused"]
    assert reasons[0] == "known title with another certificate"


@pytest.mark.parametrize(
    ("expected", "names", "is_let_in"),
    [
        ("ct1.hospital.example", ("ct1.hospital.example",), True),
        ("CT1.Hospital.Example", ("other", "ct1.hospital.example"), True),
        ("10.0.0.7", ("10.0.0.7",), True),
        ("ct1", (), True),
        ("ct1", ("ct2.hospital.example",), False),
        ("ct1.hospital.example", ("*.hospital.example",), False),
    ],
    ids=["name", "capitals", "address", "common name alone", "common name beside names", "wildcard"],
)
def test_a_source_may_be_bound_to_a_name(
    make_door: MakeDoor, hospital: Authority, expected: str, names: tuple[str, ...], *, is_let_in: bool
) -> None:
    """A name counts where it stands among the certificate's names, or is its common name where it has none."""
    scanner = hospital.issue("ct1", names=names)
    door = make_door(required(hospital), f'certificate = "{expected}"')

    with connect(door.tls_port, client_context(scanner)) as connection:
        answer = ask(connection)

    assert answer == (wire.AssociateAnswer(wire.ACCEPTED, None) if is_let_in else REFUSED)


def test_silent_callers_keep_nobody_waiting(make_door: MakeDoor) -> None:
    """Twenty connections that never say ClientHello are held, an honest TLS client is served meanwhile, and all is given back (N3)."""
    # The cap of those without a name is above, so that the honest one is not dropped for its address.
    door = make_door(deadlines=Deadlines(establish_s=3.0, progress_s=3.0))
    door.site = site_of(SITE.replace("{idle}", "30 min").replace("unauthenticated_per_address = 20", "unauthenticated_per_address = 40"))
    silent = [socket.create_connection(("127.0.0.1", door.tls_port), 10.0) for _ in range(20)]
    eventually(lambda: door.listener.active == 20, message="all silent callers to be taken")

    with connect(door.tls_port, client_context()) as connection:
        answer = ask(connection)
        held = door.listener.active

    assert answer.pdu_type == wire.ACCEPTED
    assert held == 21
    eventually(lambda: door.listener.active == 0, within=20, message="the silent callers to be given up")
    eventually(lambda: threads() == ["listener"], message="their threads to end")
    assert all(sock.recv(1) == b"" for sock in silent)
    for sock in silent:
        sock.close()


def test_silent_callers_count_against_their_address(make_door: MakeDoor, logs: Logs) -> None:
    """Who has not finished a handshake is a caller without a name: beyond the cap of its address calls are dropped."""
    door = make_door()
    silent = [socket.create_connection(("127.0.0.1", door.tls_port), 10.0) for _ in range(21)]

    dropped = event(logs, "listener.calls_dropped")

    assert dropped["latest_peer"] == "127.0.0.1"
    assert door.listener.active == 20
    for sock in silent:
        sock.close()


def test_a_slow_handshake_ends_at_its_deadline(make_door: MakeDoor) -> None:
    """A ClientHello that drips a byte at a time is cut when the time for establishing is over, however alive it looks."""
    door = make_door(deadlines=QUICK)
    client, hello = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context().wrap_bio(client, hello, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    message = hello.read()
    dripped = 0

    with socket.create_connection(("127.0.0.1", door.tls_port), 10.0) as connection:
        connection.setblocking(False)
        for byte in message:
            try:
                connection.send(bytes([byte]))
                if connection.recv(1) == b"":
                    break
            except BlockingIOError:
                dripped += 1
                time.sleep(0.02)
            except ConnectionError:
                break

    assert dripped < len(message)
    eventually(lambda: door.listener.active == 0, message="the association to end")


def test_plain_dicom_on_the_tls_port_is_closed_and_told(make_door: MakeDoor, logs: Logs) -> None:
    """A scanner that calls the TLS port in plain is closed at once, and the log says what it did."""
    door = make_door()

    with socket.create_connection(("127.0.0.1", door.tls_port), 10.0) as connection:
        answer = ask(connection)

    assert answer.pdu_type == 0
    assert event(logs, "association.tls_refused")["problem"] == "what came is not TLS but looks like plain DICOM"


def test_tls_on_the_plain_port_is_closed_and_told(make_door: MakeDoor, logs: Logs) -> None:
    """A scanner that calls the plain port over TLS is closed at once, and the log says what it did."""
    door = make_door()

    handshake = shake(door.port, client_context())

    assert handshake.refused is not None
    assert event(logs, "association.protocol_error")["looks_like"] == "TLS"


def test_a_renewed_certificate_is_shown_to_the_next_caller(make_door: MakeDoor, hospital: Authority, box: Identity) -> None:
    """When the files are replaced, new associations get the new certificate; a damaged replacement leaves the old one in use."""
    door = make_door()
    first = shake(door.tls_port, client_context()).certificate

    renewed = hospital.issue("box")
    second = shake(door.tls_port, client_context()).certificate
    box.key.write_text("damaged", encoding="ascii")
    third = shake(door.tls_port, client_context()).certificate

    assert box == renewed
    assert first != second
    assert second == third


def test_an_association_over_tls_ends_when_the_door_drains(make_door: MakeDoor) -> None:
    """An idle TLS association is ended by an abort and TLS's own goodbye when the box stops."""
    door = make_door()
    with connect(door.tls_port, client_context()) as connection:
        ask(connection)

        door.stopping.set()
        door.listener.drain(5.0)

        assert connection.recv(64)[:1] == b"\x07"
        assert connection.recv(1) == b""
