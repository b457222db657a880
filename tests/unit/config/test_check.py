"""`config check`: what is wrong with a file is said with place, problem and advice, in words without Python in them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.config.check import MOST_PROBLEMS, check
from tests.unit.config.texts import EXAMPLE, a_destination, a_route, a_source, errors_of, notices_of, site_of, the_error_of

JARGON = re.compile(
    r"pydantic|Input should|NoneType|<class|tuple|dict|\bstr\b|\bint\b|\bbool\b|\bfloat\b|Traceback|__|None|nan\b", re.IGNORECASE
)


def test_the_example_is_free_of_errors() -> None:
    """The example of the documentation loads without a remark."""
    notices = notices_of(EXAMPLE.read_text(encoding="utf-8"))

    assert notices == []


def test_an_empty_file_is_a_site() -> None:
    """A file without a line is valid, and its consequences are said."""
    notices = notices_of("")

    assert [(notice.where, notice.severity) for notice in notices] == [("source", "notice"), ("route", "notice")]


@pytest.mark.parametrize(
    ("text", "where", "advice"),
    [
        ("lissten = 1", "lissten", "Did you mean listen?"),
        ('[box]\nae_titel = "EDGE"', "box.ae_titel", "Did you mean ae_title?"),
        ('[box]\nAE_Title = "EDGE"', "box.AE_Title", "Did you mean ae_title?"),
        (a_source('adress = "10.0.0.7"'), "source[0].adress", "Did you mean address?"),
        (a_source('reply = { ae_title = "CT1", host = "h", prot = 1 }'), "source[0].reply.prot", "Did you mean port?"),
        (a_destination("also_calls_form = []"), "destination[0].also_calls_form", "Did you mean also_calls_from?"),
        (a_route('keep = "2 days"', "[route.when]", 'modalty = ["CT"]'), "route[0].when.modalty", "Did you mean modality?"),
        ("[box]\nlanes = 4", "box.lanes", "It belongs into [[destination]]."),
        ("[listen]\nevict_at = 0.5", "listen.evict_at", "It belongs into [retention]."),
        ("[[sources]]", "sources", "Did you mean source?"),
    ],
)
def test_an_unknown_key_comes_with_the_key_that_was_meant(text: str, where: str, advice: str) -> None:
    """A key nobody knows is an error that names its place and the likeliest key or section."""
    error = the_error_of(text)

    assert error.where == where
    assert error.problem.startswith("is not a known key")
    assert error.advice == advice


def test_an_unknown_key_like_no_other_is_answered_with_all() -> None:
    """Where nothing is similar, the keys of the section are listed."""
    error = the_error_of("[retention]\nxyzzy = 1")

    assert error.advice == "Remove it, or use one of: evict_at, refuse_at, reserve, keep_at_least, requires."


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ("box = 1", "box", "must be a group of keys, not the number 1"),
        ('[[box]]\nname = "a"', "box", "must be written once and with single brackets"),
        ('[source]\nname = "CT1"', "source", "must be written with double brackets"),
        ("source = [1]", "source[0]", "must be a group of keys, not the number 1"),
        ('local_ae = "EDGE"', "local_ae", 'must be a list, not the text "EDGE"'),
        (a_source('reply = "CT1"'), "source[0].reply", 'must be a group of keys, not the text "CT1"'),
        (a_source("[[source.reply]]", "port = 1"), "source[0].reply", "must be written once and with single brackets"),
        (a_route('to = "archive"'), "route[0].to", 'must be a list, not the text "archive"'),
        (a_route("to = [1]"), "route[0].to[0]", "must be a name in quotes, not the number 1"),
        (a_route("to = 5"), "route[0].to", "must be a list, not the number 5"),
        ("[listen]\nworkers = true", "listen.workers", "must be a whole number, not true"),
        ('[listen]\nworkers = "2"', "listen.workers", 'must be a whole number, not the text "2"'),
        ("[listen]\nworkers = 2.0", "listen.workers", "must be a whole number, not the number 2.0"),
        ("[box]\nname = 2024-01-01", "box.name", "must be a name in quotes, not a date or a time"),
        ("[admission]\nblank_called = 1", "admission.blank_called", "must be true or false"),
        ('[admission]\nblank_called = "yes"', "admission.blank_called", "must be true or false"),
        (f"[listen]\nworkers = {'9' * 60}", "listen.workers", "must be from 1 to 16, not with very many digits"),
    ],
)
def test_a_value_of_the_wrong_sort_is_named_in_plain_words(text: str, where: str, problem: str) -> None:
    """What the file holds and what it should hold are said without names of a programming language."""
    error = the_error_of(text)

    assert (error.where, error.problem) == (where, problem)


def test_what_is_missing_is_named() -> None:
    """Each required key that is absent is an error of its own."""
    errors = errors_of("[[source]]\n[[destination]]\n[[route]]\n")

    places = [error.where for error in errors]
    assert places == [
        "source[0].name",
        "source[0].ae_title",
        "destination[0].name",
        "destination[0].ae_title",
        "destination[0].host",
        "route[0].name",
    ]
    assert {error.problem for error in errors} == {"is missing"}


def test_another_kind_of_destination_is_one_error() -> None:
    """A kind that nobody knows is refused once, without asking for the keys of another kind."""
    error = the_error_of('[[destination]]\nname = "cloud"\nkind = "ftp"\nurl = "x"\n')

    assert (error.where, error.problem) == ("destination[0].kind", 'must be "dicom", "stow", "sftp" or "folder", not "ftp"')
    assert error.advice == 'Did you mean "sftp"?'


@pytest.mark.parametrize(
    ("text", "where", "advice"),
    [
        ('[admission]\nunknown_sources = "acept"', "admission.unknown_sources", 'Did you mean "accept"?'),
        (a_source('accept = "chose"'), "source[0].accept", 'Did you mean "choose"?'),
        (a_source('worklist_text = "as-is"'), "source[0].worklist_text", 'Did you mean "as is"?'),
        (a_route('keep = "1 h"', 'priority = "Stat"'), "route[0].priority", 'Did you mean "stat"?'),
        (a_destination('proof = "xyz"'), "destination[0].proof", "Copy one of these words, in quotes."),
        (a_destination("proof = 1"), "destination[0].proof", "Copy one of these words, in quotes."),
    ],
)
def test_a_word_that_is_no_choice_comes_with_the_one_that_was_meant(text: str, where: str, advice: str) -> None:
    """A mistyped choice lists the choices and suggests the nearest."""
    error = the_error_of(text)

    assert (error.where, error.advice) == (where, advice)


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ("[retention]\nevict_at = 0.95", "retention.refuse_at", "must be above evict_at: it is 0.95, and evict_at is 0.95"),
        ("[retention]\nrefuse_at = 0.5", "retention.refuse_at", "must be above evict_at: it is 0.5, and evict_at is 0.85"),
        ("[retention]\nevict_at = 85", "retention.evict_at", "must be between 0 and 1, not 85"),
        ("[retention]\nevict_at = -0.1", "retention.evict_at", "must be between 0 and 1, not -0.1"),
        ("[retention]\nrefuse_at = 1.01", "retention.refuse_at", "must be between 0 and 1, not 1.01"),
        ("[retention]\nrefuse_at = nan", "retention.refuse_at", "must be a number, not infinity or no number at all"),
        ('[retention]\nrefuse_at = "95 %"', "retention.refuse_at", 'must be a number, not the text "95 %"'),
        ("[admission]\nassociations = 8", "admission.per_source", "lets one source have 16 associations, more than the 8 of all together"),
        ("[admission]\nassociations = 0", "admission.associations", "must be from 1 to 4096, not 0"),
        ("[listen]\nworkers = 0", "listen.workers", "must be from 1 to 16, not 0"),
        ("[listen]\ndicom = []", "listen.dicom", "names no address, so no scanner could reach the box"),
        (a_destination("lanes = 0"), "destination[0].lanes", "must be from 1 to 16, not 0"),
        (a_destination("lanes = 17"), "destination[0].lanes", "must be from 1 to 16, not 17"),
        (a_source(ae_title="*"), "source[0].address", 'is missing, and with ae_title = "*" it is the only thing to know this source by'),
        (a_route(), "route[0].to", "names no destination"),
        (a_route("to = []"), "route[0].to", "names no destination"),
        (a_route('to = ["archive"]', 'keep = "2 days"') + a_destination(), "route[0].keep", "is for routes without destinations"),
        (a_route('to = ["archive", "archive"]') + a_destination(), "route[0].to", "names a destination twice"),
        (a_destination('calling_ae = "Source"'), "destination[0].calling_ae", '"Source" may mean the word or a title'),
        (a_destination("port = 0"), "destination[0].port", "must be from 1 to 65535, not 0"),
        ("[delivery]\nthrottled = [900, 30]", "delivery.throttled", "the first wait is longer than the longest"),
        ("[delivery]\nsoft = 5", "delivery.soft", "must be a list of two numbers"),
        ("[delivery]\nsite_rule = [1, 2, 60]", "delivery.site_rule", "asks for more studies than instances, which can never be"),
        ("[delivery]\nsite_rule = [5, 2]", "delivery.site_rule", "must be a list of three numbers"),
        ("[delivery]\nconnect = 0", "delivery.connect", "must be between 0.001 seconds and 10 years"),
        ('[delivery]\nconnect = "10 s"', "delivery.connect", 'must be a number of seconds, not the text "10 s"'),
    ],
)
def test_a_value_outside_its_limits_is_refused(text: str, where: str, problem: str) -> None:
    """Each limit has its place and its sentence."""
    error = the_error_of(text)

    assert (error.where, error.problem) == (where, problem)


def test_refuse_at_may_be_the_whole_disk() -> None:
    """A share of 1 is allowed where the reserve alone shall decide."""
    site = site_of("[retention]\nrefuse_at = 1\nevict_at = 0")

    assert (site.retention.evict_at, site.retention.refuse_at) == (0.0, 1.0)


def test_all_errors_of_a_file_are_listed_together() -> None:
    """A technician mends a file in one go."""
    text = '[box]\nname = ""\n[admission]\nidle = 60\n' + a_source("modality = 3", 'address = "10.0.0.300"') + a_destination("port = 70000")

    errors = errors_of(text)

    assert [error.where for error in errors] == [
        "box.name",
        "admission.idle",
        "source[0].address",
        "source[0].modality",
        "destination[0].port",
    ]


def test_a_wrong_file_does_not_flood_the_screen() -> None:
    """After fifty problems only their number is said."""
    text = "\n".join(f"key{number} = 1" for number in range(200))

    errors = errors_of(text)

    assert len(errors) == MOST_PROBLEMS + 1
    assert errors[-1].problem == "150 more problems are not listed"


def test_errors_come_before_notices() -> None:
    """What stands in the way is read first."""
    checked = check('[listen]\nweb = "0.0.0.0:8443"\n' + a_route('to = ["nowhere"]'), where="site.toml")

    assert [problem.severity for problem in checked.problems] == ["error", "notice"]
    assert checked.site is None


def test_what_the_file_holds_cannot_forge_lines() -> None:
    """Line breaks, control characters and endless words from the file are shown escaped and cut."""
    error = the_error_of('[box]\nae_title = "A\\nREADY\\u001b[2J' + "x" * 500 + '"')

    assert error.problem.isprintable()
    assert len(error.problem) < 200


@pytest.mark.parametrize(("name", "advice"), [("Asia/Ho_Chi_Min", 'Did you mean "Asia/Ho_Chi_Minh"?'), ("Moon/Base", None)])
def test_a_time_zone_must_exist(name: str, advice: str | None) -> None:
    """A time zone that this machine does not know is an error."""
    error = the_error_of(f'[box]\ntimezone = "{name}"')

    assert (error.where, error.problem) == ("box.timezone", f'"{name}" is not a time zone')
    assert error.advice == (advice or 'Write it as region and city, for example "Asia/Ho_Chi_Minh".')


SAMPLE = EXAMPLE.read_text(encoding="utf-8")


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, len(SAMPLE)),
    st.integers(0, 30),
    st.text(max_size=12) | st.sampled_from(["[", "{", "=", '"', "\n", "1", "true", "[]", "{}", "-inf"]),
)
def test_no_damage_to_a_file_is_an_accident(start: int, length: int, instead: str) -> None:
    """Whatever a file holds, the answer is a site or problems, each one printable line without jargon."""
    checked = check(SAMPLE[:start] + instead + SAMPLE[start + length :], where="site.toml")

    assert (checked.site is None) == bool(checked.errors)
    for problem in checked.problems:
        said = f"{problem.where} {problem.problem} {problem.advice}"
        assert said.isprintable()
        assert problem.advice
        # Words from the file stand in quotes; outside of them nothing of Python's is said.
        assert JARGON.search(re.sub(r'"[^"]*"?', "", problem.problem)) is None
