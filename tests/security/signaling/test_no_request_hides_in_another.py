"""Where a message on a stream ends is said once and plainly, or the connection ends.

Else a proxy and we could see different requests in the same octets (request smuggling).
"""

from __future__ import annotations

import pytest

from softphone.sans_io import Transport
from tests.support.lone import Lone

HIDDEN = Lone().request("OPTIONS", call_id="hidden")
SIZE = len(HIDDEN)
HONEST = {
    "a length": f"Content-Length: {SIZE}",
    "a blank before the colon": f"Content-Length : {SIZE}",
    "zeros before it": f"Content-Length: 000000000000{SIZE}",
    "a folded line": f"Content-Length:\r\n {SIZE}",
    "the compact form": f"l: {SIZE}",
}
UNCLEAR = {
    "two lengths": f"Content-Length: 0\r\nContent-Length: {SIZE}",
    "two equal ones": f"Content-Length: {SIZE}\r\nContent-Length: {SIZE}",
    "the compact form as well": f"l: 0\r\nContent-Length: {SIZE}",
    "a list": f"Content-Length: 0, {SIZE}",
    "a sign": "Content-Length: -1",
    "another sign": f"Content-Length: +{SIZE}",
    "hexadecimal": "Content-Length: 0x10",
    "other digits": "Content-Length: \u0661\u0660",
    "more than there can be": "Content-Length: 18446744073709551617",
    "none": "X-Other: 1",
}


def outer(length: str) -> str:
    """A MESSAGE whose body is a request, with this for its length."""
    head = Lone().request("MESSAGE", call_id="outer", headers=("Content-Type: text/plain",))
    return head.replace("Content-Length: 0", length) + HIDDEN


def seen(text: str) -> tuple[list[str], list[tuple[int, str]], bool]:
    """The Call-IDs that are taken, the statuses that are sent, and whether the connection ends."""
    lone = Lone(transport=Transport.TCP)
    lone.say(text)
    taken = [event.request.call_id for event in lone.events if hasattr(event, "request")]
    sent = [(message.status, message.call_id) for message in lone.out]
    return taken, sent, any(transmit.close for transmit in lone.transmits)


@pytest.mark.parametrize("length", list(HONEST))
def test_what_is_in_a_body_is_read_as_no_request(length):
    assert seen(outer(HONEST[length])) == (["outer"], [], False)


@pytest.mark.parametrize("length", list(UNCLEAR))
def test_a_length_that_can_be_read_in_two_ways_ends_the_connection(length):
    taken, sent, closed = seen(outer(UNCLEAR[length]))
    assert taken == []
    assert sent == [(400, "outer")]
    assert closed
