"""The messages of a call that failed: found among others, masked, and bounded."""

from __future__ import annotations

import pytest

from softphone.load.run import failure_trace as module
from softphone.load.run.failure_trace import FailureTrace
from softphone.sans_io import Flow, Transport

INVITE = (
    b"INVITE sip:600@example.test SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK%d\r\n"
    b"From: <sip:a@example.test>;tag=1\r\nTo: <sip:600@example.test>\r\nCall-ID: call-%d\r\n"
    b"CSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
    b'Authorization: Digest username="a", response="0123456789abcdef"\r\n'
    b"Content-Length: 0\r\n\r\n"
)
BUSY = (
    b"SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK%d\r\n"
    b"From: <sip:a@example.test>;tag=1\r\nTo: <sip:600@example.test>;tag=2\r\n"
    b"Call-ID: call-%d\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)


def flow(number, transport=Transport.TLS):
    return Flow(number, transport, ("127.0.0.1", 5000 + number), ("127.0.0.1", 5061))


class Traced:
    """A trace on a clock, and what it tells."""

    def __init__(self):
        self.now, self.told = 1.0, []
        self.trace = FailureTrace(self.told.append, lambda: self.now)

    def sent(self, data, where, *, outgoing=True):
        self.trace.signaling(data, flow=where, outgoing=outgoing, now=self.now)


@pytest.mark.parametrize("transport", [Transport.TLS, Transport.UDP])
def test_the_messages_of_the_call_are_told_from_others_and_masked(transport):
    one, other = flow(1, transport), flow(2, transport)
    traced = Traced()
    for number, where in ((1, one), (2, one), (3, other)):
        traced.sent(INVITE % (number, number), where)
    busy = BUSY % (2, 2)
    for piece in (busy,) if transport is Transport.UDP else (busy[:40], busy[40:]):
        traced.sent(piece, one, outgoing=False)
    traced.trace.add_failure("call-2", "486 Busy Here")
    (call,) = traced.told
    assert (call.cause, call.call_id, call.at, call.worker) == ("486 Busy Here", "call-2", 1.0, 0)
    assert call.messages.count("Call-ID: call-2") == 2
    assert "call-1" not in call.messages + call.ladder
    assert [word in call.ladder for word in ("INVITE", "486 Busy Here")] == [True, True]
    assert "0123456789abcdef" not in call.messages


def test_a_call_of_which_nothing_is_kept_says_so(monkeypatch):
    monkeypatch.setattr(module, "MOST_OF_FLOW", 4 * len(INVITE))
    traced = Traced()
    for number in range(10):
        traced.sent(INVITE % (number, number), flow(1))
    traced.trace.add_failure("call-0", "no answer in time")
    traced.trace.add_failure("", "no connection")
    traced.trace.add_failure("call-9", "no answer in time")
    assert ["INVITE" in call.ladder for call in traced.told] == [False, False, True]
    assert traced.told[0].ladder == "no SIP message was sent or received"


def test_what_begins_within_a_message_is_left_out(monkeypatch):
    traced = Traced()
    traced.sent(b"t of another message\r\n\r\n", flow(1))
    traced.sent(INVITE % (1, 1), flow(1))
    traced.trace.add_failure("call-1", "x")
    assert "malformed" not in traced.told[0].ladder
    assert "INVITE" in traced.told[0].ladder


def test_octets_are_bounded_and_calls_that_fail_together_wait_for_their_turn(monkeypatch):
    monkeypatch.setattr(module, "MOST_OF_ALL", 20 * len(INVITE))
    traced = Traced()
    for number in range(200):
        traced.sent(INVITE % (number, number), flow(number))
        traced.trace.add_failure(f"call-{number}", "x")
    kept = sum(recent.size for recent in traced.trace._flows.values())
    assert kept == traced.trace._size <= 20 * len(INVITE)
    assert len(traced.told) == module.BURST
    traced.now += 1.0
    traced.trace.show_waiting()
    assert len(traced.told) == module.BURST + module.SHOWN_A_SECOND
    traced.trace.finish()
    assert [call.call_id for call in traced.told] == [f"call-{number}" for number in range(200)]
    assert all("INVITE" in call.ladder for call in traced.told), "their octets have waited, too"
    assert {call.at for call in traced.told} == {1.0}
    assert traced.trace.left_out == traced.trace._queued == 0


def test_calls_that_wait_are_bounded_by_octets_and_at_the_end_by_time(monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 3 * (module.LEAST_SIZE + len(INVITE % (10, 10))))
    traced = Traced()
    for number in range(10, 30):
        traced.sent(INVITE % (number, number), flow(number, Transport.UDP))
        traced.trace.add_failure(f"call-{number}", "x")
    waiting = 20 - int(module.BURST)
    assert traced.trace.left_out == waiting - 3
    tell = traced.trace._tell

    def slowly(call):
        traced.now += 1.5
        tell(call)

    traced.trace._tell = slowly
    traced.trace.finish()
    assert len(traced.told) == module.BURST + 2
    assert traced.trace.left_out == waiting - 2


def test_a_call_that_waits_is_found_later_where_it_was_not_at_once(monkeypatch):
    monkeypatch.setattr(module, "LOOKED_AT", 1)
    traced = Traced()
    for number in range(20):
        traced.sent(INVITE % (number, number), flow(number, Transport.UDP))
    for number in range(20):
        traced.trace.add_failure(f"call-{number}", "x")
    traced.trace.finish()
    assert ["INVITE" in call.ladder for call in traced.told] == [True] * 20
