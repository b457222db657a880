"""Which changes of the configuration could lock somebody out: a table of rules. Pure.

Promises: every rule says whom or what it is about; a box that nobody uses yet (no source, no destination) locks out nobody but by its
addresses.
Failures: none.
Limits: what a peer would answer is not asked. Who called over TLS is not known, so a source that must show a certificate from now on counts
as refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from appliance.config.model import Site
from appliance.config.sources import find_source
from appliance.config.unconfirmed import LockOut
from appliance.runtime.callers import LastCall

# Who called within this time is in use: a department's day and its night.
IN_USE_S = 86400.0


def lock_outs(before: Site, after: Site, calls: Iterable[LastCall], *, now: float) -> tuple[LockOut, ...]:
    """Return how the change from `before` to `after` could lock somebody out; `calls` are the last that the box heard, `now` wall time."""
    recent = [call for call in calls if call.at >= now - IN_USE_S and not call.answer]
    is_in_use = bool(before.sources or before.destinations)
    return tuple(
        LockOut(rule, about)
        for rule, (find, always) in RULES.items()
        if always or is_in_use
        for about in dict.fromkeys(find(before, after, recent))
    )


def _web_moved(before: Site, after: Site, _calls: Sequence[LastCall]) -> Iterator[str]:
    if before.listen.web != after.listen.web:
        yield str(after.listen.web)


def _listener_gone(before: Site, after: Site, _calls: Sequence[LastCall]) -> Iterator[str]:
    for old, new in ((before.listen.dicom, after.listen.dicom), (before.listen.dicom_tls, after.listen.dicom_tls)):
        yield from (str(address) for address in old if address not in new)


def _name_changed(before: Site, after: Site, _calls: Sequence[LastCall]) -> Iterator[str]:
    if before.box.name.lower() != after.box.name.lower():
        yield before.box.name


def _title_gone(before: Site, after: Site, _calls: Sequence[LastCall]) -> Iterator[str]:
    yield from (title.text for title in before.local_titles if title not in after.local_titles)


def _certificates_required(before: Site, after: Site, _calls: Sequence[LastCall]) -> Iterator[str]:
    if after.tls.client_certificates == "required" and before.tls.client_certificates != "required" and after.listen.dicom_tls:
        yield ", ".join(str(address) for address in after.listen.dicom_tls)


def _caller_refused(before: Site, after: Site, calls: Sequence[LastCall]) -> Iterator[str]:
    yield from (call.source or call.calling for call in calls if _is_taken(call, before) and not _is_taken(call, after))


def _is_taken(call: LastCall, site: Site) -> bool:
    """Say whether the caller would be known, as far as its call tells."""
    source = find_source(site, call.calling, call.address)
    if source is None:
        return site.admission.unknown_sources == "accept"
    is_blank = not call.called.strip()
    return source.certificate is None and (not is_blank or site.admission.blank_called)


Find = Callable[[Site, Site, Sequence[LastCall]], Iterable[str]]

RULES: dict[str, tuple[Find, bool]] = {
    # The pages move away from the browser that made the change.
    "web moved": (_web_moved, True),
    # Scanners go on calling the old address and get no answer at all.
    "listener gone": (_listener_gone, True),
    # The pages answer to the box's own name and addresses only, so bookmarks with the old name stop.
    "name changed": (_name_changed, False),
    # Scanners go on calling the old title and are refused.
    "title gone": (_title_gone, False),
    # Callers over TLS that never needed a certificate are refused in the handshake.
    "certificates required": (_certificates_required, False),
    # A source that called within a day would be a stranger, or must show what it may not have.
    "caller refused": (_caller_refused, False),
}
"""Each rule with what finds it, and whether it counts on a box that nobody uses yet too."""
