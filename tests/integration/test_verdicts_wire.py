"""Every answer of semantics.md 1.1 to 1.3 on the wire, and what becomes of the delivery and of the destination (F-12).

Two instances go to one destination a row: a CT image, which the destination answers as the row says, and a report, which it takes wherever
it can. What the commands say of both is looked at until every row has shown its effect; then every destination becomes good.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import script
from tests.fakes.script import Action, Answer, Break, End, Greeting, Mood, Stage, Welcome
from tests.fakes.scripted_archive import ScriptedArchive
from tests.support import dcmtk, part10, samples, sealed
from tests.support.box import Box
from tests.support.site import Table, a_route, a_site

_CT = "1.2.840.10008.5.1.4.1.1.2"
_REPORT = "1.2.840.10008.5.1.4.1.1.88.11"
# 33 KB: more than the small data units of a second try (16 KiB).
_PIXELS = 128
_HELD_S = 8
# The rules are those of a hospital, the waits are not; three tries "spread over an hour" take 3 s here.
_DELIVERY: Table = {
    "connect": 2,
    "associate": 1.5,
    "progress": 2,
    "response": 1.5,
    "probe": 0.3,
    "dead_hello": 0.3,
    "throttled": [0.3, 1],
    "refusing": 1,
    "soft": [0.2, 0.5],
    "held": _HELD_S,
    "site_rule": [5, 2, 1],
}
_SHOWN_WITHIN_S = 45.0
_GOOD_WITHIN_S = 60.0
_SOFT_TRIES = 4
_SUCCESS = Answer()

DELIVERED = "delivered"
SOFT = "tried for ever"
VERDICT = "held: verdict"
CONFIGURATION = "held: configuration"
THROTTLED, REFUSING, DEAD = "site throttled", "site refusing", "site dead"
_SITE = {THROTTLED: "throttled", REFUSING: "refusing", DEAD: "dead"}
_HOLD = {VERDICT: "verdict", CONFIGURATION: "configuration"}


@dataclass(frozen=True)
class Row:
    """One line of the tables: what the destination does to the image, and the effect; `tries` is how often before it is held."""

    name: str
    effect: str
    actions: Sequence[Action] = (_SUCCESS,)
    greeting: Greeting = script.open_door
    tries: int = 1
    says: str = ""
    is_down: bool = False
    spoils_all: bool = False
    """Whether the report cannot be delivered either."""

    @property
    def mood(self) -> Mood:
        """What the destination does until it becomes good."""
        spoilt = script.in_turn(*self.actions)
        return lambda offer: spoilt(offer) if offer.sop_class_uid == _CT else Answer()


def _status(status: int, effect: str, tries: int = 1) -> Row:
    says = "" if effect in {DELIVERED, *_SITE} else f"({status:04X})"
    return Row(f"status {status:04X}", effect, [Answer(status, comment="as told", offending=(0x00100010,))], tries=tries, says=says)


def _reject(result: int, source: int, reason: int, effect: str) -> Row:
    greeting = script.refuse_storage(Welcome(reject=(result, source, reason)))
    return Row(f"reject {result}-{source}-{reason}", effect, greeting=greeting, spoils_all=True)


def _welcome(name: str, effect: str, welcome: Welcome, *, tries: int = 1, spoils_all: bool = True, says: str = "") -> Row:
    return Row(name, effect, greeting=script.refuse_storage(welcome), tries=tries, spoils_all=spoils_all, says=says)


def _context(result: int, tries: int) -> Row:
    choice = script.refuse(result, classes=[_CT])
    return _welcome(f"context {result}", CONFIGURATION, script.with_contexts(choice), tries=tries, spoils_all=False, says=_CT)


def _leave_out(abstract_syntax: str, syntaxes: Sequence[str]) -> tuple[int, str] | None:
    return None if abstract_syntax == _CT else (0, syntaxes[0])


_1_1 = [
    _status(0x0000, DELIVERED),
    _status(0xB000, DELIVERED),
    _status(0xB006, DELIVERED),
    _status(0xB007, DELIVERED),
    _status(0xA700, THROTTLED),
    _status(0xA7FF, THROTTLED),
    _status(0xA800, CONFIGURATION),
    _status(0x0122, CONFIGURATION),
    _status(0x0112, CONFIGURATION),
    _status(0xA900, VERDICT, tries=3),
    _status(0xA9FF, VERDICT, tries=3),
    _status(0xC000, VERDICT, tries=3),
    _status(0xCFFF, VERDICT, tries=3),
    _status(0xC122, CONFIGURATION),
    _status(0x0110, SOFT),
    _status(0x0111, VERDICT),
    Row("status 0111 for what it got", DELIVERED, [Break(End.CLOSE, keeps=True), Answer(0x0111)]),
    _status(0x0117, VERDICT),
    _status(0x0118, VERDICT),
    _status(0x0119, VERDICT),
    _status(0x0124, REFUSING),
    _status(0x0214, REFUSING),
    _status(0x0210, SOFT),
    _status(0x0211, VERDICT),
    _status(0x0212, VERDICT),
    _status(0x0213, THROTTLED),
    _status(0xFE00, SOFT),
    _status(0xFF00, SOFT),
    _status(0x1234, VERDICT, tries=3),
    Row("no status", SOFT, [Answer(None)]),
    Row("success for another message", SOFT, [Answer(message_id=4711)]),
    Row("success for another instance", SOFT, [Answer(sop_instance_uid="1.2.3.4")]),
    Row("garbage instead of a command set", SOFT, [Answer(command=b"\xff" * 64, keeps=False)]),
    Row("an empty command set", SOFT, [Answer(command=b"", keeps=False)]),
    Row("two successes", DELIVERED, [Answer(times=2)]),
    Row("failure and then success in its answer", VERDICT, [Answer(0x0117, times=2)]),
    Row("failure before the data set", VERDICT, [Answer(0x0119, after_bytes=0)]),
    Row("connection lost for an answer", SOFT, [Break(End.CLOSE)]),
    Row("connection reset for an answer", SOFT, [Break(End.RESET)]),
    Row("no response in time", SOFT, [Break(End.HANG)], says="did not answer in time"),
]

_1_2 = [
    _reject(1, 1, 1, REFUSING),
    _reject(1, 1, 2, REFUSING),
    _reject(1, 1, 3, REFUSING),
    _reject(1, 1, 7, REFUSING),
    _reject(1, 2, 1, REFUSING),
    _reject(1, 2, 2, REFUSING),
    _reject(2, 2, 1, THROTTLED),
    _reject(2, 3, 1, THROTTLED),
    _reject(2, 3, 2, THROTTLED),
]

_1_3 = [
    _context(1, tries=3),
    _context(2, tries=3),
    _context(3, tries=1),
    _context(4, tries=1),
    _welcome("context left out", CONFIGURATION, Welcome(contexts=_leave_out), tries=3, spoils_all=False, says=_CT),
    _welcome("no usable context", CONFIGURATION, script.with_contexts(script.refuse(3, classes=[_CT, _REPORT]))),
    Row("abort 0", VERDICT, [Break(End.ABORT_USER)], tries=4),
    Row("abort 0 in mid-transfer", VERDICT, [Break(End.ABORT_USER, Stage.DATA, after_bytes=20_000)], tries=4),
    Row("abort 2", VERDICT, [Break(End.ABORT_PROVIDER, reason=6)], tries=2),
    Row("closed in mid-transfer", SOFT, [Break(End.CLOSE, Stage.DATA, after_bytes=20_000)]),
    Row("reset in mid-transfer", SOFT, [Break(End.RESET, Stage.DATA, after_bytes=20_000)]),
    Row("released in mid-transfer", SOFT, [Break(End.RELEASE, Stage.DATA, after_bytes=20_000)]),
    Row("nobody listens", DEAD, is_down=True, spoils_all=True, says="connection refused"),
    Row("silence for an association", DEAD, greeting=script.welcome(Welcome(end=End.HANG)), says="does not answer", spoils_all=True),
    _welcome("closed for an association", DEAD, Welcome(end=End.CLOSE), says="closes the connection"),
    _welcome("reset for an association", DEAD, Welcome(end=End.RESET), says="closes the connection"),
    _welcome("abort for an association", THROTTLED, Welcome(end=End.ABORT_USER)),
    _welcome("provider abort for an association", THROTTLED, Welcome(end=End.ABORT_PROVIDER)),
    _welcome("a syntax nobody proposed", THROTTLED, script.with_contexts(lambda *_: (0, "1.2.840.10008.1.2.4.50"))),
    _welcome("one context twice", THROTTLED, Welcome(repeats_ids=True)),
    _welcome("an answer of 4 GiB", THROTTLED, Welcome(raw=b"\x02\0\xff\xff\xff\xff")),
    _welcome("units of 1 byte", THROTTLED, Welcome(max_length=1)),
    _welcome("units of 7 bytes", THROTTLED, Welcome(max_length=7)),
    _welcome("units of any length", DELIVERED, Welcome(max_length=0), spoils_all=False),
    _welcome("units of 4 GiB", DELIVERED, Welcome(max_length=0xFFFFFFFF), spoils_all=False),
]

ROWS = {row.name: row for row in (*_1_1, *_1_2, *_1_3)}


class Observed:
    """What the commands said about each row, in the order it was seen."""

    def __init__(self, box: Box, archives: dict[str, ScriptedArchive], image: part10.Instance) -> None:
        """Watch the deliveries of `image`."""
        self._box = box
        self._archives = archives
        self._image = image
        self.deliveries: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.sites: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.unfounded: list[str] = []

    def look(self) -> None:
        """Ask once; whatever is called delivered must be at the archive by now."""
        for state in ([], ["--state", "delivered"]):
            for row in self._box.cli("queue", "list", "--limit", "1000", *state):
                if row["sop_instance_uid"] == self._image.sop_instance_uid:
                    self.deliveries[row["destination"]].append(row)
                if row["state"] == "delivered" and row["sop_instance_uid"] not in self._archives[row["destination"]].kept:
                    self.unfounded.append(f"{row['destination']}: {row['sop_instance_uid']}")
        for destination in self._box.cli("status")["destinations"]:
            self.sites[destination["name"]].append(destination)

    def fault(self, row: Row) -> str:
        """Return what the row has not shown yet, or shown and must not; empty when it is as tabled."""
        seen = self.deliveries[row.name]
        if not seen:
            return "no delivery was seen"
        states = {(entry["state"], entry["hold_class"]) for entry in seen}
        held = [entry for entry in seen if entry["state"] == "held"]
        delivered = any(state == "delivered" for state, _ in states)
        if row.effect == DELIVERED:
            return "" if delivered and not held else f"not delivered: {states}"
        if delivered:
            return f"delivered: {states}"
        if row.effect in _HOLD:
            return self._hold_fault(row, held, states)
        if held:
            return f"held: {held[0]}"
        return self._site_fault(row, seen) if row.effect in _SITE else self._soft_fault(row, seen)

    def _hold_fault(self, row: Row, held: list[dict[str, Any]], states: set[tuple[str, str]]) -> str:
        if not held:
            return f"not held: {states}"
        if held[0]["hold_class"] != _HOLD[row.effect]:
            return f"held as {held[0]['hold_class']}: {held[0]['reason']}"
        if held[0]["attempts"] != row.tries:
            return f"held after {held[0]['attempts']} tries"
        return "" if row.says in held[0]["reason"] else f"says {held[0]['reason']!r}"

    def _soft_fault(self, row: Row, seen: list[dict[str, Any]]) -> str:
        if seen[-1]["attempts"] < _SOFT_TRIES:
            return f"tried {seen[-1]['attempts']} times: {seen[-1]['reason']}"
        reasons = {entry["reason"] for entry in seen}
        return "" if any(row.says in reason for reason in reasons) else f"says {reasons}"

    def _site_fault(self, row: Row, seen: list[dict[str, Any]]) -> str:
        charged = max(entry["attempts"] for entry in seen)
        if charged:
            return f"charged with {charged} attempts"
        in_trouble = [site for site in self.sites[row.name] if site["state"] == _SITE[row.effect]]
        if not in_trouble:
            return f"the site was {[(site['state'], site['reason']) for site in self.sites[row.name][-2:]]}"
        reasons = {site["reason"] for site in in_trouble}
        return "" if any(row.says in reason for reason in reasons) else f"says {reasons}"

    def faults(self) -> dict[str, str]:
        """Return the rows that are not as tabled, with what is wrong."""
        return {row.name: fault for row in ROWS.values() if (fault := self.fault(row))}


@dataclass
class Played:
    """The whole play: what was seen, and what was there when it was over."""

    observed: Observed
    faults: dict[str, str]
    image: part10.Instance
    report: part10.Instance
    archives: dict[str, ScriptedArchive]
    reports_kept: set[str]
    instances: dict[str, int]
    sealed_before: int
    still_owed: list[dict[str, Any]]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Play all rows at once in one box, then let every destination be good."""
    work = tmp_path_factory.mktemp("verdicts")
    archives = {row.name: ScriptedArchive(row.mood, greeting=row.greeting) for row in ROWS.values()}
    destinations = [_destination(name, archive.port) for name, archive in archives.items()]
    box = Box(work / "box", a_site(destinations=destinations, routes=[a_route(*archives)], delivery=_DELIVERY))
    try:
        for name, archive in archives.items():
            if not ROWS[name].is_down:
                archive.start()
        box.start()
        yield _play(box, archives, work)
    finally:
        box.close()
        for archive in archives.values():
            archive.stop()


