"""A new configuration for a running box: it is in force within two seconds, and nobody who is being served notices."""

from __future__ import annotations

from tests.support import wire
from tests.support.box import Box, BoxMaker
from tests.support.caller import OBJECT, RELEASED, Caller
from tests.support.dcmtk import ArchiveMaker
from tests.support.eventually import eventually
from tests.support.site import a_route, a_site, a_source, an_archive
from tests.unit.dimse.building import CT, IMPLICIT, data_set

# ActiveSite looks once a second; the rest is for two busy cores.
_IN_FORCE_S = 2.0


def test_a_reload_drops_no_association(make_box: BoxMaker, make_archive: ArchiveMaker) -> None:
    """In the middle of a C-STORE a source is removed and another added: the object is finished, the one refused, the other admitted."""
    archive = make_archive().start()
    destinations = [an_archive(archive.port)]
    box = make_box(a_site(sources=[a_source("CT1")], destinations=destinations)).start()
    open_one = Caller(box.port)
    open_one.command()
    open_one.data(OBJECT[:40], last=False)
    before = set(box.daemons())

    _apply(box, a_site(sources=[a_source("MR1")], destinations=destinations))
    eventually(lambda: _is_admitted(box, b"MR1"), within=_IN_FORCE_S, message="the new source to be admitted")
    eventually(lambda: not _is_admitted(box, b"CT1"), within=_IN_FORCE_S, message="the removed source to be refused")
    open_one.data(OBJECT[40:])
    statuses = [open_one.status(), open_one.store(*_another(1))]
    eventually(lambda: _is_acknowledged(box, b"MR1", 2), within=_IN_FORCE_S, message="the new source's object to be taken")

    assert statuses == [0, 0]
    assert open_one.release() == RELEASED
    box.wait_until_delivered()
    assert len(archive.identities()) == 3
    assert before <= set(box.daemons()), "a daemon was started anew"


def test_what_a_new_source_sends_goes_by_the_new_routes(make_box: BoxMaker, make_archive: ArchiveMaker) -> None:
    """The first object of a source that was just added goes to the destination that was added with it, never by the routes before."""
    first, second = make_archive("first").start(), make_archive("second").start()
    destinations = [an_archive(first.port), an_archive(second.port, name="second")]
    routes = [a_route("archive", name="all but", when={"source": ["CT1"]})]
    box = make_box(a_site(sources=[a_source("CT1")], destinations=destinations[:1], routes=routes)).start()

    routes.append(a_route("second", name="new", when={"source": ["MR1"]}))
    _apply(box, a_site(sources=[a_source("CT1"), a_source("MR1")], destinations=destinations, routes=routes))
    eventually(lambda: _is_acknowledged(box, b"MR1", 1), within=_IN_FORCE_S, message="the new source's object to be taken")
    box.wait_until_delivered()

    assert (len(first.identities()), len(second.identities())) == (0, 1)
    assert box.cli("status")["instances"]["unrouted"] == 0


def _apply(box: Box, site: str) -> None:
    box.configure(site)
    applied = box.cli("config", "apply")
    assert (applied["ok"], applied["needs_restart"]) == (True, [])


def _another(number: int) -> tuple[bytes, str]:
    """Return an object and its UID."""
    uid = f"1.2.826.0.1.3680043.8.1055.2.{number}"
    return data_set(sop_instance=uid, syntax=IMPLICIT), uid


def _is_acknowledged(box: Box, calling: bytes, number: int) -> bool:
    """Call once and send one object; say whether the caller was let in and the object acknowledged."""
    caller = Caller(box.port, calling=calling)
    is_let_in = caller.answer[0] == wire.ACCEPTED
    status = caller.store(*_another(number)) if is_let_in else None
    caller.socket.close()
    return status == 0


def _is_admitted(box: Box, calling: bytes) -> bool:
    return wire.associate(box.port, called=b"EDGE", calling=calling, abstract_syntaxes=[CT]).pdu_type == wire.ACCEPTED
