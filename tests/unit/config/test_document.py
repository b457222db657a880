"""A file that is not TOML: one problem with line and column, in plain words."""

from __future__ import annotations

import pytest

from tests.unit.config.texts import site_of, the_error_of


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ("[box]\nname = archive", "line 2, column 8", "this value is not understood"),
        ("[box]\nname", "line 2, column 5", "an equals sign is missing after the key"),
        ('[box]\nname = "a"\n\n[box]\n', "line 4, column 5", "this section was there before"),
        ('[box]\nname = "a"\nname = "b"\n', "line 3, column 11", "this key was there before"),
        ('[box]\nname = "a\n', "line 2, column 10", "a text is not closed on its line, or holds a control character"),
        ("[box]\nname = 'a\nx = 'b'\n", "line 2, column 10", "a text is not closed on its line, or there is a control character"),
        ('[box]\nname = "a', "line 2, column 10", "a text is not closed"),
        ("[box]\nname = 'a", "line 2, column 10", "a text is not closed"),
        ('[box]\nname = """a', "line 2, column 12", "a text is not closed"),
        ('[box]\nname = "a" "b"', "line 2, column 12", "there is more on the line than one key and its value"),
        ('[box]\nname = "C:\\pacs"', "line 2, column 13", "a backslash inside quotes"),
        ("[listen]\nworkers = 02", "line 2, column 12", "there is more on the line than one key and its value"),
        ('x = ["a" "b"]', "line 1, column 10", "a list is not closed, or a comma is missing in it"),
        ('x = ["a",', "line 1, column 10", "this value is not understood"),
        ("x = { a = 1 b = 2 }", "line 1, column 13", "braces are not closed, or a comma is missing in them"),
        ("x = { a = 1, a = 2 }", "line 1, column 19", "this key is twice in the same braces"),
        ("x = { a = 1 }\n[x.b]\n", "line 2, column 5", "this section was there before"),
        ("[box\n", "line 1, column 5", "the brackets of a section are not closed"),
        ("[[source]\n", "line 1, column 9", "the brackets of a section are not closed"),
        ("[]\n", "line 1, column 2", "a key is missing here"),
        ("= 1\n", "line 1, column 1", "this is neither a key nor a section nor a comment"),
        ("x = 2024-02-30T00:00:00", "line 1, column 5", "this is not a date"),
    ],
)
def test_a_syntax_error_has_line_and_column(text: str, where: str, problem: str) -> None:
    """The place counts lines and columns from 1, as editors do."""
    error = the_error_of(text)

    assert (error.where, error.problem) == (f"site.toml {where}", problem)
    assert error.advice


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x = " + "[" * 100_000, "lists or braces are nested far too deep"),
        ("x = " + "9" * 5000, "a number has too many digits"),
    ],
    ids=["nesting", "digits"],
)
def test_what_breaks_a_parser_is_only_a_problem(text: str, problem: str) -> None:
    """Files made to exhaust the parser are answered like any other bad file."""
    error = the_error_of(text)

    assert error.problem == problem


def test_a_mark_that_windows_editors_write_is_ignored() -> None:
    """A byte order mark before the first section is no error."""
    site = site_of('\ufeff[box]\r\nname = "a"\r\n')

    assert site.box.name == "a"
