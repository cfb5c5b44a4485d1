"""Calls between two endpoints: the wire, events and deadlines of INVITE usages."""

from __future__ import annotations

from collections.abc import Callable

from softphone.sans_io import Transport
from softphone.sip.dialog.initial_request import ReferRequest, SubscribeRequest
from softphone.sip.endpoint_config import EndpointConfig
from softphone.sip.events import (
    InDialogRequestReceived,
    InviteReceived,
    ModificationReceived,
    PrackReceived,
    ProvisionalReceived,
    ReferReceived,
    SubscribeReceived,
)
from softphone.sip.invite.usage import InviteUsage
from softphone.sip.message.message import Body, Request, Response
from softphone.sip.message.uri import NameAddr, SipUri
from softphone.sip.subscription.notifier import NotifierUsage
from softphone.sip.subscription.subscriber import SubscriberUsage
from tests.golden.transcript import Transcript, record, taken
from tests.support.link import LinkQuality
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER, ANSWER_2, OFFER, OFFER_2, Pair

CAROL = NameAddr.parse("<sip:carol@192.0.2.3>")
PEOPLE = {
    "uri": SipUri.parse("sip:bob@192.0.2.2"),
    "local": NameAddr.parse("<sip:alice@example.com>"),
    "remote": NameAddr.parse("<sip:bob@example.com>"),
}


def recorded_pair(**options: object) -> tuple[Pair, Transcript]:
    """Two endpoints that are recorded from the opening of their flow on."""
    pair = Pair(connect=False, **options)
    transcript = Transcript(lambda: pair.now)
    record(pair.alice, transcript, "alice")
    record(pair.bob, transcript, "bob")
    pair.connect()
    return pair, transcript


def received(pair: Pair) -> InviteUsage:
    """Bob's side of the call that has reached him last."""
    events = pair.events["bob"]
    usages = [event.usage for event in events if isinstance(event, InviteReceived)]
    events.clear()
    usage: InviteUsage = usages[-1]
    return usage


def call_up(pair: Pair, **changes: object) -> tuple[InviteUsage, InviteUsage]:
    """A call that was answered after ringing."""
    mine: InviteUsage = pair.alice.invite(pair.invitation(**changes), now=pair.now)
    pair.run(0.05)
    theirs = received(pair)
    theirs.send_provisional(now=pair.now)
    pair.run(1.0)
    theirs.accept(ANSWER, now=pair.now)
    pair.run(0.2)
    return mine, theirs


def basic_call(transport: Transport) -> str:
    """A call with hold, resume, INFO, MESSAGE, UPDATE, glare and BYE."""
    pair, transcript = recorded_pair(transport=transport)
    transcript.title("alice calls bob")
    mine, theirs = call_up(pair)
    transcript.title("alice holds the call and takes it back")
    for offer, answer in ((OFFER_2, ANSWER_2), (OFFER, ANSWER)):
        mine.reinvite(offer, now=pair.now)
        pair.run(0.1)
        taken(pair.events["bob"], ModificationReceived)
        theirs.answer_modification(answer, now=pair.now)
        pair.run(0.5)
    transcript.title("bob asks for an offer, and refuses an UPDATE")
    theirs.reinvite(None, now=pair.now)
    pair.run(0.1)
    mine.answer_modification(OFFER_2, now=pair.now)
    pair.run(0.1)
    theirs.acknowledge(ANSWER_2, now=pair.now)
    pair.run(0.1)
    mine.update(OFFER, now=pair.now)
    pair.run(0.1)
    theirs.reject_modification(488, now=pair.now, reason="Not so")
    pair.run(0.5)
    transcript.title("requests within the dialog")
    mine.info(Body("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n"), now=pair.now)
    theirs.message(Body("text/plain", "grüße".encode()), now=pair.now)
    pair.run(0.1)
    for name, machine in (("bob", pair.bob), ("alice", pair.alice)):
        exchange = taken(pair.events[name], InDialogRequestReceived).exchange
        machine.respond(exchange, 200, now=pair.now)
    pair.run(0.1)
    transcript.title("both change the session at once")
    for events in pair.events.values():
        events.clear()
    mine.reinvite(OFFER_2, now=pair.now)
    theirs.reinvite(OFFER_2, now=pair.now)
    for _ in range(60):
        pair.run(0.1)
        for name, usage in (("alice", mine), ("bob", theirs)):
            if any(isinstance(event, ModificationReceived) for event in pair.events[name]):
                taken(pair.events[name], ModificationReceived)
                usage.answer_modification(ANSWER_2, now=pair.now)
    transcript.title("bob hangs up")
    theirs.bye(now=pair.now, headers=(("Reason", 'Q.850;cause=16;text="done"'),))
    pair.run(60)
    transcript.refused("alice", lambda: mine.reinvite(OFFER, now=pair.now))
    return transcript.text


