"""What can go wrong where destinations take files, over SFTP or in a folder, and what each of it means: tables. Pure.

Promises: total: every `Trouble` has one verdict, every error number one trouble; only a file that is whole, under its own name, is ever
judged delivered. Texts are operator words and hold nothing a peer sent.
Failures: none.
Limits: an SSH server says "failure" for a full disk and for much else; many at once are the destination's trouble by the site rule.
Standard: draft-ietf-secsh-filexfer-02 section 7 (version 3 of SFTP: its statuses); semantics.md 1.3 for what they are likened to.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType

from appliance.core.errors import ApplianceError, Fault
from appliance.deliver.site_state import Lanes, SiteState
from appliance.deliver.verdict import Verdict, Whose
from appliance.ledger.vocabulary import HoldClass


class Trouble(StrEnum):
    """What went wrong; the word is the flag of the verdict."""

    GONE = "folder_gone"
    UNMARKED = "folder_unmarked"
    NOT_A_FOLDER = "not_a_folder"
    NO_ROOM = "no_room"
    FORBIDDEN = "writing_forbidden"
    STORAGE_FAILED = "storage_failed"
    BAD_NAME = "name_refused"
    TOO_LARGE = "file_too_large"
    FAILED = "file_refused"
    SHORT = "file_short"
    LOST = "connection_lost"
    STALLED = "no_progress"
    NOT_SSH = "ssh_not_spoken"
    HUNG_UP = "ssh_hung_up"
    NO_AGREEMENT = "ssh_no_agreement"
    WRONG_HOST_KEY = "ssh_wrong_host_key"
    NOT_ADMITTED = "ssh_not_admitted"
    SECRET_UNUSABLE = "secret_unusable"  # noqa: S105 (a word, no secret)
    NO_SFTP = "ssh_no_sftp"
    NO_FOLDER = "folder_missing"


class FileTroubleError(ApplianceError):
    """A destination's file could not be written, or the way to it not be opened; `verdict` says what that means."""

    fault = Fault.PEER

    def __init__(self, trouble: Trouble, text: str = "") -> None:
        """Keep the verdict; `text` stands instead of the table's where more is known."""
        self.verdict = judge_trouble(trouble, text)
        super().__init__(self.verdict.text)
        self.trouble = trouble


def _site(trouble: Trouble, state: SiteState, text: str) -> Verdict:
    lanes = Lanes.ONE if state is SiteState.THROTTLED else Lanes.AS_THEY_ARE
    return Verdict(Whose.SITE, trouble.value, text, site_state=state, lanes=lanes, ends_association=True)


def _held(trouble: Trouble, text: str, hold: HoldClass) -> Verdict:
    return Verdict(Whose.INSTANCE, trouble.value, text, hold=hold, tries_before_hold=1)


def _unknown(trouble: Trouble, text: str) -> Verdict:
    return Verdict(Whose.UNKNOWN, trouble.value, text, ends_association=True)


_DEAD, _REFUSING, _THROTTLED = SiteState.DEAD, SiteState.REFUSING, SiteState.THROTTLED

