"""The figures as others read them: medians, ratios, and files whose keys are a contract."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import results
from tests.unit.benchmarks.examples import result, run


def test_the_figure_of_a_program_is_the_median_of_its_rounds() -> None:
    """One slow round and one fast round change nothing."""
    row = result(ours=(300.0, 10.0, 320.0), storescp=(1000.0, 900.0, 5000.0))

    assert row.ours == 300.0
    assert row.peers == {"storescp": 1000.0}
    assert row.synced_files_per_s == 600.0


def test_a_ratio_is_ours_divided_by_the_peers() -> None:
    """Twice the peer's rate is 2, half of it 0.5, and the box is not its own peer."""
    assert results.ratios({"ours": 200.0, "orthanc": 100.0, "storescp": 400.0}) == {"orthanc": 2.0, "storescp": 0.5}


def test_a_peer_without_a_figure_has_no_ratio() -> None:
    """A peer whose CPU time was too short to be seen has no ratio rather than an infinite one."""
    assert results.ratios({"ours": 1.0, "storescp": 0.0}) == {}


@pytest.mark.parametrize(("value", "expected"), [(1234.5, 1230.0), (0.123456, 0.123), (99.95, 100.0), (0.0, 0.0)])
def test_a_figure_has_three_digits(value: float, expected: float) -> None:
    """A figure has no digits that the next run would not confirm."""
    assert results.significant(value) == expected


def test_latest_has_the_keys_of_the_contract(tmp_path: Path) -> None:
    """Scripts find every row as an object with the agreed keys and plain numbers."""
    results.write(run(result(ours=(300.0,), orthanc=(100.0,))), tmp_path)

    rows = json.loads((tmp_path / "latest.json").read_text(encoding="utf-8"))
    assert len(rows) == 1
    assert {"work", "unit", "ours", "peers", "ratios", "cpu_s_per_gib"} <= rows[0].keys()
    assert rows[0]["unit"] == "instances/s"
    assert rows[0]["ours"] == 300.0
    assert rows[0]["peers"] == {"orthanc": 100.0}
    assert rows[0]["ratios"] == {"orthanc": 3.0}
    assert rows[0]["cpu_s_per_gib"] == {"ours": 3.0, "orthanc": 1.0}


def test_history_keeps_every_run(tmp_path: Path) -> None:
    """A second run replaces the latest figures and adds a line to the history, with date and machine."""
    results.write(run(result(ours=(300.0,))), tmp_path)
    results.write(run(result(ours=(400.0,))), tmp_path)

    latest = json.loads((tmp_path / "latest.json").read_text(encoding="utf-8"))
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["ours"] for row in latest] == [400.0]
    assert [line["results"][0]["ours"] for line in lines] == [300.0, 400.0]
    assert lines[0]["date"] == "2024-02-29"
    assert lines[0]["machine"] == {"cores": 2, "memory_gib": 8, "kernel": "Linux 6.1", "file_system": "ext4"}
