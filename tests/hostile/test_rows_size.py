"""Sizes and numbers, rows 53 and 54 of hostile-inputs.md: one object that fits into no memory, and more small ones than a directory takes.

Quick forms; LONG=1 sends 2.5 GiB in one value, 5 GiB in fragments (no length field can say that), and 300,000 objects.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import select
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance.spool.names import ObjectIds, SpoolName
from tests.fakes import units
from tests.hostile.site import reconfigured
from tests.hostile.ward import Ward
from tests.support import hostile_data as hostile
from tests.support.hostile_data import an_object
from tests.support.oracle import Limits, Oracle
from tests.support.rogue import CT_STORAGE, EXPLICIT, Rogue
from tests.support.samples import new_uid
from tests.unit.dimse.building import UNDEFINED, element

_LONG = os.environ.get("LONG") == "1"
_MANY = 300_000
_SENT = _MANY if _LONG else 200
# hostile-inputs.md row 54: what file systems and people can still list.
_MOST_ENTRIES = 10_000
_BLOCK = secrets.token_bytes(1 << 20)
_MIB = 1 << 20
# The first second of some hour.
_AN_HOUR = 1_699_999_200.0
_JPEG = "1.2.840.10008.1.2.4.50"
# A gigabyte is sealed, opened and sent again; the cores are shared.
_DELIVERED_S = 600.0


@dataclass
class Large:
    """An object that is made while it is sent: so many MiB of pixels, in one value or in fragments of 512 MiB."""

    instance: str
    mib: int
    in_fragments: bool = False
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    @property
    def digest(self) -> str:
        """The SHA-256 of what was made so far."""
        return self._digest.hexdigest()

    def pieces(self) -> Iterator[bytes]:
        """Yield the data set, once."""
        for piece in self._made():
            self._digest.update(piece)
            yield piece

    def _made(self) -> Iterator[bytes]:
        yield an_object(self.instance)
        if not self.in_fragments:
            yield element(hostile.PIXELS, b"", vr="OW", length=self.mib * _MIB)
            yield from (_BLOCK for _ in range(self.mib))
            return
        yield element(hostile.PIXELS, b"", vr="OB", length=UNDEFINED) + element(hostile.ITEM, b"")
        for _ in range(self.mib // 512):
            yield element(hostile.ITEM, b"", length=512 * _MIB)
            yield from (_BLOCK for _ in range(512))
        yield element(hostile.SEQUENCE_END, b"")


@pytest.mark.parametrize(
    ("mib", "in_fragments"),
    [
        pytest.param(300, False, id="row-53-300-mib"),
        pytest.param(2560, False, id="row-53-over-2-gib", marks=pytest.mark.skipif(not _LONG, reason="LONG=1 sends it")),
        pytest.param(5120, True, id="row-53-over-4-gib-in-fragments", marks=pytest.mark.skipif(not _LONG, reason="LONG=1 sends it")),
    ],
)
def test_a_large_object(ward: Ward, mib: int, in_fragments: bool) -> None:  # noqa: FBT001 (a table's column)
    """It streams through receiver, router and sender with 64 MiB of memory each at most, and arrives bit for bit."""
    large = Large(new_uid(), mib, in_fragments)

    with ward.row(peak_mib=64) as row, ward.rogue([(CT_STORAGE, _JPEG if in_fragments else EXPLICIT)]) as rogue:
        status = rogue.store(large.pieces(), large.instance)
        echo = rogue.echo()
        rogue.release()
        ward.oracle.owe(large.instance, large.digest)
        row.honest()

        assert (0, 0) == (status, echo)
        ward.assert_delivered(large.instance, large.digest, within=_DELIVERED_S)


def test_row_53_over_the_limit(oracle: Oracle) -> None:
    """Where an object may be so large and no larger, A700 comes long before its end, nothing of it is kept, and the next one is taken."""
    large, small = Large(new_uid(), 300), new_uid()

    with reconfigured(oracle.box, admission={"largest_object": "4 MiB"}), oracle.row(Limits(peak_bytes=64 << 20)) as row:
        with Rogue(oracle.box.port, calling="CT1") as rogue:
            refused, sent = _sent_until_answered(rogue, large)
        with Rogue(oracle.box.port, calling="CT1") as rogue:
            taken = rogue.store(an_object(small), small)
            rogue.release()
        row.acknowledged(small, an_object(small))
        row.honest()

        assert (0xA700, 0) == (refused, taken)
        # What was on its way in buffers; the object has 300 MiB.
        assert sent <= 64 * _MIB
        [line] = row.expect_log("instance.refused", status="A700", sop_instance_uid=large.instance)
        assert line["problem"] == "larger than admission.largest_object"


def test_row_54_many_small_objects(ward: Ward) -> None:
    """Each is kept and forwarded, and no directory of the spool ever has more than 10,000 entries."""
    fullest: Counter[Path] = Counter()
    digests = {}

    with ward.row() as row, ward.rogue() as rogue:
        for number in range(_SENT):
            instance = new_uid()
            data = an_object(instance, after=element(hostile.PIXELS, secrets.token_bytes(2048), vr="OW"))
            assert rogue.store(data, instance) == 0
            digests[instance] = hashlib.sha256(data).hexdigest()
            ward.oracle.owe(instance, digests[instance])
            if number % 100 == 0:
                fullest |= _entries(ward.box.data / "spool" / "incoming")
        rogue.release()
        row.honest()
        for instance, digest in digests.items():
            ward.assert_delivered(instance, digest, within=_DELIVERED_S)
        for directory in (ward.box.data / "spool").rglob("*"):
            fullest |= _entries(directory)

        assert {str(directory): count for directory, count in fullest.items() if count > _MOST_ENTRIES} == {}


def test_row_54_names_of_300000_objects() -> None:
    """Objects of one hour spread evenly over the store: of 300,000 no directory would hold more than 10,000."""
    ids = ObjectIds()
    names = (SpoolName(ids.next(_AN_HOUR + number / 100), 1, secrets.token_hex(16), 2048, "i") for number in range(_MANY // 10))

    directories = Counter(name.store_directory() for name in names)

    assert directories.total() == _MANY // 10
    assert 10 * max(directories.values()) <= _MOST_ENTRIES


def _sent_until_answered(rogue: Rogue, large: Large) -> tuple[int | None, int]:
    """Send an object until an answer comes; return its status and how much was sent by then."""
    sent = 0
    rogue.request(units.C_STORE_RQ, sop_instance=large.instance)
    for piece in large.pieces():
        rogue.data(piece, ends=False)
        sent += len(piece)
        if select.select([rogue.socket], [], [], 0)[0]:
            break
    return rogue.status(), sent


def _entries(directory: Path) -> Counter[Path]:
    """Return how many entries a directory has; none where it is gone, or is none."""
    return Counter({directory: sum(1 for _ in directory.iterdir())}) if directory.is_dir() else Counter()
