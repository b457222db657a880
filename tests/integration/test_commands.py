"""The commands that change something, or look closely: each in plain text and in JSON, and each way in which it can be asked wrongly."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import signal
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlcipher3 import dbapi2

from appliance.keys.derive import Label, derive
from appliance.keys.root import load_root
from appliance.manage.control import Control
from appliance.runtime.page_requests import PreviewRequest, StudySearchRequest
from tests.fakes import script
from tests.fakes.script import Answer
from tests.fakes.scripted_archive import ScriptedArchive
from tests.support import dcmtk, part10, samples, sealed
from tests.support.box import Box, BoxMaker
from tests.support.dcmtk import ArchiveMaker
from tests.support.eventually import eventually
from tests.support.query_archive import QueryArchive
from tests.support.site import Table, a_route, a_site, a_source, an_archive
from webui import exporting

_DONE, _FAILED, _WRONG_USAGE, _NOT_RUNNING = 0, 1, 2, 3
_PHASES = ["name", "route", "tcp", "association", "contexts", "echo"]
_WITHIN_S = 15.0
# "SOP class not supported": what is answered so is held at once, for a setting to change (semantics.md 1.1).
_NOT_SUPPORTED = script.always(Answer(0xA800))


@dataclass
class Hospital:
    """A running box: what CT1 sends is owed to an archive that is away, what MR1 sends goes to a workstation with moods."""

    box: Box
    work: Path
    workstation: ScriptedArchive

    def receive(self, calling: str, count: int = 2) -> tuple[str, list[Path]]:
        """Let the box receive a new study; return its UID and its files once all of it is in the queue."""
        study = samples.new_uid()
        files = samples.ct(16, study=study).write(self.work / "scanner" / study, count)
        dcmtk.storescu(self.box.port, files, calling=calling)
        eventually(lambda: len(self.rows(study)) == count, within=_WITHIN_S, message="the study in the queue")
        return study, files

    def rows(self, study: str, *options: str) -> list[dict[str, Any]]:
        """Return what the queue says of one study."""
        rows = self.box.cli("queue", "list", "--limit", "1000", *options)
        return [row for row in rows if row["study_instance_uid"] == study]

    def stands(self, study: str) -> set[tuple[str, str | None]]:
        """Return where a study's deliveries stand."""
        return {(row["state"], row["hold_class"]) for row in self.rows(study)}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """Run the box of this module, with destinations that are right and wrong in several ways."""
    work = tmp_path_factory.mktemp("commands")
    with QueryArchive(work / "pacs", ae_title="PACS1", knows="EDGE") as pacs, ScriptedArchive() as workstation:
        destinations = [
            an_archive(dcmtk.free_port()),
            an_archive(workstation.port, name="workstation", proof="delivered"),
            an_archive(pacs.port, name="pacs", ae_title="PACS1"),
            an_archive(pacs.port, name="wrong title", ae_title="PACS2"),
            an_archive(dcmtk.free_port(), name="wrong port", ae_title="PACS1"),
        ]
        routes = [
            a_route("archive", name="ct", when={"source": ["CT1"]}),
            a_route("workstation", name="mr", when={"source": ["MR1"]}, priority="stat"),
        ]
        site = a_site(sources=[a_source("CT1"), a_source("MR1")], destinations=destinations, routes=routes)
        with Box(work / "box", site) as box:
            yield Hospital(box, work, workstation)


# -- queue: hold, release, retry, cancel -------------------------------------------------------------------------------------------------


def test_a_person_holds_a_study_and_releases_it(hospital: Hospital) -> None:
    """`queue hold --study` holds exactly that study, with the reason shown; `queue release` lets it wait for its archive again."""
    study, _ = hospital.receive("CT1")
    other, _ = hospital.receive("CT1")

    held = hospital.box.cli("queue", "hold", "--study", study, "--reason", "wrong patient")
    again = hospital.box.cli("queue", "hold", "--study", study)
    stands, reasons = hospital.stands(study), {row["reason"] for row in hospital.rows(study)}
    other_stands = hospital.stands(other)
    released = hospital.box.command("queue", "release", "--study", study)

    assert held == {"moved": 2, "busy": 0, "unchanged": 0}
    assert again == {"moved": 0, "busy": 0, "unchanged": 2}
    assert stands == {("held", "person")}
    assert all("wrong patient" in reason for reason in reasons)
    assert other_stands == {("queued", None)}
    assert (released.returncode, released.stdout, released.stderr) == (_DONE, "2 moved\n", "")
    assert hospital.stands(study) == {("queued", None)}


