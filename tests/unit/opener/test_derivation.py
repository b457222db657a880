"""Derivation: sealed objects in, sealed objects out, the original untouched, and every failure is an outcome."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.core.identity import Uid
from appliance.dimse.lossless import JPEG_LS_LOSSLESS
from appliance.opener.derivation import Derivations, DeriveOutcome
from appliance.opener.workbench import Workbench
from appliance.runtime.deriving import DeriveReply, DeriveRequest
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool
from tests.support.eventually import eventually
from tests.unit.opener.images import EXPLICIT, an_image, grey, read, rewritten, written
from tests.unit.opener.test_workbench import _EVIL
from tests.unit.spool.builders import a_header, a_spool

_PLACE = "ab12"
_STEPS = (("prefix-patient-id", "KH-", ""),)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Make a spool that can receive and open."""
    return a_spool(tmp_path / "data")


@pytest.fixture
def derivations(spool: Spool) -> Iterator[Derivations]:
    """Make derivations with honest children."""
    made = Derivations(spool, Workbench())
    yield made
    made.close()


def _evil(spool: Spool, deed: str, *, patience_s: float = 30.0) -> Derivations:
    return Derivations(spool, Workbench((sys.executable, "-c", _EVIL.format(deed=deed))), patience_s=patience_s)


def _stored(spool: Spool, data: bytes, syntax: Uid = EXPLICIT) -> SpoolName:
    with spool.admit(replace(a_header(sop_instance_uid="1.2.3.4"), transfer_syntax_uid=syntax)) as admission:
        admission.write(data)
        return admission.commit()


def _image(rows: int = 32) -> bytes:
    return written(an_image(grey(bits=12, rows=rows), BitsStored=12))


def _made(spool: Spool, reply: DeriveReply) -> tuple[bytes, str, str]:
    """Return the derived data set, and the syntax and instance that its header says."""
    name = SpoolName.parse(reply.spool_name)
    assert name is not None
    with spool.open_derived((_PLACE,), name) as sealed:
        return sealed.read(sealed.length), str(sealed.header.transfer_syntax_uid), str(sealed.header.sop_instance_uid)


def test_what_is_derived_is_sealed_beside_the_original(spool: Spool, derivations: Derivations, tmp_path: Path) -> None:
    """The derived object is an age file under the original's id with its own digest; the original and the list of objects are as before."""
    data = _image()
    name = _stored(spool, data)

    reply = derivations.answer(DeriveRequest(str(name), "jpeg-ls", _STEPS, _PLACE))

    (file,) = (tmp_path / "data" / "spool" / "derived" / _PLACE).iterdir()
    content, syntax, uid = _made(spool, reply)
    made = SpoolName.parse(file.name)
    assert made is not None
    assert ("derived", JPEG_LS_LOSSLESS, "") == (reply.outcome, reply.transfer_syntax, reply.reason)
    assert (JPEG_LS_LOSSLESS, "1.2.3.4", "KH-4711") == (syntax, uid, read(content).PatientID)
    assert file.read_bytes().startswith(b"age-encryption.org/v1")
    assert (name.object_id, len(content)) == (made.object_id, made.length)
    assert [name] == spool.incoming()
    with spool.open(name) as sealed:
        assert data == sealed.read(sealed.length)


def test_asked_again_it_is_not_made_again(spool: Spool, derivations: Derivations) -> None:
    """What is there is named again, also by another opener; once it is removed it is made again, and is the same."""
    request = DeriveRequest(str(_stored(spool, _image())), "jpeg-ls", (), _PLACE)

    first, again = derivations.answer(request), _evil(spool, "os._exit(1)").answer(request)
    name = SpoolName.parse(first.spool_name)
    assert name is not None
    removed = spool.remove_derived((_PLACE,), name), spool.remove_derived((_PLACE,), name)
    anew = derivations.answer(request)

    assert first == again == anew
    assert (True, False) == removed


def test_emptying_removes_all_that_was_derived(spool: Spool, derivations: Derivations, tmp_path: Path) -> None:
    """A start of the box removes what was derived, and what is asked for afterwards is made."""
    request = DeriveRequest(str(_stored(spool, _image())), "jpeg-ls", (), _PLACE)
    derivations.answer(request)

    spool.empty_derived()
    gone = (tmp_path / "data" / "spool" / "derived").exists()

    assert not gone
    assert "derived" == derivations.answer(request).outcome


@pytest.mark.parametrize(("steps", "outcome", "patient"), [((), DeriveOutcome.AS_IT_IS, ""), (_STEPS, DeriveOutcome.DERIVED, "KH-4711")])
@pytest.mark.parametrize("deed", ["ctypes.string_at(0)", "raise KeyError('SECRET')"])
def test_a_crashing_codec_leaves_the_pixels_as_they_are(
    spool: Spool, deed: str, steps: tuple[tuple[str, str, str], ...], outcome: DeriveOutcome, patient: str
) -> None:
    """A codec that crashes costs the transcode: the reason is said, and the header is changed all the same where that is asked for."""
    data = _image(rows=33)
    evil = _evil(spool, deed)

    reply = evil.answer(DeriveRequest(str(_stored(spool, data)), "jpeg-ls", steps, _PLACE))
    evil.close()

    assert (outcome.value, True) == (reply.outcome, "codec" in reply.reason)
    assert "SECRET" not in reply.reason
    if patient:
        content, syntax, _ = _made(spool, reply)
        assert (EXPLICIT, patient) == (syntax, read(content).PatientID)
        assert rewritten(data, steps=())[0][-2000:] == content[-2000:]


