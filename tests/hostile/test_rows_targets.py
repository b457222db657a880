"""Row 93 of hostile-inputs.md: the connection test as a way to reach what the box can reach and the attacker cannot.

Whoever may set the box up may type any destination and have it tested before it is saved. A trap listens on this machine: of everything
here, nothing may reach it. The sender's own examinations are asked, because every page, program and command asks them.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.config.load import ConfigInvalidError
from appliance.config.model import Site
from appliance.deliver.diagnosis import Senses
from appliance.manage.examination import Examinations
from appliance.manage.proposals import ProposalForbiddenError, ProposalsTooManyError
from appliance.runtime.questions import DestinationTestReply, DestinationTestRequest
from tests.support.strict_stow import Reply, StrictStow
from tests.unit.config.texts import HOST_KEY
from tests.unit.ledger.bench import Bench

# What a peer that is let in might say, and nobody may read.
_INNER_WORDS = b"root:x:0:0: 10.77.77.77 inner words"


class Trap:
    """A service of this machine that counts who reaches it."""

    def __init__(self) -> None:
        """Listen, on both families where there are two."""
        self._sockets = [socket.create_server(("127.0.0.1", 0))]
        self.port = int(self._sockets[0].getsockname()[1])
        if socket.has_dualstack_ipv6():
            self._sockets.append(socket.create_server(("::1", self.port), family=socket.AF_INET6))
        self.calls = 0
        for listener in self._sockets:
            threading.Thread(target=self._count, args=(listener,), daemon=True).start()

    def _count(self, listener: socket.socket) -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            self.calls += 1
            with caller:
                caller.sendall(_INNER_WORDS)

    def close(self) -> None:
        """Listen no more."""
        for listener in self._sockets:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()


@pytest.fixture
def trap() -> Iterator[Trap]:
    """A service that must not be reached."""
    trap = Trap()
    yield trap
    trap.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """The ledger that a sender has."""
    bench = Bench(tmp_path)
    (tmp_path / "run").mkdir()
    yield bench
    bench.ledger.close()


def asked(bench: Bench, proposal: str, senses: Senses | None = None) -> DestinationTestReply:
    """Have a proposal tested by a sender that runs no demonstration."""
    return Examinations(bench.ledger, Site, lambda *_: None, run_dir=bench.data / "run", senses=senses).examine(
        DestinationTestRequest("", proposal=proposal)
    )


def dicom(host: str, port: int) -> str:
    """Return a proposal."""
    return f'[[destination]]\nname = "x"\nae_title = "X"\nhost = {json.dumps(host)}\nport = {port}\n'


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("127.0.0.1", id="row-93-loopback"),
        pytest.param("::1", id="row-93-loopback-v6"),
        pytest.param("::ffff:127.0.0.1", id="row-93-loopback-mapped"),
        pytest.param("0x7f000001", id="row-93-hexadecimal"),
        pytest.param("0x7f.1", id="row-93-hexadecimal-short"),
        pytest.param("localhost", id="row-93-localhost"),
        pytest.param("169.254.169.254", id="row-93-metadata"),
    ],
)
def test_this_machine_under_another_name(bench: Bench, trap: Trap, host: str) -> None:
    """However loopback and link-local addresses are written: one fixed sentence, and nobody is called."""
    reply = asked(bench, dicom(host, trap.port))

    assert [("name", False)] == [(step.phase, step.ok) for step in reply.steps]
    assert 0 == trap.calls


@pytest.mark.parametrize("host", [pytest.param("::", id="row-93-unspecified"), pytest.param("127.1", id="row-93-short-address")])
def test_what_the_configuration_refuses(bench: Bench, trap: Trap, host: str) -> None:
    """What can be no destination is refused by the rules of every configuration."""
    with pytest.raises(ConfigInvalidError):
        asked(bench, dicom(host, trap.port))

    assert 0 == trap.calls


@pytest.mark.parametrize("name", [pytest.param("changing.invalid", id="row-93-changing-name")])
def test_a_name_that_changes(bench: Bench, trap: Trap, name: str) -> None:
    """A name that leads to a harmless machine when it is judged, and to this one when it is called: it is not asked a second time."""
    answers = iter([("192.0.2.1",), ("127.0.0.1",), ("127.0.0.1",)])
    looks: list[str] = []

    def resolve(host: str, _port: int) -> tuple[str, ...]:
        looks.append(host)
        return next(answers)

    site = Site.model_validate({"delivery": {"connect": 0.2}})
    examinations = Examinations(
        bench.ledger, lambda: site, lambda *_: None, run_dir=bench.data / "run", senses=replace(Senses(), resolve=resolve)
    )

    reply = examinations.examine(DestinationTestRequest("", proposal=dicom(name, trap.port)))

    assert (False, [name], 0) == (reply.ok, looks, trap.calls)


@pytest.mark.parametrize("port", [pytest.param(port, id=f"row-93-port-{port}") for port in (22, 25, 443, 3306, 6379)])
def test_a_port_of_another_service(bench: Bench, port: int) -> None:
    """A harmless machine's mail, shell or database is not called as an archive."""
    reply = asked(bench, dicom("192.0.2.1", port))

    assert [("name", False)] == [(step.phase, step.ok) for step in reply.steps]


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("file:///etc/passwd", id="row-93-file"),
        pytest.param("gopher://192.0.2.1/", id="row-93-gopher"),
        pytest.param("http://user:secret@192.0.2.1/", id="row-93-user-in-url"),
    ],
)
def test_an_address_that_is_no_web_service(bench: Bench, url: str) -> None:
    """No other protocol is spoken, and no password stands in an address."""
    with pytest.raises(ConfigInvalidError):
        asked(bench, f'[[destination]]\nname = "x"\nkind = "stow"\nurl = "{url}"\n')


