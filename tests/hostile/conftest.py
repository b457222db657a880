"""One box that is attacked and one that delivers meanwhile, with short deadlines and the oracle beside them (`site` says who may call)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.site import SHORTENED, a_hostile_site
from tests.hostile.ward import Ward, a_ward
from tests.support.box import Box
from tests.support.oracle import Oracle


@pytest.fixture(scope="package")
def hostile_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """Run one box for all rows about connections and associations; its receivers wait 2 s where the product waits 30 and 60."""
    box = Box(tmp_path_factory.mktemp("hostile"), a_hostile_site(), environment={"PYTHONPATH": str(SHORTENED)})
    with box:
        yield box


@pytest.fixture(scope="package")
def oracle(hostile_box: Box) -> Iterator[Oracle]:
    """Watch that box, and see at its end that everything acknowledged in any row is still there."""
    watching = Oracle(hostile_box)
    yield watching
    watching.close()


@pytest.fixture(scope="package")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """Run one box that delivers to an archive, with its oracle, for all rows about messages and data sets."""
    with a_ward(tmp_path_factory.mktemp("ward"), a_hostile_site, {"PYTHONPATH": str(SHORTENED)}) as ward:
        yield ward
