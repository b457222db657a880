"""DICOM Edge, the box: what a scanner hands us is durable and sealed before we say Success, and owed until delivered."""

__version__ = "0.1.0"
