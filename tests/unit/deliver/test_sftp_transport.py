"""The SFTP transport against servers that OpenSSH is not: passwords, no SFTP, an old server, a full disk, and no SSH at all."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from paramiko.sftp import SFTP_FAILURE, SFTP_OK, SFTP_OP_UNSUPPORTED
from paramiko.ssh_exception import SSHException

from appliance.config.layout import DEFAULT_LAYOUT
from appliance.core.identity import AETitle
from appliance.deliver.site_state import SiteState
from appliance.deliver.transport import AssociationFailedError, Wanted
from appliance.deliver.transports.sftp import SftpPeer, SftpTransport
from appliance.deliver.transports.sftp_client import BoundedPacketizer
from appliance.deliver.verdict import Verdict, Whose
from appliance.spool.store import Spool
from tests.fakes.ssh_server import PASSWORD, USER, SshServer
from tests.integration.transports.contract import an_object, send
from tests.unit.spool.builders import a_spool

WANTED = Wanted(AETitle("CT1"), ())
# More than the kernels on both sides keep between them.
_FLOOD_BYTES = 64 << 20
_GREETING_BYTES = 100_000


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool with keys."""
    return a_spool(tmp_path / "data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a server serves."""
    path = tmp_path / "kept"
    path.mkdir()
    return path


@pytest.fixture
def peer(tmp_path: Path) -> SftpPeer:
    """The right account and password at a server of which port and host key are not known yet."""
    secret = tmp_path / "password"
    secret.touch(mode=0o600)
    secret.write_text(PASSWORD + "\n", encoding="utf-8")
    return SftpPeer("127.0.0.1", 0, USER, str(secret), None, "", ".", 5.0, 10.0, 5.0, 5.0)


def way(server: SshServer, peer: SftpPeer, spool: Spool) -> SftpTransport:
    """Return the way to a server whose key is pinned."""
    return SftpTransport(replace(peer, port=server.port, host_key=server.fingerprint), DEFAULT_LAYOUT, spool.open)


def refusal(transport: SftpTransport) -> Verdict:
    """Return why no channel comes about."""
    with pytest.raises(AssociationFailedError) as caught:
        transport.open(WANTED)
    return caught.value.verdict


def test_a_password_lets_the_box_in(folder: Path, peer: SftpPeer, spool: Spool) -> None:
    """The password is what the file says without its line break, and the file arrives."""
    with SshServer(folder) as server:
        outcome = send(way(server, peer, spool), an_object(spool).task)

    assert outcome.verdict.whose is Whose.DELIVERED
    assert server.asked == [PASSWORD]
    assert [path.name for path in folder.rglob("*.dcm")] == ["1.2.3.4.1.dcm"]


def test_a_wrong_password_is_a_setting(folder: Path, peer: SftpPeer, spool: Spool) -> None:
    """The destination refuses, no word of the password is in the reason, and a knock finds it there."""
    Path(peer.password_file or "").write_text("hunter2", encoding="utf-8")
    with SshServer(folder) as server:
        transport = way(server, peer, spool)
        verdict = refusal(transport)
        transport.echo()

    assert (verdict.flag, verdict.site_state) == ("ssh_not_admitted", SiteState.REFUSING)
    assert "hunter2" not in verdict.text


def test_another_host_key_hears_no_password(folder: Path, peer: SftpPeer, spool: Spool) -> None:
    """What answers at the address with another key is told neither account nor password."""
    with SshServer(folder) as server:
        stranger = replace(peer, port=server.port, host_key="SHA256:" + "A" * 43)
        verdict = refusal(SftpTransport(stranger, DEFAULT_LAYOUT, spool.open))

    assert (verdict.flag, verdict.site_state) == ("ssh_wrong_host_key", SiteState.REFUSING)
    assert server.fingerprint in verdict.text
    assert server.asked == []


def test_a_server_without_sftp(folder: Path, peer: SftpPeer, spool: Spool) -> None:
    """Whoever is let in and finds no SFTP knows what to ask for."""
    with SshServer(folder, has_sftp=False) as server:
        verdict = refusal(way(server, peer, spool))

    assert (verdict.flag, verdict.site_state) == ("ssh_no_sftp", SiteState.REFUSING)


def test_an_old_server_gets_it_again(folder: Path, peer: SftpPeer, spool: Spool) -> None:
    """Without posix-rename a repeat still ends with the one file, under its name."""
    one = an_object(spool)
    with SshServer(folder, has_posix_rename=False) as server:
        outcomes = [send(way(server, peer, spool), one.task).verdict.whose for _ in range(2)]

    assert outcomes == [Whose.DELIVERED] * 2
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["1.2.3.4.1.dcm"]


@pytest.mark.parametrize("fails", [range(300_000, 10**9), range(300_000, 340_000), range(1)], ids=["for good", "once", "at the start"])
def test_a_disk_that_fails_keeps_nothing(folder: Path, peer: SftpPeer, spool: Spool, fails: range) -> None:
    """A server that fails to write, for good or for one piece in the middle, has no part of the file, and the instance waits."""
    with SshServer(folder, fails=fails) as server:
        outcome = send(way(server, peer, spool), an_object(spool).task)

    assert (outcome.verdict.whose, outcome.verdict.flag, outcome.verdict.hold) == (Whose.INSTANCE, "file_refused", None)
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_a_server_that_loses_the_end_has_not_got_it(folder: Path, peer: SftpPeer, spool: Spool) -> None:
    """A server that takes every byte and keeps fewer is asked how many, and believed about that only."""
    with SshServer(folder, forgets=range(500_000, 10**9)) as server:
        outcome = send(way(server, peer, spool), an_object(spool).task)

    assert (outcome.verdict.whose, outcome.verdict.flag) == (Whose.INSTANCE, "file_short")
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_a_file_that_cannot_be_closed_is_not_delivered(folder: Path, peer: SftpPeer, spool: Spool) -> None:
    """A server that keeps its error for the one who closes, as over a quota or into an object store, has not got the file."""
    with SshServer(folder, closes=False) as server:
        outcome = send(way(server, peer, spool), an_object(spool).task)

    assert outcome.verdict.whose is not Whose.DELIVERED
    assert list(folder.rglob("*.dcm")) == []


def test_a_server_whose_shell_greets_has_no_sftp(folder: Path, peer: SftpPeer, spool: Spool) -> None:
    """A greeting where SFTP should begin is a setting of the server's, and no error of ours."""
    with SshServer(folder, chats=True) as server:
        verdict = refusal(way(server, peer, spool))

    assert verdict.flag in {"ssh_no_sftp", "ssh_hung_up"}


def test_who_does_not_speak_ssh_is_not_there(peer: SftpPeer, spool: Spool) -> None:
    """A port where something listens and never speaks is dead, for a channel and for a knock."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        transport = SftpTransport(replace(peer, port=listener.getsockname()[1], login_s=1.0), DEFAULT_LAYOUT, spool.open)

        verdict = refusal(transport)
        with pytest.raises(AssociationFailedError):
            transport.echo()

    assert (verdict.flag, verdict.site_state) == ("ssh_not_spoken", SiteState.DEAD)


def test_a_key_with_a_passphrase_is_refused(folder: Path, peer: SftpPeer, spool: Spool, tmp_path: Path) -> None:
    """A key that nobody could unlock is the box's own trouble, said with what to do."""
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IGEga2V5\n-----END OPENSSH PRIVATE KEY-----\n", encoding="utf-8")
    with SshServer(folder) as server:
        verdict = refusal(way(server, replace(peer, password_file=None, key_file=str(key)), spool))

    assert (verdict.flag, verdict.site_state) == ("secret_unusable", SiteState.REFUSING)
    assert "passphrase" in verdict.text


@pytest.mark.parametrize(
    "beginning",
    [b"SSH-2.0-Stranger\r\n" + struct.pack(">I", (1 << 30) + 4), b"SSH-2.0-Stranger\r\n" + struct.pack(">I", 0xFFFFFFFC)],
    ids=["1 GiB", "4 GiB"],
)
def test_whoever_answers_cannot_fill_the_memory(peer: SftpPeer, spool: Spool, beginning: bytes) -> None:
    """A stranger that announces a packet of a gibibyte is hung up on before it is read, and is no SSH server."""
    with _flooding(beginning) as (port, taken):
        verdict = refusal(SftpTransport(replace(peer, port=port), DEFAULT_LAYOUT, spool.open))

    assert verdict.flag == "ssh_not_spoken"
    assert sum(taken) < _FLOOD_BYTES


def test_a_greeting_has_an_end() -> None:
    """A line that goes on for ever is left where it is."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(bytes(_GREETING_BYTES))

        with pytest.raises(SSHException, match="greeting"):
            BoundedPacketizer(ours).readline(5)


def test_a_logged_in_server_cannot_fill_the_memory(folder: Path, peer: SftpPeer, spool: Spool) -> None:
    """SFTP's own packets are bounded as well: one that is larger than any is no SFTP."""
    with SshServer(folder, announces=1 << 20) as server:
        verdict = refusal(way(server, peer, spool))

    assert verdict.flag == "ssh_no_sftp"


@pytest.mark.parametrize("syncs", [SFTP_OK, SFTP_OP_UNSUPPORTED])
def test_a_file_is_synced_before_it_has_its_name(folder: Path, peer: SftpPeer, spool: Spool, syncs: int) -> None:
    """A server that says that it can sync is asked to before the rename; that it cannot after all is no failure of the file."""
    with SshServer(folder, syncs=syncs) as server:
        outcome = send(way(server, peer, spool), an_object(spool).task)

    assert outcome.verdict.whose is Whose.DELIVERED
    assert server.deeds == ["sync", "rename"]


def test_a_server_that_does_not_announce_it_is_not_asked(folder: Path, peer: SftpPeer, spool: Spool) -> None:
    """SFTP version 3 has no sync: a server without the extension is believed when it closed the file."""
    with SshServer(folder) as server:
        outcome = send(way(server, peer, spool), an_object(spool).task)

    assert outcome.verdict.whose is Whose.DELIVERED
    assert server.deeds == ["rename"]


def test_a_file_that_cannot_be_synced_is_not_delivered(folder: Path, peer: SftpPeer, spool: Spool) -> None:
    """A server whose disk fails at the sync has not got the file, and nothing of it stays."""
    with SshServer(folder, syncs=SFTP_FAILURE) as server:
        outcome = send(way(server, peer, spool), an_object(spool).task)

    assert (outcome.verdict.whose, outcome.verdict.flag) == (Whose.INSTANCE, "file_refused")
    assert server.deeds == ["sync"]
    assert [path for path in folder.rglob("*") if path.is_file()] == []


@contextlib.contextmanager
def _flooding(beginning: bytes) -> Iterator[tuple[int, list[int]]]:
    """Give the port of a server that says this, then more without an end, and how much of it each client took."""
    taken: list[int] = []

    def serve() -> None:
        client, _ = listener.accept()
        with client, contextlib.suppress(OSError):
            client.sendall(beginning)
            while sum(taken) < _FLOOD_BYTES:
                taken.append(client.send(bytes(65536)))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], taken
        thread.join(10)
