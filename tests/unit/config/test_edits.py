"""Edits of a site.toml's text: exactly the change, and every other line as it was typed."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.config.check import check
from appliance.config.edits import (
    Edit,
    Kind,
    TableMissingError,
    add_table,
    change_table,
    field_problems,
    move_table,
    remove_table,
    replace_text,
    set_values,
    together,
)
from appliance.config.load import ConfigInvalidError
from tests.unit.config.texts import EXAMPLE

TEXT = """\
# Vinh General Hospital, radiology
[box]
name = "vinh-ct"   # as on the label
ae_title = "EDGE"

# room 3
[[source]]
name = "CT1"
ae_title = "CT1"
address = "10.0.0.7"  # fixed by IT

# room 4, until the new one comes
[[source]]
name = "CT2"
ae_title = "CT2"

# ---- where it goes ----

[[destination]]
name = "archive"
ae_title = "PACS1"
host = "10.1.0.5"

[[route]]
name = "all"
to = ["archive"]  # and nobody else
[route.when]
# mammography goes elsewhere
modality = ["CT", "MR"]
"""


def lines(text: str) -> list[str]:
    """Return the lines that say something."""
    return [line for line in text.splitlines() if line.strip()]


def test_a_section_is_added_behind_its_kind() -> None:
    """A new source stands behind the last one, a blank line apart, and no other line changes."""
    text = add_table("source", {"name": "MR1", "ae_title": "MR1", "modality": "MR", "address": None})(TEXT)

    assert 'ae_title = "CT2"\n\n[[source]]\nname = "MR1"\nae_title = "MR1"\nmodality = "MR"\n\n# ---- where it goes ----' in text
    assert [line for line in lines(text) if line not in lines(TEXT)] == ['name = "MR1"', 'ae_title = "MR1"', 'modality = "MR"']


def test_the_first_of_its_kind_stands_at_the_end() -> None:
    """Where there is none of its kind yet, a section is the last of the file."""
    text = add_table("local_ae", {"ae_title": "PACS1"})(TEXT)

    assert text == f'{TEXT}\n[[local_ae]]\nae_title = "PACS1"\n'


def test_an_empty_file_takes_a_section() -> None:
    """A file without a line is one too."""
    assert add_table("source", {"name": "CT1", "ae_title": "*"})("") == '[[source]]\nname = "CT1"\nae_title = "*"\n'


def test_a_sub_section_is_added_with_its_section() -> None:
    """Groups inside a section are written where TOML reads them as that section's."""
    reply = {"ae_title": "CT1", "host": "10.0.0.7", "port": 104, "association": None}

    text = add_table("source", {"reply": reply, "name": "MR1", "ae_title": "MR1"})(TEXT)

    assert tomllib.loads(text)["source"][2] == {
        "name": "MR1",
        "ae_title": "MR1",
        "reply": {"ae_title": "CT1", "host": "10.0.0.7", "port": 104},
    }


def test_a_changed_key_keeps_its_remark() -> None:
    """A new value stands on the same line, and what was remarked beside it stays."""
    text = change_table("source", "CT1", {"address": "10.0.0.9"})(TEXT)

    assert text == TEXT.replace('"10.0.0.7"', '"10.0.0.9"')


def test_a_key_is_taken_away_and_another_comes() -> None:
    """None takes a key away; a new key stands among those of its section, not among those of the next."""
    text = change_table("source", "CT1", {"address": None, "modality": "CT"})(TEXT)

    assert text == TEXT.replace('address = "10.0.0.7"  # fixed by IT\n', 'modality = "CT"\n')


def test_a_new_key_stands_before_the_sub_section() -> None:
    """A key after `[route.when]` would be a condition: it stands before."""
    text = change_table("route", "all", {"priority": "stat"})(TEXT)

    assert tomllib.loads(text)["route"] == [
        {"name": "all", "to": ["archive"], "priority": "stat", "when": {"modality": ["CT", "MR"]}},
    ]
    assert "# mammography goes elsewhere" in text


def test_a_sub_section_is_changed_key_by_key() -> None:
    """What is not named of a sub-section stays, and one without any key left is gone."""
    added = change_table("route", "all", {"when": {"source": ["CT1"], "modality": None}})(TEXT)
    emptied = change_table("route", "all", {"when": {"source": None}})(added)

    assert tomllib.loads(added)["route"][0]["when"] == {"source": ["CT1"]}
    assert "when" not in tomllib.loads(emptied)["route"][0]


