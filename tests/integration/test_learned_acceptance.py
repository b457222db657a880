"""What the door takes when it is known what the destinations take: from the published file, and all the way round by a real archive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pynetdicom import AE

from appliance.config.model import Site
from appliance.core.identity import Uid
from appliance.dimse.contexts import Acceptance
from appliance.dimse.learned import Learned, encode
from appliance.receive.acceptance import FILE_NAME, KnownAcceptance
from appliance.route.possible import possible_destinations
from appliance.spool.files import write_atomically
from tests.support import samples, senders
from tests.support.box import BoxMaker
from tests.support.dcmtk import ArchiveMaker
from tests.support.door import Door
from tests.support.eventually import eventually
from tests.support.site import a_route, a_site, a_source, an_archive

CT = Uid("1.2.840.10008.5.1.4.1.1.2")
ENHANCED_CT = Uid("1.2.840.10008.5.1.4.1.1.2.1")
IMPLICIT = Uid("1.2.840.10008.1.2")
EXPLICIT = Uid("1.2.840.10008.1.2.1")
JPEG_LS = Uid("1.2.840.10008.1.2.4.80")
JPEG_2000 = Uid("1.2.840.10008.1.2.4.90")
# Results of PS3.8 table 9-18.
NO_SOP_CLASS, NO_SYNTAX = 3, 4

SOURCES = [a_source("CT1"), a_source("STRICT", accept="strict"), a_source("ALL", accept="all"), a_source("OTHER")]
DESTINATIONS = [an_archive(104), an_archive(105, name="elsewhere", ae_title="ELSEWHERE")]
ROUTES = [
    a_route("archive", name="archive", when={"source": ["CT1", "STRICT", "ALL"]}),
    a_route("elsewhere", name="elsewhere", when={"source": ["OTHER"]}),
    a_route("elsewhere", name="by title", when={"called": ["SECOND"]}),
]
SITE = a_site(sources=SOURCES, destinations=DESTINATIONS, routes=ROUTES, local_ae=[{"ae_title": "SECOND"}])

Answers = dict[str, str | int]


def _published(data: Path, known: dict[str, Learned]) -> Callable[[Site, str, str], Acceptance]:
    """Publish what is known as the sender does, and return what the receiver asks."""
    run_dir = data / "run"
    run_dir.mkdir(parents=True, exist_ok=True)
    write_atomically(run_dir / FILE_NAME, encode(known))
    acceptance = KnownAcceptance(run_dir)
    return lambda site, source, called: acceptance.for_destinations(possible_destinations(site, source, called))


def _propose(port: int, *contexts: tuple[Uid, list[Uid]], calling: str = "CT1", called: str = "EDGE") -> Answers:
    """Propose contexts and return, by SOP class, the transfer syntax that was taken or the result that refused it."""
    scanner = AE(calling)
    scanner.connection_timeout = scanner.acse_timeout = scanner.network_timeout = 10
    for sop_class, syntaxes in contexts:
        scanner.add_requested_context(sop_class, [str(syntax) for syntax in syntaxes])
    association = scanner.associate("127.0.0.1", port, ae_title=called)
    assert association.is_established or association.is_aborted or association.rejected_contexts, "the association was refused"
    answers: Answers = {str(context.abstract_syntax): str(context.transfer_syntax[0]) for context in association.accepted_contexts}
    answers |= {str(context.abstract_syntax): int(context.result or 0) for context in association.rejected_contexts}
    if association.is_established:
        association.release()
    return answers


# The archive takes CT uncompressed only, and no enhanced CT at all; of the other destination nothing is known.
ARCHIVE = Learned(taken=frozenset({(CT, IMPLICIT)}), refused=frozenset({(CT, JPEG_LS)}), refused_classes=frozenset({ENHANCED_CT}))
KNOWN = {"archive": ARCHIVE}


@pytest.mark.parametrize(
    ("calling", "called", "contexts", "expected"),
    [
        pytest.param("CT1", "EDGE", [(CT, [JPEG_LS, EXPLICIT])], {CT: EXPLICIT}, id="what the archive can be sent"),
        pytest.param("CT1", "EDGE", [(CT, [JPEG_LS])], {CT: JPEG_LS}, id="better kept than lost"),
        pytest.param("CT1", "EDGE", [(ENHANCED_CT, [EXPLICIT])], {ENHANCED_CT: EXPLICIT}, id="a class alone"),
        pytest.param(
            "CT1", "EDGE", [(ENHANCED_CT, [EXPLICIT]), (CT, [EXPLICIT])], {ENHANCED_CT: NO_SOP_CLASS, CT: EXPLICIT}, id="a class of two"
        ),
        pytest.param("STRICT", "EDGE", [(CT, [JPEG_LS, EXPLICIT])], {CT: EXPLICIT}, id="strict takes what goes on"),
        pytest.param("STRICT", "EDGE", [(ENHANCED_CT, [EXPLICIT])], {ENHANCED_CT: NO_SOP_CLASS}, id="strict refuses a class"),
        pytest.param("STRICT", "EDGE", [(CT, [JPEG_LS])], {CT: NO_SYNTAX}, id="strict refuses a syntax"),
        pytest.param("ALL", "EDGE", [(CT, [JPEG_LS, EXPLICIT])], {CT: JPEG_LS}, id="all looks at nobody"),
        pytest.param("OTHER", "EDGE", [(CT, [JPEG_LS, EXPLICIT])], {CT: JPEG_LS}, id="another source's archive"),
        pytest.param("CT1", "SECOND", [(CT, [JPEG_LS, EXPLICIT])], {CT: EXPLICIT}, id="two destinations, one known"),
    ],
)
def test_policies_by_the_published_file(
    tmp_path: Path, calling: str, called: str, contexts: list[tuple[Uid, list[Uid]]], expected: Answers
) -> None:
    """Each source's policy judges by what is known of the destinations that its association can lead to, and by no others."""
    known = _published(tmp_path / "data", KNOWN)

    with Door(tmp_path / "data", site=SITE, known=known) as door:
        answers = _propose(door.port, *contexts, calling=calling, called=called)

    assert answers == expected


