"""Roles, and what each may do: a table. Pure.

Promises: what is not in the table is not allowed; every route of the pages names one permission, and a test walks them.
Failures: none.
Limits: a role is for the whole box; nobody has two.
"""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """One thing that somebody may do, or may not."""

    SEE = "see"
    """States, counts, queues, findings, configuration; nothing of a patient."""
    SEE_PATIENTS = "see-patients"
    """Names, dates and numbers of patients."""
    SEE_IMAGES = "see-images"
    """Pictures and exported objects."""
    OPERATE = "operate"
    """Retry, release, hold, cancel, resend, pause, and test connections."""
    SET_UP = "set-up"
    """Scanners, destinations, routes: whatever `site.toml` says."""
    ADMINISTER = "administer"
    """People, tokens, certificates, keys, rolling back, and what a technician needs no day."""
    AUDIT = "audit"
    """Who did what."""


class Role(StrEnum):
    """Who somebody is to the box."""

    VIEWER = "viewer"
    TECHNICIAN = "technician"
    ADMINISTRATOR = "administrator"
    VENDOR = "vendor"
    """An engineer of a vendor, for a few days, without patients."""
    MONITOR = "monitor"
    """A machine that looks, by its token; nobody logs in as this."""


_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.SEE, Permission.SEE_PATIENTS}),
    Role.TECHNICIAN: frozenset(
        {Permission.SEE, Permission.SEE_PATIENTS, Permission.SEE_IMAGES, Permission.OPERATE, Permission.SET_UP},
    ),
    Role.ADMINISTRATOR: frozenset(Permission),
    Role.VENDOR: frozenset({Permission.SEE, Permission.OPERATE, Permission.SET_UP}),
    Role.MONITOR: frozenset({Permission.SEE}),
}


SCOPES = frozenset({Permission.SEE, Permission.SEE_PATIENTS, Permission.OPERATE, Permission.SET_UP})
"""What a token may be for: a machine sees no pictures, and administers nobody."""


def may(role: Role, permission: Permission) -> bool:
    """Say whether the role includes the permission."""
    return permission in _PERMISSIONS[role]


def permissions_of(role: Role) -> frozenset[Permission]:
    """Return everything that the role includes."""
    return _PERMISSIONS[role]