def test_a_list_of_groups_is_replaced() -> None:
    """Titles under which an archive calls come, change and go, however they were written."""
    others = [{"ae_title": "PACS2", "address": None}, {"ae_title": "PACS3"}]
    with_titles = change_table("destination", "archive", {"also_calls_from": others})(TEXT)
    with_one = change_table("destination", "archive", {"also_calls_from": [{"ae_title": "PACS9"}], "lanes": 2})(with_titles)
    with_none = change_table("destination", "archive", {"also_calls_from": []})(with_one)

    assert tomllib.loads(with_titles)["destination"][0]["also_calls_from"] == [{"ae_title": "PACS2"}, {"ae_title": "PACS3"}]
    assert tomllib.loads(with_one)["destination"][0]["also_calls_from"] == [{"ae_title": "PACS9"}]
    assert tomllib.loads(with_none)["destination"][0]["also_calls_from"] == []


def test_a_removed_section_takes_its_own_remark_along() -> None:
    """The remark right above a section goes with it; one that stands apart stays."""
    text = remove_table("source", "CT2")(TEXT)

    assert text == TEXT.replace('# room 4, until the new one comes\n[[source]]\nname = "CT2"\nae_title = "CT2"\n\n', "")


def test_a_section_goes_with_its_sub_sections() -> None:
    """Nothing of a removed route stays behind."""
    text = remove_table("route", "all")(TEXT)

    assert text == TEXT[: TEXT.index("[[route]]")]


def test_a_moved_section_takes_its_remark_along() -> None:
    """Sections change places with their remarks; what stands between them stays."""
    text = move_table("source", "CT2", 0)(TEXT)

    first, second = text.index("# room 4"), text.index("# room 3")
    assert [row["name"] for row in tomllib.loads(text)["source"]] == ["CT2", "CT1"]
    assert text.index('"vinh-ct"') < first < second < text.index("# ---- where it goes")
    assert sorted(lines(text)) == sorted(lines(TEXT))


@pytest.mark.parametrize("index", [1, 7])
def test_a_section_moves_to_the_end(index: int) -> None:
    """A place beyond the last is the last."""
    text = move_table("source", "CT1", index)(TEXT)

    assert [row["name"] for row in tomllib.loads(text)["source"]] == ["CT2", "CT1"]


def test_values_of_a_section_change() -> None:
    """A section that is there once changes key by key; the remarks in it stay."""
    text = set_values("box", {"name": "vinh-mr", "timezone": "Asia/Ho_Chi_Minh", "ae_title": None})(TEXT)

    assert text == TEXT.replace('"vinh-ct"', '"vinh-mr"').replace('ae_title = "EDGE"\n', 'timezone = "Asia/Ho_Chi_Minh"\n', 1)


def test_a_section_that_is_missing_is_made() -> None:
    """A section comes with its first key, and none comes for nothing."""
    assert set_values("retention", {"evict_at": 0.8})(TEXT) == f"{TEXT}\n[retention]\nevict_at = 0.8\n"
    assert set_values("retention", {"evict_at": None})(TEXT) == TEXT


def test_a_group_in_braces_is_changed() -> None:
    """A group that is written in braces is changed like any other."""
    text = set_values("completion", {"quiet": {"CT": "9 min", "US": None}})(
        '[completion]\nquiet = { CT = "5 min", US = "30 min" } # slow\n'
    )

    assert tomllib.loads(text) == {"completion": {"quiet": {"CT": "9 min"}}}
    assert "# slow" in text


UNUSUAL = {
    "dotted": 'box.name = "a"\nbox.ae_title = "EDGE" # keep\n',
    "in one line": 'source = [{ name = "CT1", ae_title = "A" }, { name = "CT2", ae_title = "B" }] # keep\n',
    "interleaved": '[[source]]\nname = "CT1"\nae_title = "A"\n# keep\n[[route]]\nname = "r"\n[[source]]\nname = "CT2"\nae_title = "B"\n',
    "list with brackets": '# keep\n[[route]]\nname = "r"\nto = [\n["a"],\n]\n[[source]]\nname = "CT1"\n[[source]]\nname="CT2"\n',
    "long text": '# keep\n[[source]]\nname = "CT1"\nae_title = """\n[[source]]\nx"""\n[[source]]\nname = "CT2"\n',
    "dotted inside": '[[source]]\nname = "CT1"\nreply.host = "h" # keep\nreply.port = 1\n[[source]]\nname = "CT2"\n',
    "no last line end": '# keep\n[[source]]\nname = "CT1"\n[[source]]\nname = "CT2"',
}
EDITS: dict[str, tuple[Edit, Callable[[dict[str, Any]], object]]] = {
    "add": (add_table("source", {"name": "new"}), lambda plain: plain.setdefault("source", []).append({"name": "new"})),
    "change": (change_table("source", "CT2", {"modality": "CT"}), lambda plain: plain["source"][1].update(modality="CT")),
    "remove": (remove_table("source", "CT1"), lambda plain: plain["source"].pop(0)),
    "move": (move_table("source", "CT2", 0), lambda plain: plain["source"].reverse()),
    "set": (set_values("box", {"name": "b"}), lambda plain: plain.setdefault("box", {}).update(name="b")),
}


