"""`python -m benchmarks`: measure every row, print the table, and publish it when it is a whole run.

Promises: only a whole run (all rows, all peers, all instances) changes `results/` and README.md; a quick one writes below
`results/scratch`, which is not kept. Exit code 0 done, 1 failed, 2 wrong usage.
Limits: the machine has to be quiet. A run that finds it busy says so beside its figures, and goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import batches, machine, measuring, receivers, results, table
from benchmarks.failures import BenchmarkError, PeerMissingError
from benchmarks.receivers import OURS, Receiver
from benchmarks.results import Result, Run
from benchmarks.rows import ROWS, Row, Storage

_HOME = Path(__file__).resolve().parent
_RESULTS = _HOME / "results"
_SCRATCH = _RESULTS / "scratch"
_ROUNDS, _QUICK_ROUNDS = 5, 1
_QUICK_COUNT = 100
# A tenth of one core is what an idle machine does anyway; the average of a minute still remembers what was started just before.
_QUIET_LOAD = 0.5
# Several associations at once, so that more than one worker of a program has met one; enough that every library is loaded.
_WARM_UP_COUNT, _WARM_UP_ASSOCIATIONS = 32, 4


def main() -> int:
    """Run the benchmark as the command line says; return the exit code."""
    options = _options()
    signal.signal(signal.SIGTERM, _end)
    try:
        programs, versions = _programs(options.only, skip_missing=options.skip_missing)
        load = round(os.getloadavg()[0], 1)
        if load > _QUIET_LOAD:
            _say(f"the machine is not quiet: its load is {load:g}, and the figures will show it")
        facts = machine.this_machine(options.scratch)
        rounds = options.rounds or (_QUICK_ROUNDS if options.quick else _ROUNDS)
        rows = [row for row in ROWS if not options.row or row.key in options.row]
        measured = [_measure(row, programs, rounds, options) for row in rows]
        run = Run(time.strftime("%Y-%m-%d"), facts, load, rounds, versions, measured)
        figures = table.figures(run, rows)
        print(figures)
        whole = rows == list(ROWS) and len(programs) == len(receivers.everyone()) and not options.quick and not options.instances
        results.write(run, _RESULTS if whole else _SCRATCH)
        if whole:
            readme = _HOME / "README.md"
            readme.write_text(table.replaced(readme.read_text(encoding="utf-8"), figures), encoding="utf-8")
        else:
            _say("not a whole run: results/ and README.md stay as they are")
    except BenchmarkError as error:
        _say(f"failed: {error}")
        return 1
    return 0


def _end(*_: object) -> None:
    """End like after any other failure, so that no program of the comparison outlives this one."""
    # timeout(1) sends it twice, and the second would cut off the cleaning up.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(1)


def _measure(row: Row, programs: Sequence[Receiver], rounds: int, options: argparse.Namespace) -> Result:
    count = options.instances or (min(_QUICK_COUNT, row.batch.count) if options.quick else row.batch.count)
    batch = dataclasses.replace(row.batch, count=count)
    scratch: Path = (options.tmpfs if row.storage is Storage.TMPFS else options.scratch) / "dicom-edge-benchmark"
    try:
        warm_up = dataclasses.replace(batch, count=_WARM_UP_COUNT, associations=max(_WARM_UP_ASSOCIATIONS, batch.associations))
        load = measuring.Load(batches.write(warm_up, scratch / "warm-up"), batches.write(batch, scratch / "work"))
        work = row.work(batch, load.work.length // count // 1024)
        _say(work)
        measured = measuring.receive(programs, load, rounds, scratch, _say)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return results.conclude(row.key, work, row.unit, measured)


def _programs(only: Sequence[str], *, skip_missing: bool) -> tuple[list[Receiver], dict[str, str]]:
    """Return the programs to compare and their versions; this box is always among them."""
    programs: list[Receiver] = []
    versions: dict[str, str] = {}
    for program in receivers.everyone():
        if only and program.name not in {*only, OURS}:
            continue
        try:
            versions[program.name] = program.version()
        except PeerMissingError as missing:
            if not skip_missing:
                raise
            _say(f"left out: {missing}")
        else:
            programs.append(program)
    return programs, versions


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure this box against independent programs.")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_COUNT} instances and one round, to see that it works")
    parser.add_argument("--instances", type=_positive, metavar="N", help="another number of instances")
    parser.add_argument("--rounds", type=_positive, metavar="N", help=f"rounds that count (default: {_ROUNDS}, quick: {_QUICK_ROUNDS})")
    parser.add_argument("--row", action="append", choices=[row.key for row in ROWS], help="only this row (again for more)")
    parser.add_argument(
        "--only", action="append", default=[], choices=[program.name for program in receivers.everyone()], help="only this peer, and ours"
    )
    parser.add_argument("--skip-missing", action="store_true", help="leave out peers that are not installed")
    parser.add_argument("--scratch", type=Path, default=_SCRATCH, metavar="DIR", help="a directory on the disk to measure")
    parser.add_argument("--tmpfs", type=Path, default=Path("/dev/shm"), metavar="DIR", help="a directory in memory")  # noqa: S108 - a name of our own below it
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("1 or more")
    return number


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
