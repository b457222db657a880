"""DICOM on the wire: negotiation, status meanings, the bounded prefix reader, the streaming seam, and both sides of an association."""
