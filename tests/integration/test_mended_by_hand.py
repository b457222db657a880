"""What a person mends while images wait: a bad certificate, an archive that moved, a title that is refused, a pause. All arrives, once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fakes import script
from tests.fakes.script import Answer, Caller, Welcome
from tests.fakes.scripted_archive import ScriptedArchive
from tests.support import dcmtk, part10, samples, senders
from tests.support.box import Box
from tests.support.certificates import DAY, Authority
from tests.support.dcmtk import StoreScp
from tests.support.eventually import eventually
from tests.support.site import Table, a_site, a_source

_SECURE, _MOVING, _STRICT, _PAUSED = "secure", "moving", "strict", "paused"
# What the strict archive lets in.
_KNOWN_TITLE = "KNOWN"
_LOAD = 200
_PAUSES = 3
# So that the load outlasts all pauses: ten seconds over four lanes, cut short after the last pause.
_SLOW_ANSWER = Answer(delay_s=0.2)


@dataclass
class Hospital:
    """One box with a scanner for each archive, and what is configured of the archives now."""

    box: Box
    work: Path
    authority: Authority
    secure: StoreScp
    archives: dict[str, ScriptedArchive]
    destinations: dict[str, Table] = field(default_factory=dict)

    def site(self) -> str:
        """Return the configuration: what comes from a scanner goes to the archive of its name."""
        return a_site(
            sources=[a_source(name.upper()) for name in self.destinations],
            destinations=list(self.destinations.values()),
            routes=[{"name": name, "to": [name], "when": {"source": [name.upper()]}} for name in self.destinations],
            tls={"authorities": [str(self.authority.path)]},
        )

    def change(self, name: str, **settings: object) -> None:
        """Change settings of one destination, as a technician does on the running box."""
        self.destinations[name] = {**self.destinations[name], **settings}
        path = self.work / "changed.toml"
        path.write_text(self.site(), encoding="utf-8")
        result = self.box.command("config", "apply", str(path))
        assert result.returncode == 0, result.stderr

    def send(self, name: str, count: int) -> dict[str, str]:
        """Send images for one archive and return the digest of each."""
        files = samples.ct(16).write(self.work / name, count)
        assert set(senders.send_once(self.box.port, files, calling=name.upper()).values()) == {0}
        return {instance.sop_instance_uid: instance.digest for instance in map(part10.read, files)}

    def state(self, name: str) -> tuple[str, str]:
        """Return how a destination is, and why."""
        row = next(row for row in self.box.cli("destinations") if row["name"] == name)
        return row["state"], row["reason"]

    def wait_for_reason(self, name: str, *words: str) -> None:
        """Return when the command line says all of this of a destination."""
        seen: list[str] = []

        def is_said() -> bool:
            seen[:] = self.state(name)
            return all(word in seen[1] for word in words)

        try:
            eventually(is_said, within=30)
        except AssertionError:
            raise AssertionError(f"{name} is {seen}, not for {words}") from None

    def waiting(self, name: str) -> set[str]:
        """Return what is still owed to a destination."""
        return {row["sop_instance_uid"] for row in self.box.cli("queue", "list", "--destination", name, "--limit", "1000")}


def _knows_one_title(caller: Caller) -> Welcome:
    return Welcome() if caller.calling == _KNOWN_TITLE else Welcome(reject=(1, 1, 3))


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """The box runs; the archive over TLS has a certificate that has expired, and the others run."""
    work = tmp_path_factory.mktemp("mended")
    authority = Authority(work / "authority")
    identity = authority.issue("pacs", begins=-3 * DAY, ends=-DAY)
    secure = StoreScp(work / "secure-archive", options=[*dcmtk.tls_options(identity, authority), "-ic"])
    archives = {
        _MOVING: ScriptedArchive(),
        _STRICT: ScriptedArchive(greeting=_knows_one_title),
        _PAUSED: ScriptedArchive(script.always(_SLOW_ANSWER)),
    }
    ports = {_SECURE: secure.port, **{name: archive.port for name, archive in archives.items()}}
    destinations: dict[str, Table] = {
        name: {"name": name, "kind": "dicom", "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": port, "calling_ae": "box"}
        for name, port in ports.items()
    }
    destinations[_SECURE] = {**destinations[_SECURE], "tls": "on"}
    box = Box(work / "box", "")
    hospital = Hospital(box, work, authority, secure, archives, destinations)
    try:
        secure.start()
        for archive in archives.values():
            archive.start()
        box.configure(hospital.site())
        box.start()
        yield hospital
    finally:
        box.close()
        secure.stop()
        for archive in archives.values():
            archive.stop()


def test_an_archive_whose_certificate_is_renewed_gets_everything(hospital: Hospital) -> None:
    """With an expired certificate, then with one for another name, nothing is sent and the reason is named; with a right one all goes."""
    sent = hospital.send(_SECURE, 5)

    hospital.wait_for_reason(_SECURE, "certificate has expired")
    hospital.secure.stop()
    hospital.authority.issue("pacs", names=("pacs.example.org",))
    hospital.secure.start()
    hospital.wait_for_reason(_SECURE, "certificate for another name")
    before = (hospital.waiting(_SECURE), hospital.secure.count())
    hospital.secure.stop()
    hospital.authority.issue("pacs")
    hospital.secure.start()
    eventually(lambda: not hospital.waiting(_SECURE), within=30, message="the queue to be empty")

    assert before == (set(sent), 0)
    assert sorted(sent.items()) == sorted(instance.identity for instance in hospital.secure.arrivals())


def test_a_queue_follows_its_destination_to_another_place(hospital: Hospital) -> None:
    """What waits for an archive that is gone goes to the new host, port and title, and what the old one has is not sent again."""
    old = hospital.archives[_MOVING]
    had = hospital.send(_MOVING, 3)
    eventually(lambda: not hospital.waiting(_MOVING), within=30, message="the old archive to have its images")
    old.stop()
    sent = hospital.send(_MOVING, 10)

    eventually(lambda: hospital.state(_MOVING)[0] == "dead", within=30, message="the archive to be missed")
    reason = hospital.state(_MOVING)[1]
    before = hospital.waiting(_MOVING)
    with ScriptedArchive() as new:
        hospital.change(_MOVING, host="localhost", port=new.port, ae_title="NEWPACS")
        eventually(lambda: not hospital.waiting(_MOVING), within=30, message="the queue to be empty")

        assert "nothing listens at its address and port" in reason
        assert before == set(sent)
        assert (new.kept, new.receptions) == (sent, dict.fromkeys(sent, 1))
        assert {visit.called for visit in new.visits} == {"NEWPACS"}
    assert old.kept == had


def test_a_title_that_is_refused_and_mended_on_the_box(hospital: Hospital) -> None:
    """Refused for its title (1/1/3) the box waits and says so; with the title that the archive knows everything goes."""
    archive = hospital.archives[_STRICT]
    sent = hospital.send(_STRICT, 10)

    eventually(lambda: hospital.state(_STRICT)[0] == "refusing", within=30, message="the archive to refuse")
    reason = hospital.state(_STRICT)[1]
    before = (hospital.waiting(_STRICT), archive.offers)
    hospital.change(_STRICT, calling_ae=_KNOWN_TITLE)
    eventually(lambda: not hospital.waiting(_STRICT), within=30, message="the queue to be empty")

    assert "EDGE" in reason
    assert before == (set(sent), [])
    assert (archive.kept, archive.receptions) == (sent, dict.fromkeys(sent, 1))


def test_pausing_and_resuming_under_load_sends_each_image_once(hospital: Hospital) -> None:
    """While a scanner sends, the archive is paused and resumed again and again: nothing goes in a pause, and every image goes once."""
    archive, box = hospital.archives[_PAUSED], hospital.box
    sent: dict[str, str] = {}
    scanner = threading.Thread(target=lambda: sent.update(hospital.send(_PAUSED, _LOAD)), name="scanner")
    moved: list[tuple[int, int]] = []

    scanner.start()
    for number in range(_PAUSES):
        before = len(archive.offers)
        eventually(lambda before=before: len(archive.offers) > before, within=30, message="images to go")  # type: ignore[misc]
        box.cli("destinations", "pause", _PAUSED, "--reason", f"round {number}")
        eventually(lambda: not box.cli("queue", "list", "--destination", _PAUSED, "--state", "sending"), within=30, message="a rest")
        taken = len(archive.offers)
        hospital.wait_for_reason(_PAUSED, "paused by", f"round {number}")
        moved.append((taken, len(archive.offers)))
        box.cli("destinations", "resume", _PAUSED)
    archive.mood = script.good
    scanner.join(60)
    eventually(lambda: len(archive.kept) == _LOAD and not hospital.waiting(_PAUSED), within=60, message="the queue to be empty")

    assert [before for before, _ in moved] == [after for _, after in moved]
    assert len(sent) == _LOAD
    assert moved[-1][1] < _LOAD
    assert (archive.kept, archive.receptions) == (sent, dict.fromkeys(sent, 1))
