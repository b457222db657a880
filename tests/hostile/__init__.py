"""Hostile peers and inputs: the rows of hostile-inputs.md, each against the running box."""
