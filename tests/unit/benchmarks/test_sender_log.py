"""What the sender's log says of a run."""

from __future__ import annotations

import pytest

from benchmarks.failures import RunInvalidError
from benchmarks.sender import Sent, read_log, together

_LOG = """1700000000.100 determining input files ...
1700000001.250 Requesting Association
1700000001.251 Association Accepted (Max Send PDV: 16372)
1700000001.252 Sending C-STORE Request (MsgID 1, CT)
1700000001.260 Received C-STORE Response (Success)
1700000001.261 Sending C-STORE Request (MsgID 2, CT)
1700000001.270 Received C-STORE Response (Success)
1700000001.750 Releasing Association
1700000001.760 - sent to the peer       : 2
"""


def test_the_time_runs_from_request_to_release() -> None:
    """Looking for files before the association, and the summary after it, take no time of the program's."""
    sent = read_log(_LOG)

    assert sent.took_s == pytest.approx(0.5)
    assert sent.successes == 2
    assert sent.answered == 1700000001.270


def test_an_instance_that_was_refused_is_no_success() -> None:
    """Only 0000 counts."""
    assert read_log(_LOG.replace("(Success)", "(Refused: OutOfResources)", 1)).successes == 1


def test_a_run_without_an_answer_is_read() -> None:
    """Where nothing was answered, nothing was later than the end; who sent something asks for the number."""
    sent = read_log(_LOG.replace("(Success)", "(Refused: OutOfResources)"))

    assert (sent.successes, sent.answered) == (0, sent.ended)


@pytest.mark.parametrize("log", ["", _LOG + _LOG, _LOG.replace("Releasing", "Aborting")])
def test_anything_but_one_association_is_no_run(log: str) -> None:
    """A sender that made no association, a second one, or did not release it has measured something else."""
    with pytest.raises(RunInvalidError):
        read_log(log)


def test_several_senders_are_one_run() -> None:
    """Senders at once take from the first request to the last release."""
    assert together([Sent(2.0, 5.0, 10, 4.5), Sent(1.0, 4.0, 20, 3.9)]) == Sent(1.0, 5.0, 30, 4.5)
