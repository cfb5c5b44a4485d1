"""The endpoint as a machine: flows, keep-alives, rebinding, hostile bytes, bounded memory."""

from __future__ import annotations

import random

import pytest

from softphone.errors import LocalProtocolError
from softphone.sans_io import Target, Transport
from softphone.sip import EndpointConfig
from softphone.sip.invite import InviteState
from softphone.sip.message import NameAddr, Request, SipUri
from tests.support.link import LinkQuality
from tests.support.lone import Lone
from tests.support.pair import ANSWER, ANSWER_2, OFFER_2, Pair, kinds, new_flow

FAR = NameAddr(None, SipUri.parse("sip:far@example.com"))


def options():
    return Request.build("OPTIONS", FAR.uri, (("From", str(FAR)), ("To", str(FAR))))


def test_what_the_request_lacks_is_filled_in():
    lone = Lone(config=EndpointConfig(user_agent="softphone"))
    exchange = lone.endpoint.send_request(options(), to=lone.flow, now=lone.now)
    lone.drain()
    sent = lone.last()
    assert sent.from_.tag
    assert (sent.max_forwards, sent.cseq.method) == (70, "OPTIONS")
    assert sent.headers.get("User-Agent") == "softphone"
    lone.say(lone.response(sent, 200))
    received = lone.take("ResponseReceived")
    assert received.exchange is exchange
    assert received.final
    assert exchange.response is received.response


def test_invite_ack_and_cancel_are_no_exchanges():
    lone = Lone()
    with pytest.raises(LocalProtocolError):
        lone.endpoint.send_request(
            Request.build("INVITE", FAR.uri, (("From", str(FAR)), ("To", str(FAR)))),
            to=lone.flow,
            now=lone.now,
        )


def test_a_ping_is_answered_on_a_stream_and_not_over_udp():
    lone = Lone(transport=Transport.TLS)
    lone.say("\r\n\r\n")
    assert lone.transmits[-1].data == b"\r\n"
    lone.say("\r\n")
    assert lone.take("PongReceived").flow == lone.flow
    datagram = Lone()
    datagram.say("\r\n\r\n")
    assert datagram.transmits == []


def test_our_public_address_is_learned_from_the_via_of_responses():
    lone = Lone()
    lone.endpoint.send_request(options(), to=lone.flow, now=lone.now)
    lone.drain()
    text = lone.response(lone.last(), 200)
    lone.say(text.replace(";rport", ";received=203.0.113.9;rport=41000"))
    assert lone.endpoint.public_address(lone.flow) == ("203.0.113.9", 41000)
    contact = lone.endpoint.contact_for_flow(lone.flow, "us")
    assert str(contact.uri) == "sip:us@203.0.113.9:41000"


def test_a_flow_is_opened_once_for_all_that_wait_for_it():
    pair = Pair(transport=Transport.TLS, connect=False)
    pair.alice.open_flow(pair.target, now=pair.now)
    pair.alice.invite(pair.invitation(), now=pair.now)
    pair.alice.send_request(options(), to=pair.target, now=pair.now)
    pair.drain()
    assert pair.opens == [pair.target]
    pair.connect()
    pair.run(0)
    assert pair.sent("alice") == ["INVITE", "OPTIONS"]
    assert pair.alice.flow_of(pair.target) == pair.flows["alice"]
    pair.alice.open_flow(pair.target, now=pair.now)
    pair.drain()
    assert kinds(pair.events["alice"]) == ["FlowOpened"]


def test_close_and_ping_become_transmits():
    lone = Lone(transport=Transport.TLS)
    lone.endpoint.ping_flow(lone.flow, now=lone.now)
    lone.endpoint.close_flow(lone.flow, now=lone.now)
    lone.drain()
    assert [(t.data, t.close) for t in lone.transmits] == [(b"\r\n\r\n", False), (b"", True)]


def test_a_dead_flow_is_reported_and_calls_outlive_it():
    pair = Pair(transport=Transport.TLS)
    mine, theirs = pair.answered()
    pair.cut("no pong")
    assert pair.take("alice", "FlowClosed").reason == "no pong"
    assert mine.state is theirs.state is InviteState.CONFIRMED
    assert mine.flow is None


def test_a_dialog_is_rebound_to_the_new_flow():
    pair = Pair(transport=Transport.TLS)
    mine, theirs = pair.answered()
    old = pair.flows["bob"]
    pair.cut()
    pair.connect()
    assert theirs.flow is None
    pair.bob.rebind_flow(old, pair.flows["bob"], now=pair.now)
    assert theirs.flow == pair.flows["bob"]
    theirs.reinvite(OFFER_2, now=pair.now)
    pair.run(0.05)
    mine.answer_modification(ANSWER_2, now=pair.now)
    pair.run(0.1)
    assert "ModificationAnswered" in kinds(pair.events["bob"])


def test_a_dialog_whose_flow_is_gone_follows_the_far_ends_change_of_the_session():
    pair = Pair(transport=Transport.TLS)
    mine, theirs = pair.answered()
    pair.cut()
    pair.connect()
    assert theirs.flow is None
    mine.reinvite(OFFER_2, now=pair.now)
    pair.run(0.05)
    assert theirs.flow == pair.flows["bob"]
    theirs.answer_modification(ANSWER_2, now=pair.now)
    pair.run(0.1)
    theirs.bye(now=pair.now)
    pair.run(0.1)
    assert mine.state is theirs.state is InviteState.TERMINATED


