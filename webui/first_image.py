"""Who knocks at a box that is being set up, and how far the first image of a scanner is.

Promises: nothing of a patient is asked for or kept; titles and addresses are those of `runtime.callers`, safe to show.
Failures: what asking the daemons raises.
Limits: the newest studies only: at a first start there are no others.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime

from appliance.config.model import Site, Source
from appliance.manage.callers import Knock, knocks
from appliance.runtime.page_requests import StudyReply, StudySearchRequest
from webui.services import services

# A page has room for these, and a department that is being set up has few.
_MOST_SHOWN = 6
_NEWEST_STUDIES = 5


@dataclass(frozen=True)
class FirstImage:
    """What came of a scanner's first study; `within_s` is how long after its last image all of it was at `destination`, at most."""

    instances: int
    received: str
    destination: str = ""
    within_s: int | None = None
    is_there: bool = False
    reasons: tuple[str, ...] = ()


def callers_to_accept(site: Site) -> list[Knock]:
    """Return who called, is no source, and could be one, the latest first."""
    found = [knock for knock in knocks(services().calls(), site) if knock.acceptance is not None and knock.acceptance.kind == "source"]
    return [knock for knock in found if knock.acceptance is not None and not knock.acceptance.name][:_MOST_SHOWN]


def dicom_port(site: Site) -> int:
    """Return the port that scanners call: the one that was bound, where the kernel chose it."""
    listeners = site.listen.dicom or site.listen.dicom_tls
    if listeners[0].port:
        return listeners[0].port
    try:
        bound = json.loads((services().data / "run" / "listening.json").read_text(encoding="utf-8"))
        return int(bound["dicom" if site.listen.dicom else "dicom_tls"][0][1])
    except (OSError, ValueError, LookupError, TypeError):
        return 0


def first_image(source: Source) -> FirstImage | None:
    """Return how far the newest study of the scanner is, None where none has come."""
    for line in services().control.search_studies(StudySearchRequest(limit=_NEWEST_STUDIES)).rows:
        study = services().control.study(line.study_instance_uid)
        if study.source in (source.name, str(source.ae_title)):
            return _progress(study)
    return None


def _progress(study: StudyReply) -> FirstImage:
    count = study.study.instances
    for delivery in study.deliveries:
        there = delivery.counts.get("delivered", 0) + delivery.counts.get("proved", 0)
        if there >= count and delivery.last_delivered is not None:
            after = datetime.fromisoformat(delivery.last_delivered) - datetime.fromisoformat(study.received_last)
            # Both are told in whole seconds: within which one it was, is all that is known.
            return FirstImage(
                count, study.received_first, delivery.destination, max(0, math.floor(after.total_seconds())) + 1, is_there=True
            )
    reasons = tuple(reason for delivery in study.deliveries for reason in delivery.reasons)
    destination = study.deliveries[0].destination if study.deliveries else ""
    return FirstImage(count, study.received_first, destination, reasons=reasons)
