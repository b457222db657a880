"""Single values as people write them: durations, sizes, titles, names, addresses."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config.addresses import ListenAddress, network_text
from appliance.config.quantities import LARGEST_SIZE_BYTES, LONGEST_S, SHORTEST_S, duration_text, parse_duration, parse_size, size_text
from tests.unit.config.texts import a_destination, a_route, a_source, dicom_destination_of, errors_of, site_of, the_error_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60 min", 3600.0),
        ("60min", 3600.0),
        (" 24 h ", 86400.0),
        ("2 days", 172800.0),
        ("1 day", 86400.0),
        ("1 week", 604800.0),
        ("1.5 h", 5400.0),
        ("30 s", 30.0),
        ("500 ms", 0.5),
        ("5 MIN", 300.0),
    ],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    """Each unit that people write becomes seconds."""
    idle = site_of(f'[admission]\nidle = "{text}"').admission.idle

    assert idle == seconds


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ('"60"', '"60" is not a duration'),
        ("60", "the number 60 has no unit"),
        ("60.5", "the number 60.5 has no unit"),
        ('"5 m"', '"5 m" is not a duration'),
        ('"1,5 h"', '"1,5 h" is not a duration'),
        ('"-1 h"', '"-1 h" is not a duration'),
        ('"½ h"', '"½ h" is not a duration'),
        ('"٣ h"', '"٣ h" is not a duration'),
        ('"1e3 s"', '"1e3 s" is not a duration'),
        ('""', '"" is not a duration'),
        ('"0 s"', "must be between 0.001 s and 10 years"),
        ('"99999 days"', "must be between 0.001 s and 10 years"),
        ("inf", "must be a duration, not infinity or no number at all"),
        ("true", "must be a duration, not true"),
        ("[1]", "must be a duration, not a list"),
        ("10:00:00", "must be a duration, not a date or a time"),
    ],
)
def test_what_is_no_duration_is_refused(value: str, problem: str) -> None:
    """A missing or misleading unit is never guessed."""
    error = the_error_of(f"[admission]\nidle = {value}")

    assert (error.where, error.problem) == ("admission.idle", problem)


def test_nothing_may_be_waited_for_where_that_makes_sense() -> None:
    """Patience and keeping may be zero, an idle time may not."""
    site = site_of(a_source('patience = "0 s"') + '[retention]\nkeep_at_least = "0 h"\n')

    assert (site.sources[0].patience, site.retention.keep_at_least) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("5 GiB", 5 << 30),
        ("64MiB", 64 << 20),
        ("1.5 TiB", 3 << 39),
        ("500 MB", 500_000_000),
        ("2000 kB", 2_000_000),
        ("1048576 B", 1 << 20),
    ],
)
def test_a_size_is_read(text: str, size: int) -> None:
    """Units of 1000 and of 1024 are told apart."""
    reserve = site_of(f'[retention]\nreserve = "{text}"').retention.reserve

    assert reserve == size


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("5", "the number 5 has no unit"),
        ('"5"', '"5" is not a size'),
        ('"5 G"', '"5 G" is not a size'),
        ('"5 Gb"', '"5 Gb" is not a size'),
        ('"0 GiB"', "must be at least 1 MiB, and no more than a disk can hold"),
        ('"9999999 TiB"', "must be at least 1 MiB, and no more than a disk can hold"),
        ("{}", "must be a size, not a group of keys"),
        ("false", "must be a size, not false"),
    ],
)
def test_what_is_no_size_is_refused(value: str, problem: str) -> None:
    """A missing or misleading unit is never guessed."""
    error = the_error_of(f"[retention]\nreserve = {value}")

    assert (error.where, error.problem) == ("retention.reserve", problem)


@given(st.floats(SHORTEST_S, LONGEST_S) | st.integers(1, int(LONGEST_S)).map(float))
def test_a_duration_printed_is_read_as_the_same(seconds: float) -> None:
    """Printing a duration loses nothing."""
    assert parse_duration(duration_text(seconds)) == seconds


@given(st.integers(0, LARGEST_SIZE_BYTES - 1))
def test_a_size_printed_is_read_as_the_same(size_bytes: int) -> None:
    """Printing a size loses nothing."""
    assert parse_size(size_text(size_bytes)) == size_bytes


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ('"ABCDEFGHIJKLMNOPQ"', '"ABCDEFGHIJKLMNOPQ" has 17 characters, and an AE title has at most 16'),
        ('""', "is a blank AE title"),
        ('"   "', "is a blank AE title"),
        ('"A\\tB"', '"A\\tB" holds a control character, such as a tab'),
        ('"A\\u007F"', '"A\\x7f" holds a control character, such as a tab'),
        ("'A\\B'", '"A\\B" holds a backslash'),
        ('"RÖNTGEN"', '"RÖNTGEN" holds a letter outside plain ASCII, such as one with an accent'),
        ('"*"', '"*" stands for any title in the ae_title of a [[source]] only'),
        ("104", "must be an AE title in quotes, not the number 104"),
        ("true", "must be an AE title in quotes, not true"),
    ],
)
def test_what_is_no_title_is_refused(value: str, problem: str) -> None:
    """Each way in which a title can be wrong is said by name."""
    error = the_error_of(f"[box]\nae_title = {value}")

    assert (error.where, error.problem) == ("box.ae_title", problem)


def test_a_title_keeps_its_spelling_without_surrounding_spaces() -> None:
    """Spaces around a title are padding; capitals are kept as configured."""
    title = site_of('[box]\nae_title = "  Edge 1 "').box.ae_title

    assert title.text == "Edge 1"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ('""', "is a blank name"),
        ('"  "', "is a blank name"),
        ('" archive"', '" archive" begins or ends with a space'),
        (f'"{"x" * 65}"', f'"{"x" * 60}…" has 65 characters, and a name has at most 64'),
        ('"a\\nb"', '"a\\nb" holds a character that cannot be printed, such as a tab or a line break'),
        ('"a\\u202Eb"', '"a\\u202eb" holds a character that cannot be printed, such as a tab or a line break'),
    ],
)
def test_what_is_no_name_is_refused(value: str, problem: str) -> None:
    """A name can be read, typed and shown."""
    error = the_error_of(f'[[route]]\nname = {value}\nkeep = "1 h"\n')

    assert (error.where, error.problem) == ("route[0].name", problem)


def test_a_name_is_the_same_on_every_keyboard() -> None:
    """A letter with an accent is one letter, whether typed as one character or two."""
    text = a_destination(name="Bệnh viện") + a_route('to = ["Bệnh viện"]')

    errors = errors_of(text)

    assert errors == []


@pytest.mark.parametrize("name", ["", "a b", "a_b", "-a", "a.b", "x" * 64, "phòng-ct"])
def test_a_box_name_is_part_of_a_host_name(name: str) -> None:
    """The box's name must do as a host name."""
    error = the_error_of(f'[box]\nname = "{name}"')

    assert error.where == "box.name"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.0.0.0:11112", ListenAddress("0.0.0.0", 11112)),  # noqa: S104 (read, not bound)
        ("127.0.0.1:0", ListenAddress("127.0.0.1", 0)),
        ("[::1]:104", ListenAddress("::1", 104)),
    ],
)
def test_a_listener_is_read_and_printed(text: str, expected: ListenAddress) -> None:
    """An address and a port come back as written."""
    (address,) = site_of(f'[listen]\ndicom = ["{text}"]').listen.dicom

    assert address == expected
    assert str(address) == text


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ('"11112"', '"11112" is not an address and a port'),
        ("11112", "must be an address and a port, not the number 11112"),
        ('":11112"', '":11112" is not an address and a port'),
        ('"localhost:11112"', '"localhost" is not an IP address of this box'),
        ('"10.0.0.300:104"', '"10.0.0.300" is not an IP address of this box'),
        ('"::1:104"', '"::1:104" does not say where the address ends'),
        ('"0.0.0.0:65536"', 'the port "65536" is not a number from 0 to 65535'),
        ('"0.0.0.0:-1"', 'the port "-1" is not a number from 0 to 65535'),
        ('"0.0.0.0:dicom"', 'the port "dicom" is not a number from 0 to 65535'),
        ('"0.0.0.0:"', 'the port "" is not a number from 0 to 65535'),
    ],
)
def test_what_is_no_listener_is_refused(value: str, problem: str) -> None:
    """Both halves of a listener must be there and be right."""
    error = the_error_of(f"[listen]\ndicom = [{value}]")

    assert (error.where, error.problem) == ("listen.dicom[0]", problem)


