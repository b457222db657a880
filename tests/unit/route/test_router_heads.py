"""The router and the heads that receivers hand it: what they spare, and that they never change what is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from appliance.route.reception import read_reception
from appliance.spool.heads import HEAD_BYTES, HeadListener, HeadPost
from tests.support.eventually import eventually
from tests.unit.route import data_sets as ds
from tests.unit.route.bench import Bench
from tests.unit.route.sites import a_site

UID = "1.2.826.0.1.7"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A router that is handed heads."""
    bench = Bench(tmp_path / "data", a_site())
    with (
        closing(HeadListener(tmp_path, bench._digest_key)) as listener,
        closing(HeadPost(tmp_path, bench._digest_key)) as post,
    ):
        bench.receiver._heads = post
        bench.router._heads = listener
        yield bench


def _wait_for_heads(bench: Bench, number: int) -> None:
    listener = bench.router._heads
    assert listener is not None
    eventually(lambda: len(listener._waiting) == number)


def test_an_object_with_a_head_is_recorded_without_being_opened(bench: Bench) -> None:
    """What the head says is enough: the router needs no key for it."""
    bench.receive_image(UID)
    _wait_for_heads(bench, 1)
    bench.take_keys()

    bench.route()

    assert bench.latest(UID) is not None


@pytest.mark.parametrize("syntax", [ds.EXPLICIT, ds.IMPLICIT])
@pytest.mark.parametrize("pixels", [16, 20_000], ids=["shorter than a head", "longer"])
def test_a_head_says_what_the_object_says(bench: Bench, syntax: str, pixels: int) -> None:
    """Facts and plan are equal, whether the router had the head or opened the object."""
    image = ds.an_image(UID, {ds.PATIENT_NAME: b"NGUYEN^VAN", ds.MODALITY: b"MR"}, transfer_syntax=syntax, pixels=pixels)
    name = bench.receive(image, UID, transfer_syntax=syntax)
    _wait_for_heads(bench, 1)

    told = read_reception(bench.spool, bench.site, name, bench.router._heads)
    opened = read_reception(bench.spool, bench.site, name)

    assert told == opened


def test_a_head_that_ends_too_early_has_the_object_opened(bench: Bench) -> None:
    """A private block in front of the study does not make the instance one of no study."""
    image = ds.an_image(UID, {ds.PRIVATE: bytes(2 * HEAD_BYTES)})
    bench.receive(image, UID)
    _wait_for_heads(bench, 1)

    bench.route()

    latest = bench.latest(UID)
    assert latest is not None
    assert latest.facts.study_instance_uid != ""
