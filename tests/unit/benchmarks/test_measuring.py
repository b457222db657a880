"""How programs take turns."""

from __future__ import annotations

from pathlib import Path

from benchmarks.batches import Written
from benchmarks.figures import Turn
from benchmarks.measuring import Load, take_turns
from tests.unit.benchmarks.examples import scene

_LOAD = Load(Written((), 1, 10), Written((), 2, 20), Written((), 3, 30))


def test_programs_take_turns_and_the_first_does_not_count(tmp_path: Path) -> None:
    """Each has a small turn that is forgotten; then they follow each other, round after round."""
    seen: list[tuple[str, int]] = []

    def turn(name: str, load: Load) -> Turn:
        seen.append((name, load.work.count))
        return Turn(float(len(seen)), 0.0)

    turns = take_turns(scene(tmp_path, rounds=2, programs=("orthanc", "ours")), turn, _LOAD)

    assert [("orthanc", 2), ("ours", 2), ("orthanc", 3), ("ours", 3), ("orthanc", 3), ("ours", 3)] == seen
    assert {"orthanc": [3.0, 5.0], "ours": [4.0, 6.0]} == {name: [one.rate for one in taken] for name, taken in turns.items()}


def test_a_turn_brings_its_warm_up_too() -> None:
    """A program has to hold everything it was sent, not only what was timed."""
    assert (_LOAD.count, _LOAD.as_trial().count) == (4, 3)