@pytest.mark.parametrize(("text", "shown"), [("off", "off"), ("127.0.0.1:8443", "127.0.0.1:8443"), ("[::]:443", "[::]:443")])
def test_pages_are_somewhere_or_off(text: str, shown: str) -> None:
    """The pages have one address, or none, and either is written as it is read."""
    assert str(site_of(f'[listen]\nweb = "{text}"').listen.web) == shown


@pytest.mark.parametrize("value", ['"on"', '"OFF"', "false", "8443", '["127.0.0.1:8443"]'])
def test_what_is_neither_is_refused(value: str) -> None:
    """The refusal is that of any listener."""
    assert the_error_of(f"[listen]\nweb = {value}").where == "listen.web"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("10.0.0.7/32", "10.0.0.7"),
        ("10.0.0.0/24", "10.0.0.0/24"),
        ("10.0.0.0/255.255.255.0", "10.0.0.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("fd00::/8", "fd00::/8"),
    ],
)
def test_a_network_is_read_and_printed(text: str, expected: str) -> None:
    """One address is a network of one."""
    address = site_of(a_source(f'address = "{text}"')).sources[0].address

    assert address == ip_network(expected)
    assert address is not None
    assert network_text(address) == expected


@pytest.mark.parametrize(
    ("value", "problem", "advice"),
    [
        ('"10.0.0.300"', '"10.0.0.300" is not an IP address or a network', None),
        ('"10.0.0.07"', '"10.0.0.07" is not an IP address or a network', None),
        ('"10.0.0"', '"10.0.0" is not an IP address or a network', None),
        ('"10.0.0.0/33"', '"10.0.0.0/33" is not an IP address or a network', None),
        ('"10.0.0.1-10.0.0.9"', '"10.0.0.1-10.0.0.9" is not an IP address or a network', None),
        ('"ct1.example.org"', '"ct1.example.org" is not an IP address or a network', None),
        ('""', '"" is not an IP address or a network', None),
        (
            '"10.0.0.7/24"',
            '"10.0.0.7/24" is an address inside a network, not a network',
            'Write "10.0.0.0/24" for the whole network, or "10.0.0.7" for the one machine.',
        ),
        ('"0.0.0.0"', '"0.0.0.0" is no machine\'s address', 'For every address write "0.0.0.0/0".'),
        ("167772167", "must be an address or a network, not the number 167772167", None),
    ],
)
def test_what_is_no_network_is_refused(value: str, problem: str, advice: str | None) -> None:
    """A mistyped network is refused, and mended where what was meant is clear."""
    error = the_error_of(a_source(f"address = {value}"))

    assert (error.where, error.problem) == ("source[0].address", problem)
    assert advice in (None, error.advice)


