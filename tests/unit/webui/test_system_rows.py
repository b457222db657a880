"""Rows 94, 96, 97 and 98 of hostile-inputs.md: settings that are commands, that collide, that lock out, that can never be.

Every value goes through the edit that a form makes and through the mapping of problems to fields; the forms themselves are asked with
some of them. Titles and names take whatever prints, as the standard and people do: they are shown as text and are never part of a command,
a path or an address (tests/architecture: no shell anywhere).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from appliance.accounts.roles import Role
from appliance.config.edits import Edit, add_table, change_table, field_problems, remove_table, set_values
from appliance.config.generations import Generations
from appliance.config.load import ConfigInvalidError
from appliance.manage.site_changes import SiteChanges
from tests.fakes.clock import FakeClock
from tests.support.pages import Said
from tests.unit.config.texts import HOST_KEY
from tests.unit.webui.ward import TEXT, a_ward, fields_of, text_of

COMMANDS = {
    "semicolon": ";reboot",
    "substitution": "$(id)",
    "backticks": "`id`",
    "option": "-oProxyCommand=reboot",
    "pipe": "a|reboot",
    "path": "../../etc/passwd",
    "two-lines": "a\nreboot",
    "nothing": "a\x00b",
}
SFTP = {"name": "new", "kind": "sftp", "host": "10.1.0.6", "user": "edge", "host_key": HOST_KEY, "key_file": "/etc/k", "folder": "in"}
DICOM = {"name": "new", "ae_title": "NEW", "host": "10.1.0.6"}
SOURCE = {"name": "new", "ae_title": "NEW", "address": "10.0.0.8"}


def a_destination(**values: Any) -> Edit:
    """Return the edit that adds a DICOM destination with these keys."""
    return add_table("destination", DICOM | values)


def a_source(**values: Any) -> Edit:
    """Return the edit that adds a source with these keys."""
    return add_table("source", SOURCE | values)


WHERE_COMMANDS_GO: dict[str, tuple[str, str, str]] = {
    "host-of-an-archive": ("destination", "new", "host"),
    "host-of-a-server": ("destination", "new", "sftp.host"),
    "user-of-a-server": ("destination", "new", "sftp.user"),
    "address-of-a-scanner": ("source", "new", "address"),
    "name-of-the-box": ("box", "", "name"),
    "time-zone": ("box", "", "timezone"),
    "listener": ("listen", "", "dicom"),
    "address-of-the-pages": ("listen", "", "web"),
}
ROW_94 = [(place, command) for place in WHERE_COMMANDS_GO for command in COMMANDS]


@pytest.mark.parametrize(("place", "command"), ROW_94, ids=[f"row-94-{place}-{command}" for place, command in ROW_94])
def test_row_94_a_command_is_no_setting(place: str, command: str, tmp_path: Path) -> None:
    """A command where an address, a machine's name, an account or a zone belongs is refused at its field, and nothing is applied."""
    kind, name, field = WHERE_COMMANDS_GO[place]
    word = COMMANDS[command]
    key = field.rpartition(".")[2]
    if kind == "source":
        edit = a_source(address=word)
    elif kind == "destination":
        edit = add_table("destination", SFTP | {key: word}) if field.startswith("sftp") else a_destination(host=word)
    else:
        edit = set_values(kind, {key: [word] if key == "dicom" else word})

    problems, generation = refused(tmp_path, edit, kind, name)

    assert key in problems
    assert generation == 1


def refused(data: Path, edit: Edit, kind: str, name: str) -> tuple[dict[str, list[str]], int]:
    """Return what is said at which field when an edit is refused, and the generation in force afterwards."""
    ward = a_ward_without_pages(data)
    with pytest.raises(ConfigInvalidError) as error:
        ward.apply(edit, expected=1, by="kim", reason="")
    return field_problems(error.value, kind, name), ward.current().generation


def a_ward_without_pages(data: Path) -> SiteChanges:
    """Return the configuration of a ward."""
    clock = FakeClock()
    Generations(data, clock=clock).apply(TEXT, "anna", "first start")
    return SiteChanges(data, clock)


