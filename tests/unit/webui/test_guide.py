"""Help: what to type into a scanner, and what to do at two in the morning."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from appliance.accounts.roles import Role
from appliance.config.check import check
from tests.support.pages import Said, pages_of
from tests.support.site import a_site
from webui.held_words import MEANINGS
from webui.pages.guide import own_address, ports


class Arrived:
    """A connection that arrived at an address of the box."""

    def __init__(self, address: str) -> None:
        """Arrive there."""
        self._address = address

    def getsockname(self) -> tuple[str, int]:
        """Return where."""
        return self._address, 8443


@pytest.mark.parametrize(
    ("arrived", "host", "expected"),
    [
        (None, "10.0.0.2:8443", "10.0.0.2"),
        (None, "10.0.0.2", "10.0.0.2"),
        (None, "vinh-ct.hospital.example:8443", "vinh-ct.hospital.example"),
        (None, "[fd00::2]:8443", "fd00::2"),
        (None, "localhost:8443", ""),
        (None, "127.0.0.1:8443", ""),
        ("10.0.0.2", "vinh-ct:8443", "10.0.0.2"),
        ("::ffff:10.0.0.2", "vinh-ct:8443", "10.0.0.2"),
        ("fd00::2", "vinh-ct:8443", "fd00::2"),
        ("127.0.0.1", "10.0.0.2:8443", ""),
    ],
)
def test_the_address_is_one_that_a_scanner_can_reach(arrived: str | None, host: str, expected: str) -> None:
    """The address at which the browser arrived counts, then what it typed; what means this machine only is none."""
    environment = {} if arrived is None else {"gunicorn.socket": Arrived(arrived)}

    assert expected == own_address(environment, host)


def test_ports_are_those_that_were_bound(tmp_path: Path) -> None:
    """Where the kernel chose the port the page says which; without that the settings count, and port 0 is no port."""
    site = check(a_site(listen={"dicom": ["0.0.0.0:104", "0.0.0.0:0"]}), where="test").site
    assert site is not None
    before = ports(tmp_path, site)
    (tmp_path / "listening.json").write_text(json.dumps({"dicom": [["::", 104], ["::", 40123]], "dicom_tls": []}))

    assert {"dicom": [104], "dicom_tls": []} == before
    assert {"dicom": [104, 40123], "dicom_tls": []} == ports(tmp_path, site)


def test_help_says_what_to_type_and_explains_every_code(tmp_path: Path) -> None:
    """Titles, address and ports of this box, first aid, and every code of held images stand on one page that asks nobody."""
    site = a_site(local_ae=[{"ae_title": "PACS1"}], listen={"dicom": ["0.0.0.0:104"]})
    pages = pages_of(tmp_path, role=Role.MONITOR, control=Said(), site=site)

    page = pages.client.get("/help/", environ_overrides={"gunicorn.socket": Arrived("10.0.0.2")})

    assert 200 == page.status_code
    for text in ("EDGE / PACS1", "10.0.0.2", ">104<", "association rejected", "test-box · ", *MEANINGS):
        assert text in page.text, text


def test_help_links_to_nothing_that_is_not_there(tmp_path: Path) -> None:
    """Every link on the page leads to a page, and none leads out of the box."""
    pages = pages_of(tmp_path, role=Role.MONITOR, control=Said())
    adapter = pages.app.url_map.bind("localhost")

    links = re.findall(r'href="([^"]*)"', pages.get("/help/"))

    assert [] == [link for link in links if not link.startswith(("/", "#"))]
    for link in links:
        if link.startswith("/"):
            adapter.match(link.partition("#")[0].partition("?")[0])


def test_help_needs_somebody_signed_in(tmp_path: Path) -> None:
    """Titles and addresses are nobody's business who is not signed in."""
    assert 302 == pages_of(tmp_path, role=None).client.get("/help/").status_code