def test_orders_take_numbers_and_conditions_that_hold_together(hospital: Hospital) -> None:
    """Numbers name single deliveries; conditions narrow each other; what meets none is left."""
    study, _ = hospital.receive("CT1", 3)
    first, second, _ = (row["id"] for row in hospital.rows(study))

    by_number = hospital.box.cli("queue", "hold", str(first), str(second))
    by_both = hospital.box.cli("queue", "release", "--study", study, "--destination", "archive", "--class", "person", str(second))
    elsewhere = hospital.box.cli("queue", "hold", "--destination", "pacs", "--state", "queued")

    assert (by_number["moved"], by_both["moved"], elsewhere["moved"]) == (2, 1, 0)
    assert [row["id"] for row in hospital.rows(study, "--state", "held")] == [first]


def test_a_retry_sends_what_was_held_for_a_setting(hospital: Hospital) -> None:
    """What a destination refused is delivered after `queue retry`, once the destination takes it."""
    hospital.workstation.mood = _NOT_SUPPORTED
    study, files = hospital.receive("MR1")
    eventually(lambda: hospital.stands(study) == {("held", "configuration")}, within=_WITHIN_S, message="the refused study to be held")
    hospital.workstation.mood = script.good

    answer = hospital.box.cli("queue", "retry", "--study", study, "--class", "configuration")

    assert answer["moved"] == len(files)
    eventually(lambda: hospital.rows(study) == [], within=_WITHIN_S, message="the study to be delivered")
    assert {path.stem for path in files} <= hospital.workstation.kept.keys()


def test_what_is_cancelled_is_not_delivered_and_stays_in_the_box(hospital: Hospital) -> None:
    """`queue cancel` owes a study no longer: it is not sent, nothing brings it back, and its images can still be exported."""
    hospital.workstation.mood = _NOT_SUPPORTED
    study, files = hospital.receive("MR1")
    eventually(lambda: hospital.stands(study) == {("held", "configuration")}, within=_WITHIN_S, message="the refused study to be held")

    cancelled = hospital.box.command("queue", "cancel", "--study", study, "--yes")
    hospital.workstation.mood = script.good
    retried = hospital.box.command("queue", "retry", "--study", study)
    shown = hospital.rows(study, "--state", "cancelled")
    exported = hospital.box.cli("spool", "export", study, "--to", str(hospital.work / "cancelled"))

    assert (cancelled.returncode, cancelled.stdout) == (_DONE, "2 moved\n")
    assert retried.returncode == _FAILED
    assert [row["state"] for row in shown] == ["cancelled"] * len(files)
    assert not {path.stem for path in files} & hospital.workstation.kept.keys()
    assert [row["outcome"] for row in exported] == ["written"] * len(files)


