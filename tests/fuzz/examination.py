"""One input under the eyes of its target: what it did, or what is wrong with it.

Promises: whatever the target raises, a line too many, a byte too much, a warning that would print what a peer sent, and an association
that failed by itself, is a `Finding` that can be told from others.
Failures: none; a finding is returned.
Limits: memory is weighed in a run of its own, because the tracer would weigh too; what C libraries allocate by themselves is not seen.
"""

from __future__ import annotations

import traceback
import tracemalloc
import warnings
from dataclasses import dataclass

from structlog.testing import capture_logs

from tests.fuzz.target import Target
from tests.fuzz.tracing import Observed, StepsExceededError, Tracer

# What the product logs where something ended that must not have happened.
_NEVER = frozenset({"association.failed"})


@dataclass(frozen=True)
class Finding:
    """What is wrong: `kind` is the same for the same defect, `report` is for people."""

    kind: str
    report: str


class Examiner:
    """Examines inputs of one target."""

    def __init__(self, target: Target) -> None:
        """Prepare; nothing runs yet."""
        self._target = target
        self._tracer = Tracer(target.traced)

    def examine(self, data: bytes, *, watch: bool = True, weigh: bool = False) -> tuple[Observed, Finding | None]:
        """Run the target on `data`, and with `weigh` once more to weigh what it holds at most.

        Without `watch` nothing is observed and steps are not counted, which is ten times as fast.
        """
        with capture_logs() as events, warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            observed, raised = self._tracer.watch(lambda: self._target.run(data), self._target.steps.of(data) if watch else None)
            finding = None
            if raised is not None:
                finding = _of_exception(raised)
            elif said:
                finding = Finding(f"warning {said[0].filename}:{said[0].lineno}", f"a warning would be printed: {said[0].message}")
            else:
                finding = next(
                    (Finding(f"log {event['event']} {event.get('where')}", repr(event)) for event in events if event["event"] in _NEVER),
                    None,
                )
            if finding is None and weigh:
                finding = self._weigh(data)
        return observed, finding

    def _weigh(self, data: bytes) -> Finding | None:
        tracemalloc.start()
        try:
            held, _ = tracemalloc.get_traced_memory()
            self._target.run(data)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        allowed = self._target.memory.of(data)
        return Finding("memory", f"{peak - held} bytes held at once, {allowed} allowed") if peak - held > allowed else None


def _of_exception(raised: BaseException) -> Finding:
    frames = traceback.extract_tb(raised.__traceback__)
    # Where a step limit strikes depends on the input's length, not on the defect.
    place = "" if isinstance(raised, StepsExceededError) or not frames else f" {frames[-1].filename}:{frames[-1].lineno}"
    return Finding(type(raised).__name__ + place, "".join(traceback.format_exception(raised)))