@pytest.mark.parametrize("where", [pytest.param("192.0.2.1", id="row-93-proxy-of-its-own")])
def test_a_proxy_that_is_this_machine(bench: Bench, trap: Trap, where: str) -> None:
    """A proxy is called first, so it is judged first."""
    text = f'[[destination]]\nname = "x"\nkind = "stow"\nurl = "http://{where}/"\nproxy = "http://127.0.0.1:{trap.port}"\n'

    assert (False, 0) == (asked(bench, text).ok, trap.calls)


@pytest.mark.parametrize("status", [pytest.param(302, id="row-93-redirect"), pytest.param(200, id="row-93-inner-words")])
def test_what_a_web_service_says(bench: Bench, trap: Trap, status: int) -> None:
    """A redirection is not followed, and of an answer nothing but the status is ever shown."""
    (bench.data / "run" / "listening.json").write_text('{"dicom": [], "demo": true}')
    away = (("Location", f"http://127.0.0.1:{trap.port}/"),)
    with StrictStow(replies=(Reply(status, _INNER_WORDS, "text/plain", away),)) as server:
        reply = asked(bench, f'[[destination]]\nname = "x"\nkind = "stow"\nurl = "{server.url}"\n')

    shown = " ".join(f"{step.detail} {step.advice}" for step in reply.steps)
    assert 0 == trap.calls
    assert "inner words" not in shown
    assert str(trap.port) not in shown


@pytest.mark.parametrize("kind", [pytest.param("dicom", id="row-93-words-of-a-peer")])
def test_what_another_service_says(bench: Bench, trap: Trap, kind: str) -> None:
    """Of what something else than an archive answers, not a byte is shown (in a demonstration, so that it is reached at all)."""
    (bench.data / "run" / "listening.json").write_text('{"dicom": [], "demo": true}')

    reply = asked(bench, dicom("127.0.0.1", trap.port))

    assert (False, True) == (reply.ok, trap.calls > 0), kind
    assert "inner words" not in " ".join(f"{step.detail} {step.advice}" for step in reply.steps)


@pytest.mark.parametrize("name", [pytest.param("root.key", id="row-93-secret-of-the-box")])
def test_a_secret_of_the_box(bench: Bench, name: str) -> None:
    """No file of the box goes to the attacker's server as a password."""
    secret = bench.data / name
    secret.write_text("the root key\n")
    secret.chmod(0o600)
    account = f'host = "192.0.2.1"\nuser = "x"\nhost_key = "{HOST_KEY}"\npassword_file = "{secret}"\n'

    with pytest.raises(ProposalForbiddenError):
        asked(bench, f'[[destination]]\nname = "x"\nkind = "sftp"\n{account}')


@pytest.mark.parametrize("count", [pytest.param(100, id="row-93-scan")])
def test_a_scan(bench: Bench, count: int) -> None:
    """Whoever tests address after address gets a dozen answers a minute."""
    examinations = Examinations(bench.ledger, Site, lambda *_: None, run_dir=bench.data / "run")
    answered = 0
    for number in range(count):
        try:
            examinations.examine(DestinationTestRequest("", proposal=dicom(f"169.254.0.{number}", 104)))
        except ProposalsTooManyError:
            break
        answered += 1

    assert 12 == answered