def test_news_count_from_the_next_association(tmp_path: Path) -> None:
    """What is published while the door is open is known at the next association; a damaged or vanished file changes nothing."""
    data = tmp_path / "data"
    known = _published(data, {})
    answers = []

    with Door(data, site=SITE, known=known) as door:
        for content in (encode({}), encode(KNOWN), b"{", None):
            if content is None:
                (data / "run" / FILE_NAME).unlink()
            else:
                write_atomically(data / "run" / FILE_NAME, content)
            answers.append(_propose(door.port, (CT, [JPEG_2000, EXPLICIT])))

    assert answers == [{CT: JPEG_2000}, {CT: EXPLICIT}, {CT: EXPLICIT}, {CT: EXPLICIT}]


@senders.LEAKS_SOCKETS
def test_what_an_archive_took_is_what_the_scanner_is_asked_for(make_box: BoxMaker, make_archive: ArchiveMaker, tmp_path: Path) -> None:
    """Before the first delivery a scanner's first choice is taken; after it, the first one that the archive can be sent."""
    archive = make_archive(options=["+xi"]).start()
    box = make_box(a_site(sources=[a_source("CT1")], destinations=[an_archive(archive.port)])).start()
    proposed = (CT, [JPEG_LS, EXPLICIT])

    before = _propose(box.port, proposed)
    senders.send_once(box.port, samples.ct(64).write(tmp_path / "scanner"), calling="CT1")
    box.wait_until_delivered()
    after = eventually(lambda: _propose(box.port, proposed) != before and _propose(box.port, proposed), message="the news to arrive")

    assert (before, after) == ({CT: JPEG_LS}, {CT: EXPLICIT})
