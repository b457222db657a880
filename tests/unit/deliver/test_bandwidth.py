"""A bandwidth: what all lanes together read in any ten seconds is what was asked for, and nothing of an object is changed by it."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.identity import Uid
from appliance.deliver.bandwidth import Bandwidth, ShapedSource, TokenBucket, shaped
from appliance.dimse.conversion import EXPLICIT_LITTLE, IMPLICIT_LITTLE, ConvertedSource
from appliance.keys.derive import Label, derive
from appliance.keys.generations import active_recipients, ensure_keys, unlock
from appliance.keys.root import create_root
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeader
from appliance.spool.store import Spool
from tests.fakes.clock import FakeClock

_RATE = 2_500_000.0
"""20 Mbit/s in bytes."""


@dataclass
class Line:
    """Lanes that read as fast as the bucket lets them, in seconds of their own."""

    bucket: TokenBucket
    sizes: list[int]
    went: list[tuple[float, int]] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        """Read for so long."""
        lanes = [(0.0, number) for number in range(len(self.sizes))]
        while lanes[0][0] < seconds:
            at, number = heapq.heappop(lanes)
            at += self.bucket.take(self.sizes[number], at)
            self.went.append((at, self.sizes[number]))
            heapq.heappush(lanes, (at, number))


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(16_384, 131_072), min_size=1, max_size=8))
def test_ten_seconds_bring_what_was_asked_for(sizes: list[int]) -> None:
    """Whatever pieces how many lanes read, any ten seconds bring within a twentieth of the bandwidth."""
    line = Line(TokenBucket(_RATE, 0.0), sizes)

    line.run(20.0)

    for begin in range(10):
        brought = sum(size for at, size in line.went if begin <= at < begin + 10)
        assert 0.95 * 10 * _RATE <= brought <= 1.05 * 10 * _RATE


def test_a_pause_is_not_made_good_with_a_flood() -> None:
    """After an hour without work, the next ten seconds bring no more than the bandwidth and a fiftieth."""
    line = Line(TokenBucket(_RATE, -3600.0), [65_536] * 4)

    line.run(11.0)

    assert sum(size for at, size in line.went if at < 10) <= 1.02 * 10 * _RATE + 5 * 65_536


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Return a spool that may seal and open."""
    root = create_root(tmp_path)
    ensure_keys(tmp_path, root)
    recipients = active_recipients(tmp_path)
    spool = Spool(
        tmp_path, recipients=lambda: recipients, digest_key=derive(root.material, Label.DIGEST), identities=unlock(tmp_path, root)
    )
    spool.prepare()
    return spool


def _an_object(spool: Spool, data: bytes) -> SpoolName:
    header = ObjectHeader(
        sop_class_uid=Uid("1.2.840.10008.5.1.4.1.1.2"),
        sop_instance_uid=Uid("1.2.3"),
        transfer_syntax_uid=Uid("1.2.840.10008.1.2.1"),
        calling_title="CT1",
        called_title="EDGE",
        peer_address="10.0.0.7",
        reception_id="",
        received_at=1.0,
    )
    with spool.admit(header) as admission:
        admission.write(data)
        return admission.commit()


@pytest.mark.parametrize("read_bytes", [1000, 131_072, 10_000_000])
def test_an_object_comes_whole_and_takes_its_time(spool: Spool, read_bytes: int) -> None:
    """However much is asked for at once, the bytes are the same, a read is what a tenth of a second allows, a megabyte takes a second."""
    clock, data = FakeClock(), bytes(range(256)) * 4000
    name = _an_object(spool, data)
    bandwidth = Bandwidth(len(data), clock)
    began = clock.now().boottime

    with shaped(spool.open, bandwidth)(name) as sealed:
        pieces = []
        while piece := sealed.read(read_bytes):
            pieces.append(piece)
        header, length = sealed.header, sealed.length

    assert b"".join(pieces) == data
    assert all(len(piece) == min(read_bytes, 102_400) for piece in pieces[:-1])
    assert (header.calling_title, length) == ("CT1", len(data))
    # What is saved goes at once, and nobody waits after the last piece.
    assert 0.65 <= clock.now().boottime - began <= 1.0


def test_without_a_bandwidth_objects_are_opened_as_ever(spool: Spool) -> None:
    """Nothing comes between a destination without a bandwidth and its objects."""
    opener = spool.open

    assert shaped(opener, None) is opener


@pytest.mark.parametrize("bytes_per_s", [8_000, 32_000, 125_000])
def test_a_slow_line_gets_its_bytes_evenly(spool: Spool, bytes_per_s: int) -> None:
    """A transport that asks for 128 KiB at once sends within a twentieth of a low bandwidth in any ten seconds, in even pieces."""
    clock, went = FakeClock(), list[tuple[float, int]]()
    name = _an_object(spool, bytes(25 * bytes_per_s))

    with shaped(spool.open, Bandwidth(bytes_per_s, clock))(name) as sealed:
        began = clock.now().boottime
        while piece := sealed.read(131_072):
            went.append((clock.now().boottime - began, len(piece)))

    for tenths in range(100):
        begin = tenths / 10
        brought = sum(size for at, size in went if begin <= at < begin + 10)
        assert 0.95 * 10 * bytes_per_s <= brought <= 1.05 * 10 * bytes_per_s
    assert all(size % 2 == 0 for _, size in went)


@pytest.mark.parametrize(("bytes_per_s", "most"), [(32_000, 3200), (None, 131_072)])
def test_what_is_converted_comes_as_evenly(spool: Spool, bytes_per_s: int | None, most: int) -> None:
    """An object that is converted while it is sent is given in the same pieces, full ones where there is no bandwidth."""
    pixels = bytes(300_000)
    data = b"\xe0\x7f\x10\x00OW\x00\x00" + len(pixels).to_bytes(4, "little") + pixels
    bandwidth = None if bytes_per_s is None else Bandwidth(bytes_per_s, FakeClock())

    with shaped(spool.open, bandwidth)(_an_object(spool, data)) as sealed:
        source = ShapedSource(ConvertedSource(sealed.read, from_syntax=EXPLICIT_LITTLE, to_syntax=IMPLICIT_LITTLE), sealed)
        pieces = list(iter(lambda: source.read(131_072), b""))

    assert {len(piece) for piece in pieces[:-1]} == {most}
    assert b"".join(pieces)[8:] == pixels
