"""What stops a benchmark: a figure that cannot be trusted is never written down."""

from __future__ import annotations


class BenchmarkError(Exception):
    """A run that cannot be made or must not count, said in one line."""


class PeerMissingError(BenchmarkError):
    """A program of the comparison is not installed."""


class RunInvalidError(BenchmarkError):
    """A program did not start, did not end, lost an instance or refused one: its figure would be a lie."""
