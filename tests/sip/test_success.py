"""2xx copies until the ACK, on every transport (RFC 3261 section 13.3.1.4)."""

from __future__ import annotations

import pytest

from softphone.machine import Transport
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER


@pytest.mark.parametrize("transport", Transport)
def test_the_gaps_double_from_t1_to_t2_whatever_the_transport(transport):
    lone = Lone(transport=transport)
    lone.say(lone.request("INVITE", body=SDP))
    lone.take("InviteReceived").usage.accept(ANSWER, now=lone.now)
    lone.drain()
    lone.heard()
    start, times = lone.now, []
    while (at := lone.endpoint.next_timer()) is not None and at - start < 20:
        lone.clock.advance(at)
        lone.endpoint.handle_timer(now=lone.now)
        lone.drain()
        times += [round(at - start, 1)] * len(lone.heard())
    assert times == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5]
