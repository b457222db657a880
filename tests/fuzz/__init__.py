"""Bytes that nobody thought of, for every parser of ours that reads what others sent (`make fuzz`)."""
