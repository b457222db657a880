"""Asking a web service which instances it has: QIDO-RS, at the level of single instances, on the connections of STOW-RS.

Promises: `images` returns what the service listed, and only when it came to an end of its list by itself; 204 and an empty list say that it
has nothing, everything else that is no list says nothing. Memory is bounded by the number of matches that was allowed. A redirection is
never followed.
Failures: `ArchiveNotAskableError`, `SeriesNotAnsweredError`, `QueryTooLargeError`.
Limits: for one thread. One page may have 1 MiB: a service that ignores `limit` is not understood for long series. One that ignores `offset`
is believed unless its only page is exactly as long as was asked for.
Standard: PS3.18 10.6 (QIDO-RS), 8.3.4 (limit and offset), F.2 (JSON).
"""

from __future__ import annotations

import json
from typing import Final

from appliance.core.identity import uid_fault
from appliance.deliver.clearing import ArchiveNotAskableError, SeriesNotAnsweredError
from appliance.deliver.transport import AssociationFailedError
from appliance.deliver.transports.http_exchange import ExchangeBrokenError, HttpConnection, Response
from appliance.deliver.transports.stow import StowPeer, WebCredentialsError, headers_for, open_line_to, target_of
from appliance.dimse.failures import PeerUnreachableError
from appliance.dimse.query import Match, QueryTooLargeError

# A match is one or two kB with everything that services add by themselves, and a page may have 1 MiB.
PAGE: Final = 100
# As for C-FIND: dynamic studies of some ten thousand slices.
_MOST_MATCHES = 100_000

_OK, _NO_CONTENT = 200, 204
# Partial content: another page follows, which is asked for anyway.
_LISTS = frozenset({_OK, 206})
# What the next series would be answered too: who we are, where this is, and what it can do.
_FINAL = frozenset({301, 302, 303, 307, 308, 401, 403, 405, 407, 501})

_STUDY, _SERIES, _INSTANCE = "0020000D", "0020000E", "00080018"


class QidoQueries:
    """A web service that can be asked."""

    def __init__(self, peer: StowPeer, *, most_matches: int = _MOST_MATCHES) -> None:
        """Connect. Raises `ArchiveNotAskableError`."""
        self._peer = peer
        self._most_matches = most_matches
        self._connection = self._opened()

    def images(self, study_instance_uid: str, series_instance_uid: str) -> list[Match]:
        """Return every instance of a series that the service lists. Raises what the module lists, `ValueError` for what is no UID."""
        if uid_fault(study_instance_uid) or uid_fault(series_instance_uid):
            raise ValueError("a query needs the UIDs of a study and a series")
        found: dict[str, Match] = {}
        received = 0
        while True:
            page = self._page(f"/studies/{study_instance_uid}/series/{series_instance_uid}/instances", received)
            fresh = {match.sop_instance_uid: match for match in page if match.sop_instance_uid not in found}
            if not fresh:
                if page and received % PAGE == 0:
                    raise SeriesNotAnsweredError("the web server lists the same instances again and again, and perhaps not all")
                return list(found.values())
            found |= fresh
            received += len(page)
            if len(found) > self._most_matches:
                raise QueryTooLargeError(f"the web server lists more than {self._most_matches} instances of one series")

    def has_series(self, study_instance_uid: str, series_instance_uid: str) -> bool:  # noqa: ARG002 (as C-FIND is asked)
        """Return False: who has this resource lists what is in it, and who has it not answers otherwise."""
        return False

    def release(self) -> None:
        """End it; HTTP has no goodbye."""
        self._connection.close()

    def _opened(self) -> HttpConnection:
        try:
            return HttpConnection(open_line_to(self._peer, self._peer.connect_s))
        except AssociationFailedError as error:
            raise ArchiveNotAskableError(error.verdict.text) from error

    def _page(self, resource: str, offset: int) -> list[Match]:
        """Return one page of a list, empty where it is over."""
        query = f"?limit={PAGE}" + (f"&offset={offset}" if offset else "")
        response = self._answer(f"{resource}{query}")
        if response.status == _NO_CONTENT:
            return []
        if response.status in _FINAL:
            raise ArchiveNotAskableError(f"the web server answers the query with {response.status}")
        if response.status not in _LISTS:
            raise SeriesNotAnsweredError(f"the web server answers the query with {response.status}")
        return read_matches(response.body)

    def _answer(self, resource: str) -> Response:
        peer = self._peer
        if not self._connection.is_open:
            self._connection = self._opened()
        try:
            return self._connection.exchange("GET", target_of(peer, resource), headers_for(peer), response_s=peer.response_s)
        except ExchangeBrokenError as error:
            raise SeriesNotAnsweredError(str(error)) from error
        except PeerUnreachableError as error:
            raise ArchiveNotAskableError(str(error)) from error
        except WebCredentialsError as error:
            raise ArchiveNotAskableError(str(error)) from error


def read_matches(body: bytes) -> list[Match]:
    """Return the matches of one page of DICOM's JSON; what cannot be read of a match is empty. Raises `SeriesNotAnsweredError`."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, list):
        # A login page, say, or a list that was too long to be read.
        raise SeriesNotAnsweredError("the web server answers the query with something that is no list of instances")
    return [Match("", _uid(item, _STUDY), _uid(item, _SERIES), _uid(item, _INSTANCE)) for item in document]


def _uid(item: object, tag: str) -> str:
    element = item.get(tag) if isinstance(item, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    text = values[0] if isinstance(values, list) and values else None
    text = text.strip(" \0") if isinstance(text, str) else ""
    return "" if uid_fault(text) else text
