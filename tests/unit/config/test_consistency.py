"""What two sections of a configuration must agree on."""

from __future__ import annotations

import pytest

from tests.unit.config.texts import a_destination, a_route, a_source, errors_of, notices_of, site_of, the_error_of

TO_ARCHIVE = 'to = ["archive"]'


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("archiv", 'Did you mean "archive"?'),
        ("Archive", 'Did you mean "archive"?'),
        ("xyz", "Use the name of a [[destination]] in this file, or add one."),
    ],
)
def test_a_route_names_a_destination_that_exists(name: str, advice: str) -> None:
    """A destination that is not there is an error with the place in the list."""
    error = the_error_of(a_destination() + a_route(f'to = ["archive", "{name}"]'))

    assert (error.where, error.problem, error.advice) == ("route[0].to[1]", f'no destination is named "{name}"', advice)


def test_a_route_names_a_source_that_exists() -> None:
    """A condition on a source nobody lists could never be met."""
    error = the_error_of(a_source() + a_destination() + a_route(TO_ARCHIVE, "[route.when]", 'source = ["CT2"]'))

    assert (error.where, error.advice) == ("route[0].when.source[0]", 'Did you mean "CT1"?')


def test_a_route_may_name_a_stranger_where_strangers_are_welcome() -> None:
    """With unknown sources accepted, a condition may name a title that is not listed."""
    text = '[admission]\nunknown_sources = "accept"\n' + a_destination() + a_route(TO_ARCHIVE, "[route.when]", 'source = ["CT2"]')

    site = site_of(text)

    assert site.routes[0].when.source == ("CT2",)


@pytest.mark.parametrize(("called", "is_fine"), [("EDGE", True), ("edge", True), ("PACS1", True), ("PACS2", False)])
def test_a_route_names_titles_of_the_box(called: str, is_fine: bool) -> None:  # noqa: FBT001 (a table's column)
    """A condition on a called title that the box does not answer to could never be met."""
    text = '[[local_ae]]\nae_title = "PACS1"\n' + a_destination() + a_route(TO_ARCHIVE, "[route.when]", f'called = ["{called}"]')

    errors = errors_of(text)

    assert [error.where for error in errors] == ([] if is_fine else ["route[0].when.called[0]"])


def test_a_local_title_names_routes_that_exist() -> None:
    """A restriction to a route that is not there is an error."""
    error = the_error_of('[[local_ae]]\nae_title = "PACS1"\nroutes = ["everythin"]\n' + a_destination() + a_route(TO_ARCHIVE))

    assert (error.where, error.advice) == ("local_ae[0].routes[0]", 'Did you mean "everything"?')


def test_a_local_title_without_any_route_is_refused() -> None:
    """An empty restriction would swallow everything sent to the title."""
    error = the_error_of('[[local_ae]]\nae_title = "PACS1"\nroutes = []\n')

    assert (error.where, error.problem) == ("local_ae[0].routes", "names no route")


@pytest.mark.parametrize(
    ("first", "second", "place", "problem"),
    [
        ("EDGE", "X", "local_ae[0].ae_title", '"EDGE" is the same title as box.ae_title'),
        ("Edge", "X", "local_ae[0].ae_title", '"Edge" differs only in capital letters from box.ae_title'),
        ("PACS1", "pacs1", "local_ae[1].ae_title", '"pacs1" differs only in capital letters from local_ae[0].ae_title'),
        ("PACS1", " PACS1 ", "local_ae[1].ae_title", '"PACS1" is the same title as local_ae[0].ae_title'),
    ],
)
def test_titles_of_the_box_differ_in_more_than_capitals(first: str, second: str, place: str, problem: str) -> None:
    """The box cannot tell apart what the field does not tell apart."""
    error = the_error_of(f'[[local_ae]]\nae_title = "{first}"\n[[local_ae]]\nae_title = "{second}"\n')

    assert (error.where, error.problem) == (place, problem)


@pytest.mark.parametrize(
    ("addresses", "is_fine"),
    [
        (("10.0.0.7", "10.0.0.8"), True),
        (("10.0.0.7", "10.0.0.0/24"), True),
        (("10.0.0.7", "10.0.0.7/32"), False),
        (("10.0.0.7", None), True),
        ((None, None), False),
    ],
)
def test_a_source_is_its_title_and_its_address(addresses: tuple[str | None, str | None], is_fine: bool) -> None:  # noqa: FBT001
    """Titles may repeat; the pair of title and address may not."""
    text = "".join(a_source(*([f'address = "{address}"'] if address else []), name=f"CT{index}") for index, address in enumerate(addresses))

    errors = errors_of(text)

    assert [error.where for error in errors] == ([] if is_fine else ["source[1].ae_title"])


