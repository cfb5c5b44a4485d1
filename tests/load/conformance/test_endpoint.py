"""The machine on virtual time: repeats, provisional responses, and the end of what was begun."""

from __future__ import annotations

import pytest

from softphone.errors import LocalProtocolError
from softphone.load.conformance import ConformanceEndpoint, Exchange, Reply
from softphone.sans_io import Transport
from softphone.sip.message import parse_datagram
from tests.load.conformance.conftest import OPTIONS, answer_to, flow_over

UDP, TCP = flow_over(), flow_over(Transport.TCP, 2)
VIA = b" SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKa\r\n"


def request_of(method=b"OPTIONS"):
    """A request whose branch is z9hG4bKa."""
    message = OPTIONS.replace(b"OPTIONS", method).replace(b" SIP/2.0\r\n", VIA)
    return message.replace(b"{target}", b"sip:b@127.0.0.1").replace(b"{aor}", b"sip:a@127.0.0.1")


def begun(method=b"OPTIONS", *, flow=UDP, repeats=True, branch="z9hG4bKa", now=0.0):
    """A machine with an exchange of 4 s, and the request of it."""
    machine = ConformanceEndpoint()
    exchange = Exchange((request_of(method),), branch, "c", 4.0, repeats)
    machine.begin(exchange, flow, now=now)
    return machine, parse_datagram(request_of(method))


def sent(machine):
    """The first words of what is sent."""
    return [transmit.data.split(b" ")[0].decode() for transmit in machine.transmits()]


def test_a_request_over_udp_is_repeated_three_times_and_given_up():
    machine, _ = begun()
    assert sent(machine) == ["OPTIONS"]
    at = []
    while machine.next_timer() is not None:
        now = machine.next_timer()
        machine.handle_timer(now=now)
        at += [now] * len(sent(machine))
    assert at == [0.5, 1.5, 3.5]
    assert machine.next_event() == Reply()
    assert machine.next_event() is None


@pytest.mark.parametrize(("flow", "repeats"), [(TCP, True), (UDP, False)])
def test_nothing_is_repeated_over_a_stream_or_where_no_answer_is_to_come(flow, repeats):
    machine, _ = begun(flow=flow, repeats=repeats)
    assert machine.next_timer() == 4.0


def test_a_final_response_ends_the_exchange():
    machine, request = begun()
    machine.receive(answer_to(request, 100), flow=UDP, now=0.1)
    assert machine.next_event() is None
    machine.receive(answer_to(request, 404), flow=UDP, now=0.2)
    reply = machine.next_event()
    assert (reply.status, reply.seconds, reply.response.status) == (404, 0.2, 404)
    assert machine.next_timer() is None


def test_another_exchange_must_wait():
    machine, _ = begun()
    with pytest.raises(LocalProtocolError, match="an exchange is going on"):
        machine.begin(Exchange((b"",), "x", "", 1.0), UDP, now=0.0)


def test_late_responses_and_those_of_other_flows_are_not_taken_for_the_answer():
    machine, request = begun()
    other = parse_datagram(request_of().replace(b"z9hG4bKa", b"z9hG4bKold"))
    machine.receive(answer_to(other, 200), flow=UDP, now=0.1)
    machine.receive(answer_to(request, 200), flow=flow_over(number=7), now=0.1)
    assert machine.next_event() is None


def test_without_a_branch_the_call_id_tells():
    machine, request = begun(branch="")
    other = parse_datagram(request_of().replace(b"Call-ID: c", b"Call-ID: old"))
    machine.receive(answer_to(other, 200), flow=UDP, now=0.1)
    assert machine.next_event() is None
    machine.receive(answer_to(request, 200), flow=UDP, now=0.1)
    assert machine.next_event().status == 200


@pytest.mark.parametrize("flow", [UDP, TCP])
def test_a_malformed_response_has_its_status(flow):
    machine, request = begun(flow=flow)
    broken = answer_to(request, 400).replace(b"From: <sip", b'From: "<sip')
    machine.receive(broken, flow=flow, now=0.3)
    assert machine.next_event() == Reply(400, None, seconds=0.3)


