"""`python -m tests.fuzz`: search for a while, or run single inputs again.

Promises: prints the seed that makes the same search again; every finding is a file in the corpus and a line that runs it alone.
Failures: ends with 1 where there was a finding.
Limits: the time is shared equally among the targets.
"""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from tests.fuzz import kept
from tests.fuzz.engine import Search
from tests.fuzz.examination import Examiner
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS, named
from tests.fuzz.tracing import StepsExceededError

# Python's own loops end at the step limit; this is for a loop inside C code, and far above what any input takes.
_HANGING_S = 30


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32), help="the same seed makes the same inputs")
    parser.add_argument("--target", action="append", choices=[target.name for target in TARGETS], help="only this one; may be repeated")
    parser.add_argument("--keep", action="store_true", help="add what leads to new code to the repository's corpus")
    parser.add_argument("inputs", nargs="*", type=Path, help="run these files again instead of searching")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGALRM, _hangs)
    if options.inputs:
        return 1 if sum(_again(path) for path in options.inputs) else 0
    targets = [target for target in TARGETS if not options.target or target.name in options.target]
    print(f"seed {options.seed}, {options.seconds:g} s for {len(targets)} targets")
    print(f"{'target':20}{'executions':>12}{'a second':>10}{'edges':>8}{'new':>6}{'pool':>7}{'kept':>6}{'findings':>10}")
    found = [_search(target, options.seed, options.seconds / len(targets), keep=options.keep) for target in targets]
    return 1 if any(found) else 0


def _search(target: Target, seed: int, seconds: float, *, keep: bool) -> int:
    """Search in one target, print what came of it, and return how many findings there were."""
    known = [*kept.load(kept.CORPUS / target.name), *kept.load(kept.GROWN / target.name)]
    search = Search(target, seed)
    started = time.monotonic()
    signal.alarm(_HANGING_S)
    search.begin(known)
    edges, pool = search.edges, len(search.pool)
    while time.monotonic() - started < seconds:
        signal.alarm(_HANGING_S)
        search.step()
    signal.alarm(0)
    took = time.monotonic() - started
    for data in search.pool[pool:]:
        kept.save(kept.GROWN / target.name, data)
    if keep:
        for data in search.leading:
            kept.save(kept.CORPUS / target.name, data)
    print(
        f"{target.name:20}{search.executions:>12}{search.executions / took:>10.0f}{search.edges:>8}{search.edges - edges:>6}"
        f"{len(search.pool):>7}{len(search.pool) - pool:>6}{len(search.findings):>10}",
        flush=True,
    )
    for data, finding in search.findings.values():
        path = kept.save(kept.CORPUS / target.name, data)
        print(f"\n{finding.kind}\n{finding.report}\nagain: .venv/bin/python -m tests.fuzz {path.relative_to(kept.ROOT)}\n", flush=True)
    return len(search.findings)


def _again(path: Path) -> bool:
    """Run one input, print what it does, and say whether something is wrong."""
    target = named(path.resolve().parent.name)
    signal.alarm(_HANGING_S)
    observed, finding = Examiner(target).examine(path.read_bytes(), weigh=True)
    signal.alarm(0)
    print(f"{path}: {observed.steps} steps, " + ("nothing wrong" if finding is None else f"{finding.kind}\n{finding.report}"))
    return finding is not None


def _hangs(_signal: int, _frame: FrameType | None) -> None:
    raise StepsExceededError(f"nothing came within {_HANGING_S} s")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
