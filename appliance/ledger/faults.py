"""What can go wrong with the ledger, and the translation of the database driver's errors into it.

Promises: no error of the driver or of peewee leaves this package; `translated` never repeats a value that was to be stored.
Failures: none.
Limits: SQLCipher cannot tell a wrong key from a file that is no ledger, or from a first page that is damaged; neither can `LedgerKeyError`.
"""

from __future__ import annotations

import errno

from appliance.core.errors import ApplianceError, Fault


class LedgerError(ApplianceError):
    """The ledger cannot be used."""


class LedgerMissingError(LedgerError):
    """There is no ledger yet where one was expected."""

    fault = Fault.OPERATOR
    advice = "`dicom-edge run` makes one; is --data the right directory?"


class LedgerKeyError(LedgerError):
    """The ledger does not open with this box's key."""

    fault = Fault.OPERATOR
    advice = "Put back the root key of the box that wrote this ledger, or restore the ledger from a backup."


class LedgerForeignError(LedgerError):
    """The database at the ledger's place is somebody else's."""

    fault = Fault.OPERATOR
    advice = "Move the file away, or restore the ledger from a backup."


class LedgerNewerError(LedgerError):
    """A newer version of the appliance wrote this ledger."""

    fault = Fault.OPERATOR
    advice = "Install the newer version again; an older one never opens a newer ledger."


class LedgerOlderError(LedgerError):
    """The ledger was not brought up to date before it was opened."""

    advice = "Stop everything and start the box with `dicom-edge run`, which brings the ledger up to date."


class LedgerDamagedError(LedgerError):
    """The ledger is damaged."""

    advice = "Start the box again: it rebuilds the ledger. The sealed objects in the spool are not affected."


class LedgerRebuildingError(LedgerError):
    """The ledger is being rebuilt, or is to be."""

    advice = "Wait until it is done; images are received meanwhile."


class LedgerInUseError(LedgerError):
    """Somebody has the ledger open that should not."""

    fault = Fault.OPERATOR
    advice = "Stop the box, or let the running box rebuild its ledger itself."


class LedgerLockedError(LedgerError):
    """Another program keeps the ledger locked."""

    fault = Fault.OPERATOR
    advice = "End whatever else has the ledger's database open."


class LedgerStorageError(LedgerError):
    """The disk does not take or give what the ledger needs. `full` says that it is only full, and that trying again later may help."""

    fault = Fault.OPERATOR
    advice = "Look at the disk: full, read-only or failing?"

    def __init__(self, message: str, *, full: bool) -> None:
        """Keep the message, and whether the disk is full."""
        super().__init__(message)
        self.full = full


class LedgerStatementError(LedgerError):
    """The ledger refused a statement, which is a defect of the appliance."""


class LedgerScopeError(LedgerError):
    """The ledger was read outside `read()` and `write()`, changed outside `write()`, or one of them was entered twice."""


def translated(error: Exception) -> LedgerError:
    """Return what a driver's or peewee's error means. Pass the operating system's own errors through `storage_fault` instead."""
    # peewee keeps the driver's error, which alone has the code, under this name.
    driver = getattr(error, "orig", error)
    name = str(getattr(driver, "sqlite_errorname", type(driver).__name__))
    # The driver gives extended result codes; the low byte is the primary one (https://www.sqlite.org/rescode.html).
    match int(getattr(driver, "sqlite_errorcode", 0)) & 0xFF:
        case 26:  # SQLITE_NOTADB
            return LedgerKeyError("the ledger does not open with this box's key, or is not a ledger")
        case 11:  # SQLITE_CORRUPT
            return LedgerDamagedError("the ledger is damaged")
        case 5 | 6:  # SQLITE_BUSY, SQLITE_LOCKED
            return LedgerLockedError("another program keeps the ledger locked")
        case 13:  # SQLITE_FULL
            return LedgerStorageError("no space is left for the ledger", full=True)
        case 8 | 10 | 14:  # SQLITE_READONLY, SQLITE_IOERR, SQLITE_CANTOPEN
            return LedgerStorageError(f"the ledger cannot be read or written ({name})", full=False)
        case _:
            return LedgerStatementError(f"the ledger refused a statement: {driver}")


def storage_fault(error: OSError) -> LedgerStorageError:
    """Return what an error of the operating system about the ledger's files means."""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return LedgerStorageError(f"the ledger's files cannot be used ({errno.errorcode.get(error.errno or 0, 'unknown error')})", full=full)
