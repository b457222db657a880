"""How much of a request has come: what is waited for, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.serving.arrival import MOST_BODY_AHEAD_BYTES, MOST_HEAD_BYTES, Arrival, judge

GET = b"GET / HTTP/1.1\r\nHost: box\r\n\r\n"


def a_post(length: int | str, body: bytes = b"", *more: str) -> bytes:
    """Return a request with this length said, and this much of its body."""
    return "\r\n".join(["POST / HTTP/1.1", "Host: box", f"Content-Length: {length}", *more, "", ""]).encode() + body


@pytest.mark.parametrize(
    ("said", "arrival"),
    [
        (GET, Arrival.WHOLE),
        (GET + GET, Arrival.WHOLE),
        (GET[:-1], Arrival.MORE),
        (GET[:9], Arrival.MORE),
        (a_post(5, b"12345"), Arrival.WHOLE),
        (a_post(5, b"1234"), Arrival.MORE),
        (a_post(0), Arrival.WHOLE),
        (a_post(MOST_BODY_AHEAD_BYTES, b"x"), Arrival.MORE),
        (a_post(MOST_BODY_AHEAD_BYTES + 1, b"x"), Arrival.PART),
        (a_post(4 << 30), Arrival.PART),
        (a_post(5, b"", "Expect: 100-continue"), Arrival.PART),
    ],
)
def test_what_is_waited_for(said: bytes, arrival: Arrival) -> None:
    """A head is waited for, and a body that is short; a long one is read by a thread, and so is one whose peer waits for our word."""
    assert arrival == judge(said)


@pytest.mark.parametrize(
    "said",
    [
        b"GET /\r\n",
        b"GET / HTTP/2.0\r\nHost: box\r\n",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\nHost: box\n\n",
        b"GET / HTTP/1.1\r\nHost: box\nX: y\r\n",
        a_post("+5"),
        a_post("5, 5"),
        a_post(5, b"", "Content-Length: 6"),
        a_post(5, b"", "Transfer-Encoding: chunked"),
        b"POST / HTTP/1.1\r\nHost: box\r\ntransfer-encoding : chunked\r\n\r\n",
    ],
)
def test_what_will_never_be_right_is_not_waited_for(said: bytes) -> None:
    """The parser gets it at once, to refuse it."""
    assert judge(said) is Arrival.WHOLE


@pytest.mark.parametrize("said", [b"GET /" + b"a" * MOST_HEAD_BYTES, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 10_000 + b"\r\n"])
def test_a_head_that_is_too_long_is_no_head(said: bytes) -> None:
    """It is refused while it comes, not collected."""
    assert judge(said) is Arrival.TOO_LARGE


@given(st.binary(max_size=200))
def test_any_bytes_are_judged(said: bytes) -> None:
    """Whatever a peer says, the answer is one of four."""
    assert judge(said) in Arrival