def test_a_study_is_sent_again_and_told_from_acquisition_to_proof(hospital: Hospital) -> None:
    """`queue resend` owes a delivered study to two destinations more; what the pages ask about it is answered by the daemons."""
    study = samples.new_uid()
    files = samples.ct(16, study=study).write(hospital.work / "scanner" / study, 2)
    dcmtk.storescu(hospital.box.port, files, calling="MR1")
    at_workstation = ("--state", "delivered", "--destination", "workstation")
    eventually(lambda: len(hospital.rows(study, *at_workstation)) == len(files), within=_WITHIN_S, message="the study at the workstation")
    control = Control(hospital.box.data / "run")

    sent = hospital.box.cli("queue", "resend", study, "--to", "workstation", "--to", "archive", "--reason", "disk lost")
    again = hospital.box.command("queue", "resend", study, "--to", "archive", "--reason", "once more")
    nowhere = hospital.box.command("queue", "resend", study, "--to", "nowhere", "--reason", "once more")
    eventually(lambda: len(hospital.rows(study, *at_workstation)) == 2 * len(files), within=_WITHIN_S, message="it is there again")
    told, (found, *_) = control.study(study), control.search_studies(StudySearchRequest()).rows
    waiting = {row.destination: row.waiting for row in control.backlog().rows}

    assert (sent, again.stdout) == ({"made": 4, "unchanged": 0}, "0 to be sent again, 2 are owed there already\n")
    assert (nowhere.returncode, "there is no destination 'nowhere'" in nowhere.stderr) == (_FAILED, True)
    assert ({"delivered": 4}, {"queued": 2}) == (found.destinations["workstation"], told.study.destinations["archive"])
    assert (told.source, told.deliveries[0].proof, len(told.series)) == ("MR1", "commitment", 1)
    assert waiting["archive"] >= 2
    assert {row.calling: row.today for row in control.activity().rows}["MR1"] >= 2
    assert sum(row.delivered.get("workstation", 0) for row in control.throughput().rows) >= 4
    assert control.today().received >= 2
    hospital.box.cli("queue", "cancel", "--study", study, "--yes")


def test_a_held_delivery_is_shown_with_why_since_when_and_what_to_do(hospital: Hospital) -> None:
    """`queue show` tells code, advice, since when, and each try with status, comment, offending element and the bytes of an odd answer."""
    hospital.workstation.mood = script.always(Answer(0x4321, comment="no such thing", offending=(0x00100010,)))
    study, _ = hospital.receive("MR1", 1)
    eventually(lambda: hospital.stands(study) == {("held", "verdict")}, within=_WITHIN_S, message="the refused study to be held")
    (row,) = hospital.rows(study)

    shown = hospital.box.cli("queue", "show", str(row["id"]))
    plain = hospital.box.command("queue", "show", str(row["id"])).stdout
    unknown = hospital.box.command("queue", "show", "999999")
    hospital.workstation.mood = script.good

    assert (row["code"], shown["code"], shown["state"], shown["hold_class"]) == ("unknown_status", "unknown_status", "held", "verdict")
    assert shown["held_since"] == row["held_since"] == shown["tries"][-1]["at"]
    assert [(one["outcome"], one["status"]) for one in shown["tries"]] == [("unknown_status", "4321")] * 3
    assert shown["tries"][0]["comment"].startswith("no such thing offending (0010,0010) raw ")
    assert "21430000" in shown["tries"][0]["comment"] or "2143" in shown["tries"][0]["comment"]
    assert shown["source"] == "MR1 from 127.0.0.1, calling EDGE"
    assert all(words in plain for words in ("[unknown_status]", shown["advice"], "no such thing", study))
    assert unknown.returncode == _FAILED


def test_orders_about_a_sop_class(hospital: Hospital) -> None:
    """`--sop-class` narrows an order to one class."""
    study, files = hospital.receive("CT1")

    other = hospital.box.cli("queue", "hold", "--destination", "archive", "--sop-class", "1.2.840.10008.5.1.4.1.1.4")
    own = hospital.box.cli("queue", "hold", "--study", study, "--sop-class", "1.2.840.10008.5.1.4.1.1.2")

    assert (other["moved"], own["moved"]) == (0, len(files))


def test_cancelling_asks_first(hospital: Hospital) -> None:
    """Without `--yes` `queue cancel` asks; where nobody answers nothing is cancelled."""
    study, _ = hospital.receive("CT1")

    result = hospital.box.command("queue", "cancel", "--study", study)

    assert result.returncode == _FAILED
    assert hospital.stands(study) == {("queued", None)}


# -- destinations test -------------------------------------------------------------------------------------------------------------------