def test_a_refused_invite_is_acknowledged_each_time():
    machine, invite = begun(b"INVITE")
    sent(machine)
    for _ in range(20):
        machine.receive(answer_to(invite, 404), flow=UDP, now=0.1)
    assert sent(machine) == ["ACK"] * 8
    assert machine.next_event().status == 404
    assert machine.next_event() is None


def test_an_answered_invite_is_acknowledged_and_ended():
    machine, invite = begun(b"INVITE")
    sent(machine)
    machine.receive(
        answer_to(invite, 200, ("Contact", "<sip:b@127.0.0.1:5090>")), flow=UDP, now=0.1
    )
    ack, bye = [parse_datagram(transmit.data) for transmit in machine.transmits()]
    assert (ack.method, bye.method) == ("ACK", "BYE")
    assert str(ack.uri) == str(bye.uri) == "sip:b@127.0.0.1:5090"
    assert (ack.cseq.number, bye.cseq.number) == (1, 2)
    assert ack.to.tag == bye.to.tag == "t"
    assert ack.top_via.branch != bye.top_via.branch
    assert machine.next_event().status == 200


def test_an_invite_that_rings_is_canceled_and_counts_as_ringing():
    machine, invite = begun(b"INVITE")
    sent(machine)
    for status in (180, 180):
        machine.receive(answer_to(invite, status), flow=UDP, now=0.1)
    cancel = [parse_datagram(transmit.data) for transmit in machine.transmits()]
    assert [request.method for request in cancel] == ["CANCEL"]
    machine.receive(answer_to(cancel[0], 200), flow=UDP, now=0.2)
    assert machine.next_event() is None
    machine.receive(answer_to(invite, 487), flow=UDP, now=0.2)
    assert sent(machine) == ["ACK"]
    assert machine.next_event().status == 180


def test_who_rings_and_says_no_more_counts_as_ringing():
    machine, invite = begun(b"INVITE")
    machine.receive(answer_to(invite, 183), flow=UDP, now=0.1)
    machine.handle_timer(now=4.0)
    assert machine.next_event().status == 183


def test_the_answer_to_a_cancel_that_is_the_case_counts():
    machine, cancel = begun(b"CANCEL")
    machine.receive(answer_to(cancel, 481), flow=UDP, now=0.1)
    assert machine.next_event().status == 481


@pytest.mark.parametrize(("flow", "closed"), [(TCP, True), (UDP, False)])
def test_a_connection_that_the_target_closes(flow, closed):
    machine, _ = begun(flow=flow)
    machine.disconnected(flow=flow_over(number=9), reason=None, now=0.1)
    assert machine.next_event() is None
    machine.disconnected(flow=flow, reason=None, now=0.1)
    assert machine.next_event() == Reply(closed=closed)


def test_requests_of_the_target_are_refused_but_ack():
    machine, request = begun()
    sent(machine)
    machine.receive(request_of(b"BYE"), flow=UDP, now=0.1)
    machine.receive(request_of(b"ACK"), flow=UDP, now=0.1)
    (response,) = [parse_datagram(transmit.data) for transmit in machine.transmits()]
    assert (response.status, response.cseq.method) == (481, "BYE")
    machine.receive(b"\r\n\r\n", flow=UDP, now=0.1)
    machine.receive(b"\x00\xff", flow=UDP, now=0.1)
    assert sent(machine) == []
    machine.receive(answer_to(request), flow=UDP, now=0.1)
    assert machine.next_event().status == 200


def test_octets_after_the_end_of_an_exchange_do_no_harm():
    machine, request = begun(flow=TCP)
    machine.receive(answer_to(request), flow=TCP, now=0.1)
    machine.receive(b"SIP/2.0 200 OK\r\n\r\n", flow=TCP, now=0.2)
    assert machine.next_event().status == 200
    machine.close_flow(TCP)
    assert machine.transmits()[-1].close