@pytest.mark.parametrize("host", ["10.1.0.5", "pacs", "pacs.example.org", "PACS_SRV-1", "::1", "pacs.example.org."])
def test_a_host_is_an_address_or_a_name(host: str) -> None:
    """What can name a machine is taken as written."""
    site = site_of(a_destination(host=host))

    assert dicom_destination_of(site).host == host


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ("", "is blank"),
        ("http://pacs", '"http://pacs" looks like a web address'),
        ("10.1.0.5:104", '"10.1.0.5:104" holds more than an address'),
        ("10.1.0.500", '"10.1.0.500" is not an IP address'),
        ("10.1.5", '"10.1.5" is not an IP address'),
        ("0.0.0.0", '"0.0.0.0" is no machine\'s address'),  # noqa: S104 (refused, not bound)
        ("pacs server", '"pacs server" cannot be the name of a machine'),
        ("-pacs", '"-pacs" cannot be the name of a machine'),
        ("pacs..org", '"pacs..org" cannot be the name of a machine'),
        ("phòng", '"phòng" cannot be the name of a machine'),
        ("x" * 64, f'"{"x" * 60}…" cannot be the name of a machine'),
    ],
)
def test_what_is_no_host_is_refused(host: str, problem: str) -> None:
    """What cannot name a machine is refused before anybody tries to call it."""
    error = the_error_of(a_destination(host=host))

    assert (error.where, error.problem) == ("destination[0].host", problem)


