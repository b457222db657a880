"""A clinic in virtual time: studies come in one after the other, day and night, until it is closed.

Promises: the same clinic sends the same studies at the same moments; a study's number is in its UID, and rises.
Failures: what receiving an object raises, by way of the world.
Limits: one study at a time; an image stands for `scale` images and takes as long as they do, so that fewer make the same day.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.box import SimulatedBox
from tests.simulation.world import VirtualThread

_DAY_S = 86_400.0
# A scanner's images a second, and how many of them are one study.
_IMAGES_PER_SECOND = 10.0
_STUDY_IMAGES = 240
# Received before the router is told: it is told more often than it looks, and looks at a batch at a time.
_BURST = 25


@dataclass(frozen=True, slots=True)
class Study:
    """A study that was received: its images, and when (boottime) the last of them came."""

    uid: str
    images: tuple[str, ...]
    complete_at: float


class Clinic:
    """What keeps one box busy."""

    def __init__(self, box: SimulatedBox, *, images_a_day: int, scale: int = 1) -> None:
        """Be closed; `images_a_day` at full scale."""
        self._box = box
        self._scale = scale
        self._pause_s = _DAY_S * _STUDY_IMAGES / images_a_day
        self._is_open = False
        self._thread: VirtualThread | None = None
        self.studies: list[Study] = []

    @property
    def study_s(self) -> float:
        """How long the images of one study keep coming."""
        return _STUDY_IMAGES / _IMAGES_PER_SECOND

    @property
    def images(self) -> int:
        """How many images were received, of complete studies."""
        return sum(len(study.images) for study in self.studies)

    def open(self) -> None:
        """Begin."""
        self._is_open = True
        self._thread = self._box.world.thread(target=self._work, name="clinic")
        self._thread.start()

    def close(self) -> None:
        """Let the study under way be the last one, and return when it is complete."""
        self._is_open = False
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        world = self._box.world
        while self._is_open:
            began = world.now().boottime
            uid = f"1.2.826.0.1.{len(self.studies) + 1}"
            images = tuple(f"{uid}.{number}" for number in range(1, _STUDY_IMAGES // self._scale + 1))
            for first in range(0, len(images), _BURST):
                burst = images[first : first + _BURST]
                world.sleep(len(burst) * self._scale / _IMAGES_PER_SECOND)
                self._box.scan(uid, burst)
            self.studies.append(Study(uid, images, world.now().boottime))
            world.sleep(self._pause_s - (world.now().boottime - began))
