"""A study as the box answers it, for the tests of its pages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from appliance.runtime.page_requests import HeldGroup, SeriesLine, StudyDelivery, StudyLine, StudyReply
from appliance.runtime.requests import ObjectRow

UID = "1.2.826.0.1.3680043.8.498.11111111111111111111"
SERIES = "1.2.826.0.1.3680043.8.498.22222222222222222222"
SITE = """
[box]
name = "vinh-ct"
timezone = "Asia/Ho_Chi_Minh"
[[destination]]
name = "archive"
ae_title = "PACS1"
host = "10.1.0.5"
port = 104
[[destination]]
name = "workstation"
ae_title = "WS1"
host = "10.1.0.6"
port = 104
"""


def a_line(**fields: Any) -> StudyLine:
    """Return a study of 120 images that are at the archive."""
    line = StudyLine(
        study_instance_uid=UID,
        patient_name="NGUYEN^VAN A",
        patient_id="P-4711",
        birth_date="19700131",
        accession_number="ACC-815",
        description="Thorax nativ",
        study_date="20261124",
        modality="CT",
        received="2026-11-24T10:00:00+00:00",
        instances=120,
        destinations={"archive": {"proved": 120}},
        complete="2026-11-24T10:03:00+00:00",
    )
    return replace(line, **fields)


def a_delivery(destination: str = "archive", **fields: Any) -> StudyDelivery:
    """Return how 120 images came to a destination, which proved them."""
    return replace(
        StudyDelivery(destination, {"proved": 120}, "2026-11-24T10:00:10+00:00", "2026-11-24T10:01:12+00:00", "commitment", ()), **fields
    )


def a_group(**fields: Any) -> HeldGroup:
    """Return three images that a destination refuses."""
    return replace(HeldGroup("archive", "verdict", "class_rejected", "0122 SOP class not supported", 3, 1, None), **fields)


def a_study(*deliveries: StudyDelivery, **fields: Any) -> StudyReply:
    """Return a study with its way."""
    line = fields.pop("line", a_line())
    reply = StudyReply(
        study=line,
        source="CT1",
        called="PACS1",
        acquired_first="2026-11-24T09:48:20+00:00",
        acquired_last="2026-11-24T10:00:20+00:00",
        received_first="2026-11-24T10:00:00+00:00",
        received_last="2026-11-24T10:01:00+00:00",
        deliveries=deliveries or (a_delivery(),),
        series=(SeriesLine(SERIES, "CT", 120, ObjectRow("1.2.3.4", 1, "an object.age")),),
    )
    return replace(reply, **fields)
