"""Who knocked and why somebody was refused, in plain words of the reader's language.

Promises: every reason for which a receiver refuses has words that say what to look at; one that is not here is shown as it is.
Failures: none.
Limits: titles and addresses are the peer's own words; templates escape them.
"""

from __future__ import annotations

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from appliance.manage.callers import Acceptance, Knock, Verdict
from appliance.runtime.callers import LastCall

# By the beginning of the reason that receivers write down (receive/admission).
REFUSALS: dict[str, LazyString] = {
    "protocol version not supported": _("It speaks a version of DICOM's protocol that nobody else does: tell its vendor."),
    "application context is not DICOM's": _("What called is no DICOM device."),
    "calling title with invalid characters": _(
        "The title it calls itself by has characters that no title may have: correct it in the device."
    ),
    "blank calling title": _("It does not say its own title: set it in the device."),
    "unknown calling title": _("Its title is not in the list of scanners."),
    "known title from another address": _("Its title is in the list, with another address."),
    "known title without TLS": _("It is listed with a certificate, and called without encryption."),
    "known title without a certificate": _("It is listed with a certificate, and showed none."),
    "known title with another certificate": _("It showed another certificate than the listed one. Was it renewed?"),
    "known title with a certificate for another name": _("Its certificate is for another name than the listed one."),
    "called title is not one of ours": _("It calls this box by a title that the box does not answer to."),
    "no storage at the moment": _("The disk of this box was full."),
    "too many associations": _("It had more connections open at once than it may."),
}


def refusal_words(call: LastCall) -> str:
    """Return why a call was refused, "" for one that was not."""
    if not call.answer:
        return ""
    beginning = max((known for known in REFUSALS if call.why.startswith(known)), key=len, default=None)
    return call.why if beginning is None else str(REFUSALS[beginning])


def verdict_words(knock: Knock, ours: list[str]) -> str:
    """Return what a caller most likely is, as one sentence; `ours` are the titles that the box answers to."""
    call, about, listed = knock.call, knock.about, knock.listed
    match knock.verdict:
        case Verdict.ARCHIVE:
            return gettext("It looks like your destination %(name)s (%(listed)s).", name=about, listed=listed)
        case Verdict.MOVED:
            return gettext("%(name)s moved from %(old)s to %(new)s, it seems.", name=about, old=listed, new=call.address)
        case Verdict.RENAMED:
            return gettext(
                "It calls from the address of %(name)s, whose title is listed as %(old)s: it calls itself %(new)s.",
                name=about,
                old=listed,
                new=call.calling,
            )
        case Verdict.TWIN:
            return gettext("It is like %(name)s (%(listed)s), which is another device: both are in use.", name=about, listed=listed)
        case Verdict.WRONG_CALLED if not call.called:
            return gettext("%(name)s calls this box by no title, and the box answers to %(ours)s.", name=about, ours=", ".join(ours))
        case Verdict.WRONG_CALLED:
            titles = ", ".join(ours)
            return gettext(
                "%(name)s calls this box %(called)s, and the box answers to %(ours)s.", name=about, called=call.called, ours=titles
            )
        case Verdict.UNUSABLE:
            return gettext("It does not say a title that could be listed.")
        case Verdict.LET_IN:
            return gettext("Nobody has listed it. It is let in, because this box lets everybody in.")
        case Verdict.NEW:
            return gettext("Nobody has listed it.")


def called_words(knock: Knock, ours: list[str]) -> str:
    """Return what is wrong with the title by which a caller calls the box, "" where nothing is or the verdict says it."""
    if knock.is_called_ours or knock.verdict in (Verdict.WRONG_CALLED, Verdict.UNUSABLE):
        return ""
    if not knock.call.called:
        return gettext("It calls this box by no title: set %(ours)s in the device.", ours=ours[0])
    return gettext("It calls this box %(called)s, and the box answers to %(ours)s.", called=knock.call.called, ours=", ".join(ours))


def acceptance_words(acceptance: Acceptance) -> str:
    """Return what the button does that lets a caller in."""
    values = acceptance.values
    if not acceptance.kind:
        return gettext("Answer to %(title)s as well", title=acceptance.answer_to)
    if acceptance.kind == "destination":
        return gettext("Take its reports as those of %(name)s", name=acceptance.name)
    if not acceptance.name and acceptance.answer_to:
        return gettext("Add it as %(name)s, and answer to %(title)s", name=values["name"], title=acceptance.answer_to)
    if not acceptance.name:
        return gettext("Add it as %(name)s", name=values["name"])
    if "address" in values:
        return gettext("Yes, %(name)s is now at %(address)s", name=acceptance.name, address=values["address"])
    return gettext("Yes, %(name)s calls itself %(title)s", name=acceptance.name, title=values["ae_title"])
