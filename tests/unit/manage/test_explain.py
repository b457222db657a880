"""`route explain`: the same judgement as for a real object, with every reason, and nothing about the patient."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from appliance.config.model import Site
from appliance.core.identity import AETitle, Uid
from appliance.dimse.file_source import FileNotDicomError
from appliance.dimse.learned import Learned
from appliance.manage.explain import Caller, ExplainedDelivery, Explanation, Takes, explain_file, takes
from appliance.route.planner import plan
from appliance.route.rules import RoutingFacts
from tests.unit.route import data_sets as ds
from tests.unit.route.sites import CT_IMAGE, Table, a_destination, a_route, a_site

CT = Uid(CT_IMAGE)
EXPLICIT = Uid(ds.EXPLICIT)
IMPLICIT = Uid(ds.IMPLICIT)
JPEG = Uid("1.2.840.10008.1.2.4.70")
BIG_ENDIAN = Uid("1.2.840.10008.1.2.2")
SCANNER = Caller(AETitle("CT1"), AETitle("EDGE"), "10.0.0.7")


def _a_file(folder: Path, changes: Mapping[int, bytes | None] | None = None, *, syntax: str = ds.EXPLICIT) -> Path:
    encoding = ds.IMPLICIT if syntax == ds.IMPLICIT else ds.EXPLICIT
    content = ds.an_image("1.2.3.4", changes, transfer_syntax=encoding)
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid
    path = folder / "image.dcm"
    path.write_bytes(bytes(128) + b"DICM" + meta + content)
    return path


def _a_site(*routes: Table, destinations: Sequence[Table] = (), local_ae: Sequence[Table] = ()) -> Site:
    return a_site(routes=routes, destinations=destinations, local_ae=local_ae)


def _explained(folder: Path, site: Site, caller: Caller = SCANNER, known: Mapping[str, Learned] | None = None) -> Explanation:
    return explain_file(_a_file(folder), caller, site, known or {})


def test_everything_is_said_about_an_ordinary_image(tmp_path: Path) -> None:
    """What it is, who sends it to whom, which route applies and which delivery follows."""
    explained = _explained(tmp_path, _a_site(a_route("all", "archive", priority="stat")))

    assert ("CT1", "EDGE", "EDGE", "") == (explained.source, explained.called_title, explained.local_title, explained.refusal)
    assert ("CT Image Storage", "Explicit VR Little Endian") == (explained.sop_class, explained.transfer_syntax)
    assert ("1.2.3.4", "CT", "ROOM 3") == (explained.sop_instance_uid, explained.modality, explained.station_name)
    assert [("all", True, True, ())] == [(route.name, route.is_allowed, route.applies, route.conditions) for route in explained.routes]
    assert (ExplainedDelivery("archive", "stat", ("all",), "CT1", Takes.UNKNOWN),) == explained.deliveries


def test_a_route_that_does_not_apply_says_which_condition_fails(tmp_path: Path) -> None:
    """Each condition that a route sets is shown with what was wanted, what was found and whether it holds."""
    explained = _explained(tmp_path, _a_site(a_route("mr", "archive", when={"modality": ["MR", "US"], "source": ["CT1"]})))

    (route,) = explained.routes
    assert [("source", ("CT1",), "CT1", True), ("modality", ("MR", "US"), "CT", False)] == [
        (condition.name, condition.wanted, condition.found, condition.holds) for condition in route.conditions
    ]
    assert (False, True, ()) == (route.applies, explained.is_unrouted, explained.deliveries)


def test_several_routes_to_one_destination_are_one_delivery(tmp_path: Path) -> None:
    """The delivery names both routes and has the more urgent priority, as the planner says."""
    site = _a_site(a_route("slow", "archive", "reading", priority="bulk"), a_route("fast", "archive", priority="stat"))

    explained = _explained(tmp_path, site)

    assert [("archive", "stat", ("slow", "fast")), ("reading", "bulk", ("slow",))] == [
        (delivery.destination, delivery.priority, delivery.routes) for delivery in explained.deliveries
    ]


def test_what_is_explained_is_what_is_planned(tmp_path: Path) -> None:
    """The explanation and the planner agree about routes and deliveries."""
    site = _a_site(
        a_route("ct", "archive", when={"modality": ["CT"]}),
        a_route("mr", "mr-archive", when={"modality": ["MR"]}),
        a_route("room", "reading", when={"station": ["ROOM 3"]}, priority="bulk"),
    )
    planned = plan(site, RoutingFacts("CT1", "CT1", "EDGE", CT, "CT", "ROOM 3"))

    explained = _explained(tmp_path, site)

    assert planned.routes == tuple(route.name for route in explained.routes if route.applies)
    assert [(one.destination_id, one.priority.name.lower()) for one in planned.deliveries] == [
        (one.destination, one.priority) for one in explained.deliveries
    ]


def test_a_called_title_that_restricts_routes_is_shown(tmp_path: Path) -> None:
    """A route that the called title does not allow does not apply, although its conditions hold."""
    site = _a_site(a_route("all", "archive"), a_route("reading", "reading"), local_ae=[{"ae_title": "READER", "routes": ["reading"]}])

    explained = _explained(tmp_path, site, Caller(AETitle("CT1"), AETitle("reader"), "10.0.0.7"))

    assert [("all", False, False), ("reading", True, True)] == [(one.name, one.is_allowed, one.applies) for one in explained.routes]
    assert ("reader", "READER") == (explained.called_title, explained.local_title)


@pytest.mark.parametrize(
    ("caller", "source", "refusal"),
    [
        (SCANNER, "CT1", ""),
        (Caller(AETitle("ct1"), AETitle("EDGE"), "10.0.0.7"), "CT1", ""),
        (Caller(AETitle("CT1"), AETitle("EDGE"), "10.0.0.8"), "", "known title from another address"),
        (Caller(AETitle("CT9"), AETitle("EDGE"), "10.0.0.7"), "", "unknown calling title"),
        (Caller(AETitle("CT1"), AETitle("PACS"), "10.0.0.7"), "CT1", "called title is not one of ours"),
        (Caller(AETitle("CT1"), None, "10.0.0.7"), "CT1", "called title is not one of ours"),
    ],
)
def test_who_would_be_refused_is_said(tmp_path: Path, caller: Caller, source: str, refusal: str) -> None:
    """A caller that the box would not let in is told why, and the routes are explained all the same."""
    explained = _explained(tmp_path, _a_site(a_route("all", "archive")), caller)

    assert (source, refusal) == (explained.source, explained.refusal)
    assert ["archive"] == [delivery.destination for delivery in explained.deliveries]


@pytest.mark.parametrize(
    ("changes", "syntax", "refusal"),
    [
        ({ds.SOP_CLASS: b"1.2.840.10008.1.1"}, ds.EXPLICIT, "the SOP class is not one of storage"),
        ({}, "1.2.840.10008.1.2.4.94", "the pixels of this transfer syntax are not in the object"),
    ],
)
def test_what_would_be_refused_is_said(tmp_path: Path, changes: Mapping[int, bytes], syntax: str, refusal: str) -> None:
    """A file that no context could carry to the box is told why."""
    explained = explain_file(_a_file(tmp_path, changes, syntax=syntax), SCANNER, _a_site(a_route("all", "archive")), {})

    assert refusal == explained.refusal


def test_unlisted_callers_are_explained_where_they_are_let_in(tmp_path: Path) -> None:
    """A stranger whom the configuration lets in has no source, and rules see its title."""
    open_site = Site.model_validate(
        {
            "admission": {"unknown_sources": "accept"},
            "destination": [a_destination("archive")],
            "route": [a_route("us", "archive", when={"source": ["us9"]})],
        }
    )

    explained = _explained(tmp_path, open_site, Caller(AETitle("US9"), AETitle("EDGE"), "192.0.2.1"))

    assert ("", "", True) == (explained.source, explained.refusal, explained.routes[0].applies)


@pytest.mark.parametrize(("calling_ae", "expected"), [("source", "CT1"), ("box", "EDGE"), ("GATEWAY", "GATEWAY")])
def test_the_calling_title_towards_the_destination_is_shown(tmp_path: Path, calling_ae: str, expected: str) -> None:
    """Whether the destination sees the scanner, the box or a literal title is what its configuration says."""
    site = _a_site(a_route("all", "archive"), destinations=[a_destination("archive", calling_ae=calling_ae)])

    (delivery,) = _explained(tmp_path, site).deliveries

    assert expected == delivery.calling_title


def test_what_the_destination_takes_is_looked_up_by_its_id(tmp_path: Path) -> None:
    """A destination that was renamed is still known by its id."""
    site = _a_site(a_route("all", "new name"), destinations=[a_destination("new name", id="archive", ae_title="ARCHIVE")])

    (delivery,) = _explained(tmp_path, site, known={"archive": Learned(taken=frozenset({(CT, EXPLICIT)}))}).deliveries

    assert Takes.YES == delivery.takes


@pytest.mark.parametrize(
    ("learned", "syntax", "expected"),
    [
        (Learned(), EXPLICIT, Takes.UNKNOWN),
        (Learned(taken=frozenset({(CT, EXPLICIT)})), EXPLICIT, Takes.YES),
        (Learned(taken=frozenset({(CT, IMPLICIT)})), EXPLICIT, Takes.CONVERTED),
        (Learned(taken=frozenset({(CT, EXPLICIT)})), BIG_ENDIAN, Takes.CONVERTED),
        (Learned(taken=frozenset({(CT, IMPLICIT)}), refused=frozenset({(CT, EXPLICIT)})), EXPLICIT, Takes.CONVERTED),
        (Learned(taken=frozenset({(CT, EXPLICIT)})), JPEG, Takes.UNKNOWN),
        (Learned(taken=frozenset({(CT, EXPLICIT)}), refused=frozenset({(CT, JPEG)})), JPEG, Takes.NO),
        (Learned(refused_classes=frozenset({CT})), JPEG, Takes.NO),
        (Learned(taken=frozenset({(Uid("1.2.840.10008.5.1.4.1.1.4"), EXPLICIT)})), EXPLICIT, Takes.UNKNOWN),
    ],
)
def test_what_is_known_of_a_destination(learned: Learned, syntax: Uid, expected: Takes) -> None:
    """Taken as it is, taken converted, refused, or never asked."""
    assert expected == takes(learned, CT, syntax)


def test_a_folder_hears_no_title_and_takes_everything(tmp_path: Path) -> None:
    """A destination that takes files is called by none, and nobody need ask it."""
    folder = {"name": "share", "kind": "folder", "path": "/mnt/archive"}

    explained = _explained(tmp_path, _a_site(a_route("all", "share"), destinations=[folder]))

    assert [(one.destination, one.calling_title, one.takes) for one in explained.deliveries] == [("share", "", Takes.YES)]


def test_a_route_that_keeps_is_a_route(tmp_path: Path) -> None:
    """A route without destinations applies and makes no delivery; the instance is not unrouted."""
    explained = _explained(tmp_path, _a_site(a_route("research", keep="2 days")))

    assert (False, (), 172_800.0) == (explained.is_unrouted, explained.deliveries, explained.routes[0].keep_s)


def test_nothing_about_the_patient_is_in_an_explanation(tmp_path: Path) -> None:
    """An explanation can be pasted into a mail."""
    shown = repr(_explained(tmp_path, _a_site(a_route("all", "archive"))))

    assert [word for word in ("QUARTZVOLE", "PLANTED-ID", "19700101", "A1") if word in shown] == []


def test_an_implicit_file_is_understood(tmp_path: Path) -> None:
    """The attributes are read in the encoding that the file names."""
    explained = explain_file(_a_file(tmp_path, syntax=ds.IMPLICIT), SCANNER, _a_site(a_route("all", "archive")), {})

    assert ("CT", "Implicit VR Little Endian") == (explained.modality, explained.transfer_syntax)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """A letter is no image, and the operator is told so."""
    (tmp_path / "letter").write_text("dear colleague")

    with pytest.raises(FileNotDicomError):
        explain_file(tmp_path / "letter", SCANNER, _a_site(a_route("all", "archive")), {})
