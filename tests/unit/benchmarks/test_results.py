"""The figures as others read them: medians, ratios, and files whose keys are a contract."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.failures import BenchmarkError
from tests.unit.benchmarks.examples import CONDITIONS, lone_result, result

_KEYS = ["receive-1-disk", "receive-4-disk", "latency"]


def test_the_figure_of_a_program_is_the_median_of_its_rounds() -> None:
    """One slow round and one fast round change nothing."""
    row = result(ours=(300.0, 10.0, 320.0), storescp=(1000.0, 900.0, 5000.0))

    assert row.ours == 300.0
    assert row.peers == {"storescp": 1000.0}
    assert row.synced_files_per_s == 600.0


def test_a_figure_that_stands_alone_has_no_peers() -> None:
    """It has its value, what it is made of, and neither ratios nor CPU."""
    row = lone_result("p95", 70.0, 80.0, 90.0)

    assert (row.ours, row.unit, row.parts) == (80.0, "ms", {"worst": 99.0})
    assert (row.peers, row.ratios, row.cpu_s_per_gib, row.synced_files_per_s) == ({}, {}, {}, None)


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
    results.write([result(ours=(300.0,), orthanc=(100.0,)), lone_result()], tmp_path)

    rows = json.loads((tmp_path / "latest.json").read_text(encoding="utf-8"))
    assert len(rows) == 2
    for row in rows:
        assert {"work", "unit", "ours", "peers", "ratios", "cpu_s_per_gib"} <= row.keys()
    assert rows[0]["unit"] == "instances/s"
    assert rows[0]["ours"] == 300.0
    assert rows[0]["peers"] == {"orthanc": 100.0}
    assert rows[0]["ratios"] == {"orthanc": 3.0}
    assert rows[0]["cpu_s_per_gib"] == {"ours": 3.0, "orthanc": 1.0}
    assert (rows[1]["ours"], rows[1]["peers"]) == (80.0, {})


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    """A later run takes over the rows that it does not measure, unchanged."""
    written = [result(ours=(300.0,), orthanc=(100.0,)), lone_result()]
    results.write(written, tmp_path)

    assert [json.dumps(asdict(row)) for row in written] == [json.dumps(asdict(row)) for row in results.read(tmp_path)]


def test_nothing_is_read_where_nothing_is(tmp_path: Path) -> None:
    """The first run of all finds no figures."""
    assert results.read(tmp_path) == []


@pytest.mark.parametrize("text", ["{", '[{"key": "receive-1-disk"}]', "[1]"])
def test_a_file_of_another_form_is_not_overwritten(text: str, tmp_path: Path) -> None:
    """Figures that cannot be read are not thrown away silently."""
    (tmp_path / "latest.json").write_text(text, encoding="utf-8")

    with pytest.raises(BenchmarkError, match=r"latest\.json"):
        results.read(tmp_path)


def test_a_row_that_is_measured_anew_takes_the_place_of_its_old_figures() -> None:
    """Other rows keep theirs with their dates, the order is that of the rows, and a row that has gone is gone."""
    later = replace(CONDITIONS, date="2024-03-01")
    old = [result("gone", ours=(1.0,)), lone_result("p50"), lone_result("p95"), result(ours=(300.0,))]

    merged = results.merged(old, [result(conditions=later, ours=(400.0,)), result("receive-4-disk", later, ours=(9.0,))], _KEYS)

    assert [(row.key, row.figure, row.conditions.date) for row in merged] == [
        ("receive-1-disk", "", "2024-03-01"),
        ("receive-4-disk", "", "2024-03-01"),
        ("latency", "p50", "2024-02-29"),
        ("latency", "p95", "2024-02-29"),
    ]
    assert merged[0].ours == 400.0


def test_history_keeps_every_row_that_was_measured(tmp_path: Path) -> None:
    """Each adds a line with date and machine, and none is ever replaced."""
    for rate in (300.0, 400.0):
        results.remember([result(ours=(rate,))], CONDITIONS, tmp_path)

    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["results"][0]["ours"] for line in lines] == [300.0, 400.0]
    assert lines[0]["date"] == "2024-02-29"
    assert lines[0]["machine"] == {"cores": 2, "memory_gib": 8, "kernel": "Linux 6.1", "file_system": "ext4"}
    assert "conditions" not in lines[0]["results"][0]
