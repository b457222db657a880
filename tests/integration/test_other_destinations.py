"""The box with destinations of every kind at once: what is sent to it arrives at an archive, a web service, an SSH server and a share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.transports.files import copies_under, drafts_under
from tests.support import part10, samples
from tests.support.box import Box
from tests.support.dcmtk import StoreScp, dcmsend
from tests.support.eventually import eventually
from tests.support.orthanc import Orthanc
from tests.support.site import a_route, a_site, an_archive
from tests.support.sshd import Sshd

_IMAGES = 6
# What sshd logs once somebody tried to log in: that it worked, that it did not, and who went away in the middle of it.
_AUTHENTICATING = ("Accepted publickey", "Failed ", "authenticating user", "invalid user")


@dataclass(frozen=True, slots=True)
class Hospital:
    """A box, and where it delivers to."""

    box: Box
    archive: StoreScp
    web: Orthanc
    server: Sshd
    share: Path
    sent: list[Path]

    def send(self) -> None:
        """Send every image to the box."""
        dcmsend(self.box.port, self.sent)

    def state(self, name: str) -> tuple[str, str]:
        """Return how a destination is, and why."""
        row = next(row for row in self.box.cli("destinations") if row["name"] == name)
        return row["state"], row["reason"]


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    """Everything runs, and nothing was sent yet."""
    share = tmp_path / "share"
    share.mkdir()
    (share / "dicom-edge.here").touch()
    with StoreScp(tmp_path / "archive") as archive, Orthanc(tmp_path / "web", dicomweb=True) as web, Sshd(tmp_path / "sshd") as server:
        destinations = [
            an_archive(archive.port),
            {"name": "web", "kind": "stow", "url": web.url},
            {
                "name": "depot",
                "kind": "sftp",
                "host": "127.0.0.1",
                "port": server.port,
                "user": server.user,
                "key_file": str(server.key_file),
                "host_key": server.fingerprints[0],
            },
            {"name": "share", "kind": "folder", "path": str(share), "layout": "{modality}/{instance}.dcm"},
        ]
        site = a_site(destinations=destinations, routes=[a_route("archive", "web", "depot", "share")])
        with Box(tmp_path / "box", site) as box:
            yield Hospital(box, archive, web, server, share, list(samples.ct(64).write(tmp_path / "files", _IMAGES)))


def test_every_kind_has_every_image(hospital: Hospital) -> None:
    """Each destination has each image, byte for byte where it keeps bytes, under the name that its layout gives; nothing else is there."""
    hospital.send()
    hospital.box.wait_until_delivered()

    expected = {part10.read(path).sop_instance_uid: part10.read(path).digest for path in hospital.sent}
    assert dict(hospital.archive.identities()) == expected
    assert hospital.web.instances().keys() == expected.keys()
    for folder in (hospital.server.folder, hospital.share):
        assert {uid: copies_under(folder, uid) for uid in expected} == {uid: [digest] for uid, digest in expected.items()}
        assert drafts_under(folder) == []
    assert sorted(path.name for path in (hospital.share / "CT").iterdir()) == sorted(f"{uid}.dcm" for uid in expected)


def test_the_doctor_finds_each_well(hospital: Hospital) -> None:
    """`destinations test` goes each way in its own phases."""
    phases = {}
    for name in ("web", "depot", "share"):
        reply = hospital.box.cli("destinations", "test", name)
        phases[name] = [(step["phase"], step["ok"]) for step in reply["steps"]]

    assert phases == {
        "web": [("name", True), ("tcp", True), ("http", True), ("login", True)],
        "depot": [("name", True), ("tcp", True), ("login", True)],
        "share": [("folder", True)],
    }


def test_a_share_that_is_not_mounted_and_comes_back(hospital: Hospital) -> None:
    """Nothing is written under an empty mount point; what waits is delivered by itself once the share is there."""
    hospital.share.rename(hospital.share.with_name("unmounted"))
    hospital.share.mkdir()
    hospital.send()

    eventually(lambda: hospital.state("share")[0] == "dead", within=30, message="the share to be missed")
    assert "dicom-edge.here" in hospital.state("share")[1]
    assert list(hospital.share.iterdir()) == []
    hospital.share.rmdir()
    hospital.share.with_name("unmounted").rename(hospital.share)
    hospital.box.wait_until_delivered()
    assert len(list(hospital.share.rglob("*.dcm"))) == _IMAGES


def test_a_server_whose_key_changed_gets_nothing(hospital: Hospital) -> None:
    """Its deliveries wait, with both fingerprints in the reason; with the new one in the settings everything is delivered."""
    old = hospital.server.fingerprints[0]
    hospital.server.stop()
    hospital.server.new_host_keys()
    before = len(hospital.server.log())
    hospital.server.start()
    hospital.send()

    eventually(lambda: hospital.state("depot")[0] == "refusing", within=30, message="the server not to be trusted")
    reason = hospital.state("depot")[1]
    assert old in reason
    assert hospital.server.fingerprints[0] in reason
    assert copies_under(hospital.server.folder, part10.read(hospital.sent[0]).sop_instance_uid) == []
    tested = hospital.box.command("destinations", "test", "depot")
    assert tested.returncode == 1
    assert "host_key" in tested.stdout
    untrusted = hospital.server.log()[before:]
    assert "Connection from" in untrusted
    assert not any(word in untrusted for word in _AUTHENTICATING)
    site = (hospital.box.data / "site.toml").read_text(encoding="utf-8").replace(old, hospital.server.fingerprints[0])
    hospital.box.configure(site)
    hospital.box.wait_until_delivered()
    assert _AUTHENTICATING[0] in hospital.server.log()[before + len(untrusted) :]
    assert len(list(hospital.server.folder.rglob("*.dcm"))) == _IMAGES
