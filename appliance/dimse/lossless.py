"""Which pixels can be re-encoded without loss, and what comes out. Pure.

Promises: `lossless_target` names a transfer syntax only where both sides are lossless by the standard and a codec of ours reads the one and
writes the other.
Failures: none.
Limits: JPEG Lossless (.57, .70) and HTJ2K have no codec here: decision 0025.
Standard: PS3.5 annex A.4 (encapsulated, lossless), PS3.6 annex A.
"""

from __future__ import annotations

from typing import Final

from appliance.core.identity import Uid
from appliance.dimse.conversion import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE

JPEG_LS_LOSSLESS: Final = Uid("1.2.840.10008.1.2.4.80")
JPEG_2000_LOSSLESS: Final = Uid("1.2.840.10008.1.2.4.90")
RLE_LOSSLESS: Final = Uid("1.2.840.10008.1.2.5")

NATIVE: Final = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG})
DECODED: Final = frozenset({JPEG_LS_LOSSLESS, JPEG_2000_LOSSLESS, RLE_LOSSLESS})
"""The compressed ones that can be read."""


def lossless_target(syntax: Uid, transcode: str) -> Uid | None:
    """Return what an object in `syntax` becomes where a destination asks for `transcode`; None where it stays as it is."""
    match transcode:
        case "jpeg-ls" if syntax in NATIVE or syntax in DECODED - {JPEG_LS_LOSSLESS}:
            return JPEG_LS_LOSSLESS
        case "uncompressed" if syntax in DECODED:
            return EXPLICIT_LITTLE
        case _:
            return None


def derived_syntax(syntax: Uid, transcode: str) -> Uid:
    """Return what an object in `syntax` is in once it was rewritten: what is not compressed comes out in explicit little endian."""
    return lossless_target(syntax, transcode) or (EXPLICIT_LITTLE if syntax in NATIVE else syntax)


def is_wanted_form(syntax: Uid, transcode: str) -> bool:
    """Say whether an object in `syntax` is already what `transcode` asks for; nothing asked for is satisfied by all."""
    return transcode == "" or syntax in (NATIVE if transcode == "uncompressed" else {JPEG_LS_LOSSLESS})
