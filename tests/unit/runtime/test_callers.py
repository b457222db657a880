"""Who called last, as the receivers write it down."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from appliance.runtime.callers import Callers, LastCall, last_calls


def a_call(title: str, address: str = "10.0.0.7", *, at: float = 1.0, source: str = "", answer: str = "") -> LastCall:
    """Return a call."""
    return LastCall(source, title, "EDGE", address, at, answer, "unknown calling title" if answer else "")


def test_the_last_call_of_each_counts(tmp_path: Path) -> None:
    """Of each title and address the last call is kept; those of several receivers come together, the latest first."""
    one, other = Callers(tmp_path, 0), Callers(tmp_path, 1)
    one.heard(a_call("CT1", at=1.0, answer="1/1/3"), is_listed=True)
    one.heard(a_call("CT1", at=3.0, source="CT1"), is_listed=True)
    other.heard(a_call("MR1", at=2.0), is_listed=False)
    one.write()
    other.write()

    assert last_calls(tmp_path) == [a_call("CT1", at=3.0, source="CT1"), a_call("MR1", at=2.0)]


def test_strangers_do_not_push_scanners_out(tmp_path: Path) -> None:
    """A thousand strangers are forgotten but for the last, the scanner is not; the file stays small."""
    callers = Callers(tmp_path, 0)
    callers.heard(a_call("CT1", source="CT1"), is_listed=True)
    for number in range(1000):
        callers.heard(a_call(f"X{number}", at=2.0 + number, answer="1/1/3"), is_listed=False)
    callers.write()

    found = last_calls(tmp_path)

    assert (len(found), found[0].calling, found[-1].calling) == (65, "X999", "CT1")


def test_nothing_new_is_not_written(tmp_path: Path) -> None:
    """A receiver that heard nothing writes nothing, and one that could not write tries again."""
    callers = Callers(tmp_path / "gone", 0)
    callers.write()
    callers.heard(a_call("CT1"), is_listed=True)
    callers.write()
    before = last_calls(tmp_path / "gone")
    (tmp_path / "gone").mkdir()

    callers.write()

    assert (before, last_calls(tmp_path / "gone")) == ([], [a_call("CT1")])


def test_a_file_that_makes_no_sense_was_not_there(tmp_path: Path) -> None:
    """Damage in one file hides nothing of the others."""
    (tmp_path / "callers-1.json").write_text("[{}", encoding="utf-8")
    (tmp_path / "callers-2.json").write_text('[{"what": 1}]', encoding="utf-8")
    callers = Callers(tmp_path, 0)
    callers.heard(a_call("CT1"), is_listed=True)
    callers.write()

    assert last_calls(tmp_path) == [a_call("CT1")]


def test_what_a_caller_wanted_comes_back(tmp_path: Path) -> None:
    """The classes that a caller proposed are written down with it, and are what they were when they are read."""
    call = replace(a_call("CT1"), wanted=("1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2"))
    callers = Callers(tmp_path, 0)
    callers.heard(call, is_listed=True)
    callers.write()

    assert last_calls(tmp_path) == [call]