def test_what_cannot_be_transcoded_is_named(spool: Spool, derivations: Derivations) -> None:
    """An object with a palette can go as it is, and the reply says why."""
    palette = written(an_image(grey(bits=12), BitsStored=12, PhotometricInterpretation="PALETTE COLOR"))

    reply = derivations.answer(DeriveRequest(str(_stored(spool, palette)), "jpeg-ls", (), _PLACE))

    assert "as it is" == reply.outcome
    assert "palette" in reply.reason


def test_a_header_that_cannot_be_changed_is_refused(spool: Spool, derivations: Derivations) -> None:
    """Where a header operation cannot be done nothing is made, whatever becomes of the pixels."""
    long = written(an_image(grey(bits=12), BitsStored=12, AccessionNumber="1234567890123456"))
    steps = (("prefix-accession-number", "V", ""),)

    replies = [derivations.answer(DeriveRequest(str(_stored(spool, long)), form, steps, _PLACE)) for form in ("", "jpeg-ls")]

    assert ["refused", "refused"] == [reply.outcome for reply in replies]
    assert "longer than 16" in replies[0].reason


def test_a_damaged_or_missing_original_says_so(spool: Spool, derivations: Derivations, tmp_path: Path) -> None:
    """An original that does not authenticate gives nothing, one that is gone neither; nothing is left in the place."""
    name = _stored(spool, _image())
    file = tmp_path / "data" / "spool" / "incoming" / str(name)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)

    damaged = derivations.answer(DeriveRequest(str(name), "jpeg-ls", (), _PLACE))
    file.unlink()
    missing = derivations.answer(DeriveRequest(str(name), "jpeg-ls", (), _PLACE))

    assert ("damaged", "missing") == (damaged.outcome, missing.outcome)
    assert [] == list((tmp_path / "data" / "spool" / "derived" / _PLACE).iterdir())


def test_long_work_is_answered_with_working_until_it_is_done(spool: Spool) -> None:
    """Who asks while an object is being made is told so, and finds the one result later: it is made once."""
    slow = _evil(spool, "time.sleep(1.5)", patience_s=0.2)
    request = DeriveRequest(str(_stored(spool, _image(rows=33))), "jpeg-ls", (), _PLACE)

    first = slow.answer(request)
    eventually(lambda: slow.answer(request).outcome == "derived", within=60, message="the object is made")
    slow.close()

    assert "working" == first.outcome


def test_a_derived_object_that_does_not_open_is_made_again(spool: Spool, derivations: Derivations, tmp_path: Path) -> None:
    """What a power cut left of a derived object is no word about its original: it is removed and made anew."""
    request = DeriveRequest(str(_stored(spool, _image())), "jpeg-ls", (), _PLACE)
    first = derivations.answer(request)
    (file,) = (tmp_path / "data" / "spool" / "derived" / _PLACE).iterdir()
    whole = len(file.read_bytes())
    file.write_bytes(b"")

    again = derivations.answer(request)

    assert first == again
    assert whole == len(file.read_bytes())


def test_a_fault_is_not_remembered(spool: Spool, derivations: Derivations, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks again after a fault of ours gets the work done, not the same fault."""
    request = DeriveRequest(str(_stored(spool, _image())), "jpeg-ls", (), _PLACE)

    def fail(_place: str) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(spool, "derived", fail)
        with pytest.raises(ZeroDivisionError):
            derivations.answer(request)
    again = derivations.answer(request)

    assert again.outcome == "derived"


def test_without_room_nothing_is_made(spool: Spool, tmp_path: Path) -> None:
    """Where the disk has no room to spare nothing is made and the answer says why; with room again it is."""
    rooms = [False, True]
    derivations = Derivations(spool, Workbench(), has_room=lambda _more: rooms.pop(0))
    request = DeriveRequest(str(_stored(spool, _image())), "", _STEPS, _PLACE)

    refused = derivations.answer(request)
    left = list((tmp_path / "data" / "spool" / "derived" / _PLACE).iterdir())
    made = derivations.answer(request)
    derivations.close()

    assert ("failed", "the disk is nearly full, and what is left is for images that arrive") == (refused.outcome, refused.reason)
    assert [] == left
    assert "derived" == made.outcome


def test_what_grows_until_the_room_is_gone_is_dropped(spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room that ends while something is made ends that, and leaves nothing of it."""
    monkeypatch.setattr("appliance.opener.derivation._MEASURED_BYTES", 1)
    rooms = [True, False]
    derivations = Derivations(spool, Workbench(), has_room=lambda _more: rooms.pop(0))

    reply = derivations.answer(DeriveRequest(str(_stored(spool, _image())), "", _STEPS, _PLACE))
    derivations.close()

    assert ("failed", []) == (reply.outcome, list((tmp_path / "data" / "spool" / "derived" / _PLACE).iterdir()))
    assert "the disk is nearly full" in reply.reason


def test_what_was_cleared_away_before_it_was_fetched_is_made_again(spool: Spool, tmp_path: Path) -> None:
    """A start of the sender empties the place: who asks then for what was made before gets what is there."""
    derivations, place = Derivations(spool, Workbench(), patience_s=0.0), tmp_path / "data" / "spool" / "derived" / _PLACE
    request = DeriveRequest(str(_stored(spool, _image())), "jpeg-ls", (), _PLACE)
    first = derivations.answer(request)
    eventually(lambda: all(work.done() for work in derivations._known.values()))

    spool.empty_derived()
    eventually(lambda: derivations.answer(request).outcome == "derived")
    derivations.close()

    assert "working" == first.outcome
    assert 1 == len(list(place.iterdir()))
