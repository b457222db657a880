"""What the command line publishes, and what it keeps to itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import results, table
from benchmarks.figures import Figure, alone
from benchmarks.rows import ROWS, Row
from benchmarks.scene import Scene, Work
from tests.unit.benchmarks.examples import CONDITIONS, lone_result, result


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], True),
        (["--rounds", "1"], True),
        (["--row", "idle"], False),
        (["--row", "idle", "--merge"], True),
        (["--row", "idle", "--row", "latency", "--merge", "--rounds", "2"], True),
        (["--quick"], False),
        (["--instances", "5"], False),
        (["--only", "orthanc"], False),
        (["--skip-missing"], False),
    ],
)
def test_only_whole_rows_are_published(words: list[str], *, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows, or those that were named to be published; never a quick run or one with less than the row says."""
    monkeypatch.setattr("sys.argv", ["benchmarks", *words])

    assert command._is_published(command._options()) is expected


@pytest.mark.parametrize("words", [["--merge"], ["--merge", "--row", "idle", "--quick"], ["--row", "nothing"], ["--rounds", "0"]])
def test_what_makes_no_sense_is_wrong_usage(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits twenty minutes to be told so."""
    monkeypatch.setattr("sys.argv", ["benchmarks", *words])

    with pytest.raises(SystemExit) as ended:
        command._options()
    assert ended.value.code == 2


def test_rows_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The list has every row and measures none."""
    monkeypatch.setattr("sys.argv", ["benchmarks", "--list"])

    assert command.main() == 0
    assert capsys.readouterr().out.split() == [row.key for row in ROWS]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of its own for what is published and what is not."""
    monkeypatch.setattr(command, "_RESULTS", tmp_path / "results")
    monkeypatch.setattr(command, "_SCRATCH", tmp_path / "scratch")
    monkeypatch.setattr(command, "_README", tmp_path / "README.md")
    (tmp_path / "README.md").write_text(f"before\n{table.BEGIN}\n{table.END}\nafter\n", encoding="utf-8")
    return tmp_path


def test_a_published_row_joins_those_that_were_measured_before(home: Path) -> None:
    """Figures and page show both rows, and the history has a line of each."""
    command._write([result(ours=(300.0,))], CONDITIONS, is_published=True)
    command._write([lone_result("p50"), lone_result("p95")], CONDITIONS, is_published=True)

    page = (home / "README.md").read_text(encoding="utf-8")
    assert [row.key for row in results.read(home / "results")] == ["receive-1-disk", "latency", "latency"]
    assert "| receive, 1 association | instances/s | 3 | 300 |" in page
    assert "|  | p95, at most | 250 ms | 80 ms | 80 ms | reached, the aim too |" in page
    assert len((home / "results" / "history.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_what_is_not_published_changes_no_page(home: Path) -> None:
    """A quick run writes where nothing is kept."""
    before = (home / "README.md").read_bytes()

    command._write([result(ours=(300.0,))], CONDITIONS, is_published=False)

    assert (home / "README.md").read_bytes() == before
    assert not (home / "results").exists()
    assert [row.key for row in results.read(home / "scratch")] == ["receive-1-disk"]


def test_a_row_says_how_many_rounds_it_is_of(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured once, however many rounds were asked for, is no median of several."""
    monkeypatch.setattr("sys.argv", ["benchmarks", "--row", "idle", "--rounds", "5", "--scratch", str(tmp_path)])
    once = alone("PSS", "idle box", "MiB PSS", [250.0])

    class Once(Work):
        def measure(self, scene: Scene) -> list[Figure]:
            assert scene.rounds == 5
            return [once]

    command._measure(Row("idle", Once(), ()), {"ours": "0.1.0"}, 0.1, command._options())

    assert [1] == [one.conditions.rounds for one in results.read(home / "scratch")]