def test_a_destination_that_is_right_passes_every_step(hospital: Hospital) -> None:
    """`destinations test` of a well configured archive goes through every phase, with the time that each took."""
    answer = hospital.box.cli("destinations", "test", "pacs")
    plain = hospital.box.command("destinations", "test", "pacs")

    assert (answer["destination"], answer["ok"]) == ("pacs", True)
    assert [(step["phase"], step["ok"]) for step in answer["steps"]] == [(phase, True) for phase in _PHASES]
    assert {"phase", "ok", "detail", "advice", "ms"} <= set(answer["steps"][0])
    assert (plain.returncode, plain.stderr) == (_DONE, "")
    assert "FAILED" not in plain.stdout


@pytest.mark.parametrize(("name", "fails", "word"), [("wrong port", "tcp", "nobody listens"), ("wrong title", "association", "PACS2")])
def test_a_destination_that_is_wrong_says_where_and_what_to_try(hospital: Hospital, name: str, fails: str, word: str) -> None:
    """`destinations test` ends at the phase that fails, says what was found there and what to try, and ends with 1."""
    result = hospital.box.command("destinations", "test", name, "--json")
    plain = hospital.box.command("destinations", "test", name)

    answer = json.loads(result.stdout)
    step = next(step for step in answer["steps"] if not step["ok"])
    assert (result.returncode, answer["ok"], step["phase"]) == (_FAILED, False, fails)
    assert word in step["detail"]
    assert step["advice"]
    assert plain.returncode == _FAILED
    assert step["detail"] in plain.stdout
    assert step["advice"] in plain.stdout


def test_a_test_image_is_stored(hospital: Hospital) -> None:
    """`destinations test --send` stores one image of the reserved patient, and says where to look it up."""
    before = set(hospital.workstation.kept)

    answer = hospital.box.cli("destinations", "test", "workstation", "--send")

    assert [(step["phase"], step["ok"]) for step in answer["steps"]][-1] == ("send", True)
    assert "DICOM-EDGE-TEST" in answer["steps"][-1]["detail"]
    assert len(set(hospital.workstation.kept) - before) == 1


# -- sources test ------------------------------------------------------------------------------------------------------------------------


def test_a_source_is_asked_about(hospital: Hospital) -> None:
    """`sources test` tells of a scanner's last call, also of a refused one and why; a name that is none is answered with those that are."""
    hospital.receive("CT1")
    file = next(iter(samples.ct(16).write(hospital.work / "by another title")))

    def says(name: str, words: str) -> bool:
        result = hospital.box.command("sources", "test", name)
        return words in result.stdout

    eventually(lambda: says("CT1", "its last call was accepted: as CT1 from 127.0.0.1, calling EDGE"), within=10)
    refused = hospital.box.command("send", str(file), "--calling", "CT1", "--called", "PACS9")
    eventually(lambda: says("CT1", "its last call was refused (1/1/7: called title is not one of ours)"), within=10)
    unknown = hospital.box.command("sources", "test", "CT9")

    assert refused.returncode == _FAILED
    assert hospital.box.command("sources", "test", "CT1").returncode == _FAILED
    assert (unknown.returncode, "Sources are: CT1, MR1." in unknown.stderr) == (_FAILED, True)


# -- spool export and verify -------------------------------------------------------------------------------------------------------------


def test_an_export_is_what_was_sent_byte_for_byte(hospital: Hospital) -> None:
    """`spool export` of an instance and of a study writes files whose data sets are exactly those that were sent."""
    study, files = hospital.receive("CT1")
    one, all_of_it = hospital.work / "one", hospital.work / "all of it"

    instance = hospital.box.cli("spool", "export", files[0].stem, "--to", str(one))
    plain = hospital.box.command("spool", "export", study, "--to", str(all_of_it))

    assert instance == [{"file": f"{files[0].stem}.dcm", "outcome": "written", "problem": ""}]
    assert (plain.returncode, plain.stderr) == (_DONE, "")
    assert {part10.read(path).identity for path in all_of_it.iterdir()} == {part10.read(path).identity for path in files}
    assert part10.split((one / f"{files[0].stem}.dcm").read_bytes())[1] == part10.split(files[0].read_bytes())[1]


