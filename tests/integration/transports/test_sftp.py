"""The contract of all transports, for OpenSSH's server, and what only SSH can meet."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.config.layout import DEFAULT_LAYOUT, LayoutTemplate
from appliance.core.identity import AETitle
from appliance.deliver.transport import AssociationFailedError, Wanted
from appliance.deliver.transports.sftp import SftpPeer, SftpTransport
from appliance.deliver.verdict import Whose
from tests.integration.transports import contract
from tests.integration.transports.contract import Bench, OpenObject, an_object, send
from tests.integration.transports.files import copies_under, drafts_under
from tests.support.sshd import Sshd, make_key
from tests.unit.spool.builders import a_spool

WANTED = Wanted(AETitle("CT1"), [(contract.CT, contract.EXPLICIT)])


class SftpBench:
    """A server that lets the box in with a key."""

    def __init__(self, server: Sshd) -> None:
        """Serve."""
        self.server = server
        self.host_key = server.fingerprints[0]
        self.key_file = str(server.key_file)
        self.path = "."
        self.progress_s = 5.0
        self.layout = DEFAULT_LAYOUT

    def way(self, open_object: OpenObject) -> SftpTransport:
        """Return the way to it."""
        peer = SftpPeer(
            host="127.0.0.1",
            port=self.server.port,
            user=self.server.user,
            password_file=None,
            key_file=self.key_file,
            host_key=self.host_key,
            path=self.path,
            connect_s=5.0,
            login_s=20.0,
            progress_s=self.progress_s,
            hello_s=5.0,
        )
        return SftpTransport(peer, self.layout, open_object)

    def kept(self, sop_instance_uid: str) -> list[str]:
        """Return the digests of its copies."""
        return copies_under(self.server.folder, sop_instance_uid)

    def cut(self) -> None:
        """Kill it with its sessions."""
        self.server.stop()

    def mend(self) -> None:
        """Start it again."""
        self.server.start()

    def refusal(self, open_object: OpenObject) -> tuple[str, str]:
        """Return flag and text of the verdict with which no channel comes about."""
        with pytest.raises(AssociationFailedError) as caught:
            self.way(open_object).open(WANTED)
        return caught.value.verdict.flag, caught.value.verdict.text


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[SftpBench]:
    """A server that runs."""
    with Sshd(tmp_path / "sshd") as server:
        yield SftpBench(server)


@pytest.mark.parametrize("check", contract.CHECKS)
def test_sftp_keeps_the_contract(check: Callable[[Bench, Path], None], bench: SftpBench, tmp_path: Path) -> None:
    """OpenSSH is served as every way out of the box must serve, and no draft is left at it."""
    check(bench, tmp_path)

    assert drafts_under(bench.server.folder) == []


def test_a_changed_host_key_is_told_nothing(bench: SftpBench, tmp_path: Path) -> None:
    """A server with new keys is not trusted, both fingerprints are said, and nobody has tried to log in."""
    spool = a_spool(tmp_path / "data")
    bench.server.stop()
    bench.server.new_host_keys()
    bench.server.start()

    flag, text = bench.refusal(spool.open)

    assert flag == "ssh_wrong_host_key"
    assert all(fingerprint in text for fingerprint in (bench.host_key, *bench.server.fingerprints))
    assert f"user {bench.server.user}" not in bench.server.log()


def test_any_of_a_servers_keys_may_be_pinned(bench: SftpBench, tmp_path: Path) -> None:
    """The fingerprint of the ECDSA key is as good as that of the Ed25519 key that would be shown first."""
    spool = a_spool(tmp_path / "data")
    bench.host_key = bench.server.fingerprints[1]

    outcome = send(bench.way(spool.open), an_object(spool).task)

    assert outcome.verdict.whose is Whose.DELIVERED


def test_a_key_that_the_account_does_not_know(bench: SftpBench, tmp_path: Path) -> None:
    """A stranger's key is refused, which is a setting: the destination refuses, and is not away."""
    bench.key_file = str(make_key(tmp_path / "stranger"))

    flag, _ = bench.refusal(a_spool(tmp_path / "data").open)

    assert flag == "ssh_not_admitted"


def test_a_key_file_that_others_can_read(bench: SftpBench, tmp_path: Path) -> None:
    """A secret that is none is not used, and the reason says what to do."""
    Path(bench.key_file).chmod(0o644)

    flag, text = bench.refusal(a_spool(tmp_path / "data").open)

    assert flag == "secret_unusable"
    assert "can be read or changed by other users" in text


def test_a_folder_that_is_not_there(bench: SftpBench, tmp_path: Path) -> None:
    """The folder of the destination is not made: it may be a typing mistake."""
    bench.path = "nowhere"

    flag, _ = bench.refusal(a_spool(tmp_path / "data").open)

    assert flag == "folder_missing"


def test_a_layout_with_hostile_values_stays_inside(bench: SftpBench, tmp_path: Path) -> None:
    """A patient ID that means a folder above is a plain name."""
    spool = a_spool(tmp_path / "data")
    bench.layout = LayoutTemplate("{patient_id}/{modality}-{instance}.dcm")

    send(bench.way(spool.open), an_object(spool).task)

    assert [str(path.relative_to(bench.server.folder)) for path in bench.server.folder.rglob("*.dcm")] == ["___.._etc/CT-1.2.3.4.1.dcm"]


def test_a_server_that_stands_still(bench: SftpBench, tmp_path: Path) -> None:
    """A server that takes no more bytes is given up after the progress deadline, and the next try succeeds."""
    spool = a_spool(tmp_path / "data")
    one = an_object(spool, size=32 << 20)
    bench.progress_s = 1.0
    way = bench.way(spool.open)
    channel = way.open(WANTED)
    sessions = bench.server.sessions()
    for pid in sessions:
        os.kill(pid, signal.SIGSTOP)

    outcome = channel.send(one.task)
    channel.abort()
    for pid in sessions:
        os.kill(pid, signal.SIGCONT)

    assert outcome.verdict.whose is Whose.UNKNOWN
    assert send(way, one.task).verdict.whose is Whose.DELIVERED