NEVER: dict[str, tuple[Edit, str, str, str]] = {
    "port-0": (a_destination(port=0), "destination", "new", "port"),
    "port-65536": (a_destination(port=65536), "destination", "new", "port"),
    "port-minus-1": (a_destination(port=-1), "destination", "new", "port"),
    "port-words": (a_destination(port="http"), "destination", "new", "port"),
    "listener-port-65536": (set_values("listen", {"dicom": ["0.0.0.0:65536"]}), "listen", "", "dicom"),
    "listener-twice": (set_values("listen", {"dicom": ["0.0.0.0:104", "10.0.0.2:104"]}), "listen", "", "dicom"),
    "pages-on-the-dicom-port": (set_values("listen", {"web": "0.0.0.0:11112"}), "listen", "", "web"),
    "title-17": (a_destination(ae_title="A" * 17), "destination", "new", "ae_title"),
    "title-blank": (a_destination(ae_title="   "), "destination", "new", "ae_title"),
    "title-empty": (a_source(ae_title=""), "source", "new", "ae_title"),
    "title-backslash": (a_source(ae_title="A\\B"), "source", "new", "ae_title"),
    "title-accent": (a_source(ae_title="ĐÀ"), "source", "new", "ae_title"),
    "title-twice": (add_table("local_ae", {"ae_title": "edge"}), "local_ae", "edge", "ae_title"),
    "scanner-twice": (a_source(ae_title="ct1", address="10.0.0.7"), "source", "new", "ae_title"),
    "name-twice": (a_source(name="ct1"), "source", "ct1", "name"),
    "archive-twice": (a_destination(name="ARCHIVE"), "destination", "ARCHIVE", "name"),
    "name-65": (a_source(name="n" * 65), "source", "n" * 65, "name"),
    "name-blank": (a_source(name=""), "source", "", "name"),
    "the-box-itself": (a_destination(host="127.0.0.1", port=11112), "destination", "new", "host"),
    "anybody": (add_table("source", {"name": "new", "ae_title": "*"}), "source", "new", "address"),
    "time-0": (set_values("delivery", {"connect": 0}), "delivery", "", "connect"),
    "time-minus-1": (set_values("delivery", {"connect": -1}), "delivery", "", "connect"),
    "time-1e9": (set_values("delivery", {"connect": 1e9}), "delivery", "", "connect"),
    "time-endless": (set_values("delivery", {"connect": float("inf")}), "delivery", "", "connect"),
    "idle-0": (set_values("admission", {"idle": "0 s"}), "admission", "", "idle"),
    "waits-reversed": (set_values("delivery", {"throttled": [60, 5]}), "delivery", "", "throttled"),
    "associations-0": (set_values("admission", {"associations": 0}), "admission", "", "associations"),
    "associations-2-63": (set_values("admission", {"associations": 2**63}), "admission", "", "associations"),
    "workers-0": (set_values("listen", {"workers": 0}), "listen", "", "workers"),
    "lanes-0": (a_destination(lanes=0), "destination", "new", "lanes"),
    "share-2": (set_values("retention", {"refuse_at": 2}), "retention", "", "refuse_at"),
    "reserve-0": (set_values("retention", {"reserve": "0 B"}), "retention", "", "reserve"),
    "path-root": (add_table("destination", {"name": "new", "kind": "folder", "path": "/"}), "destination", "new", "path"),
    "path-relative": (add_table("destination", {"name": "new", "kind": "folder", "path": "../x"}), "destination", "new", "path"),
    "route-to-nobody": (change_table("route", "all", {"to": ["nobody"]}), "route", "all", "to"),
    "route-to-nothing": (change_table("route", "all", {"to": []}), "route", "all", "to"),
    "window-25": (a_destination(window="25:00-26:00"), "destination", "new", "window"),
    "bandwidth-0": (a_destination(bandwidth="0 Mbit/s"), "destination", "new", "bandwidth"),
}


@pytest.mark.parametrize("name", NEVER, ids=[f"row-98-{name}" for name in NEVER])
def test_row_98_what_can_never_be_is_refused_at_its_field(name: str, tmp_path: Path) -> None:
    """Ports, titles, names, times, shares and paths that cannot be are refused where they were typed, and nothing is applied."""
    edit, kind, called, field = NEVER[name]

    problems, generation = refused(tmp_path, edit, kind, called)

    assert problems.get(field), problems
    assert all(re.match(r'["A-Z0-9].*\. ', said) for said in problems[field]), problems
    assert generation == 1


FORMS: dict[str, tuple[str, dict[str, str], str]] = {
    "row-94-archive-host": ("/destinations/add?kind=dicom", {"name": "new", "ae_title": "NEW", "host": ";reboot", "port": "104"}, "host"),
    "row-94-scanner-address": (
        "/scanners/add",
        {"name": "new", "ae_title": "NEW", "address": "$(id)", "modality": "CT", "expected": "1"},
        "address",
    ),
    "row-94-box-name": ("/system/settings/box", {"name": "-oProxyCommand=reboot"}, "box-name"),
    "row-98-archive-port": (
        "/destinations/add?kind=dicom",
        {"name": "new", "ae_title": "NEW", "host": "10.1.0.6", "port": "65536"},
        "port",
    ),
    "row-98-scanner-title": (
        "/scanners/add",
        {"name": "new", "ae_title": "A" * 17, "address": "10.0.0.8", "modality": "CT", "expected": "1"},
        "ae_title",
    ),
    "row-98-folder-root": ("/destinations/add?kind=folder", {"name": "new", "path": "/", "layout": "{instance}.dcm"}, "path"),
    "row-98-time": ("/system/settings/delivery", {"connect": "1e9"}, "delivery-connect"),
}