def _play(box: Box, archives: dict[str, ScriptedArchive], work: Path) -> Played:
    (image_file,), (report_file,) = samples.ct(_PIXELS).write(work / "ct"), samples.structured_report().write(work / "sr")
    image, report = part10.read(image_file), part10.read(report_file)
    assert dcmtk.successes(dcmtk.storescu(box.port, [image_file, report_file])) == 2
    observed = Observed(box, archives, image)
    deadline = time.monotonic() + _SHOWN_WITHIN_S
    observed.look()
    while observed.faults() and time.monotonic() < deadline:
        observed.look()
    faults = observed.faults()
    reports_kept = {name for name, archive in archives.items() if report.sop_instance_uid in archive.kept}
    instances, objects = box.cli("status")["instances"], len(list(sealed.sealed_files(box.data)))
    for name, archive in archives.items():
        archive.mood, archive.greeting = script.good, script.open_door
        if ROWS[name].is_down:
            archive.start()
    deadline = time.monotonic() + _GOOD_WITHIN_S
    while (owed := box.cli("queue", "list", "--limit", "1000")) and time.monotonic() < deadline:
        time.sleep(0.2)
    return Played(observed, faults, image, report, archives, reports_kept, instances, objects, owed)


def _destination(name: str, port: int) -> Table:
    return {"name": name, "kind": "dicom", "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": port, "calling_ae": "box", "lanes": 2}