def test_an_export_replaces_nothing_unasked(hospital: Hospital, tmp_path: Path) -> None:
    """A file that is there is left, said and ends with 1; with `--overwrite` it is replaced."""
    _, files = hospital.receive("CT1", 1)
    there = tmp_path / f"{files[0].stem}.dcm"
    there.write_text("mine", encoding="utf-8")

    refused = hospital.box.command("spool", "export", files[0].stem, "--to", str(tmp_path), "--json")
    kept = there.read_bytes()
    replaced = hospital.box.command("spool", "export", files[0].stem, "--to", str(tmp_path), "--overwrite")

    assert (refused.returncode, json.loads(refused.stdout)[0]["outcome"], kept) == (_FAILED, "exists", b"mine")
    assert replaced.returncode == _DONE
    assert part10.read(there).identity == part10.read(files[0]).identity


def test_the_pages_get_a_picture_and_an_archive_of_what_was_sent(hospital: Hospital) -> None:
    """For the page of a study opener makes a picture of each series and gives plain files, whose data sets are exactly those sent."""
    study, files = hospital.receive("CT1")
    control = Control(hospital.box.data / "run")

    (series,) = control.study(study).series
    picture = control.preview(PreviewRequest(series.sample, 1, 64))
    rows = exporting.newest(control.objects(study, series.series_instance_uid).rows)
    content = b"".join(exporting.archive(rows, control.read, datetime.now(UTC), failed=lambda _: None))

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        exported = {part10.split(archive.read(name))[1] for name in archive.namelist()}
    assert ("", 1) == (picture.problem, picture.frames)
    assert base64.b64decode(picture.png).startswith(b"\x89PNG")
    assert {part10.split(path.read_bytes())[1] for path in files} == exported


def test_verify_names_one_flipped_bit(make_box: BoxMaker, tmp_path: Path) -> None:
    """`spool verify` finds sound objects sound, names the one with a flipped bit, ends with 1, and sets it apart when told to."""
    box = make_box(a_site()).start()
    _store(box, tmp_path, 3)
    sound = box.cli("spool", "verify")
    parts = [box.cli("spool", "verify", "--subset", f"{number}/2")["checked"] for number in (1, 2)]
    victim = next(sealed.sealed_files(box.data))

    _flip_a_bit(victim)
    found = box.command("spool", "verify", "--json")
    plain = box.command("spool", "verify")
    quarantined = box.command("spool", "verify", "--quarantine", "--json")
    afterwards = box.cli("spool", "verify")

    [problem] = json.loads(found.stdout)["problems"]
    assert sound == {"checked": 3, "ok": True, "problems": []}
    assert sum(parts) == 3
    assert (found.returncode, plain.returncode, quarantined.returncode) == (_FAILED, _FAILED, _FAILED)
    assert (Path(problem["where"]).name, problem["condition"]) == (victim.name, "damaged")
    assert victim.name.partition("-")[0] in plain.stdout.replace("\n", "")
    assert json.loads(quarantined.stdout)["problems"][0]["quarantined"] is True
    assert (afterwards["checked"], afterwards["ok"]) == (2, True)
    assert box.cli("status")["instances"]["quarantined"] == 1


# -- keys --------------------------------------------------------------------------------------------------------------------------------


def test_what_comes_after_a_rotation_is_of_the_next_generation(make_box: BoxMaker, tmp_path: Path) -> None:
    """After `keys rotate` a new image is sealed as g2, and images of both generations open."""
    box = make_box(a_site()).start()
    [before] = _store(box, tmp_path, 1)
    first = box.cli("keys", "show")

    rotated = box.cli("keys", "rotate")
    shown = box.cli("keys", "show")
    [after] = _store(box, tmp_path, 1)

    exported = [box.cli("spool", "export", path.stem, "--to", str(tmp_path / "out"))[0]["outcome"] for path in (before, after)]
    assert (rotated["before"], rotated["generation"]) == (1, 2)
    assert (shown["generation"], shown["recipient"]) == (2, rotated["recipient"])
    assert shown["recipient"] != first["recipient"]
    assert sorted(path.name.split("-")[1] for path in sealed.sealed_files(box.data)) == ["g1", "g2"]
    assert exported == ["written", "written"]
    assert box.cli("spool", "verify")["checked"] == 2
    assert "generation 3" in box.command("keys", "rotate").stdout


