"""F-08: whatever the wall clock does, the box tries again when it would have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.deliver.verdict import judge_reject
from appliance.ledger.vocabulary import DeliveryState
from tests.simulation.archive import AWAY, HANGING, WELL, Mood
from tests.simulation.box import SimulatedBox
from tests.simulation.world import World

_YEAR_S = 365.25 * 86_400.0
_JUMPS: Mapping[str, Callable[[World], None]] = {
    "an hour on": lambda world: world.jump_wall(3600.0),
    "an hour back": lambda world: world.jump_wall(-3600.0),
    "ten years on": lambda world: world.jump_wall(10 * _YEAR_S),
    "to 1970": lambda world: world.set_wall(3600.0),
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with the archive, and how long after its end the box may take to notice (semantics.md 1.4, jitter included)."""

    mood: Mood
    back_off_s: float


_TROUBLES: Mapping[str, Trouble] = {
    "0110": Trouble(Mood(status=0x0110), 1.2 * 600.0),
    "C000": Trouble(Mood(status=0xC000), 1.2 * 1800.0),
    "A700": Trouble(Mood(status=0xA700), 1.2 * 900.0),
    "1/1/3": Trouble(Mood(rejects=judge_reject(1, 1, 3)), 1.2 * 900.0),
    "away": Trouble(AWAY, 5.0),
    "hanging": Trouble(HANGING, 1.2 * 600.0),
}

_TROUBLE_S = 2400.0
_TICK_S = 10.0
# A tick, the transfer, and the response that a stuck archive still owes.
_SLACK_S = _TICK_S + 60.0 + 5.0


@pytest.mark.parametrize("trouble", _TROUBLES)
def test_a_clock_that_jumps_changes_nothing(data: Path, trouble: str) -> None:
    """An hour on or back, ten years on and back to 1970 during the waits: every try comes at the second at which it came without."""
    undisturbed = _history(data / "undisturbed", _TROUBLES[trouble], lambda _world: None)

    jumped = {name: _history(data / str(number), _TROUBLES[trouble], jump) for number, (name, jump) in enumerate(_JUMPS.items())}

    assert jumped == dict.fromkeys(_JUMPS, undisturbed)


def _history(data: Path, trouble: Trouble, jump: Callable[[World], None]) -> list[tuple[float, str, str]]:
    """Return every offer (seconds, UID, how it ended) of an afternoon with some trouble, in the middle of which the clock jumps."""
    world = World()
    with SimulatedBox(data, world, lanes=2, send_s=0.5, tick_s=_TICK_S, keeper_s=900.0) as box:
        box.scan("1.2.1", ["1.2.1.1"])
        world.pass_time(30.0)
        box.archive.mood = trouble.mood
        # Fewer than would be the archive's own trouble by the site rule.
        box.scan("1.2.2", ["1.2.2.1", "1.2.2.2"])
        world.pass_time(100.0)
        jump(world)
        box.scan("1.2.3", ["1.2.3.1"])
        world.pass_time(_TROUBLE_S)
        box.archive.mood, well_at = WELL, world.now().boottime
        world.pass_time(trouble.back_off_s + _SLACK_S)

        assert box.counts() == {DeliveryState.DELIVERED: 4}, "something waits beyond its back-off"
        assert set(box.archive.stored) == set(box.acknowledged)
        answered_well = [offer.uid for offer in box.archive.offers if offer.flag == "success"]
        assert sorted(answered_well) == sorted(box.acknowledged), "something was sent twice"
        return [(offer.at - well_at, offer.uid, offer.flag) for offer in box.archive.offers]