CASES = [(written, name) for written in UNUSUAL for name in EDITS if name in {"add", "set"} or "CT2" in UNUSUAL[written]]


@pytest.mark.parametrize(("written", "name"), CASES)
def test_however_it_is_written_it_says_what_it_should(written: str, name: str) -> None:
    """What is configured is right in every way of writing TOML, and its remark stays."""
    text, (edit, expected) = UNUSUAL[written], EDITS[name]
    plain = tomllib.loads(text)
    expected(plain)

    outcome = edit(text)

    assert tomllib.loads(outcome) == plain
    assert ("# keep" in outcome) == ("# keep" in text and (written, name) != ("dotted inside", "remove"))


def test_what_is_configured_comes_before_how_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no careful way says what it should, the text is written anew: remarks are lost, and nothing that is configured."""
    monkeypatch.setattr("appliance.config.edits._attempts", lambda *_: iter(["[box", '[box]\nname = "wrong"\n']))

    text = change_table("source", "CT1", {"address": "10.0.0.9"})(TEXT)

    assert tomllib.loads(text) == tomllib.loads(TEXT.replace("10.0.0.7", "10.0.0.9"))


def test_windows_line_ends_and_marks_stay() -> None:
    """A file of a Windows editor keeps its line ends."""
    text = change_table("source", "CT1", {"address": "10.0.0.9"})("\ufeff" + TEXT.replace("\n", "\r\n"))

    assert text == TEXT.replace('"10.0.0.7"', '"10.0.0.9"').replace("\n", "\r\n")


def test_several_edits_are_one() -> None:
    """A destination is renamed together with the route that leads to it, and the outcome has no error."""
    text = together(
        change_table("destination", "archive", {"name": "PACS"}),
        change_table("route", "all", {"to": ["PACS"]}),
    )(TEXT)

    assert check(text, where="site.toml").errors == ()
    assert 'to = ["PACS"]  # and nobody else' in text


def test_the_whole_text_is_replaced() -> None:
    """A loaded file is taken as it is."""
    assert replace_text("# new\n")(TEXT) == "# new\n"


@pytest.mark.parametrize(
    "edit",
    [change_table("source", "CT9", {}), remove_table("local_ae", "CT1"), move_table("route", "All", 0)],
    ids=["change", "remove", "move"],
)
def test_what_is_gone_is_said(edit: Edit) -> None:
    """What somebody removed meanwhile cannot be changed, and the message names it."""
    with pytest.raises(TableMissingError, match=r"there is no .* called"):
        edit(TEXT)


def test_a_local_title_is_known_by_its_title() -> None:
    """A title is found without regard to capitals, as titles are compared."""
    assert remove_table("local_ae", "pacs1")('[[local_ae]]\nae_title = "PACS1"\n').strip() == ""


def test_a_text_that_is_no_toml_is_refused() -> None:
    """An edit of what cannot be read is a problem with its place, not a trace."""
    with pytest.raises(ConfigInvalidError, match="line 1"):
        set_values("box", {"name": "x"})("[box")


def test_the_whole_example_can_be_edited() -> None:
    """The documented file goes through every kind of edit, and every line that was not changed is still there."""
    text = EXAMPLE.read_text(encoding="utf-8")

    outcome = together(
        set_values("delivery", {"probe": 6}),
        change_table("source", "CT1", {"reply": {"port": 105}}),
        change_table("destination", "archive", {"lanes": 2}),
        move_table("route", "everything to the archive", 0),
        add_table("local_ae", {"ae_title": "PACS7"}),
    )(text)

    gone = [line for line in lines(text) if line not in lines(outcome)]
    assert check(outcome, where="site.toml").errors == ()
    assert [line.split("=")[0].strip() for line in gone] == ["reply", "lanes", "probe"]


KINDS: tuple[Kind, ...] = ("source", "destination", "route", "local_ae")
_NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
_VALUES = st.dictionaries(
    st.sampled_from(["host", "port", "to", "when", "also_calls_from"]),
    st.one_of(
        st.none(),
        st.integers(-5, 70000),
        _NAMES,
        st.lists(_NAMES, max_size=3),
        st.dictionaries(st.sampled_from(["a", "b"]), _NAMES, min_size=1),
        st.lists(st.dictionaries(st.sampled_from(["a", "b"]), _NAMES, min_size=1), min_size=1, max_size=2),
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(KINDS), _NAMES, _VALUES, st.integers(0, 3), st.booleans()), max_size=6))
def test_any_edits_say_what_they_should(steps: list[tuple[Kind, str, dict[str, Any], int, bool]]) -> None:
    """Whatever is added, changed and moved with whatever words, the text says that and no more, and every remark stays."""
    text, plain = TEXT, tomllib.loads(TEXT)

    for kind, name, values, index, moves in steps:
        key = "ae_title" if kind == "local_ae" else "name"
        text = add_table(kind, {key: f"x {name}", **values})(text)
        rows = plain.setdefault(kind, [])
        rows.append({key: f"x {name}", **{one: value for one, value in values.items() if value is not None}})
        found = next(number for number, row in enumerate(rows) if _same(kind, row[key], f"x {name}"))
        if moves:
            text = move_table(kind, f"x {name}", index)(text)
            rows.insert(index, rows.pop(found))

    assert tomllib.loads(text) == plain
    assert [line for line in lines(TEXT) if "#" in line and line not in text] == []


def _same(kind: Kind, one: str, other: str) -> bool:
    return one.strip().upper() == other.strip().upper() if kind == "local_ae" else one == other


def refused(text: str) -> ConfigInvalidError:
    """Return the error with which a text is refused."""
    checked = check(text, where="site.toml")
    assert checked.errors
    return ConfigInvalidError(checked.problems, text=text)


def test_a_problem_stands_at_its_field() -> None:
    """What `config check` says of a section's key is said at that field of its form, with what to write instead."""
    error = refused(add_table("destination", {"name": "far", "ae_title": "A" * 17, "host": "10.1.0.6", "port": 0})(TEXT))

    problems = field_problems(error, "destination", "far")

    assert set(problems) == {"ae_title", "port"}
    assert problems["port"] == ["Must be from 1 to 65535, not 0. Write a whole number from 1 to 65535 without quotes."]


