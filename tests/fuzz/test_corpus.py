"""Every target holds for what was kept, findings of the past among it, and for a few hundred new inputs, always the same ones."""

from __future__ import annotations

import pytest

from tests.fuzz import kept
from tests.fuzz.engine import Search
from tests.fuzz.examination import Examiner
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

# `make fuzz` looks further. All of this takes a few seconds.
_NEW_INPUTS = 500
# 300 KiB in the repository, seven times less than a single slice of a CT.
_MOST_BYTES = 300 << 10

each_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


@each_target
def test_what_was_kept_holds(target: Target) -> None:
    """Seeds and kept inputs, findings of the past among them, break nothing and cost what they may."""
    examiner = Examiner(target)

    for data in (*target.seeds(), *kept.load(kept.CORPUS / target.name)):
        _, finding = examiner.examine(data, weigh=True)

        assert finding is None, f"{kept.name_of(data)}: {finding}"


@each_target
def test_new_inputs_hold(target: Target) -> None:
    """A short search finds nothing."""
    search = Search(target, seed=1)
    search.begin(kept.load(kept.CORPUS / target.name))

    for _ in range(_NEW_INPUTS):
        search.step()

    assert {kind: (data.hex(), finding.report) for kind, (data, finding) in search.findings.items()} == {}


def test_the_corpus_is_small_and_named_by_content() -> None:
    """What is kept is small, every input is where a target finds it, and none is kept twice."""
    files = [path for path in kept.CORPUS.rglob("*") if path.is_file()]

    assert sum(path.stat().st_size for path in files) <= _MOST_BYTES
    assert {path.parent.name for path in files} <= {target.name for target in TARGETS}
    assert [path.name for path in files] == [kept.name_of(path.read_bytes()) for path in files]