def lossy_call() -> str:
    """A call over a link that loses, copies and delays: retransmissions on both sides."""
    quality = LinkQuality(delay=0.03, jitter=0.05, loss=0.35, duplicate=0.1)
    pair, transcript = recorded_pair(quality=quality, seed=11)
    mine: InviteUsage = pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(3)
    theirs = received(pair)
    theirs.send_provisional(183, now=pair.now, body=ANSWER, reliable=True)
    pair.run(10)
    theirs.accept(ANSWER, now=pair.now)
    pair.run(20)
    mine.reinvite(OFFER_2, now=pair.now)
    pair.run(5)
    theirs.answer_modification(ANSWER_2, now=pair.now)
    pair.run(20)
    mine.bye(now=pair.now)
    pair.run(80)
    return transcript.text


def reliable_provisionals() -> str:
    """100rel: PRACK by the caller, offers and answers in both, UPDATE before the answer."""
    pair, transcript = recorded_pair()
    transcript.title("an answer in a reliable 183, then 180, then UPDATE in the early dialog")
    mine: InviteUsage = pair.alice.invite(pair.invitation(require_reliable=True), now=pair.now)
    pair.run(0.05)
    theirs = received(pair)
    theirs.send_provisional(183, now=pair.now, body=ANSWER, reliable=True)
    theirs.send_provisional(180, now=pair.now, reliable=True)
    pair.run(0.2)
    mine.update(OFFER_2, now=pair.now)
    pair.run(0.1)
    theirs.answer_modification(ANSWER_2, now=pair.now)
    pair.run(0.1)
    theirs.accept(None, now=pair.now)
    pair.run(0.2)
    mine.bye(now=pair.now)
    pair.run(40)
    transcript.title("an offer in a reliable 183, answered in the PRACK")
    mine = pair.alice.invite(pair.invitation(body=None), now=pair.now)
    pair.run(0.05)
    theirs = received(pair)
    theirs.send_provisional(183, now=pair.now, body=OFFER_2, reliable=True)
    pair.run(0.1)
    pair.events["alice"] = [
        event for event in pair.events["alice"] if isinstance(event, ProvisionalReceived)
    ]
    taken(pair.events["alice"], ProvisionalReceived)
    mine.prack(ANSWER_2, now=pair.now)
    pair.run(0.1)
    pair.events["bob"] = [event for event in pair.events["bob"] if isinstance(event, PrackReceived)]
    taken(pair.events["bob"], PrackReceived)
    theirs.accept(None, now=pair.now)
    pair.run(0.2)
    theirs.bye(now=pair.now)
    pair.run(40)
    transcript.title("no PRACK comes: the INVITE fails")
    pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(0.05)
    theirs = received(pair)
    pair.links["alice"].up = False
    theirs.send_provisional(183, now=pair.now, body=ANSWER, reliable=True)
    pair.run(80)
    return transcript.text


