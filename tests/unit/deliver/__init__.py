"""Tests of the outbox engine."""
