"""Trouble that ends without a hand at the box: an archive that comes and goes for hours, and one that refuses our title for three days."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from appliance.deliver.verdict import Verdict, judge_reject
from appliance.ledger.destinations import DestinationStates
from appliance.ledger.vocabulary import DeliveryState
from tests.simulation.archive import AWAY, WELL, Mood
from tests.simulation.box import SimulatedBox
from tests.simulation.clinic import Clinic
from tests.simulation.world import World

_HOUR_S = 3600.0
_DAY_S = 24 * _HOUR_S
# Ordinarily short: a virtual hour of a line that flaps costs some seconds: every flap wakes every loop.
_LONG = os.environ.get("LONG") == "1"
_FLAPPING_S = (12.0 if _LONG else 1.0) * _HOUR_S
# For how many images of three refused days one stands: what waits for a title is looked at again every quarter of an hour.
_SCALE = 40 if _LONG else 240
# What a flapping line does: away or there for half a minute, give or take most of it.
_FLAPS_S = (2.0, 58.0)
# An archive that refuses is asked again every quarter of an hour (semantics.md 1.4), jitter included.
_ASKED_AGAIN_S = 1.2 * 900.0


def test_an_archive_that_comes_and_goes_for_hours_gets_everything(data: Path) -> None:
    """After hours of half minutes there and away all is delivered with no hand, nothing was held, and tries were bounded."""
    world, dice = World(), random.Random(5)
    with SimulatedBox(data, world, send_s=4.0, tick_s=1.0, keeper_s=_DAY_S) as box:
        clinic = Clinic(box, images_a_day=100_000, scale=40)
        clinic.open()
        held = []
        end = world.now().boottime + _FLAPPING_S
        while world.now().boottime < end:
            box.archive.mood = AWAY if box.archive.mood is WELL else WELL
            world.pass_time(dice.uniform(*_FLAPS_S))
            held.append(box.counts().get(DeliveryState.HELD, 0))
        box.archive.mood = WELL
        clinic.close()
        # The longest wait of one image after failures of its own (semantics.md 1.4), jitter included.
        world.pass_time(1.2 * 600.0 + 60.0)

        tries = Counter(offer.uid for offer in box.archive.offers)
        lost = Counter(offer.uid for offer in box.archive.offers if offer.flag == "connection_lost")
        print(f"{len(held)} flaps, {clinic.images} instances, {lost.total()} lost in mid-transfer, at most {max(tries.values())} tries")
        assert lost.total() > 0, "no flap came in mid-transfer"
        assert {0} == set(held)
        assert {DeliveryState.DELIVERED: len(box.acknowledged)} == box.counts()
        assert set(box.acknowledged) == set(box.archive.stored)
        assert {1} == set(box.archive.stored.values())
        # A try beyond the first only where the line broke under the one before.
        assert {uid: 1 + lost[uid] for uid in tries} == dict(tries)


@pytest.mark.parametrize(
    ("refusal", "waits", "words"),
    [
        (judge_reject(1, 1, 7, called="ARCHIVE"), DeliveryState.QUEUED, "does not answer to the AE title ARCHIVE"),
        # Only what is sent under that title waits: another title may be known.
        (judge_reject(1, 1, 3, calling="EDGE"), DeliveryState.DEFERRED, "does not know this box as EDGE"),
    ],
    ids=["its title", "our title"],
)
def test_a_title_that_is_put_right_after_three_days(data: Path, refusal: Verdict, waits: DeliveryState, words: str) -> None:
    """Three days of refusals hold nothing and cost no image a try; the reason says what is wrong; put right, all goes with no hand."""
    world = World()
    with SimulatedBox(data, world, send_s=0.4, tick_s=900.0, keeper_s=_DAY_S) as box:
        clinic = Clinic(box, images_a_day=20_000 if _LONG else 6_000, scale=_SCALE)
        box.archive.mood = Mood(rejects=refusal)
        clinic.open()
        world.pass_time(3 * _DAY_S)
        with box.ledger.read():
            (row,) = DestinationStates(box.ledger).all()
        during = box.counts()
        received = len(box.acknowledged)

        box.archive.mood = WELL
        world.pass_time(_ASKED_AGAIN_S + 900.0)
        clinic.close()
        world.pass_time(_HOUR_S)

        assert ("refusing", {waits: received}) == (row.state, during)
        assert words in row.reason
        assert {DeliveryState.DELIVERED: len(box.acknowledged)} == box.counts()
        assert dict.fromkeys(box.acknowledged, 1) == dict(box.archive.stored)
        assert len(box.acknowledged) == len(box.archive.offers)
