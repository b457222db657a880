"""The tests, one folder a tier; what several of them share is in `tests.support`."""