TROUBLES: Mapping[Trouble, Verdict] = MappingProxyType(
    {
        Trouble.GONE: _site(Trouble.GONE, _DEAD, "the destination's folder is not there (is the share mounted?)"),
        Trouble.UNMARKED: _site(
            Trouble.UNMARKED, _DEAD, "the destination's folder has no file dicom-edge.here (is the share mounted? else make the file there)"
        ),
        Trouble.NOT_A_FOLDER: _site(Trouble.NOT_A_FOLDER, _REFUSING, "the destination's path is no folder"),
        Trouble.NO_ROOM: _site(Trouble.NO_ROOM, _THROTTLED, "the destination has no room left"),
        Trouble.FORBIDDEN: _site(Trouble.FORBIDDEN, _REFUSING, "the destination does not let this box write into its folder"),
        Trouble.STORAGE_FAILED: _site(Trouble.STORAGE_FAILED, _THROTTLED, "the destination's storage fails"),
        Trouble.BAD_NAME: _held(
            Trouble.BAD_NAME, "the destination cannot take the name that the layout gives the file", HoldClass.CONFIGURATION
        ),
        Trouble.TOO_LARGE: _held(Trouble.TOO_LARGE, "the file is larger than the destination's file system takes", HoldClass.VERDICT),
        Trouble.FAILED: Verdict(
            Whose.INSTANCE, Trouble.FAILED.value, "the destination failed to write the file (is its disk full?)", ends_association=True
        ),
        Trouble.SHORT: Verdict(
            Whose.INSTANCE,
            Trouble.SHORT.value,
            "the destination kept fewer bytes than it was sent (is its disk full?)",
            ends_association=True,
        ),
        Trouble.LOST: _unknown(Trouble.LOST, "the connection was lost during the instance"),
        Trouble.STALLED: _unknown(Trouble.STALLED, "the destination stopped taking data"),
        Trouble.NOT_SSH: _site(Trouble.NOT_SSH, _DEAD, "the destination is not there: it does not speak SSH at this port, or not in time"),
        Trouble.HUNG_UP: _site(Trouble.HUNG_UP, _DEAD, "the destination hangs up before the box could log in"),
        Trouble.NO_AGREEMENT: _site(Trouble.NO_AGREEMENT, _REFUSING, "the destination and the box find no SSH algorithms in common"),
        Trouble.WRONG_HOST_KEY: _site(
            Trouble.WRONG_HOST_KEY, _REFUSING, "the destination is not trusted: it shows another host key than the one configured for it"
        ),
        Trouble.NOT_ADMITTED: _site(
            Trouble.NOT_ADMITTED, _REFUSING, "the destination does not accept the account with this password or key"
        ),
        Trouble.SECRET_UNUSABLE: _site(Trouble.SECRET_UNUSABLE, _REFUSING, "the box's own password or key file cannot be used"),
        Trouble.NO_SFTP: _site(Trouble.NO_SFTP, _REFUSING, "the destination lets the box in, and offers no SFTP"),
        Trouble.NO_FOLDER: _site(Trouble.NO_FOLDER, _REFUSING, "the destination has no such folder"),
    }
)
"""What each trouble means."""

_ERRNOS: Mapping[int, Trouble] = MappingProxyType(
    {
        **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), Trouble.NO_ROOM),
        **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), Trouble.FORBIDDEN),
        **dict.fromkeys((errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.EILSEQ, errno.EINVAL), Trouble.BAD_NAME),
        errno.EFBIG: Trouble.TOO_LARGE,
        errno.EIO: Trouble.STORAGE_FAILED,
        # What Linux says of a share whose server went away, by NFS and SMB, and of a stick that was pulled out.
        **dict.fromkeys(
            (
                errno.ENOENT,
                errno.ESTALE,
                errno.ENOTCONN,
                errno.ENODEV,
                errno.ENXIO,
                errno.EHOSTDOWN,
                errno.EHOSTUNREACH,
                errno.ENETUNREACH,
                errno.ETIMEDOUT,
                errno.ECONNREFUSED,
                errno.ECONNRESET,
                errno.ECONNABORTED,
                errno.ESHUTDOWN,
                errno.EPIPE,
            ),
            Trouble.GONE,
        ),
    }
)

STORED = Verdict(Whose.DELIVERED, "stored", "stored as a file")
"""The file is whole, durable as far as the destination says so, and has its name."""


def trouble_of(number: int | None) -> Trouble:
    """Return what an error of the file system means, by its number."""
    return Trouble.FAILED if number is None else _ERRNOS.get(number, Trouble.FAILED)


def judge_trouble(trouble: Trouble, text: str = "") -> Verdict:
    """Return the verdict on a trouble, in words of its own where there are any."""
    verdict = TROUBLES[trouble]
    return replace(verdict, text=text) if text else verdict
