"""Heads: what a receiver hands to the router in memory, and that nothing else is ever taken for it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.runtime.datagrams import short_path
from appliance.spool.heads import HEAD_BYTES, HeadListener, HeadPost, ObjectHead
from appliance.spool.part10 import encode_header
from tests.support.eventually import eventually
from tests.unit.spool.builders import DIGEST_KEY, OBJECT_ID, a_header, a_spool

OTHER_ID = OBJECT_ID[:-1] + ("0" if OBJECT_ID[-1] != "0" else "1")


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[HeadListener]:
    """A router's end."""
    with closing(HeadListener(tmp_path, DIGEST_KEY)) as listening:
        yield listening


@pytest.fixture
def post(tmp_path: Path) -> Iterator[HeadPost]:
    """A receiver's end."""
    with closing(HeadPost(tmp_path, DIGEST_KEY)) as posting:
        yield posting


def _taken(listener: HeadListener, object_id: str = OBJECT_ID) -> ObjectHead:
    taken: list[ObjectHead] = []

    def is_there() -> bool:
        head = listener.take(object_id)
        if head is not None:
            taken.append(head)
        return bool(taken)

    eventually(is_there)
    return taken[0]


def test_a_head_arrives_once(listener: HeadListener, post: HeadPost) -> None:
    """The router gets the header and the first bytes of the object, and gets them once."""
    header = replace(a_header(), reception_id=OBJECT_ID)

    post.send(OBJECT_ID, encode_header(header), b"data")

    assert _taken(listener) == ObjectHead(header, b"data")
    assert listener.take(OBJECT_ID) is None


def test_a_received_object_announces_its_first_bytes(tmp_path: Path, listener: HeadListener, post: HeadPost) -> None:
    """What is handed over is the beginning of what was sealed, however it was cut, and no more than the head of it."""
    data = bytes(range(256)) * 100
    spool = a_spool(tmp_path / "data", heads=post)
    with spool.admit(a_header()) as entry:
        for start in range(0, len(data), 3000):
            entry.write(memoryview(data)[start : start + 3000])
        name = entry.commit()
        entry.announce()
    with spool.admit(a_header()) as entry:
        entry.write(b"short")
        short = entry.commit()
        entry.announce()

    assert _taken(listener, name.object_id).data == data[:HEAD_BYTES]
    assert _taken(listener, short.object_id).data == b"short"


def test_an_abandoned_object_announces_nothing(tmp_path: Path, listener: HeadListener, post: HeadPost) -> None:
    """Only what is durable has a head."""
    spool = a_spool(tmp_path / "data", heads=post)
    with spool.admit(a_header()) as entry:
        entry.write(b"never whole")
        object_id = entry.object_id
    entry.announce()
    with spool.admit(a_header()) as entry:
        name = entry.commit()
        entry.announce()

    assert _taken(listener, name.object_id).data == b""
    assert listener.take(object_id) is None


def test_what_is_forged_or_misnamed_is_not_taken(tmp_path: Path, listener: HeadListener, post: HeadPost) -> None:
    """A head of another key, a changed one, one under another object's id, and noise are as if nothing had come."""
    header = replace(a_header(), reception_id=OBJECT_ID)
    clear = encode_header(header)
    with closing(HeadPost(tmp_path, b"\7" * 32)) as stranger:
        stranger.send(OBJECT_ID, clear, b"forged")
    post.send(OTHER_ID, clear, b"misnamed")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as anybody, short_path(tmp_path, "heads") as path:
        for noise in (b"", b"x", b"x" * 48, b"x" * 16 + b"f" * 32 + clear):
            anybody.sendto(noise, path)
    last = "f" * 31 + "0"
    post.send(last, encode_header(replace(header, reception_id=last)), b"last")

    assert _taken(listener, last).data == b"last"
    assert [listener.take(object_id) for object_id in (OBJECT_ID, OTHER_ID, "f" * 32, "x" * 32, "")] == [None] * 5


def test_nobody_listening_is_no_fault(tmp_path: Path) -> None:
    """A receiver without a router sends into nothing and goes on."""
    with closing(HeadPost(tmp_path, DIGEST_KEY)) as post:
        post.send(OBJECT_ID, encode_header(a_header()), b"")


def test_a_router_that_is_behind_keeps_the_newest(listener: HeadListener, post: HeadPost, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of heads that wait is bounded; the oldest go."""
    monkeypatch.setattr("appliance.spool.heads._KEPT", 2)
    header = a_header()
    ids = [f"{OBJECT_ID[:-2]}{number:02x}" for number in range(3)]
    for object_id in ids:
        post.send(object_id, encode_header(replace(header, reception_id=object_id)), b"")

    assert _taken(listener, ids[2]).header.reception_id == ids[2]
    assert listener.take(ids[0]) is None
