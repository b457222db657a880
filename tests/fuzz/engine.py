"""The search: inputs that make a target do what it never did are kept and changed further.

Promises: the same seed and kept inputs make the same inputs in the same order; a finding is made smaller as long as it stays the same one.
Failures: none; findings are returned.
Limits: one process, one target; guided by edges between lines and how often they are run, nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.fuzz.examination import Examiner, Finding
from tests.fuzz.mutation import Mutator
from tests.fuzz.target import Target
from tests.fuzz.tracing import Feature

# Most defects show in what comes out; where an input leads takes ten times as long to see.
_WATCHED_ONE_IN = 4
# Weighing takes another run under tracemalloc, so it is for new behaviour and for a sample.
_WEIGHED_ONE_IN = 64
# What was found last leads furthest.
_RECENT = 16
_MOST_SHRINKING_RUNS = 2_000
# Short inputs are run faster, and more of what is changed in them matters; but it is not what the time is for.
_MOST_TRIMMING_RUNS = 60


@dataclass
class Search:
    """The state of one target's search."""

    target: Target
    seed: int
    executions: int = 0
    pool: list[bytes] = field(default_factory=list)
    # Inputs of the pool that ran an edge which nothing had run before, not only more often.
    leading: list[bytes] = field(default_factory=list)
    findings: dict[str, tuple[bytes, Finding]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Prepare the generator; nothing runs yet."""
        self._chance = random.Random(f"{self.seed} {self.target.name}")
        self._mutator = Mutator(self._chance, self.target.tokens, self.target.longest)
        self._examiner = Examiner(self.target)
        self._features: set[Feature] = set()
        self._edges: set[tuple[int, int]] = set()

    @property
    def edges(self) -> int:
        """How many edges were seen."""
        return len(self._edges)

    def begin(self, kept: Iterable[bytes]) -> None:
        """Run the seeds and the kept inputs, each of which stays in the pool where it does something of its own."""
        for data in (*self.target.seeds(), *kept):
            self._try(data, watch=True, trim=False)
        if not self.pool:
            # Everything known is a finding already; there is something to begin with all the same.
            self.pool.append(b"")

    def step(self) -> None:
        """Make one input and run it."""
        mutant = self._mutator.mutant(self._choose(), self._chance.choice(self.pool))
        self._try(mutant, watch=self.executions % _WATCHED_ONE_IN == 0, trim=True)

    def _choose(self) -> bytes:
        return self._chance.choice(self.pool if self._chance.randrange(3) else self.pool[-_RECENT:])

    def _try(self, data: bytes, *, watch: bool, trim: bool) -> None:
        self.executions += 1
        observed, finding = self._examiner.examine(data, watch=watch, weigh=self.executions % _WEIGHED_ONE_IN == 0)
        new = observed.features - self._features
        if finding is None and new and trim:
            data = self._shrunk(data, lambda smaller: new <= self._examiner.examine(smaller)[0].features, _MOST_TRIMMING_RUNS)
        if finding is None and new:
            observed, finding = self._examiner.examine(data, weigh=True)
        if finding is not None:
            self._keep_finding(data, finding)
        elif new:
            self.pool.append(data)
            # What only the first run did, because a cache answers the next one, is not new for ever.
            seen = new | observed.features
            self._features |= seen
            edges = {(before, here) for before, here, _ in seen}
            if not edges <= self._edges:
                self._edges |= edges
                self.leading.append(data)

    def _keep_finding(self, data: bytes, finding: Finding) -> None:
        if finding.kind in self.findings:
            return

        def is_same(smaller: bytes) -> bool:
            again = self._examiner.examine(smaller, weigh=finding.kind == "memory")[1]
            return again is not None and again.kind == finding.kind

        data = self._shrunk(data, is_same, _MOST_SHRINKING_RUNS)
        smallest = self._examiner.examine(data, weigh=True)[1]
        self.findings[finding.kind] = (data, smallest or finding)

    def _shrunk(self, data: bytes, holds: Callable[[bytes], bool], runs: int) -> bytes:
        """Return a smaller input for which `holds` still does, leaving out block after block, in at most so many runs."""
        size = max(1, len(data) // 2)
        while size:
            at = 0
            while at < len(data) and runs > 0:
                runs -= 1
                smaller = data[:at] + data[at + size :]
                if holds(smaller):
                    data = smaller
                else:
                    at += size
            size //= 2
        return data
