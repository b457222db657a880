"""The error root: every failure says whose fault it is, how the process ends, and what to do next.

Promises: every error the appliance raises on purpose is an `ApplianceError`; its text is one line an operator can read, and never holds a
patient's name, ID or birth date.
Failures: none.
Limits: leaf errors live with their noun, not here.
"""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """Whose fault a failure is, which decides who has to act."""

    OURS = "ours"
    PEER = "peer"
    OPERATOR = "operator"


class ApplianceError(Exception):
    """Something the appliance cannot do, said in one line.

    `advice` is the next thing to try, or an empty string. `exit_code` is what a command ends with (0 done, 1 failed, 2 wrong usage,
    3 the box is not running).
    """

    fault: Fault = Fault.OURS
    exit_code: int = 1
    advice: str = ""

    def __init__(self, message: str, *, advice: str | None = None) -> None:
        """Keep the one-line message, and the advice where this one knows better than its class."""
        super().__init__(message)
        if advice is not None:
            self.advice = advice
