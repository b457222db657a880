"""What can go wrong with an association that we open, as errors with words for a table.

Promises: each error says whose move it was and how far things had come; none repeats what a peer sent.
Failures: none of its own.
Limits: what a failure means for a delivery is `deliver/verdict`.
Standard: PS3.8 9.3.4 (rejection), 9.3.8 (abort).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from appliance.core.errors import ApplianceError, Fault


class Unreachable(StrEnum):
    """Why there is no association, as a word for a table."""

    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    NAME = "name"
    CLOSED = "closed"
    # Of the TLS handshake alone.
    NOT_TLS = "not_tls"
    UNTRUSTED = "untrusted"
    WRONG_NAME = "wrong_name"
    WRONG_CERTIFICATE = "wrong_certificate"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    CLIENT_CERTIFICATE = "client_certificate"
    NO_AGREEMENT = "no_agreement"
    OWN_CERTIFICATE = "own_certificate"


class PeerUnreachableError(ApplianceError):
    """A peer cannot be reached, or does not answer; `phase` says how far we came, `kind` what happened."""

    fault = Fault.PEER

    def __init__(self, message: str, *, phase: Literal["name", "connect", "tls", "associate"], kind: Unreachable) -> None:
        """Keep phase and kind."""
        super().__init__(message)
        self.phase = phase
        self.kind = kind


class AssociationRejectedError(ApplianceError):
    """A peer refuses the association (PS3.8 table 9-21)."""

    fault = Fault.PEER

    def __init__(self, result: int, source: int, reason: int) -> None:
        """Keep the three numbers."""
        super().__init__(f"the peer refuses the association ({result}/{source}/{reason})")
        self.result = result
        self.source = source
        self.reason = reason


class AssociationAbortedError(ApplianceError):
    """A peer aborts instead of answering, or its answer breaks the protocol (then source 2, reason 6, and we abort)."""

    fault = Fault.PEER

    def __init__(self, source: int, reason: int, message: str = "the peer aborts instead of answering") -> None:
        """Keep both numbers."""
        super().__init__(f"{message} ({source}/{reason})")
        self.source = source
        self.reason = reason


class Broken(StrEnum):
    """What ended a transfer, as a word for a table."""

    ABORT_USER = "abort0"
    ABORT_PROVIDER = "abort2"
    CLOSED = "closed"
    TIMEOUT = "timeout"
    PROGRESS = "progress"
    PROTOCOL = "protocol"
    """The peer sent what the protocol does not allow, and we aborted."""
    SOURCE = "source"


class TransferBrokenError(ApplianceError):
    """An association broke under an operation; with `after_first_pdv` the outcome at the peer is unknown."""

    fault = Fault.PEER

    def __init__(self, kind: Broken, detail: str, *, after_first_pdv: bool) -> None:
        """Keep what happened."""
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.after_first_pdv = after_first_pdv


class VerificationNotAcceptedError(ApplianceError):
    """The association has no context for C-ECHO."""

    fault = Fault.PEER