def session_timers() -> str:
    """RFC 4028: both refreshers, 422, a peer that stops, one that knows no timers."""
    pair, transcript = recorded_pair()
    transcript.title("the caller refreshes by UPDATE")
    mine, theirs = call_up(pair, session_timer=200.0)
    pair.run(350)
    transcript.title("bob does not hear any more: the session expires")
    pair.links["alice"].up = False
    pair.run(300)
    small = EndpointConfig(min_se=600.0)
    pair, second = recorded_pair(bob_config=small, seed=3)
    transcript.title("the interval is too small: 422, and once more")
    call_up(pair, session_timer=200.0)
    pair.run(700)
    transcript.title("the callee refreshes, by re-INVITE where UPDATE is not allowed")
    lone, third = recorded_lone()
    for number, allow in enumerate(("UPDATE", "INVITE")):
        fields = ("Session-Expires: 180;refresher=uas", "Supported: timer", f"Allow: {allow}")
        lone.say(
            lone.request("INVITE", body=SDP, headers=fields, call_id=f"c{number}", cseq=number + 1)
        )
        usage: InviteUsage = taken(lone.events, InviteReceived).usage
        usage.accept(ANSWER, now=lone.now)
        lone.drain()
        success = lone.last()
        assert isinstance(success, Response)
        tag = success.to.tag or ""
        lone.say(lone.request("ACK", to_tag=tag, call_id=f"c{number}", cseq=number + 1))
        lone.wait(91)
        refresh = sent_request(lone)
        lone.say(lone.response(refresh, 200, headers=fields, body=SDP))
        lone.wait(30)
        usage.bye(now=lone.now)
        lone.drain()
        lone.say(lone.response(sent_request(lone), 200))
    del mine, theirs
    return transcript.text + second.text + third.text


def recorded_lone(**options: object) -> tuple[Lone, Transcript]:
    """One recorded endpoint and a far end that the script plays."""
    lone = Lone(**options)
    transcript = Transcript(lambda: lone.now)
    record(lone.endpoint, transcript, "alice")
    return lone, transcript


def sent_request(lone: Lone) -> Request:
    """The request that the endpoint sent last."""
    message = lone.last()
    assert isinstance(message, Request)
    return message


def fork() -> str:
    """One INVITE, several answers: early dialogs by tag, PRACK in each, a second and third 200."""
    lone, transcript = recorded_lone()
    usage: InviteUsage = lone.endpoint.invite(Pair().invitation(to=lone.flow), now=lone.now)
    lone.drain()
    invite = sent_request(lone)
    transcript.title("early dialogs")
    lone.say(lone.response(invite, 100, to_tag=""))
    for number, tag in enumerate(("one", "two", "three")):
        lone.say(lone.response(invite, 180, to_tag=tag))
        fields = ("Require: 100rel", f"RSeq: {number + 7}")
        ring = lone.response(invite, 183, to_tag=tag, headers=fields, body=SDP)
        lone.say(ring)
        prack = sent_request(lone)
        lone.say(ring)
        lone.say(lone.response(prack, 200))
        lone.wait(0.3)
    transcript.title("two answers first, then late ones")
    record_route = ("Record-Route: <sip:p2.test;lr>, <sip:p1.test;lr>",)
    for tag in ("two", "one", "four", "two"):
        lone.say(lone.response(invite, 200, to_tag=tag, body=SDP, headers=record_route))
        lone.wait(0.2)
    goodbyes = [each for each in lone.out if isinstance(each, Request) and each.method == "BYE"]
    for message in goodbyes:
        lone.say(lone.response(message, 200))
    transcript.title("the call that was chosen goes on")
    usage.info(None, now=lone.now)
    lone.drain()
    lone.say(lone.response(sent_request(lone), 200))
    lone.say(
        lone.request("BYE", to_tag=invite.from_.tag or "", call_id=invite.call_id, from_tag="two")
    )
    lone.wait(60)
    return transcript.text