@pytest.mark.parametrize("name", list(ROWS))
def test_each_answer_has_its_tabled_effect(played: Played, name: str) -> None:
    """The delivery is delivered, tried again or held in its class after its number of tries, or the site is in its state, as tabled."""
    assert played.faults.get(name, "") == ""


def test_nothing_is_called_delivered_that_is_not_there(played: Played) -> None:
    """Whenever a command says delivered, the archive has the instance and said so with a status that means it."""
    assert played.observed.unfounded == []


def test_one_bad_instance_stays_one_bad_instance(played: Played) -> None:
    """Where only the image is answered badly, the report of the same association or the next is delivered all the same."""
    expected = {row.name for row in ROWS.values() if not row.spoils_all and row.effect not in _SITE}

    assert expected - played.reports_kept == set()


def test_no_failure_deletes_anything(played: Played) -> None:
    """While every kind of failure stands, both instances are stored, sealed and whole."""
    assert {state: count for state, count in played.instances.items() if count} == {"stored": 2}
    assert played.sealed_before == 2


def test_a_destination_that_takes_nothing_is_not_asked_in_a_loop(played: Played) -> None:
    """An archive that accepts associations and none of their contexts is asked once or twice, not again and again."""
    visits = played.archives["no usable context"].visits

    assert len([visit for visit in visits if visit.at - visits[0].at < _HELD_S / 2]) <= 2


def test_a_provider_abort_is_answered_with_smaller_units(played: Played) -> None:
    """After an A-ABORT of source 2 the second try comes in units of at most 16 KiB, in an association of its own."""
    visits = [visit for visit in played.archives["abort 2"].visits if visit.largest_unit > 10_000]

    assert [visit.largest_unit > 20_000 for visit in visits[:2]] == [True, False]


def test_all_is_delivered_exactly_once_when_the_archives_are_good(played: Played) -> None:
    """Nothing needs a hand: every destination ends with exactly the two instances, byte for byte, and nothing is owed."""
    expected = {instance.sop_instance_uid: instance.digest for instance in (played.image, played.report)}

    assert [(row["destination"], row["state"], row["reason"]) for row in played.still_owed] == []
    assert {name: archive.kept for name, archive in played.archives.items() if archive.kept != expected} == {}
