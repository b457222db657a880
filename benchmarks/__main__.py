"""`python -m benchmarks`: measure rows, print the table, and publish the figures of whole rows.

Promises: only whole rows (all their peers, all instances) change `results/` and README.md, each as soon as it is measured, so that a run
that is cut short keeps what it has: all rows when none is named, the named ones with `--merge`. Everything else writes below
`results/scratch`, which is not kept. A row that fails leaves the others to be measured. Exit code 0 done, 1 failed, 2 wrong usage.
Limits: the machine has to be quiet. A run that finds it busy says so beside its figures, and goes on.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import machine, programs, results, table
from benchmarks.failures import BenchmarkError, PeerMissingError
from benchmarks.figures import OURS
from benchmarks.results import Conditions, Result
from benchmarks.rows import ROWS, Row
from benchmarks.scene import QUICK_COUNT, Scene, tidy

_HOME = Path(__file__).resolve().parent
_README = _HOME / "README.md"
_RESULTS = _HOME / "results"
_SCRATCH = _RESULTS / "scratch"
_KEYS = [row.key for row in ROWS]
_QUICK_ROUNDS = 1
# A tenth of one core is what an idle machine does anyway; the average of a minute still remembers what was started just before.
_QUIET_LOAD = 0.5


def main() -> int:
    """Run the benchmark as the command line says; return the exit code."""
    options = _options()
    if options.list:
        print("\n".join(_KEYS))
        return 0
    signal.signal(signal.SIGTERM, _end)
    load = round(os.getloadavg()[0], 1)
    if load > _QUIET_LOAD:
        _say(f"the machine is not quiet: its load is {load:g}, and the figures will show it")
    failed = []
    measured: list[Result] = []
    try:
        versions = _versions(options.only, skip_missing=options.skip_missing)
        for row in ROWS:
            if options.row and row.key not in options.row:
                continue
            try:
                measured += _measure(row, versions, load, options)
            except (BenchmarkError, OSError) as error:
                _say(f"{row.key} failed: {error}")
                failed.append(row.key)
    except BenchmarkError as error:
        _say(f"failed: {error}")
        return 1
    finally:
        tidy(options.scratch, options.tmpfs)
    print(table.figures(measured, [row for row in ROWS if row.key in {result.key for result in measured}]))
    if failed:
        _say(f"not measured: {', '.join(failed)}")
    if not _is_published(options):
        _say("not whole rows: results/ and README.md stay as they are")
    return 1 if failed else 0


def _end(*_: object) -> None:
    """End like after any other failure, so that no program of the comparison outlives this one."""
    # timeout(1) sends it twice, and the second would cut off the cleaning up.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(1)


def _measure(row: Row, versions: Mapping[str, str], load: float, options: argparse.Namespace) -> list[Result]:
    """Return the figures of a row, written down already."""
    compared = [name for name in row.work.programs if name in versions]
    rounds = options.rounds or (_QUICK_ROUNDS if options.quick else row.rounds)
    scene = Scene(
        [*compared, OURS], rounds, options.scratch, options.tmpfs, options.scratch / "kept", options.quick, options.instances, _say
    )
    began = time.monotonic()
    figures = row.work.measure(scene)
    _say(f"{row.key} took {time.monotonic() - began:.0f} s")
    used = {name: version for name, version in versions.items() if name in scene.programs}
    # What stands alone is measured once, whatever was asked for: the figures say how many rounds they are of.
    taken = max(len(figure.values[OURS]) for figure in figures)
    conditions = Conditions(time.strftime("%Y-%m-%d"), machine.this_machine(options.scratch), load, taken, used)
    new = [results.conclude(row.key, figure, conditions) for figure in figures]
    _write(new, conditions, is_published=_is_published(options))
    return new


def _write(new: Sequence[Result], conditions: Conditions, *, is_published: bool) -> None:
    home = _RESULTS if is_published else _SCRATCH
    every = results.merged(results.read(home), new, _KEYS)
    results.write(every, home)
    results.remember(new, conditions, home)
    if is_published:
        _README.write_text(table.replaced(_README.read_text(encoding="utf-8"), table.figures(every, ROWS)), encoding="utf-8")


def _is_published(options: argparse.Namespace) -> bool:
    is_whole = not (options.quick or options.instances or options.only or options.skip_missing)
    return is_whole and (options.merge or not options.row)


def _versions(only: Sequence[str], *, skip_missing: bool) -> dict[str, str]:
    """Return the versions of the programs to compare, in the order of their turns; this box is always among them."""
    versions: dict[str, str] = {}
    for program in programs.everyone():
        if only and program.name not in {*only, OURS}:
            continue
        try:
            versions[program.name] = program.version()
        except PeerMissingError as missing:
            if not skip_missing:
                raise
            _say(f"left out: {missing}")
    return versions


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure this box against independent programs.")
    parser.add_argument("--list", action="store_true", help="list the rows")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_COUNT} instances and one round, to see that it works")
    parser.add_argument("--instances", type=_positive, metavar="N", help="another number of instances")
    parser.add_argument(
        "--rounds", type=_positive, metavar="N", help=f"rounds that count (default: each row's own, quick: {_QUICK_ROUNDS})"
    )
    parser.add_argument("--row", action="append", choices=_KEYS, metavar="KEY", help="only this row (again for more)")
    parser.add_argument("--merge", action="store_true", help="with --row: publish these rows, and leave the figures of the others alone")
    parser.add_argument(
        "--only", action="append", default=[], choices=[program.name for program in programs.everyone()], help="only this peer, and ours"
    )
    parser.add_argument("--skip-missing", action="store_true", help="leave out peers that are not installed")
    parser.add_argument("--scratch", type=Path, default=_SCRATCH, metavar="DIR", help="a directory on the disk to measure")
    parser.add_argument("--tmpfs", type=Path, default=Path("/dev/shm"), metavar="DIR", help="a directory in memory")  # noqa: S108 - a name of our own below it
    options = parser.parse_args()
    if options.merge and not options.row:
        parser.error("--merge publishes rows that --row names; without --row all are published")
    if options.merge and not _is_published(options):
        parser.error("--merge publishes whole rows only: not with --quick, --instances, --only or --skip-missing")
    return options


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("1 or more")
    return number


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
