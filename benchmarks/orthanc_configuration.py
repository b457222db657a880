"""Orthanc with the defaults of its Debian package, in a directory and on ports of its own.

Promises: everything but storage, ports and authentication is what the installed configuration says.
Failures: `PeerMissingError` when it is not installed; `ValueError` when it is not JSON with comments.
Limits: files beside `orthanc.json` in the same place configure plugins and are left out; the plugins are loaded.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from benchmarks.failures import PeerMissingError

_MODALITY = "sink"
# What Orthanc's manual gives for automatic routing, without the Delete() around it: this box keeps what it sends, too.
SCRIPT = f"""function OnStoredInstance(instanceId, tags, metadata)
  SendToModality(instanceId, '{_MODALITY}')
end
"""
"""Lua that sends every instance on."""

_INSTALLED = Path("/etc/orthanc/orthanc.json")
# A string first, so that an address inside one is not taken for a comment.
_STRING_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)


def without_comments(text: str) -> str:
    """Return JSON from JSON with comments."""
    return _STRING_OR_COMMENT.sub(lambda match: match[1] or "", text)


def configuration(directory: Path, dicom_port: int, http_port: int) -> str:
    """Return the configuration for a data directory and two ports, as JSON."""
    try:
        text = _INSTALLED.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PeerMissingError("the default configuration of Orthanc is not installed: apt install orthanc") from None
    settings: dict[str, Any] = json.loads(without_comments(text))
    settings |= {
        "StorageDirectory": str(directory),
        "IndexDirectory": str(directory),
        "DicomPort": dicom_port,
        "HttpPort": http_port,
        "AuthenticationEnabled": False,
    }
    return json.dumps(settings)


def with_destination(text: str, script: Path, port: int) -> str:
    """Return a configuration that also knows the modality of the script, at a port of this machine, and runs the script."""
    settings: dict[str, Any] = json.loads(text)
    settings |= {"LuaScripts": [str(script)], "DicomModalities": {_MODALITY: ["SINK", "127.0.0.1", port]}}
    return json.dumps(settings)