def test_a_problem_of_a_list_or_a_group_stands_at_its_field() -> None:
    """Places in lists are left out, keys of sub-sections are not."""
    error = refused(change_table("source", "CT1", {"reply": {"ae_title": "A", "host": "h", "port": 0}})(TEXT))
    other = refused(change_table("route", "all", {"to": ["archive", "archive2"]})(TEXT))

    assert set(field_problems(error, "source", "CT1")) == {"reply.port"}
    assert field_problems(other, "route", "all") == {"to": ['No destination is named "archive2". Did you mean "archive"?']}


def test_what_is_elsewhere_is_said_with_its_place() -> None:
    """A problem that the form has no field for is not lost, and names instead of numbers say where it is."""
    error = refused(remove_table("destination", "archive")(TEXT))

    (said,) = field_problems(error, "destination", "archive")[""]

    assert said.startswith('route "all".to[0]: No destination is named "archive".')


def test_what_is_twice_is_said_with_its_name() -> None:
    """The section that a new one is mistaken for is called by its name."""
    error = refused(add_table("source", {"name": "CT9", "ae_title": "CT1", "address": "10.0.0.7"})(TEXT))

    (said,) = field_problems(error, "source", "CT9")["ae_title"]

    assert said.startswith('Has the same title and address as source "CT1".')


def test_a_section_that_is_there_once_has_fields_too() -> None:
    """Problems of `[listen]` and the like stand at their keys."""
    error = refused(set_values("listen", {"dicom": ["0.0.0.0:99999"]})(TEXT))

    assert set(field_problems(error, "listen", "")) == {"dicom"}


def test_a_text_without_sections_has_one_place_for_all() -> None:
    """What is wrong with a whole text is said under no field."""
    error = refused("[box")

    assert list(field_problems(error, "source", "CT1")) == [""]