@pytest.mark.parametrize("name", FORMS)
def test_rows_94_and_98_the_forms_say_it_at_the_field(name: str, tmp_path: Path) -> None:
    """In the browser the answer is 422 with the text beside its field, and nothing is applied."""
    path, fields, field = FORMS[name]
    ward = a_ward(tmp_path, control=Said())
    untouched = fields_of(ward.get(path)) if "settings" not in path else {}

    answer = ward.post(path, more=untouched | fields)

    assert answer.status_code == 422
    assert re.search(rf'id="{field}-(wrong|error|problem)[^"]*"', answer.text), answer.text[-4000:]
    assert ward.generation == 1


def test_row_94_a_command_as_a_name_is_text(tmp_path: Path) -> None:
    """Where people's own words are taken, a command is a word: shown escaped on every page that has it."""
    ward = a_ward(tmp_path, control=Said())
    word = "$(reboot)<script>alert(1)</script>"

    ward.changes.apply(a_source(name=word), expected=1, by=word, reason=word)

    for path in ("/system/configuration/", "/system/configuration/history", "/system/configuration/generations/2"):
        page = ward.get(path)
        assert "<script>alert" not in page
        assert word in text_of(page).replace("&lt;", "<").replace("&gt;", ">")


def test_row_96_two_technicians_save_at_once(tmp_path: Path) -> None:
    """Of two who saw the same settings the first is in force, and the second gets 409 with what the first changed."""
    # That many at once make one change: tests/unit/manage/test_site_changes.py. Power cuts and half-written files at every step leave the
    # old or the new: tests/unit/config/test_generations_trouble.py.
    ward = a_ward(tmp_path)

    first = ward.post("/system/settings/box", name="vinh-mr", generation="1")
    ward.changes.confirm("kim")
    second = ward.post("/system/settings/box", timezone="Asia/Ho_Chi_Minh", generation="1")

    assert (first.status_code, second.status_code) == (303, 409)
    assert "Kim put generation 2 in force meanwhile: box.name:" in second.text
    assert (ward.site.box.name, ward.site.box.timezone) == ("vinh-mr", "UTC")


LOCKING_OUT: dict[str, tuple[Edit, str]] = {
    "wrong-address": (set_values("listen", {"web": "10.9.9.9:8443"}), "These pages move to 10.9.9.9:8443"),
    "pages-off": (set_values("listen", {"web": "off"}), "These pages move to off"),
    "own-title-renamed": (set_values("box", {"ae_title": "OTHER"}), "Scanners that call EDGE are refused."),
    "own-name-changed": (set_values("box", {"name": "other"}), "no longer answer to the name vinh-ct"),
    "listener-moved": (set_values("listen", {"dicom": ["0.0.0.0:104"]}), "Scanners that call 0.0.0.0:11112 get no answer"),
}


@pytest.mark.parametrize("name", LOCKING_OUT, ids=[f"row-97-{name}" for name in LOCKING_OUT])
def test_row_97_what_locks_out_is_taken_back(name: str, tmp_path: Path) -> None:
    """A change that could lock somebody out says so on every page, and is gone after 60 s unless somebody confirms it."""
    edit, words = LOCKING_OUT[name]
    ward = a_ward(tmp_path)
    before = ward.site

    ward.changes.apply(edit, expected=1, by="kim", reason="")
    said = text_of(ward.get("/system/configuration/"))
    ward.clock.advance(60)
    # Another process: the one that made the change may be what no longer answers.
    taken_back = SiteChanges(tmp_path, ward.clock).take_back_if_due()

    assert words in said
    assert taken_back
    assert ward.site == before
    assert ward.changes.history()[0].by == "dicom-edge"


def test_row_97_a_technician_confirms_and_a_viewer_does_not(tmp_path: Path) -> None:
    """Who may change scanners may say that all is well; who may only look is shown the warning without the buttons."""
    technician, viewer = (a_ward(tmp_path / role, role=role) for role in (Role.TECHNICIAN, Role.VIEWER))
    for ward in (technician, viewer):
        ward.changes.apply(remove_table("source", "CT1"), expected=1, by="kim", reason="")
        ward.changes.apply(set_values("box", {"ae_title": "OTHER"}), expected=2, by="kim", reason="")

    assert "unconfirmed/confirm" in technician.get("/system/configuration/")
    assert "unconfirmed/confirm" not in viewer.get("/system/configuration/")
    assert viewer.post("/system/unconfirmed/confirm").status_code == 403
    assert technician.post("/system/unconfirmed/confirm").status_code == 303
    assert technician.changes.pending() is None