def test_the_hospital_opens_with_its_recovery_key_what_came_after_it_was_set(make_box: BoxMaker, tmp_path: Path) -> None:
    """After `keys recipient` Debian's age opens a new object with the hospital's own key; a key that is none changes nothing."""
    if shutil.which("age") is None or shutil.which("age-keygen") is None:
        pytest.skip("the age and age-keygen commands are not installed")
    identity = tmp_path / "hospital.key"
    subprocess.run(["age-keygen", "-o", str(identity)], check=True, capture_output=True)
    secret = identity.read_text(encoding="ascii").splitlines()[-1]
    recipient = subprocess.run(["age-keygen", "-y", str(identity)], check=True, capture_output=True, text=True).stdout.strip()
    box = make_box(a_site()).start()

    refused = [box.command("keys", "recipient", text) for text in (secret, recipient[:-1], "hospital")]
    unset = box.cli("keys", "show")["recovery"]
    answer = box.cli("keys", "recipient", recipient)
    [sent] = _store(box, tmp_path, 1)
    opened = tmp_path / "opened.dcm"
    subprocess.run(["age", "-d", "-i", str(identity), "-o", str(opened), str(next(sealed.sealed_files(box.data)))], check=True)

    assert [result.returncode for result in refused] == [_FAILED] * 3
    assert not any(secret in result.stderr + result.stdout for result in refused)
    assert unset is None
    assert answer == {"recovery": recipient}
    assert part10.read(opened).identity == part10.read(sent).identity


# -- route explain and replay ------------------------------------------------------------------------------------------------------------


def test_explain_says_where_a_file_would_go_and_why(hospital: Hospital, tmp_path: Path) -> None:
    """`route explain` names the source, which routes apply and why, and where the file would go; it sends nothing."""
    file = samples.ct(16).write(tmp_path)[0]
    before = hospital.box.cli("status")["instances"]

    answer = hospital.box.cli("route", "explain", str(file), "--calling", "mr1")
    plain = hospital.box.command("route", "explain", str(file), "--calling", "MR1")

    assert (answer["source"], answer["modality"], answer["refusal"], answer["is_unrouted"]) == ("MR1", "CT", "", False)
    assert {route["name"]: route["applies"] for route in answer["routes"]} == {"ct": False, "mr": True}
    assert [(one["destination"], one["priority"], one["calling_title"]) for one in answer["deliveries"]] == [
        ("workstation", "stat", "EDGE")
    ]
    assert (plain.returncode, plain.stderr) == (_DONE, "")
    assert "source MR1 is not CT1" in plain.stdout
    assert hospital.box.cli("status")["instances"] == before


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--calling", "STRANGER"), "unknown calling title"),
        (("--calling", "CT1", "--address", "10.9.9.9"), "another address"),
        (("--calling", "CT1", "--called", "NOTUS"), "not one of ours"),
    ],
    ids=["an unknown caller", "another address", "another title"],
)
def test_explain_says_why_a_caller_would_be_refused(hospital: Hospital, tmp_path: Path, options: tuple[str, ...], word: str) -> None:
    """`route explain` for a caller that would be refused says why and ends with 1."""
    file = samples.ct(16).write(tmp_path)[0]

    result = hospital.box.command("route", "explain", str(file), *options)
    answer = json.loads(hospital.box.command("route", "explain", str(file), *options, "--json").stdout)

    assert result.returncode == _FAILED
    assert "It would be refused" in result.stdout
    assert word in answer["refusal"]


