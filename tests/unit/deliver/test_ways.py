"""Which way leads to which destination, what it is told of the settings, and what the doctor says of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config.model import AnyDestination, Delivery, FolderDestination, SftpDestination, StowDestination, Tls
from appliance.core.identity import AETitle
from appliance.deliver.doctor import Senses
from appliance.deliver.file_verdicts import TROUBLES
from appliance.deliver.outgoing_tls import OutgoingTls
from appliance.deliver.plan import Terms, plan_for
from appliance.deliver.stow_verdicts import HTTP_CLASSES, HTTP_STATUSES, judge_proxy, judge_silent
from appliance.deliver.transport import Transport
from appliance.deliver.transports.dicom import DicomTransport
from appliance.deliver.transports.folder import MARKER, FolderTransport
from appliance.deliver.transports.sftp import SftpTransport
from appliance.deliver.transports.stow import StowTransport
from appliance.deliver.unreachable import NOT_TRUSTED, UNREACHABLE
from appliance.deliver.verdict import Break
from appliance.deliver.way_doctor import ADVICE, examine_way
from appliance.deliver.ways import way_to
from appliance.spool.names import SpoolName
from appliance.spool.store import SealedObject
from tests.unit.config.texts import HOST_KEY
from tests.unit.deliver.bench import a_destination

EDGE = AETitle("EDGE")
FOLDER = {"name": "share", "kind": "folder", "path": "/mnt/archive"}
SFTP = {"name": "depot", "kind": "sftp", "host": "depot.invalid", "user": "edge", "key_file": "/k", "host_key": HOST_KEY}
STOW = {"name": "web", "kind": "stow", "url": "https://pacs.invalid/dicom-web"}


def nothing(name: SpoolName) -> SealedObject:
    """Open no object."""
    raise AssertionError(name)


def way(destination: AnyDestination) -> Transport:
    """Return the way to a destination."""
    return way_to(Terms(destination, Delivery(), EDGE), nothing, OutgoingTls())


@pytest.mark.parametrize(
    ("destination", "kind"),
    [
        (a_destination(), DicomTransport),
        (FolderDestination.model_validate(FOLDER), FolderTransport),
        (SftpDestination.model_validate(SFTP), SftpTransport),
        (StowDestination.model_validate(STOW), StowTransport),
    ],
    ids=["dicom", "folder", "sftp", "stow"],
)
def test_each_kind_has_its_transport(destination: AnyDestination, kind: type) -> None:
    """The kind decides, and nothing is asked of network or disk."""
    assert isinstance(way(destination), kind)


@pytest.mark.parametrize("settings", [FOLDER, SFTP], ids=["folder", "sftp"])
def test_files_of_all_sources_go_together(settings: dict[str, object]) -> None:
    """Who hears no title is called by none: lanes do not change channels between sources."""
    kind = FolderDestination if settings is FOLDER else SftpDestination
    plan = plan_for(Terms(kind.model_validate(settings), Delivery(), EDGE))

    assert (plan.separates, plan.calling("CT1")) == (False, EDGE)


def test_other_settings_are_other_terms() -> None:
    """A new password file or authority makes new terms; an authority counts only where there is TLS."""
    before = Terms(SftpDestination.model_validate(SFTP), Delivery(), EDGE)
    after = Terms(SftpDestination.model_validate(SFTP | {"key_file": "/other"}), Delivery(), EDGE)
    authority = Tls(authorities=("/ca.pem",))
    web, folder = StowDestination.model_validate(STOW), FolderDestination.model_validate(FOLDER)

    assert before.mark != after.mark
    assert Terms(web, Delivery(), EDGE).mark != Terms(web, Delivery(), EDGE, authority).mark
    assert Terms(folder, Delivery(), EDGE).mark == Terms(folder, Delivery(), EDGE, authority).mark


def test_the_doctor_names_the_phase_that_fails(tmp_path: Path) -> None:
    """A folder without marker fails in its one phase, with what to do; with it, it is well, and a wait for it ends."""
    destination = FolderDestination.model_validate(FOLDER | {"path": str(tmp_path)})

    sick = examine_way(destination, way(destination), EDGE)
    (tmp_path / MARKER).touch()
    well = examine_way(destination, way(destination), EDGE)

    assert [(step.phase, step.ok) for step in sick.steps] == [("folder", False)]
    assert "touch" in sick.steps[0].advice
    assert (sick.ok, sick.ends_refusal, well.ok, well.ends_refusal) == (False, False, True, True)


def test_a_name_that_nobody_knows() -> None:
    """The name is looked up first, and nothing behind it is tried."""

    def unknown(host: str, port: int) -> tuple[str, ...]:
        raise OSError(host, port)

    destination = SftpDestination.model_validate(SFTP)

    found = examine_way(destination, way(destination), EDGE, Senses(resolve=unknown))

    assert [(step.phase, step.ok, step.detail == "not reached") for step in found.steps] == [
        ("name", False, False),
        ("tcp", False, True),
        ("login", False, True),
    ]


def test_advice_is_for_what_there_is() -> None:
    """Every word of advice belongs to a verdict that exists."""
    known = {verdict.flag for verdict in TROUBLES.values()} | {"own_credentials"}
    known |= {verdict.flag for verdict in (*HTTP_STATUSES.values(), *HTTP_CLASSES.values(), *map(judge_silent, Break))}
    known |= {judge_proxy(kind, None).flag for _, kind in UNREACHABLE} | {judge_proxy("", status).flag for status in (403, 502)}
    known |= {f"unreachable_{phase}_{kind}" for phase, kind in UNREACHABLE} | {f"tls_{kind}" for kind in NOT_TRUSTED}

    assert set(ADVICE) <= known