def test_a_dialog_with_its_flow_stays_there_whatever_comes_over_another():
    pair = Pair(transport=Transport.TLS)
    mine, theirs = pair.answered()
    first = pair.flows["bob"]
    mine.reinvite(OFFER_2, now=pair.now)
    pair.run(0.05)
    assert theirs.flow == first


def test_a_large_request_goes_over_tcp_where_that_is_wanted():
    config = EndpointConfig(reliable_above=1300)
    lone = Lone(config=config)
    large = Request.build(
        "MESSAGE",
        FAR.uri,
        (("From", str(FAR)), ("To", str(FAR)), ("Subject", "x" * 1400)),
    )
    lone.endpoint.send_request(large, to=lone.flow, now=lone.now)
    lone.drain()
    assert lone.transmits[-1].to == Target(Transport.TCP, "192.0.2.9", 5060)
    plain = Lone()
    plain.endpoint.send_request(large, to=plain.flow, now=plain.now)
    plain.drain()
    assert plain.transmits[-1].to == plain.flow


def test_after_a_call_nothing_is_left():
    for transport in Transport:
        pair = Pair(transport=transport)
        mine, _ = pair.answered()
        mine.bye(now=pair.now)
        pair.run(40)
        for machine in (pair.alice, pair.bob):
            layer = machine._layer
            assert machine.next_timer() is None
            assert not layer._clients
            assert not layer._servers
            assert not layer._merged
            assert not len(machine._table)
            assert machine.usages() == ()


@pytest.mark.parametrize("seed", range(20))
def test_a_call_survives_a_lossy_reordering_duplicating_link(seed):
    quality = LinkQuality(delay=0.03, jitter=0.08, loss=0.2, duplicate=0.1)
    pair = Pair(quality=quality, seed=seed)
    usages = {}

    def bob(event):
        kind = type(event).__name__
        if kind == "InviteReceived":
            usages["bob"] = event.usage
            event.usage.send_provisional(183, now=pair.now, body=ANSWER)
            event.usage.accept(None, now=pair.now)
        elif kind == "ModificationReceived":
            event.usage.answer_modification(ANSWER_2, now=pair.now)

    pair.on_event["bob"] = bob
    mine = pair.alice.invite(pair.invitation(session_timer=1800.0), now=pair.now)
    pair.run(40)
    assert mine.state is usages["bob"].state is InviteState.CONFIRMED
    mine.reinvite(OFFER_2, now=pair.now)
    pair.run(40)
    assert "ModificationAnswered" in kinds(pair.events["alice"])
    mine.update(OFFER_2, now=pair.now)
    pair.run(40)
    assert kinds(pair.events["alice"]).count("ModificationAnswered") == 2
    usages["bob"].bye(now=pair.now)
    pair.run(80)
    assert kinds(pair.events["alice"])[-1] == kinds(pair.events["bob"])[-1] == "InviteEnded"
    assert pair.alice.next_timer() is pair.bob.next_timer() is None


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
def test_mutated_messages_never_raise(transport):
    source = random.Random(11)
    pair = Pair(transport=transport)
    mine, _ = pair.answered()
    mine.reinvite(OFFER_2, now=pair.now)
    pair.run(0.2)
    seeds = [message.encode() for _, message in pair.wire]
    for i in range(3000):
        data = bytearray(source.choice(seeds))
        for _ in range(source.randint(1, 4)):
            at = source.randrange(len(data))
            data[at] = source.choice(b'\x00\r\n :;"\xff,<>=@0Z')
        flow = pair.flows["bob"]
        if transport is Transport.TCP:
            flow = new_flow(transport, ("192.0.2.2", 5060), ("192.0.2.1", 5060))
        pair.bob.receive(bytes(data), flow=flow, now=pair.now + i * 0.001)
        pair.bob.transmits()
        while pair.bob.next_event() is not None:
            continue


def test_a_call_goes_on_by_itself_on_the_next_flow_to_the_same_target():
    pair = Pair(transport=Transport.TLS)
    mine, theirs = pair.answered()
    first = pair.flows["alice"]
    assert mine.dialog.to == first
    pair.cut()
    mine.reinvite(OFFER_2, now=pair.now)
    pair.drain()
    # The dialog's flow is gone: its target is opened again (RFC 5626 section 4.3).
    assert pair.opens[-1] == pair.target
    pair.connect()
    pair.run(0.05)
    assert pair.take("bob", "ModificationReceived").usage is theirs


@pytest.mark.parametrize("by", ["flow", "target"])
def test_a_call_is_rebound_to_another_target_by_its_old_flow_or_target(by):
    pair = Pair(transport=Transport.TLS)
    mine, _ = pair.answered()
    old = pair.flows["alice"] if by == "flow" else pair.target
    pair.cut()
    backup = Target(Transport.TLS, "192.0.2.20", 5061)
    pair.alice.rebind_flow(old, backup, now=pair.now)
    mine.info(None, now=pair.now)
    pair.drain()
    assert pair.opens[-1] == backup
