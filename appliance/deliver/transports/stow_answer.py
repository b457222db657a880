"""What an answer to a STOW-RS request means for each instance that was in it.

Promises: every instance has an outcome; delivered is only what the server's report names as stored; a comment never repeats what the box
showed as its own secret.
Failures: none.
Limits: a compressed answer is not read.
Standard: PS3.18 10.5.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from appliance.core.identity import escaped
from appliance.deliver.stow_report import StoreReportInvalidError, read_report
from appliance.deliver.stow_verdicts import judge_encoded, judge_http, judge_instance, retry_after_s, wait_as_told
from appliance.deliver.transport import Outcome
from appliance.deliver.transports.http_credentials import reveals
from appliance.deliver.transports.http_exchange import Response
from appliance.deliver.verdict import Break, judge_break

# With these comes a report that names instances (PS3.18 10.5.3.1), and with any 2xx; Orthanc sends one with 400 too.
_REPORTING = (400, 409)
_SUCCESS = 2
# Of an answer without a report, for people; as much as an Error Comment holds (PS3.7 C.4.2) and a little more.
_COMMENT_CHARACTERS = 200


def outcomes_of(response: Response, instances: Sequence[tuple[str, bool]], shown: str = "") -> Iterator[Outcome]:
    """Yield how each of `instances` (its UID, and whether it may have been sent before) ended by an answer.

    `shown` is the Authorization that the request showed.
    """
    status, in_company = response.status, len(instances) > 1
    wait_s = retry_after_s(response.header("retry-after"), response.header("date"))
    is_success = status // 100 == _SUCCESS
    if response.is_early and is_success:
        # Nobody can have stored what was not sent to its end.
        yield from [Outcome(judge_break(Break.PROTOCOL, after_first_pdv=True, association_proved=True))] * len(instances)
        return
    report = None
    if (is_success or status in _REPORTING) and not response.is_early:
        if response.is_encoded:
            yield from [Outcome(judge_encoded(status))] * len(instances)
            return
        try:
            report = read_report(response.body, response.header("content-type"))
        except StoreReportInvalidError:
            report = None
    for uid, sent_before in instances:
        if report is None:
            yield Outcome(judge_http(status, in_company=in_company, retry_after_s=wait_s), comment=_words(response, shown))
        else:
            verdict, reason = judge_instance(uid, report, status, in_company=in_company, sent_before=sent_before)
            yield Outcome(wait_as_told(verdict, wait_s), reason)


def _words(response: Response, shown: str) -> str:
    """Return what a server said in words, where it did, and did not repeat our own secret."""
    kind = response.header("content-type").partition(";")[0].strip().lower()
    if kind not in {"text/plain", "application/json", "application/problem+json"} or response.is_encoded or reveals(response.body, shown):
        return ""
    return escaped(response.body[:_COMMENT_CHARACTERS])
