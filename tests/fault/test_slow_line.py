"""An object that needs far longer than any timer, because the line is narrow: a long cine over a village's line, scaled down in time.

At 256 kbit/s two gigabytes take 18 hours, a thousand times the timers for progress and response. Here all timers are a second, and the line
is so wide that the object takes five of them; LONG=1 makes it sixty.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.fakes.scripted_archive import ScriptedArchive
from tests.support import dcmtk, part10, samples
from tests.support.box import BoxMaker
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy
from tests.support.site import Table, a_site, an_archive
from tests.support.toxic import Kind, Toxic

# What the kernels hold of the object, some 4 MB, is a second of this: the sender sees bytes move several times a second.
_BYTES_PER_S = 4_000_000
_TIMERS: Table = {"connect": 1, "associate": 1, "progress": 1, "response": 1, "probe": 1, "dead_hello": 0.3}
_FACTOR = 60 if os.environ.get("LONG") == "1" else 5
_FRAME_BYTES = 2 * 512 * 512


def test_a_long_object_outlives_every_timer_while_bytes_move(make_box: BoxMaker, tmp_path: Path) -> None:
    """A multi-frame that takes many times each timer of the site is delivered at the first attempt, over one association."""
    archive = ScriptedArchive()
    line = FaultProxy(archive.port)
    box = make_box(a_site(destinations=[an_archive(line.port)], delivery=_TIMERS))
    file = samples.write_enhanced_ct(tmp_path / "cine", _FACTOR * _BYTES_PER_S // _FRAME_BYTES)
    instance = part10.read(file)
    with archive, line, box:
        line.add(Toxic(Kind.BANDWIDTH, bytes_per_s=_BYTES_PER_S))

        assert dcmtk.successes(dcmtk.storescu(box.port, [file])) == 1
        eventually(lambda: archive.kept != {}, within=10.0 * _FACTOR, message="the cine")
        box.wait_until_delivered()

        assert archive.kept == {instance.sop_instance_uid: instance.digest}
        assert [offer.attempt for offer in archive.offers] == [1]
        assert len(line.connections) == 1
