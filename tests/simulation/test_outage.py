"""F-13: the archive is away for a week, and everything is delivered afterwards, today's studies not last."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from appliance.deliver.task import Task
from appliance.ledger.vocabulary import DeliveryState
from tests.simulation.archive import AWAY, WELL
from tests.simulation.box import SimulatedBox
from tests.simulation.clinic import Clinic
from tests.simulation.world import World

_LONG = os.environ.get("LONG") == "1"
# Ordinarily a tenth of the images (F-13), because one costs 2 ms: each stands for ten and takes ten times as long, so that the week and
# what follows it keep their shape.
_SCALE = 1 if _LONG else 10
_IMAGES_A_DAY = 50_000
_DAY_S = 86_400.0
_OUTAGE_S = 7 * _DAY_S
# Four lanes of 0.1 s an image: an archive that takes 40 images a second, about what a gigabit line brings of a CT.
_SEND_S = 0.1
# F-13: what today's studies get of the archive while they wait, at least.
_SHARE = 0.30
# A study of 240 images takes the archive 6 s; at 30 % of it 20 s, and the last image of each lane is under way when it comes.
_STUDY_WAITS_S = 60.0


class Attention:
    """Whom the archive serves while both today's studies and the week's are waiting."""

    def __init__(self, box: SimulatedBox, clinic: Clinic) -> None:
        """Begin with everything received so far as the week's."""
        self._first_of_today = len(clinic.studies) + 1
        self._box = box
        self._older = len(box.acknowledged)
        self._taken: Counter[str] = Counter()
        self.contested: Counter[str] = Counter()
        self.stored_at: dict[str, float] = {}

    def taken(self, task: Task) -> None:
        """See the archive begin with one."""
        number = int(task.claim.study_instance_uid.rpartition(".")[2])
        whose = "today" if number >= self._first_of_today else "week"
        waiting_today = len(self._box.acknowledged) - self._older - self._taken["today"]
        waiting_week = self._older - self._taken["week"]
        if waiting_today > 0 and waiting_week > 0:
            self.contested[whose] += 1
        self._taken[whose] += 1

    def stored(self, task: Task) -> None:
        """See the archive keep one."""
        self.stored_at[task.claim.sop_instance_uid] = self._box.world.now().boottime

    @property
    def share_of_today(self) -> float:
        """Today's share of what was contested."""
        return self.contested["today"] / self.contested.total()


# It takes three minutes on two idle cores, and no clock of a test may end it on busy ones.
@pytest.mark.timeout(1200)
def test_a_week_without_the_archive_is_made_good_without_a_hand(data: Path) -> None:
    """After 7 days at 50,000 instances a day everything is delivered once, nothing is held, and today's studies get their share."""
    world = World()
    with SimulatedBox(data, world, send_s=_SEND_S * _SCALE, tick_s=300.0, keeper_s=_DAY_S) as box:
        clinic = Clinic(box, images_a_day=_IMAGES_A_DAY, scale=_SCALE)
        box.archive.mood = AWAY
        clinic.open()
        world.pass_time(_OUTAGE_S)
        assert box.counts() == {DeliveryState.QUEUED: len(box.acknowledged)}
        assert box.archive.offers == []

        attention = Attention(box, clinic)
        box.archive.on_taken, box.archive.on_stored = attention.taken, attention.stored
        box.archive.mood, back_at = WELL, world.now().boottime
        while len(box.acknowledged) > len(box.archive.stored):
            world.pass_time(600.0)
            assert world.now().boottime - back_at < 2 * _DAY_S, box.counts()
        caught_up_s = world.now().boottime - back_at
        clinic.close()
        world.pass_time(600.0)

        today = [study for study in clinic.studies if study.complete_at > back_at + clinic.study_s]
        waits = [max(attention.stored_at[image] for image in study.images) - study.complete_at for study in today]
        print(
            f"{clinic.images} instances, {box.archive.knocks} knocks, caught up in {caught_up_s / 3600:.1f} h; while both waited: "
            f"{dict(attention.contested)}, today's share {attention.share_of_today:.0%}, slowest study after {max(waits):.0f} s"
        )
        assert box.counts() == {DeliveryState.DELIVERED: len(box.acknowledged)}
        assert set(box.archive.stored) == set(box.acknowledged)
        assert set(box.archive.stored.values()) == {1}
        assert attention.share_of_today >= _SHARE
        assert max(waits) <= _STUDY_WAITS_S
