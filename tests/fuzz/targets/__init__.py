"""The parsers that read what others sent, each under what it promises."""

from tests.fuzz.target import Target
from tests.fuzz.targets import (
    associations,
    commands,
    commitments,
    conversion,
    data_sets,
    negotiation,
    objects,
    provider,
    reports,
    responses,
    rewriting,
    seals,
    units,
)

TARGETS: tuple[Target, ...] = (
    units.FRAGMENTS,
    negotiation.REQUEST,
    negotiation.ANSWER,
    commands.COMMAND,
    data_sets.PREFIX,
    data_sets.ATTRIBUTES,
    conversion.CONVERSION,
    rewriting.REWRITING,
    provider.PROVIDER,
    responses.RESPONSES,
    associations.SCANNER,
    associations.ARCHIVE,
    seals.SEAL,
    objects.HEADER,
    objects.NAME,
    reports.REPORT,
    commitments.REPORT,
)


def named(name: str) -> Target:
    """Return the target of that name. Raises `KeyError`."""
    return {target.name: target for target in TARGETS}[name]
