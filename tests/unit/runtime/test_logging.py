"""Log lines are JSON, complete, and hold no patient."""

from __future__ import annotations

import io
import json

from appliance.runtime import logging


def test_a_line_has_its_fields_and_forbidden_ones_are_withheld() -> None:
    """The guard replaces the value, the event stays."""
    stream = io.StringIO()
    logging.configure("router", stream=stream)

    logging.get_logger("m").info("instance.recorded", study_instance_uid="1.2", patient_name="DOE^JANE")
    line = json.loads(stream.getvalue())

    assert line.pop("at").endswith("Z")
    assert line == {
        "module": "m",
        "study_instance_uid": "1.2",
        "patient_name": "withheld",
        "daemon": "router",
        "level": "info",
        "event": "instance.recorded",
    }


def test_a_level_below_is_not_written() -> None:
    """Debug lines cost nothing when they are off."""
    stream = io.StringIO()
    logging.configure("router", level="warning", stream=stream)

    logging.get_logger("m").info("instance.recorded")

    assert stream.getvalue() == ""


def test_a_closed_stream_stops_nobody() -> None:
    """A terminal that went away loses lines, not the daemon."""
    stream = io.StringIO()
    logging.configure("router", stream=stream)
    stream.close()

    logging.get_logger("m").error("instance.recorded")
