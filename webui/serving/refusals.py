"""What a peer is told that never gets as far as a page: one short plain text, and the connection closes.

Promises: nothing that the peer said is in it; every browser and tool can read it.
Failures: none.
Limits: English, like everything that machines say to machines.
Standard: RFC 9110 section 15.
"""

from __future__ import annotations

_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

NOT_HTTPS = "The pages of this box speak https only: write https:// in front of its address.\n"
NOT_A_REQUEST = "This is not a request that the box can read.\n"
NO_CHUNKS = "The box takes no chunked bodies: send Content-Length.\n"
TOO_SLOW = "The request did not come in its time.\n"
TOO_LARGE = "The box takes nothing as large as this.\n"
TOO_BUSY = "Others are sending large files at the moment. Try again in a few seconds.\n"
OUR_FAULT = "The pages made a mistake. Images are not affected.\n"


def refusal(status: int, text: str) -> bytes:
    """Return a whole answer."""
    body = text.encode("ascii")
    head = [
        f"HTTP/1.1 {status} {_REASONS[status]}",
        "Connection: close",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options: nosniff",
    ]
    return "\r\n".join([*head, "", ""]).encode("ascii") + body
