"""The report in a STOW-RS answer, read from DICOM's JSON or XML. Pure.

Promises: `read_report` gives what the answer says of each instance, or its own error; document types, and so entities, and deep nesting
are refused; nothing is loaded from elsewhere. An instance counts as failed where anything says so: the other
sequence, or a reason beside it among what was stored.
Failures: `StoreReportInvalidError` (peer), which repeats nothing of the answer.
Limits: only the three sequences that matter are read; the caller bounds the size.
Standard: PS3.18 10.5.3.3 and F.2 (JSON), PS3.19 A.1 (XML).
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias
from xml.parsers import expat

from appliance.core.errors import ApplianceError, Fault
from appliance.core.identity import uid_fault
from appliance.deliver.stow_verdicts import StoreReport

_INSTANCE, _WARNING, _FAILURE = "00081155", "00081196", "00081197"
_FAILED, _REFERENCED, _OTHERS = "00081198", "00081199", "0008119A"

# A report has sequences, items and values: six levels. What is deeper is none.
_MOST_DEPTH = 32
# A US (PS3.5 6.2).
_MOST_REASON = 0xFFFF
_REASON_CHARACTERS = 8

DataSet: TypeAlias = dict[str, list[Any]]
"""The values of each element by tag; those of a sequence are data sets."""


class StoreReportInvalidError(ApplianceError):
    """An answer holds no report."""

    fault = Fault.PEER


def read_report(body: bytes, content_type: str) -> StoreReport:
    """Return the report in an answer's body. Raises `StoreReportInvalidError`."""
    kind = content_type.partition(";")[0].strip().lower() or _looks_like(body)
    if kind.endswith("json"):
        data_sets = _read_json(body)
    elif kind.endswith("xml"):
        data_sets = _read_xml(body)
    else:
        raise StoreReportInvalidError("the answer is neither JSON nor XML")
    stored: dict[str, int] = {}
    failed: dict[str, int | None] = {}
    others: list[int | None] = []
    for data_set in data_sets:
        for item in _items(data_set, _REFERENCED):
            if _FAILURE in item and _number(item, _FAILURE) != 0:
                failed.setdefault(_uid(item), _number(item, _FAILURE))
            else:
                stored[_uid(item)] = _number(item, _WARNING) or 0
        for item in _items(data_set, _FAILED):
            failed.setdefault(_uid(item), _number(item, _FAILURE))
        others += [_number(item, _FAILURE) for item in _items(data_set, _OTHERS)]
    # What has no UID, or an ill-formed one, names nothing.
    if "" in failed:
        others.append(failed.pop(""))
    stored.pop("", None)
    if not (stored or failed or others):
        raise StoreReportInvalidError("the answer names no instance")
    return StoreReport(stored, failed, tuple(others))


def _looks_like(body: bytes) -> str:
    """Return the kind of a body whose server does not say it, as some do not with a refusal."""
    return {b"{": "json", b"[": "json", b"<": "xml"}.get(body.lstrip()[:1], "")


def _items(data_set: DataSet, tag: str) -> list[DataSet]:
    return [item for item in data_set.get(tag, ()) if isinstance(item, dict)]


def _uid(item: DataSet) -> str:
    values = item.get(_INSTANCE) or [""]
    text = values[0].strip(" \0") if isinstance(values[0], str) else ""
    return "" if uid_fault(text) else text


def _number(item: DataSet, tag: str) -> int | None:
    """Return the value of a US, which some servers write as text."""
    values = item.get(tag) or [None]
    value = values[0]
    if isinstance(value, str) and len(value) <= _REASON_CHARACTERS and value.strip().isascii() and value.strip().isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_REASON:
        return None
    return value


# --- JSON ---------------------------------------------------------------------------------------------------------------------------------


def _read_json(body: bytes) -> list[DataSet]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise StoreReportInvalidError("the answer is not JSON") from None
    # The standard has one object; some servers wrap it in an array, as answers to queries are.
    return [_from_json(one, 0) for one in (document if isinstance(document, list) else [document])]


def _from_json(document: object, depth: int) -> DataSet:
    if not isinstance(document, dict) or depth > _MOST_DEPTH:
        raise StoreReportInvalidError("the answer is JSON, and not DICOM's")
    data_set: DataSet = {}
    for tag, element in document.items():
        values = element.get("Value") if isinstance(element, dict) else None
        if isinstance(values, list):
            data_set[tag.upper()] = [_from_json(value, depth + 1) if isinstance(value, dict) else value for value in values]
    return data_set


# --- XML ----------------------------------------------------------------------------------------------------------------------------------


def _read_xml(body: bytes) -> list[DataSet]:
    reader = _XmlReader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.begin
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.buffer_text = True
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError):
        raise StoreReportInvalidError("the answer is not XML") from None
    return [reader.root]


class _XmlReader:
    """Makes a data set of the elements of a Native DICOM Model; whatever else stands there is passed over."""

    def __init__(self) -> None:
        self.root: DataSet = {}
        self._data_sets = [self.root]
        self._values: list[list[Any]] = []
        self._text: list[str] | None = None
        self._depth = 0

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise StoreReportInvalidError("the answer is XML that is nested too deeply")
        match name.rpartition(":")[2]:
            case "DicomAttribute":
                self._values.append(self._data_sets[-1].setdefault(attributes.get("tag", "").upper(), []))
            case "Item":
                item: DataSet = {}
                if self._values:
                    self._values[-1].append(item)
                self._data_sets.append(item)
            case "Value":
                self._text = []
            case _:
                pass

    def end(self, name: str) -> None:
        self._depth -= 1
        match name.rpartition(":")[2]:
            case "DicomAttribute":
                self._values.pop()
            case "Item":
                self._data_sets.pop()
            case "Value":
                if self._values and self._text is not None:
                    self._values[-1].append("".join(self._text))
                self._text = None
            case _:
                pass

    def text(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def refuse(self, *_: object) -> None:
        raise StoreReportInvalidError("the answer is XML with a document type")
