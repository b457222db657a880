"""Where a proposal may be tested: every kind of address, every port of another service, and whose secrets it may use."""

from __future__ import annotations

import pytest

from appliance.config.model import AnyDestination, Site
from appliance.manage.target_guard import Vicinity, is_in_force, refusal, secret_refusal
from tests.unit.config.texts import HOST_KEY

FOLDER = "/data/secrets"
OUTSIDE = Vicinity(frozenset({11112, 8443}), is_own=lambda address: address == "10.0.0.2")
DEMO = Vicinity(frozenset({11112, 8443}), is_own=lambda address: address == "10.0.0.2", is_demo=True)


def a_site(*destinations: dict[str, object]) -> Site:
    """Return a site with these destinations."""
    return Site.model_validate({"destination": list(destinations)})


def dicom(host: str = "pacs", port: int = 104, **more: object) -> AnyDestination:
    """Return a DICOM destination."""
    return a_site({"name": "new", "ae_title": "NEW", "host": host, "port": port, **more}).destinations[0]


def stow(url: str, **more: object) -> AnyDestination:
    """Return a web service."""
    return a_site({"name": "web", "kind": "stow", "url": url, **more}).destinations[0]


def sftp(port: int = 22, **more: object) -> AnyDestination:
    """Return an account on a server."""
    account = {"name": "depot", "kind": "sftp", "host": "depot", "port": port, "user": "edge", "host_key": HOST_KEY}
    return a_site({**account, "key_file": "/k", **more}).destinations[0]


@pytest.mark.parametrize("address", ["10.0.0.5", "192.168.1.9", "fd12:3456::5", "2001:db8::1", "203.0.113.7", "172.16.0.3"])
def test_machines_of_a_hospital_may_be_tested(address: str) -> None:
    """Private and public addresses of other machines are what a destination has."""
    assert refusal(dicom(), [address], OUTSIDE) is None


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "::", "169.254.169.254", "fe80::1", "fe80::1%eth0"),
        *("224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1", "64:ff9b::a9fe:a9fe"),
        *("", "not an address"),
    ],
)
def test_what_is_no_other_machine_is_refused(address: str) -> None:
    """Loopback, link-local, multicast and unspecified addresses, in whatever dress, are not called."""
    refused = refusal(dicom(), [address], OUTSIDE)

    assert refused is not None
    assert refused.advice


def test_every_address_of_a_name_must_be_allowed() -> None:
    """A name that leads to a good machine and to this box is refused: nobody knows which one would be called."""
    assert refusal(dicom(), ["10.0.0.5", "127.0.0.1"], OUTSIDE) is not None
    assert refusal(dicom(), [], OUTSIDE) is not None


@pytest.mark.parametrize("port", [22, 25, 53, 80, 443, 445, 3306, 6379, 9200, 11211])
def test_ports_of_other_services_are_not_called_for_dicom(port: int) -> None:
    """Mail, names, shells, files and databases act on what they are sent."""
    assert refusal(dicom(port=port), ["10.0.0.5"], OUTSIDE) is not None


@pytest.mark.parametrize("port", [104, 11112, 2762, 4242])
def test_ports_of_archives_are_called(port: int) -> None:
    """The registered ports and those that archives like."""
    assert refusal(dicom(port=port), ["10.0.0.5"], OUTSIDE) is None


def test_each_kind_is_at_home_at_its_own_ports() -> None:
    """22 is for SFTP alone, 80 and 443 for the web alone."""
    assert refusal(sftp(), ["10.0.0.5"], OUTSIDE) is None
    assert refusal(sftp(port=25), ["10.0.0.5"], OUTSIDE) is not None
    assert refusal(stow("https://pacs.example/dicom-web"), ["10.0.0.5"], OUTSIDE) is None
    assert refusal(stow("http://pacs.example:22/dicom-web"), ["10.0.0.5"], OUTSIDE) is not None


def test_the_box_does_not_call_its_own_doors() -> None:
    """Where this box listens is refused at any of its addresses; the same port elsewhere, and another port here, are not."""
    assert refusal(dicom(port=11112), ["10.0.0.2"], OUTSIDE) is not None
    assert refusal(dicom(port=11112), ["10.0.0.5"], OUTSIDE) is None
    assert refusal(dicom(port=4242), ["10.0.0.2"], OUTSIDE) is None


def test_a_demonstration_may_call_this_machine_and_nothing_else_more() -> None:
    """Loopback is allowed where everything is on one machine; its own doors and other services are not."""
    assert refusal(dicom(port=4242), ["127.0.0.1"], DEMO) is None
    assert refusal(dicom(port=11112), ["127.0.0.1"], DEMO) is not None
    assert refusal(dicom(port=22), ["127.0.0.1"], DEMO) is not None
    assert refusal(dicom(), ["169.254.169.254"], DEMO) is not None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "archive.localhost", "169.254.169.254", "[::1]"])
def test_what_a_proxy_would_be_asked_for_is_judged_too(host: str) -> None:
    """A proxy must not be asked for itself or its neighbours; a name is its to look up."""
    through = {"proxy": "http://proxy.example:3128"}

    assert refusal(stow(f"https://{host}/dicom-web", **through), ["10.0.0.8"], OUTSIDE) is not None
    assert refusal(stow("https://pacs.example/dicom-web", **through), ["10.0.0.8"], OUTSIDE) is None
    assert refusal(stow("https://pacs.example/dicom-web", **through), ["127.0.0.1"], OUTSIDE) is not None


def test_a_typed_secret_is_for_the_proposal() -> None:
    """A file of the box's own folder that is no destination's yet may be used."""
    assert secret_refusal(sftp(key_file=f"{FOLDER}/abc"), a_site(), FOLDER) is None


@pytest.mark.parametrize("path", ["/data/keys/root.key", "/etc/shadow", "/data/secretsX/abc"])
def test_no_other_file_is_sent_anywhere(path: str) -> None:
    """A file that is no typed secret is not shown to whoever a proposal names as its server."""
    assert secret_refusal(sftp(key_file=path), a_site(), FOLDER) is not None


def test_a_secret_stays_with_its_place() -> None:
    """What belongs to a destination in force may be tried at its place, and at no other."""
    site = Site.model_validate(
        {"destination": [{"name": "web", "kind": "stow", "url": "https://pacs.example/dicom-web", "token_file": "/etc/token"}]}
    )

    assert secret_refusal(stow("https://pacs.example/dicom-web/other", token_file="/etc/token"), site, FOLDER) is None
    assert secret_refusal(stow("https://elsewhere.example/dicom-web", token_file="/etc/token"), site, FOLDER) is not None


def test_what_is_in_force_may_be_called_where_it_is() -> None:
    """The same kind, host and port are the same place, whatever else changes."""
    site = a_site({"name": "archive", "ae_title": "PACS", "host": "127.0.0.1", "port": 4242})

    assert is_in_force(dicom("127.0.0.1", 4242, proof="query"), site)
    assert not is_in_force(dicom("127.0.0.1", 4243), site)
