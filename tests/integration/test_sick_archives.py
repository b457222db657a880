"""Archives that are out of order for a while (house.md section 7): what is theirs is not charged to the images, and nobody has to help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.fakes import script
from tests.fakes.script import Action, Answer, Break, End, Mood
from tests.fakes.scripted_archive import ScriptedArchive
from tests.support import dcmtk, part10, samples
from tests.support.box import Box
from tests.support.eventually import eventually
from tests.support.site import Table, a_route, a_site

_STUDIES = 3
_IN_A_STUDY = 3
_PIXELS = 64
_DELIVERY: Table = {
    "connect": 2,
    "associate": 2,
    "progress": 5,
    "probe": 0.3,
    "dead_hello": 0.3,
    "throttled": [0.2, 0.5],
    "refusing": 1,
    "soft": [0.1, 0.2],
    "held": 3600,
    "site_rule": [5, 2, 0.5],
}
_SICK_OFFERS = 12
_SICK_S = 30.0
_WELL_WITHIN_S = 40.0

_ABORTS_ALL = "aborts every transfer"
_NEVER_UNDERSTANDS = "answers C000 to everything"
_FAILS_ALL = "answers 0110 to everything"
_REFUSES_ONE = "has no room for one image"
_ABORTS_ONE = "aborts on one image"


@dataclass
class Weekend:
    """What stood at the end of the bad time: what was held (destination, UID), kept, and the states that the sites were seen in."""

    images: dict[str, str]
    poison: str
    archives: dict[str, ScriptedArchive]
    held: set[tuple[str, str]]
    kept: dict[str, set[str]]
    states: dict[str, set[str]]


@pytest.fixture(scope="module")
def weekend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weekend]:
    """Send nine images of three studies to archives that are sick, wait until each was sick often enough, and let them get well."""
    work = tmp_path_factory.mktemp("weekend")
    files = [path for number in range(_STUDIES) for path in samples.ct(_PIXELS).write(work / f"study{number}", _IN_A_STUDY)]
    instances = [part10.read(path) for path in files]
    poison = instances[0].sop_instance_uid
    archives = {name: ScriptedArchive(mood) for name, mood in _moods(poison).items()}
    destinations = [_destination(name, archive.port) for name, archive in archives.items()]
    box = Box(work / "box", a_site(destinations=destinations, routes=[a_route(*archives)], delivery=_DELIVERY))
    try:
        for archive in archives.values():
            archive.start()
        box.start()
        assert dcmtk.successes(dcmtk.storescu(box.port, files)) == len(files)
        yield _play(box, archives, {instance.sop_instance_uid: instance.digest for instance in instances}, poison)
    finally:
        box.close()
        for archive in archives.values():
            archive.stop()


def _moods(poison: str) -> dict[str, Mood]:
    def only_poison(action: Action) -> Mood:
        return script.by_instance({poison: script.always(action)})

    return {
        _ABORTS_ALL: script.always(Break(End.ABORT_USER)),
        _NEVER_UNDERSTANDS: script.always(Answer(0xC000)),
        _FAILS_ALL: script.always(Answer(0x0110)),
        _REFUSES_ONE: only_poison(Answer(0xA700)),
        _ABORTS_ONE: only_poison(Break(End.ABORT_USER)),
    }


def _play(box: Box, archives: dict[str, ScriptedArchive], images: dict[str, str], poison: str) -> Weekend:
    states: dict[str, set[str]] = {name: set() for name in archives}

    def is_sick_enough() -> bool:
        for destination in box.cli("status")["destinations"]:
            states[destination["name"]].add(destination["state"])
        return all(len(archive.offers) >= _SICK_OFFERS for archive in archives.values())

    eventually(is_sick_enough, within=_SICK_S, message="every archive to be sick often enough")
    held = {(row["destination"], row["sop_instance_uid"]) for row in box.cli("queue", "list", "--state", "held", "--limit", "1000")}
    kept = {name: set(archive.kept) for name, archive in archives.items()}
    for archive in archives.values():
        archive.mood = script.good
    box.wait_until_delivered(_WELL_WITHIN_S)
    return Weekend(images, poison, archives, held, kept, states)


@pytest.mark.parametrize("name", [_ABORTS_ALL, _NEVER_UNDERSTANDS, _FAILS_ALL])
def test_what_an_archive_does_to_all_images_is_charged_to_none(weekend: Weekend, name: str) -> None:
    """An archive that fails on everything holds nothing, and has everything, with no hand, when it is well."""
    assert {uid for destination, uid in weekend.held if destination == name} == set()
    assert weekend.archives[name].kept == weekend.images


@pytest.mark.parametrize("name", [_ABORTS_ALL, _NEVER_UNDERSTANDS])
def test_the_same_failure_on_many_images_pauses_the_archive(weekend: Weekend, name: str) -> None:
    """Aborts, or C000, on five images of two studies are the site's: it is paused and probed with one image at a time."""
    assert "paused" in weekend.states[name]


@pytest.mark.parametrize("name", [_REFUSES_ONE, _ABORTS_ONE])
def test_what_an_archive_does_to_one_image_stops_no_other(weekend: Weekend, name: str) -> None:
    """While one image is answered so for ever, the archive gets all others (P6)."""
    assert weekend.images.keys() - weekend.kept[name] == {weekend.poison}


def test_only_the_poison_is_held(weekend: Weekend) -> None:
    """The image that an archive aborts on, alone too, is held there and nowhere else."""
    assert weekend.held == {(_ABORTS_ONE, weekend.poison)}


def _destination(name: str, port: int) -> Table:
    return {"name": name, "kind": "dicom", "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": port, "calling_ae": "box", "lanes": 2}
