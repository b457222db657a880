"""What can go wrong with accounts, and the translation of the database driver's errors into it.

Promises: no error of the driver leaves this package; none repeats a value that was to be stored. Who cannot log in is not told whether
the name exists.
Failures: none.
Limits: SQLCipher cannot tell a wrong key from a file that is no database, or from a first page that is damaged.
"""

from __future__ import annotations

import errno
import math
from enum import StrEnum

from appliance.core.errors import ApplianceError, Fault


class AccountsError(ApplianceError):
    """Something with people and their accounts cannot be done."""


class AccountsMissingError(AccountsError):
    """There is no database of accounts yet."""

    fault = Fault.OPERATOR
    advice = "A box makes them when it starts with pages ([listen] web in site.toml); is --data the right directory?"


class AccountsKeyError(AccountsError):
    """The accounts do not open with this box's key."""

    fault = Fault.OPERATOR
    advice = (
        "Put back the root key of the box that wrote them, or restore accounts/ from a backup. Without either, move accounts/ away: "
        "the next start makes a new setup code. Images are not affected."
    )


class AccountsNewerError(AccountsError):
    """A newer version of the appliance wrote the accounts."""

    fault = Fault.OPERATOR
    advice = "Install the newer version again; an older one never opens newer accounts."


class AccountsDamagedError(AccountsError):
    """The database of accounts is damaged."""

    fault = Fault.OPERATOR
    advice = "Restore accounts/ from a backup, or move it away: the next start makes a new setup code. Images are not affected."


class AccountsBusyError(AccountsError):
    """Another program keeps the accounts locked."""

    advice = "Try again in a moment."


class AccountsStorageError(AccountsError):
    """The disk does not take or give what the accounts need."""

    fault = Fault.OPERATOR
    advice = "Look at the disk: full, read-only or failing?"


class AccountsStatementError(AccountsError):
    """The database refused a statement, which is a defect of the appliance."""


class LogInRefusedError(AccountsError):
    """Somebody may not log in (or the setup code is wrong); `wait_s` is how long the box does not listen to another try."""

    fault = Fault.OPERATOR
    advice = "Look at the name and the password, or ask an administrator of the box."

    def __init__(self, wait_s: float = 0.0, *, is_closed: bool = False) -> None:
        """Say the same for whatever was wrong: who guesses learns nothing.

        `is_closed`: name and password are right, and the account was disabled or has ended; only who knows both is told.
        """
        super().__init__("this account has ended" if is_closed else "this name and password do not open the box")
        self.wait_s = wait_s
        self.is_closed = is_closed


class SetupCodeRefusedError(LogInRefusedError):
    """The setup code is wrong, or not listened to yet after several wrong ones."""

    advice = "It stands on the box's console, beside READY, and is another one after each start."

    def __init__(self, wait_s: float = 0.0) -> None:
        """Say how long to wait, where that is why."""
        super().__init__(wait_s)
        self.args = (f"too many wrong setup codes: wait {math.ceil(wait_s)} s" if wait_s else "this is not the setup code",)


class LastAdministratorError(AccountsError):
    """Without this administrator nobody could administer the box."""

    fault = Fault.OPERATOR
    advice = "Make somebody else an administrator first, without an end."


class Weakness(StrEnum):
    """Why a password is not taken."""

    SHORT = "short"
    LONG = "long"
    COMMON = "common"
    NAME = "name"


_WEAKNESSES = {
    Weakness.SHORT: "a password has at least 10 characters",
    Weakness.LONG: "a password has at most 256 characters",
    Weakness.COMMON: "this password is among the first that others would try",
    Weakness.NAME: "a password must not be made of the name",
}


class PasswordWeakError(AccountsError):
    """The password is too easy to guess."""

    fault = Fault.OPERATOR
    exit_code = 2
    advice = "Three or four words that do not belong together are easy to remember and hard to guess."

    def __init__(self, weakness: Weakness) -> None:
        """Keep why, for whoever says it in another language."""
        super().__init__(_WEAKNESSES[weakness])
        self.weakness = weakness


class PersonMissingError(AccountsError):
    """There is no such person, session or token."""

    fault = Fault.OPERATOR
    advice = "Look at the list: it may have been removed meanwhile."


class NameTakenError(AccountsError):
    """Somebody, or something, has this name already."""

    fault = Fault.OPERATOR
    advice = "Choose another name."


class AccountInvalidError(AccountsError):
    """An account or a token cannot be as it was asked for; `field` says what of it."""

    fault = Fault.OPERATOR
    exit_code = 2

    def __init__(self, field: str, message: str, advice: str) -> None:
        """Keep which field."""
        super().__init__(message, advice=advice)
        self.field = field


class SetupDoneError(AccountsError):
    """The first start is over: there is an administrator."""

    fault = Fault.OPERATOR
    advice = "Log in, or let `dicom-edge users reset NAME` at the box give you a new password."


def translated(error: Exception) -> AccountsError:
    """Return what a driver's error means. Pass the operating system's own errors through `storage_fault` instead."""
    # The driver gives extended result codes; the low byte is the primary one (https://www.sqlite.org/rescode.html).
    match int(getattr(error, "sqlite_errorcode", 0)) & 0xFF:
        case 26:  # SQLITE_NOTADB
            return AccountsKeyError("the accounts do not open with this box's key")
        case 11:  # SQLITE_CORRUPT
            return AccountsDamagedError("the database of accounts is damaged")
        case 5 | 6:  # SQLITE_BUSY, SQLITE_LOCKED
            return AccountsBusyError("another program keeps the accounts locked")
        case 8 | 10 | 13 | 14:  # SQLITE_READONLY, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN
            return AccountsStorageError(f"the accounts cannot be read or written ({getattr(error, 'sqlite_errorname', 'unknown error')})")
        case _:
            return AccountsStatementError(f"the database of accounts refused a statement ({type(error).__name__})")


def storage_fault(error: OSError) -> AccountsStorageError:
    """Return what an error of the operating system about the accounts' files means."""
    return AccountsStorageError(f"the accounts' files cannot be used ({errno.errorcode.get(error.errno or 0, 'unknown error')})")
