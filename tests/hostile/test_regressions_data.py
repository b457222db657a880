"""What plain pynetdicom does under attack (hostile-inputs.md, first table), and this box must never do: N4, N7, N8, N9, N10, N13.

The oracle's row asserts in each what the table measured: threads, descriptors and memory of every daemon are as before, everything
acknowledged is kept, and an honest peer is served meanwhile and afterwards.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.spool.names import SpoolName
from tests.fakes import units
from tests.hostile.site import SHORTENED, a_hostile_site
from tests.hostile.ward import Ward, a_ward
from tests.support import footprint, sealed
from tests.support import hostile_data as hostile
from tests.support.eventually import eventually
from tests.support.honest import HonestPeer
from tests.support.hostile_data import an_object, patient
from tests.support.oracle import Snapshot
from tests.support.rogue import CT_STORAGE, DEFLATED, EXPLICIT, Rogue
from tests.support.samples import new_uid
from tests.unit.dimse.building import SOP_CLASS, SOP_INSTANCE, element, uid

OUT_OF_RESOURCES, CANNOT_UNDERSTAND, INVALID_INSTANCE = 0xA700, 0xC000, 0x0117

# What handling an object costs a daemon, whatever the object says about itself: a unit, a chunk of the seal, 64 KiB of prefix, a head.
_KEPT_MIB, _PEAK_MIB = 8, 16
_DISK_MIB = 64
_FREE_BYTES = 6 << 20
# semantics.md F-06.
_RESUMES_WITHIN_S = 30.0


def test_n4_a_deflated_bomb_is_stored_and_never_inflated(ward: Ward) -> None:
    """N4: 261 KB that inflate to 256 MiB cost 258 MiB there; here they are stored and forwarded as received, and never inflated whole."""
    instance = new_uid()
    bomb = hostile.bomb(instance, 256 << 20)

    with ward.row(kept_mib=_KEPT_MIB, peak_mib=_PEAK_MIB) as row, ward.rogue([(CT_STORAGE, DEFLATED)]) as rogue:
        status = rogue.store(bomb, instance)
        echo = rogue.echo()
        row.honest()
        rogue.release()

        row.acknowledged(instance, bomb)
        assert len(bomb) < 300_000
        assert (0, 0) == (status, echo)
        ward.assert_forwarded(instance, bomb)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small file system, or skip where this user may not mount."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m", "dicom-edge-test", str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"may not mount a small file system here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def _fill(place: Path) -> Path:
    """Occupy the file system but for a few MiB, and return what occupies it."""
    usage = os.statvfs(place)
    filler = place / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, usage.f_bavail * usage.f_frsize - _FREE_BYTES)
    return filler


def _is_served(ward: Ward) -> bool:
    peer = HonestPeer(lambda: ward.box.port)
    try:
        peer.visit()
    except AssertionError:
        # Refused for as long as the worker that it met does not trust its disk.
        return False
    ward.oracle.believe(peer)
    return True


def test_n7_a_full_disk_is_answered_and_leaves_nothing(small_disk: Path, tmp_path: Path) -> None:
    """N7: a disk that fills in mid-object killed a thread there; here it is A700 on a living association, and nothing stays on the disk."""
    instance = new_uid()
    blocks = [an_object(instance) + element(hostile.PIXELS, b"", vr="OW", length=20 << 20), *([secrets.token_bytes(1 << 20)] * 20)]

    def site(**settings: object) -> str:
        return a_hostile_site(retention={"reserve": "1 MiB"}, **settings)

    with a_ward(tmp_path / "ward", site, {"PYTHONPATH": str(SHORTENED)}, data=small_disk / "data") as ward, ward.rogue() as rogue:
        before = ward.oracle.snapshot()
        for pid in before.daemons:
            footprint.forget_peak(pid)
        filler = _fill(small_disk)
        status = rogue.store(blocks, instance)
        echo = rogue.echo()
        with Rogue(ward.box.port, (), calling="CT1") as technician:
            verified = technician.echo()
            technician.release()
        partial, free = sealed.partial_files(ward.box.data), os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        again = rogue.store(an_object(instance), instance)
        filler.unlink()
        eventually(lambda: _is_served(ward), within=_RESUMES_WITHIN_S, message="an honest peer to be served")
        rogue.release()
        eventually(lambda: not ward.archive.connections, message="the archive to be left")
        eventually(lambda: _is_back(ward, before), message="threads and descriptors to be as before")
        after = ward.oracle.snapshot()

        assert (OUT_OF_RESOURCES, 0, 0, OUT_OF_RESOURCES) == (status, echo, verified, again)
        assert partial == []
        assert free > _FREE_BYTES - (2 << 20)
        assert before.daemons == after.daemons
        for pid, then in before.footprints.items():
            now = after.footprints[pid]
            assert now.peak_bytes - then.resident_bytes <= _PEAK_MIB << 20
        ward.oracle.assert_kept()
        ward.expect_log("storage.failed", problem="the spool's disk is full")
        ward.expect_log("instance.refused", status="A700", sop_instance_uid=instance)


def _is_back(ward: Ward, before: Snapshot) -> bool:
    """Say whether no daemon has more threads or descriptors than it had."""
    now = ward.oracle.snapshot().footprints
    return all(now[pid].threads <= then.threads and now[pid].descriptors <= then.descriptors for pid, then in before.footprints.items())


def test_n8_names_that_are_paths_reach_no_path(ward: Ward, tmp_path: Path) -> None:
    """N8: path characters, line feeds and NULs in a UID were handed on there; here they are 0117, and no file and no log line is made."""
    proof = tmp_path / "proof"
    names = (b"../../../../../..", b"1.2/3.4", b"/etc/cron.d/x", bytes(proof), b"1.2\n3", b"1.2\x003", b"..", b"1.2.3/../../../x")

    with ward.row(kept_mib=_KEPT_MIB, peak_mib=_PEAK_MIB) as row, ward.rogue() as rogue:
        statuses = [rogue.store(element(SOP_CLASS, uid(CT_STORAGE)) + element(SOP_INSTANCE, name) + patient(), name) for name in names]
        echo = rogue.echo()
        row.honest()
        rogue.release()

        assert ([INVALID_INSTANCE] * len(names), 0) == (statuses, echo)
        assert not proof.exists()
        assert [path for path in sealed.sealed_files(ward.box.data) if SpoolName.parse(path.name) is None] == []
        row.expect_log("instance.refused", at_least=len(names), at_most=len(names), status="0117")


def test_n9_a_tower_of_sequences_is_not_climbed(ward: Ward) -> None:
    """N9: 200 nested sequences in 7,200 bytes were a RecursionError there; here they are stored, and refused where they hide the name."""
    ends = element(hostile.ITEM_END, b"") + element(hostile.SEQUENCE_END, b"")
    behind, before = (hostile.tower(200, tag=tag) + ends * 200 for tag in (hostile.SEQUENCE, hostile.EARLY))
    instance = new_uid()
    data = an_object(instance, after=behind)

    with ward.row(kept_mib=_KEPT_MIB, peak_mib=_PEAK_MIB) as row, ward.rogue() as rogue:
        statuses = [rogue.store(data, instance), rogue.store(an_object(instance, before=before), instance)]
        echo = rogue.echo()
        row.honest()
        rogue.release()

        row.acknowledged(instance, data)
        assert len(behind) == 7_200
        assert ([0, CANNOT_UNDERSTAND], 0) == (statuses, echo)
        ward.assert_forwarded(instance, data)


def test_n10_nonsense_is_refused_and_no_length_is_believed(ward: Ward) -> None:
    """N10: 4,096 random bytes, and a 2 GB element of 4 bytes, were data sets there; here what has no name is refused, at no cost."""
    instance, named = new_uid(), new_uid()
    nonsense = b"\xfe" + secrets.token_bytes(4095)
    data = an_object(named, after=element(hostile.PIXELS, b"abcd", vr="OW", length=2_000_000_000))

    with ward.row(kept_mib=_KEPT_MIB, peak_mib=_PEAK_MIB) as row, ward.rogue() as rogue:
        statuses = [
            rogue.store(nonsense, instance),
            rogue.store(element(hostile.PIXELS, b"abcd", vr="OW", length=2_000_000_000), instance),
            rogue.store(data, named),
        ]
        echo = rogue.echo()
        row.honest()
        rogue.release()

        row.acknowledged(named, data)
        assert ([CANNOT_UNDERSTAND, CANNOT_UNDERSTAND, 0], 0) == (statuses, echo)
        ward.assert_forwarded(named, data)


def test_n13_a_store_without_a_data_set_is_answered(ward: Ward) -> None:
    """N13: it was never answered there, and the association died; here it is C000 a hundred times, and the next object is stored."""
    instance = new_uid()
    data = an_object(instance)

    with ward.row(kept_mib=_KEPT_MIB, peak_mib=_PEAK_MIB) as row, ward.rogue([(CT_STORAGE, EXPLICIT)]) as rogue:
        for _ in range(100):
            rogue.request(units.C_STORE_RQ, sop_instance=instance, has_data=False)
        statuses = [rogue.status() for _ in range(100)]
        statuses.append(rogue.store(data, instance))
        row.honest()
        rogue.release()

        row.acknowledged(instance, data)
        assert [CANNOT_UNDERSTAND] * 100 + [0] == statuses
        ward.assert_forwarded(instance, data)
