"""What would happen to an image: asked of today's routes for a file that somebody has, or for a study that was received.

Promises: what judges is what judges when an image arrives (`explain`); nothing is sent, stored or asked of anybody, and the answer holds no
patient's name, ID or birth date.
Failures: `HeadNotDicomError`, `AETitleInvalidError`, `StudyNotReceivedError` (operator); what reading the ledger raises.
Limits: of a study at most 5,000 instances are looked at, and 20 kinds of them told.
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.config.model import Site
from appliance.core.errors import ApplianceError, Fault
from appliance.core.identity import AETitle, AETitleInvalidError, Uid
from appliance.ledger.database import Ledger
from appliance.ledger.instances import Instances
from appliance.runtime.control import Handler
from appliance.runtime.questions import (
    ForetellFileRequest,
    ForetellReply,
    ForetellStudyRequest,
    ForetoldCase,
    ForetoldDelivery,
    ForetoldRoute,
    ForetoldWithheld,
)

if TYPE_CHECKING:
    from appliance.manage.explain import Caller, Object

# What a page sends of a file: modality and station stand in its first kilobytes.
_MOST_HEAD_BYTES = 65536
_MOST_INSTANCES = 5000
_MOST_CASES = 20


class StudyNotReceivedError(ApplianceError):
    """Nothing of a study was received, or nothing is kept any more."""

    fault = Fault.OPERATOR
    advice = "Look for it under Studies."


class ForetellingDesk:
    """Answers from the threads of a control server."""

    def __init__(self, ledger: Ledger, site: Callable[[], Site], run_dir: Path) -> None:
        """Read `ledger`; in `run_dir` is what destinations were seen to take."""
        self._ledger = ledger
        self._site = site
        self._run_dir = run_dir

    def handlers(self) -> Mapping[type, Handler]:
        """Return which request is answered by what."""
        return {ForetellFileRequest: self.file, ForetellStudyRequest: self.study}

    def file(self, request: ForetellFileRequest) -> ForetellReply:
        """Return what would become of a file. Raises `HeadNotDicomError`, `AETitleInvalidError`."""
        from appliance.dimse.file_head import HeadNotDicomError, read_head
        from appliance.manage.explain import Caller, Object
        from appliance.route.attributes import attributes_in, interpret

        try:
            head = read_head(base64.b64decode(request.head, validate=True)[:_MOST_HEAD_BYTES])
        except (binascii.Error, ValueError):
            raise HeadNotDicomError("this is not a DICOM file") from None
        attributes = attributes_in(head.data_set, head.transfer_syntax_uid, is_whole=True) or interpret({})
        box = self._site().box.ae_title
        caller = Caller(AETitle.parse(request.calling), AETitle.parse(request.called) if request.called else box, request.address)
        uids = (head.sop_class_uid, head.sop_instance_uid, head.transfer_syntax_uid)
        return ForetellReply((self._case(Object(*uids, attributes.modality, attributes.station_name), caller, 1),))

    def study(self, request: ForetellStudyRequest) -> ForetellReply:
        """Return what would become of what was received of a study. Raises `StudyNotReceivedError`."""
        from appliance.manage.explain import Caller, Object

        try:
            with self._ledger.read():
                found = Instances(self._ledger).of_study(request.study_instance_uid, limit=_MOST_INSTANCES)
        finally:
            # The thread ends with this answer; its connection must not outlive it.
            self._ledger.close()
        kinds: Counter[tuple[Object, Caller]] = Counter()
        for stored in found:
            facts = stored.facts
            try:
                caller = Caller(AETitle.parse(facts.calling_title), AETitle.parse(facts.called_title), facts.source_address)
            except AETitleInvalidError:
                continue
            # Which instance it is decides nothing.
            uids = (facts.sop_class_uid, Uid(""), facts.transfer_syntax_uid)
            kinds[Object(*uids, facts.attributes.modality, facts.attributes.station_name, facts.hops), caller] += 1
        if not kinds:
            raise StudyNotReceivedError("nothing of this study was received")
        told = kinds.most_common(_MOST_CASES)
        cases = tuple(self._case(source, caller, count) for (source, caller), count in told)
        return ForetellReply(cases, kinds.total() - sum(case.count for case in cases))

    def _case(self, source: Object, caller: Caller, count: int) -> ForetoldCase:
        from appliance.manage.explain import explain_object, known_acceptance, why

        told = explain_object(source, caller, self._site(), known_acceptance(self._run_dir))
        return ForetoldCase(
            count=count,
            sop_class=told.sop_class,
            transfer_syntax=told.transfer_syntax,
            modality=told.modality,
            source=told.source,
            calling=caller.calling.text,
            called=told.called_title,
            refusal=told.refusal,
            routes=tuple(ForetoldRoute(route.name, route.applies, why(route)) for route in told.routes),
            deliveries=tuple(
                ForetoldDelivery(one.destination, one.priority, one.routes, one.calling_title, one.takes.value, one.awaits_study)
                for one in told.deliveries
            ),
            withheld=tuple(ForetoldWithheld(one.destination, one.reason) for one in told.withheld),
        )