def transfers() -> str:
    """REFER in the dialog, blind and attended, refused, without subscription; and outside of it."""
    pair, transcript = recorded_pair()
    mine, _ = call_up(pair)
    transcript.title("blind transfer, told until it is done")
    mine.refer(CAROL, now=pair.now, referred_by=NameAddr.parse("<sip:alice@example.com>"))
    mine.refer(CAROL, now=pair.now, subscribe=False)
    pair.run(0.05)
    referral: NotifierUsage = taken(pair.events["bob"], ReferReceived).subscription
    referral.accept(now=pair.now)
    other: NotifierUsage = taken(pair.events["bob"], ReferReceived).subscription
    other.accept(now=pair.now)
    pair.run(0.1)
    referral.notify_progress(180, "Ringing", now=pair.now)
    pair.run(2.0)
    referral.notify_progress(200, "OK", now=pair.now)
    pair.run(0.1)
    transcript.title("a transfer that is refused, one that nobody answers")
    mine.refer(CAROL, now=pair.now)
    pair.run(0.05)
    refused: NotifierUsage = taken(pair.events["bob"], ReferReceived).subscription
    refused.reject(603, now=pair.now)
    mine.refer(CAROL, now=pair.now)
    pair.run(40)
    transcript.title("attended: a second call replaces the first")
    value = mine.replaces_value()
    replacing: InviteUsage = pair.alice.invite(pair.invitation(replaces=value), now=pair.now)
    pair.run(0.1)
    received(pair).accept(ANSWER, now=pair.now)
    pair.run(0.3)
    transcript.title("REFER outside any dialog, to a call by its Replaces")
    target = NameAddr.parse("<sip:carol@192.0.2.3?Replaces=a%40b%3Bto-tag%3Dx%3Bfrom-tag%3Dy>")
    pair.alice.refer(ReferRequest(**PEOPLE, to=pair.target, refer_to=target), now=pair.now)
    pair.run(0.05)
    outside: NotifierUsage = taken(pair.events["bob"], ReferReceived).subscription
    outside.accept(now=pair.now)
    outside.notify_progress(486, "Busy Here", now=pair.now)
    pair.run(0.1)
    replacing.bye(now=pair.now)
    pair.run(60)
    return transcript.text


def subscriptions() -> str:
    """SUBSCRIBE and NOTIFY: pending, active, refreshed, ended by either side, refused."""
    pair, transcript = recorded_pair()
    wanted = SubscribeRequest(
        **PEOPLE,
        to=pair.target,
        event="message-summary",
        expires=600,
        accept=("application/simple-message-summary",),
    )
    transcript.title("pending, then active, refreshed before it ends")
    subscription: SubscriberUsage = pair.alice.subscribe(wanted, now=pair.now)
    pair.run(0.1)
    theirs: NotifierUsage = taken(pair.events["bob"], SubscribeReceived).subscription
    theirs.accept(now=pair.now, expires=120, pending=True)
    pair.run(0.1)
    theirs.activate(now=pair.now)
    summary = Body("application/simple-message-summary", b"Messages-Waiting: yes\r\n")
    theirs.notify(summary, now=pair.now)
    pair.run(200)
    transcript.title("ended by the subscriber")
    subscription.unsubscribe(now=pair.now)
    pair.run(40)
    transcript.title("ended by the notifier")
    pair.alice.subscribe(wanted, now=pair.now)
    pair.run(0.1)
    theirs = taken(pair.events["bob"], SubscribeReceived).subscription
    theirs.accept(now=pair.now)
    theirs.notify(summary, now=pair.now)
    pair.run(0.1)
    theirs.terminate(reason="deactivated", now=pair.now)
    pair.run(40)
    transcript.title("refused")
    pair.alice.subscribe(wanted, now=pair.now)
    pair.run(0.1)
    theirs = taken(pair.events["bob"], SubscribeReceived).subscription
    theirs.reject(403, now=pair.now)
    pair.run(80)
    return transcript.text


TRANSCRIPTS: dict[str, Callable[[], str]] = {
    "sip-call-udp": lambda: basic_call(Transport.UDP),
    "sip-call-tls": lambda: basic_call(Transport.TLS),
    "sip-call-lossy": lossy_call,
    "sip-fork": fork,
    "sip-prack": reliable_provisionals,
    "sip-session-timer": session_timers,
    "sip-transfer": transfers,
    "sip-subscription": subscriptions,
}