def test_titles_of_sources_that_differ_in_capitals_are_refused() -> None:
    """One title is spelled one way."""
    error = the_error_of(a_source('address = "10.0.0.7"') + a_source('address = "10.0.0.8"', name="CT2", ae_title="ct1"))

    assert (error.where, error.problem) == ("source[1].ae_title", '"ct1" differs only in capital letters from "CT1" of source[0]')


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (a_source('address = "10.0.0.7"') + a_source('address = "10.0.0.8"'), "source[1].name"),
        (a_source('address = "10.0.0.7"') + a_source('address = "10.0.0.8"', name="ct1"), "source[1].name"),
        (a_destination() + a_destination(host="10.1.0.6"), "destination[1].name"),
        (a_destination() + a_destination(name="Archive", host="10.1.0.6"), "destination[1].name"),
        (a_destination() + a_destination('id = "archive"', name="old", host="10.1.0.6"), "destination[1].id"),
        (a_destination('id = "old"') + a_destination(name="old", host="10.1.0.6"), "destination[0].id"),
        (a_destination('id = "x"') + a_destination('id = "x"', name="old", host="10.1.0.6"), "destination[1].id"),
        (a_route('keep = "1 h"') + a_route('keep = "2 h"'), "route[1].name"),
    ],
)
def test_names_and_ids_are_used_once(text: str, where: str) -> None:
    """A name or an id that is there twice is one error at the place that must change."""
    error = the_error_of(text)

    assert error.where == where


@pytest.mark.parametrize(
    ("host", "port", "is_fine"),
    [("127.0.0.1", 11112, False), ("localhost", 11112, False), ("127.0.0.1", 11113, True), ("10.1.0.5", 11112, True)],
)
def test_the_box_does_not_deliver_to_itself(host: str, port: int, is_fine: bool) -> None:  # noqa: FBT001
    """A destination that is one of the box's own listeners would send images round for ever."""
    errors = errors_of(a_destination(f"port = {port}", host=host) + a_route(TO_ARCHIVE))

    assert [error.where for error in errors] == ([] if is_fine else ["destination[0].host"])


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        ('dicom = ["0.0.0.0:104", "0.0.0.0:104"]', "listen.dicom[1]"),
        ('dicom = ["0.0.0.0:104", "127.0.0.1:104"]', "listen.dicom[1]"),
        ('dicom = ["0.0.0.0:104"]\nweb = "0.0.0.0:104"', "listen.web"),
        ('dicom = ["0.0.0.0:8443"]', "listen.web"),
        ('dicom = ["0.0.0.0:104"]\ndicom_tls = ["10.0.0.1:104"]', "listen.dicom_tls[0]"),
    ],
)
def test_an_address_is_listened_on_once(lines: str, where: str) -> None:
    """What the kernel would refuse to bind is refused here, with both places."""
    error = the_error_of(f"[listen]\n{lines}\n")

    assert error.where == where


@pytest.mark.parametrize(
    "lines",
    [
        'dicom = ["127.0.0.1:0", "127.0.0.1:0"]',
        'dicom = ["127.0.0.1:104", "127.0.0.2:104"]',
        'dicom = ["0.0.0.0:104", "[::]:104"]',
        'dicom = ["0.0.0.0:8443"]\nweb = "off"',
    ],
)
def test_addresses_that_do_not_collide_are_fine(lines: str) -> None:
    """Ports that the kernel chooses, other addresses, other families, and what is off do not collide."""
    errors = errors_of(f"[listen]\n{lines}\n")

    assert errors == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[admission]\nunknown_sources = "accept"\n' + a_destination() + a_route(TO_ARCHIVE), "admission.unknown_sources"),
        (a_source() + a_destination() + a_destination(name="second", host="10.1.0.6") + a_route(TO_ARCHIVE), "destination[1].name"),
        (a_source() + a_destination() + a_destination(name="second") + a_route('to = ["archive", "second"]'), "destination[1]"),
        (
            a_source()
            + a_destination()
            + a_destination(name="second", ae_title="pacs1", host="10.1.0.6")
            + a_route('to = ["archive", "second"]'),
            "destination[1].ae_title",
        ),
        (a_source(), "route"),
        (a_destination() + a_route(TO_ARCHIVE), "source"),
    ],
)
def test_what_is_seldom_meant_is_a_notice(text: str, where: str) -> None:
    """What is allowed but unlikely is said, and stands in nobody's way."""
    notices = notices_of(text)

    assert [notice.where for notice in notices] == [where]