def test_replay_adds_what_a_new_route_would_have_added(make_box: BoxMaker, make_archive: ArchiveMaker, tmp_path: Path) -> None:
    """Images that no route wanted are owed, and delivered, once a route wants them and `route replay` asks it; once, however often."""
    archive = make_archive().start()
    box = make_box(a_site()).start()
    files = _store(box, tmp_path, 3)
    now = datetime.now(UTC)
    since, tomorrow = ((now + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S") for days in (-1, 1))
    box.cli("config", "apply", str(_written(tmp_path / "new.toml", a_site(destinations=[an_archive(archive.port)]))))

    future = box.cli("route", "replay", "--since", tomorrow)
    rehearsed = box.cli("route", "replay", "--since", since, "--dry-run")
    unrouted = box.cli("status")["instances"]["unrouted"]
    replayed = box.cli("route", "replay", "--since", since)
    box.wait_until_delivered()
    again = box.command("route", "replay", "--since", since)

    assert future == {"instances": 0, "deliveries": 0}
    assert rehearsed == replayed == {"instances": 3, "deliveries": 3}
    assert unrouted == 3
    assert (again.returncode, again.stdout) == (_DONE, "3 instances, 0 deliveries added\n")
    assert archive.identities() == {part10.read(path).identity for path in files}
    assert len(archive.arrivals()) == 3


# -- asked wrongly -----------------------------------------------------------------------------------------------------------------------

_HALF = "2.25.1234"


@pytest.mark.parametrize(
    ("command", "word"),
    [
        (("destinations", "test", "arch"), "workstation"),
        (("destinations", "pause", "arch"), "workstation"),
        (("destinations", "resume", "arch"), "workstation"),
        (("queue", "list", "--destination", "arch"), "workstation"),
        (("queue", "hold", "--destination", "arch"), "workstation"),
        (("queue", "release", "999999"), "owed"),
        (("queue", "hold", "--study", _HALF), "owed"),
        (("spool", "export", _HALF), "UID"),
        (("studies", "--after", _HALF), "study"),
        (("route", "explain", "no such file.dcm", "--calling", "CT1"), "no such file.dcm"),
        (("route", "explain", "README.md", "--calling", "CT1"), "README.md"),
        (("route", "explain", "README.md", "--calling", "SEVENTEEN LETTERS"), "16 characters"),
        (("config", "rollback", "99"), "99"),
        (("config", "apply", "no such file.toml"), "no such file.toml"),
        (("users", "reset", "kim"), "[listen] web"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_name_that_is_none_is_said_in_one_line(hospital: Hospital, command: tuple[str, ...], word: str) -> None:
    """A wrong name, number or file, and a UID typed by half, end with 1 and one line that helps; with --json too."""
    plain, as_json = hospital.box.command(*command), hospital.box.command(*command, "--json")

    assert (plain.returncode, as_json.returncode) == (_FAILED, _FAILED)
    assert len(plain.stderr.splitlines()) == len(as_json.stderr.splitlines()) == 1
    assert word in plain.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("queue", "hold"),
        ("queue", "hold", "--class", "nonsense"),
        ("queue", "hold", "--state", "nonsense"),
        ("queue", "list", "--state", "nonsense"),
        ("queue", "cancel", "none"),
        ("queue", "retry", "--nonsense"),
        ("studies", "--since", "2026-02-31"),
        ("destinations", "test"),
        ("route", "explain", "x.dcm"),
        ("route", "replay"),
        ("route", "replay", "--since", "yesterday"),
        ("spool", "verify", "--subset", "3/2"),
        ("spool", "verify", "--colour"),
        ("spool", "export"),
        ("ledger", "rebuild", "now"),
        ("keys", "rotate", "2"),
        ("keys", "recipient"),
        ("config", "rollback"),
        ("config", "rollback", "0"),
        ("config", "apply", "--colour"),
        ("users", "add"),
        ("users", "role", "kim", "god"),
        ("users", "enable", "kim", "--days", "0"),
    ],
    ids=" ".join,
)
def test_wrong_usage_of_the_new_verbs_ends_with_two(hospital: Hospital, command: tuple[str, ...]) -> None:
    """An unknown option, a missing or impossible value end with 2 and change nothing."""
    result = hospital.box.command(*command)

    assert result.returncode == _WRONG_USAGE
    assert result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("queue", "retry", "1"),
        ("queue", "hold", "1"),
        ("queue", "release", "1"),
        ("queue", "cancel", "1", "--yes"),
        ("destinations", "test", "archive"),
        ("route", "replay", "--since", "2026-01-01"),
        ("spool", "verify"),
        ("spool", "export", _HALF),
        ("keys", "rotate"),
        ("users", "list"),
    ],
    ids=" ".join,
)
def test_without_a_running_box_the_new_verbs_end_with_three(tmp_path_factory: pytest.TempPathFactory, command: tuple[str, ...]) -> None:
    """A verb that needs the running box ends with 3 and one line where there is none; with --json too."""
    box = Box(tmp_path_factory.mktemp("not running"), a_site())

    plain, as_json = box.command(*command), box.command(*command, "--json")

    assert (plain.returncode, as_json.returncode) == (_NOT_RUNNING, _NOT_RUNNING)
    assert len(plain.stderr.splitlines()) == len(as_json.stderr.splitlines()) == 1
    assert "not running" in plain.stderr


def test_while_the_ledger_is_rebuilt_every_verb_says_so_at_once(make_box: BoxMaker, tmp_path: Path) -> None:
    """Questions to a box that rebuilds its ledger end with 1 and a line that says so, neither late nor with "not running"."""
    box = make_box(a_site()).start()
    _store(box, tmp_path, 1)
    [router] = [pid for pid, name in box.daemons().items() if name == "router"]

    # The router rebuilds, so that a stopped one makes a rebuild that takes as long as the test does.
    os.kill(router, signal.SIGSTOP)
    asked = box.cli("ledger", "rebuild")
    answers = [box.command(*command) for command in (("status",), ("queue", "hold", "1"), ("spool", "verify"), ("keys", "rotate"))]
    os.kill(router, signal.SIGCONT)
    eventually(lambda: box.command("status").returncode == _DONE, within=_WITHIN_S, message="the ledger to be rebuilt")

    assert asked == {"requested": True, "running": True}
    assert [(answer.returncode, len(answer.stderr.splitlines())) for answer in answers] == [(_FAILED, 1)] * 4
    assert all("being rebuilt" in answer.stderr for answer in answers)
    assert box.cli("status")["instances"]["unrouted"] == 1


def test_a_ledger_of_a_newer_version_stops_the_start_and_stays_as_it_is(make_box: BoxMaker, tmp_path: Path) -> None:
    """With a ledger that a newer version wrote, `run` ends with 1 and a line that says so, and touches nothing of ledger and spool."""
    box = make_box(a_site()).start()
    _store(box, tmp_path, 2)
    box.stop()
    _age_the_program(box.data)
    before = _contents(box.data)

    result = box.run_refused()

    assert result.returncode == _FAILED
    assert len(result.stderr.splitlines()) == 1
    assert "newer version" in result.stderr
    assert _contents(box.data) == before


def _store(box: Box, directory: Path, count: int) -> list[Path]:
    """Let a box without routes receive new images, and return them once it has recorded them."""
    before = int(box.cli("status")["instances"]["unrouted"])
    files = samples.ct(16).write(directory / "scanner", count)
    dcmtk.storescu(box.port, files)
    eventually(
        lambda: box.cli("status")["instances"]["unrouted"] == before + count and not any((box.data / "spool" / "incoming").iterdir()),
        within=_WITHIN_S,
        message="the images to be recorded",
    )
    return files


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _age_the_program(data: Path) -> None:
    """Let the ledger say that a version which is not written yet has changed it."""
    key = derive(load_root(data, None).material, Label.LEDGER)
    connect: Callable[[str], Any] = dbapi2.connect  # type: ignore[attr-defined]
    database = connect(str(data / "ledger" / "ledger.db"))
    database.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
    database.execute("INSERT INTO schema_version SELECT max(version) + 1 FROM schema_version")
    database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def _contents(data: Path) -> dict[str, bytes]:
    folders: Table = {"ledger": "**/*.db", "spool": "**/*.age"}
    return {
        str(path.relative_to(data)): path.read_bytes()
        for folder, pattern in folders.items()
        for path in sorted((data / folder).glob(str(pattern)))
    }
