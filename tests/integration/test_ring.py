"""A ring: what a box sends comes back to it, and the count of boxes ends that."""

from __future__ import annotations

from pathlib import Path

from tests.support import part10, samples, senders
from tests.support.box import BoxMaker
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy
from tests.support.site import a_route, a_site, an_archive


def test_a_ring_of_boxes_ends(make_box: BoxMaker, tmp_path: Path) -> None:
    """An image that comes back under its scanner's title goes round eight times at most, and the log says where the ring ended."""
    proxy = FaultProxy(0)
    box = make_box(a_site(destinations=[an_archive(proxy.port, ae_title="EDGE", calling_ae="source")], routes=[a_route("archive")])).start()
    proxy.target_port = box.port
    with proxy:
        files = samples.ct(16).write(tmp_path / "scanner")

        assert set(senders.send_once(box.port, files).values()) == {0}
        # Either the count ends it, or a round came back before the one before it was settled: then it asked for nothing.
        eventually(
            lambda: "delivery.withheld" in box.output() or "deliveries=0" in box.output() or '"deliveries": 0' in box.output(), within=60
        )
        box.wait_until_delivered(within=60)

        uids = {part10.read(path).sop_instance_uid for path in files}
        assert len(uids) == 1
        assert 1 <= box.count("delivered") <= 8
