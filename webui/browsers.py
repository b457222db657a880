"""Browsers by the name that people know them by, out of what they say of themselves.

Promises: "Firefox on Windows": a known browser and system, or what is known of the two; nothing that the header said besides.
Failures: none.
Limits: a browser may say whatever it likes; this is for people to recognise their tablet by, and proves nothing.
"""

from __future__ import annotations

# In the order in which they are looked for: most browsers claim to be the older ones too.
_BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox"), ("FxiOS", "Firefox"),
             ("CriOS", "Chrome"), ("Chrom", "Chrome"), ("Safari", "Safari"), ("curl", "curl"), ("python", "Python"))  # fmt: skip
_SYSTEMS = (("Windows", "Windows"), ("Android", "Android"), ("iPad", "iPad"), ("iPhone", "iPhone"), ("CrOS", "Chromebook"),
            ("Mac OS X", "Mac"), ("Linux", "Linux"))  # fmt: skip


def browser_name(header: str) -> str:
    """Return which browser on which system a User-Agent header names, "" where neither is known."""
    found = (next((name for mark, name in table if mark in header), "") for table in (_BROWSERS, _SYSTEMS))
    return " on ".join(filter(None, found))
