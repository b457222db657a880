"""The rows of the benchmark: what is measured, in how many rounds, and what the box has to reach. A new row is an entry here.

Limits: the rounds are as many as a whole run of forty-five minutes allows.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.batches import Batch
from benchmarks.black_hole import BlackHole
from benchmarks.catch_up import CatchUp
from benchmarks.crowd import Crowd
from benchmarks.forwarding import Forwarding
from benchmarks.full_ledger import FullLedger
from benchmarks.goals import Goal, at_least, at_most, beside
from benchmarks.idle import Idle
from benchmarks.latency import Latency
from benchmarks.line import Line
from benchmarks.measuring import Reception
from benchmarks.multiframe import Multiframe
from benchmarks.objects import Kind
from benchmarks.pages import Pages
from benchmarks.receivers import DcmSend
from benchmarks.scene import Storage, Work
from benchmarks.transcode import Transcode
from benchmarks.wan import Wan

_EVERYONE = ("storescp", "storescp --fork", "orthanc", "pynetdicom")
# Per GiB received, beside Orthanc and beside storescp.
_CPU_BESIDE_ORTHANC, _CPU_BESIDE_STORESCP = (0.5, 0.35), (3.5, 2.5)


@dataclass(frozen=True, slots=True)
class Row:
    """One piece of work, how many rounds of it count, and its goals; without any it is for information."""

    key: str
    work: Work
    goals: tuple[Goal, ...]
    rounds: int = 3


def _receive(key: str, work: Reception, orthanc: tuple[float, float], storescp: tuple[float, float]) -> Row:
    """Return a row of images, where CPU counts too; several associations at once are compared with a storescp that forks."""
    peer = "storescp" if work.batch.associations == 1 else "storescp --fork"
    return Row(key, work, (*beside("orthanc", orthanc, _CPU_BESIDE_ORTHANC), *beside(peer, storescp, _CPU_BESIDE_STORESCP)))


ROWS: tuple[Row, ...] = (
    _receive("receive-1-disk", Reception(Batch(1000), Storage.DISK, _EVERYONE), orthanc=(2.0, 3.0), storescp=(0.3, 0.6)),
    _receive(
        "receive-4-disk",
        Reception(Batch(4000, associations=4), Storage.DISK, ("storescp --fork", "orthanc")),
        orthanc=(2.5, 4.0),
        storescp=(0.5, 1.0),
    ),
    _receive("receive-1-tmpfs", Reception(Batch(1000), Storage.TMPFS, ("storescp", "orthanc")), orthanc=(1.8, 3.0), storescp=(0.4, 0.7)),
    _receive(
        "receive-4-tmpfs",
        Reception(Batch(4000, associations=4), Storage.TMPFS, ("storescp --fork", "orthanc")),
        orthanc=(2.0, 3.0),
        storescp=(0.4, 0.7),
    ),
    # What a GiB of small objects costs is what 50,000 answers cost: CPU by size has no goal here.
    Row(
        "receive-small-disk",
        Reception(Batch(2000, kinds=(Kind.REPORT, Kind.PRESENTATION)), Storage.DISK, ("storescp", "orthanc")),
        beside("orthanc", (1.5, 3.0)),
    ),
    _receive(
        "receive-mammography-disk",
        Reception(Batch(30, kinds=(Kind.MAMMOGRAM,)), Storage.DISK, ("storescp", "orthanc")),
        orthanc=(1.5, 2.5),
        storescp=(0.5, 0.9),
    ),
    Row("end-to-end", Forwarding(Batch(500, associations=4)), beside("orthanc", (2.0, 4.0), (0.6, 0.4))),
    Row("latency", Latency(100), (at_most("p50", 100, 30), at_most("p95", 250, 80)), rounds=1),
    Row("multiframe-memory", Multiframe(2048), (at_most("growth", 64, 32),), rounds=1),
    Row("crowd-memory", Crowd(100, sending=20), (at_most("PSS", 500, 300),), rounds=1),
    Row("idle", Idle(60.0), (at_most("CPU", 2, 1), at_most("PSS", 400, 250)), rounds=1),
    Row(
        "full-ledger",
        FullLedger(1_000_000, Batch(1000, kinds=(Kind.REPORT, Kind.PRESENTATION))),
        (at_most("router", 1.3, 1.1), at_most("sender", 1.3, 1.1), at_most("time", 1.3, 1.1)),
    ),
    Row(
        "wan-100ms",
        Wan(Batch(1000), Line(100, 100)),
        (at_least("line used", 85, 95), *beside("orthanc", (2.0, 8.0)), *beside(DcmSend.name, (2.0, 8.0))),
        rounds=1,
    ),
    # 1,000 would take seven minutes at the width of the line alone, and twelve where it is waited for.
    Row(
        "wan-250ms",
        Wan(Batch(200), Line(250, 10)),
        (at_least("line used", 85, 95), *beside("orthanc", (1.2, 1.5)), *beside(DcmSend.name, (1.2, 1.5))),
        rounds=1,
    ),
    Row("black-hole", BlackHole(Batch(500, associations=4)), (at_most("loss", 5, 2),), rounds=5),
    Row(
        "catch-up",
        CatchUp(Batch(20_000, kinds=(Kind.SMALL,), associations=4)),
        (at_most("first", 5, 3), at_most("slowest command", 0.5, 0.3)),
        rounds=1,
    ),
    Row("pages", Pages(300_000, 20_000, 5, Batch(1000)), (at_most("p95", 300, 150), at_most("loss", 3, 1)), rounds=5),
    Row("transcode", Transcode((Batch(200, kinds=(Kind.CT_PHANTOM,)), Batch(400, kinds=(Kind.MR_PHANTOM,)))), ()),
)