@pytest.mark.parametrize("port", ["0", "65536", "-1", '"104"', "104.0", "true"])
def test_a_peers_port_is_a_number_from_1_to_65535(port: str) -> None:
    """A peer's port cannot be left to chance."""
    error = the_error_of(a_destination(f"port = {port}"))

    assert error.where == "destination[0].port"


@pytest.mark.parametrize(("modality", "expected"), [("CT", "CT"), ("ct", "CT"), (" mr ", "MR")])
def test_a_modality_is_in_capitals(modality: str, expected: str) -> None:
    """Modalities are coded in capitals, however they were typed."""
    site = site_of(a_source(f'modality = "{modality}"'))

    assert site.sources[0].modality == expected


@pytest.mark.parametrize(
    ("uid", "reason"), [("CT Image Storage", "characters other than digits and dots"), ("1..2", "an empty component"), ("", "empty")]
)
def test_a_sop_class_is_a_uid(uid: str, reason: str) -> None:
    """A SOP class is given by its UID."""
    error = the_error_of(a_route('keep = "1 h"', "[route.when]", f'sop_class = ["{uid}"]'))

    assert (error.where, error.problem) == ("route[0].when.sop_class[0]", f'"{uid}" is not a UID ({reason})')


def test_a_sop_class_is_kept_as_written() -> None:
    """A good UID is taken as it is."""
    site = site_of(a_route('keep = "1 h"', "[route.when]", 'sop_class = ["1.2.840.10008.5.1.4.1.1.2"]'))

    assert site.routes[0].when.sop_class == ("1.2.840.10008.5.1.4.1.1.2",)


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        (a_source('address = "fe80::1%eth0"'), "source[0].address", '"fe80::1%eth0" holds the name of a network card'),
        (a_source("reply = { ae_title = 'CT1', host = 7 }"), "source[0].reply.host", "must be an address or a name, not the number 7"),
        (a_source('modality = "C/T"'), "source[0].modality", '"C/T" is not a modality'),
        (a_source("modality = 1"), "source[0].modality", "must be a modality in quotes, not the number 1"),
        (
            a_route('keep = "1 h"', "[route.when]", "sop_class = [1.2]"),
            "route[0].when.sop_class[0]",
            "must be a UID in quotes, not the number 1.2",
        ),
        ("[box]\ntimezone = 7", "box.timezone", "must be a time zone in quotes, not the number 7"),
        ('[box]\ntimezone = "../../etc/passwd"', "box.timezone", '"../../etc/passwd" is not a time zone'),
    ],
)
def test_other_values_that_cannot_be_read(text: str, where: str, problem: str) -> None:
    """Every value that is not what its key holds is refused at its place."""
    error = the_error_of(text)

    assert (error.where, error.problem) == (where, problem)
