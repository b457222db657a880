"""The fuzzer finds what is planted for it: a defect behind three doors, a loop, a hoard, a warning; and it can say it again."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from tests.fuzz import __main__ as command
from tests.fuzz import kept
from tests.fuzz.engine import Search
from tests.fuzz.examination import Examiner, Finding
from tests.fuzz.target import Bound, Script, Target, pieces, record

_PLENTY = Bound(1 << 20, 0)


def _a_target(run: Callable[[bytes], None], *, steps: Bound = _PLENTY, memory: Bound = _PLENTY) -> Target:
    return Target("planted", run, lambda: (b"seed",), traced=("tests",), steps=steps, memory=memory)


def _behind_doors(data: bytes) -> None:
    """Fail for what begins with FUZ, which nobody guesses at once."""
    if data[:1] == b"F":
        if data[1:2] == b"U":
            if data[2:3] == b"Z":
                raise KeyError("planted")
            return
        return


def _finding(run: Callable[[bytes], None], data: bytes = b"seed", *, steps: Bound = _PLENTY, memory: Bound = _PLENTY) -> Finding:
    _, finding = Examiner(_a_target(run, steps=steps, memory=memory)).examine(data, weigh=True)
    assert finding is not None
    return finding


def test_a_defect_behind_doors_is_found_and_made_small() -> None:
    """New lines lead the search, one byte after the other, to what chance alone would not meet; the input is cut to what it takes."""
    search = Search(_a_target(_behind_doors), seed=1)
    search.begin([])

    while not search.findings:
        assert search.executions < 100_000
        search.step()

    ((data, finding),) = search.findings.values()
    assert data == b"FUZ"
    assert finding.kind.startswith("KeyError ")
    assert "planted" in finding.report


def test_the_same_seed_makes_the_same_search() -> None:
    """Two searches from one seed keep the same inputs in the same order; another seed keeps others."""

    def pool(seed: int) -> list[bytes]:
        search = Search(_a_target(_behind_doors), seed)
        search.begin([b"kept"])
        for _ in range(3_000):
            search.step()
        return search.pool

    assert pool(7) == pool(7)
    assert pool(7) != pool(8)


def test_a_loop_ends_at_the_step_limit() -> None:
    """A run of more lines than its input may cost ends, even where it catches every exception."""

    def endless(_data: bytes) -> None:
        while True:
            try:
                int("no number")
            except Exception:  # noqa: BLE001, S112 (that is the defect)
                continue

    assert _finding(endless).kind == "StepsExceededError"


def test_steps_are_counted_for_each_byte() -> None:
    """What is linear passes for any length, what is quadratic does not."""

    def linear(data: bytes) -> None:
        for _ in data:
            pass

    def quadratic(data: bytes) -> None:
        for _ in data:
            linear(data)

    steps = Bound(100, 10)
    assert Examiner(_a_target(linear, steps=steps)).examine(bytes(1000))[1] is None
    assert Examiner(_a_target(quadratic, steps=steps)).examine(bytes(4))[1] is None
    assert _finding(quadratic, bytes(1000), steps=steps).kind == "StepsExceededError"


def test_a_hoard_is_weighed() -> None:
    """Memory made from a length that was only claimed is found."""
    finding = _finding(lambda data: bytearray(len(data) << 20).clear(), memory=Bound(1 << 20, 100))

    assert finding.kind == "memory"


def test_a_warning_and_a_failed_association_are_findings() -> None:
    """What a library would print about a peer's words, and what only our own defect logs, does not pass."""

    def warn(data: bytes) -> None:
        warnings.warn(f"peer said {data!r}", stacklevel=1)

    assert _finding(warn).kind.startswith("warning ")
    assert _finding(lambda _: structlog.get_logger().error("association.failed", where="x.py:1")).kind == "log association.failed x.py:1"


def test_scripts_read_what_records_wrote() -> None:
    """Records come back as written, a cut one with what is left; pieces are the whole, cut."""
    script = Script(b"\7" + record(1, b"abc") + record(2, b"") + record(3, b"cut")[:-1])

    assert script.byte() == 7
    assert list(script.records()) == [(1, b"abc"), (2, b""), (3, b"cu")]
    assert script.take(2) == b"\0\0"
    assert list(pieces(b"abcdef", b"\0\2")) == [b"a", b"bcd", b"e", b"f"]


def test_a_finding_is_kept_and_can_be_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends with 1, saves the input under its hash and prints the line that runs it alone, which ends with 1 too."""
    monkeypatch.setattr(kept, "ROOT", tmp_path)
    monkeypatch.setattr(kept, "CORPUS", tmp_path / "corpus")
    monkeypatch.setattr(kept, "GROWN", tmp_path / "grown")
    target = _a_target(_behind_doors)
    monkeypatch.setattr(command, "TARGETS", (target,))
    monkeypatch.setattr(command, "named", {"planted": target}.__getitem__)
    kept.save(kept.CORPUS / "planted", b"FUZ and more")

    assert command.main(["--seconds", "0", "--seed", "5"]) == 1

    said = capsys.readouterr().out
    path = kept.CORPUS / "planted" / kept.name_of(b"FUZ")
    assert said.startswith("seed 5, 0 s for 1 targets\n")
    assert f"again: .venv/bin/python -m tests.fuzz {path.relative_to(tmp_path)}\n" in said
    assert path.read_bytes() == b"FUZ"
    assert command.main([str(path)]) == 1
    assert "KeyError" in capsys.readouterr().out
    path.write_bytes(b"FU")
    assert command.main([str(path)]) == 0
