"""An archive with a bad weekend: five kinds of trouble in a row, and one object that it will never understand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from appliance.deliver.verdict import judge_reject
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from tests.simulation.archive import HANGING, WELL, Mood
from tests.simulation.box import SimulatedBox
from tests.simulation.clinic import Clinic
from tests.simulation.world import World

_HOUR_S = 3600.0
# 60 hours: a database that is full of locks, a disk that is full, a list of callers that somebody emptied, a process that is stuck.
_WEEKEND = (Mood(status=0xC000), Mood(status=0x0110), Mood(status=0xA700), Mood(rejects=judge_reject(1, 1, 3, calling="EDGE")), HANGING)
_EACH_S = 12 * _HOUR_S
# What the weekend made the box hold is tried again a day later (semantics.md 1.4), give or take a fifth.
_AFTERWARDS_S = 1.2 * 24 * _HOUR_S + 2 * _HOUR_S


def test_after_a_bad_weekend_only_the_poison_is_held(data: Path) -> None:
    """After 60 hours of C000, 0110, A700, 1/1/3 and silence everything but the one poison is delivered with no hand, and held is 1."""
    world = World()
    with SimulatedBox(data, world, send_s=0.4, tick_s=60.0, keeper_s=24 * _HOUR_S) as box:
        clinic = Clinic(box, images_a_day=2_000, scale=10)
        clinic.open()
        world.pass_time(_HOUR_S)
        poison = f"1.2.826.0.1.{len(clinic.studies) + 1}.3"
        box.archive.poisons.add(poison)

        for mood in _WEEKEND:
            box.archive.mood = mood
            world.pass_time(_EACH_S)
        during = box.counts()
        box.archive.mood = WELL
        world.pass_time(_AFTERWARDS_S)
        clinic.close()
        world.pass_time(_HOUR_S)

        unanswered = Counter(offer.uid for offer in box.archive.offers if offer.flag == "no_response")
        print(f"{clinic.images} instances, {len(box.archive.offers)} offers; at the end of the weekend {during}")
        assert box.counts() == {DeliveryState.DELIVERED: len(box.acknowledged) - 1, DeliveryState.HELD: 1}
        assert [(row.sop_instance_uid, row.hold_class) for row in box.owed()] == [(poison, HoldClass.VERDICT)]
        assert set(box.archive.stored) == set(box.acknowledged) - {poison}
        # Stored again only where nobody could say that it was stored.
        assert {uid: times for uid, times in box.archive.stored.items() if times > 1 + unanswered[uid]} == {}
