"""Files as something to send."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.core.errors import Fault
from appliance.dimse.file_source import FileNotDicomError, FileSource
from tests.unit.dimse.building import CT, EXPLICIT, INSTANCE, data_set, element, uid


def a_file(path: Path, *, group_length: bool = True, syntax: str = EXPLICIT, content: bytes | None = None) -> Path:
    """Write a Part 10 file."""
    meta = element(0x00020001, b"\0\1", vr="OB") + element(0x00020002, uid(CT)) + element(0x00020010, uid(syntax))
    head = element(0x00020000, len(meta).to_bytes(4, "little"), vr="UL") if group_length else b""
    path.write_bytes(bytes(128) + b"DICM" + head + meta + (data_set(tail=bytes(100)) if content is None else content))
    return path


@pytest.mark.parametrize("group_length", [True, False])
def test_a_file_streams_from_behind_its_header(tmp_path: Path, group_length: bool) -> None:  # noqa: FBT001
    """UIDs and syntax are known, and exactly the data set's bytes come, nothing behind them; closed, it begins anew."""
    source = FileSource.open(a_file(tmp_path / "a.dcm", group_length=group_length))

    first = b"".join(iter(lambda: source.read(7), b""))
    behind = source.read(10_000)
    source.close()
    again = source.read(10_000)
    source.close()

    assert behind == b""
    assert (source.sop_class_uid, source.sop_instance_uid, source.transfer_syntax_uid) == (CT, INSTANCE, EXPLICIT)
    assert first == again == data_set(tail=bytes(100))
    assert source.length == len(first)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"not a DICOM file", "is not a DICOM file"),
        (b"", "is not a DICOM file"),
        (bytes(128) + b"DICM" + element(0x00020001, b"\0\1", vr="OB") + data_set(), "does not name its transfer syntax"),
        (bytes(128) + b"DICM" + element(0x00020010, uid(EXPLICIT)), "ends inside its header"),
        (bytes(128) + b"DICM" + element(0x00020010, uid(EXPLICIT)) + element(0x00100010, b"AB", vr="PN") * 2, "has no usable"),
    ],
)
def test_what_cannot_be_sent_is_said_plainly(tmp_path: Path, content: bytes, words: str) -> None:
    """Anything else than a DICOM file with UIDs is the operator's error, in one line that names the file."""
    path = tmp_path / "bad.dcm"
    path.write_bytes(content)

    with pytest.raises(FileNotDicomError, match=words) as caught:
        FileSource.open(path)

    assert str(path) in str(caught.value)
    assert caught.value.fault is Fault.OPERATOR


def test_a_missing_file_and_a_directory(tmp_path: Path) -> None:
    """What cannot be opened says why."""
    with pytest.raises(FileNotDicomError, match="No such file"):
        FileSource.open(tmp_path / "none.dcm")
    with pytest.raises(FileNotDicomError, match="Is a directory"):
        FileSource.open(tmp_path)
