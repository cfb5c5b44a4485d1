"""Calls that fail, challenges, streams in pieces, and messages that are no good."""

from __future__ import annotations

from collections.abc import Callable

from softphone.sans_io import Flow, Side, Transport
from softphone.security import KeyMaterial
from softphone.sip.auth import DigestAlgorithm, DigestCredentials, DigestSession
from softphone.sip.events import InviteReceived, RequestReceived
from softphone.sip.invite.usage import InviteUsage
from softphone.sip.message.message import Body, Request
from softphone.sip.message.uri import NameAddr, SipUri
from tests.golden.sip_calls import (
    CAROL,
    call_up,
    received,
    recorded_lone,
    recorded_pair,
    sent_request,
)
from tests.golden.transcript import taken
from tests.support.challenges import own_server_everywhere
from tests.support.clock import seeded_entropy
from tests.support.lone import SDP
from tests.support.pair import ANSWER, OFFER, Pair, new_flow
from tests.support.torture import TORTURE


def failures() -> str:
    """Refusals, redirection, CANCEL and its races, time-outs, a connection that is lost."""
    pair, transcript = recorded_pair()
    transcript.title("busy; redirected; canceled; canceled before anything was heard")
    for ending in ("busy", "moved", "cancel"):
        usage: InviteUsage = pair.alice.invite(pair.invitation(), now=pair.now)
        pair.run(0.05)
        theirs = received(pair)
        theirs.send_provisional(now=pair.now)
        pair.run(0.1)
        if ending == "busy":
            theirs.reject(486, now=pair.now, reason="Busy Here")
        elif ending == "moved":
            theirs.redirect([CAROL], now=pair.now)
        else:
            usage.cancel(now=pair.now, headers=(("Reason", "SIP;cause=200"),))
        pair.run(40)
    early: InviteUsage = pair.alice.invite(pair.invitation(), now=pair.now)
    early.cancel(now=pair.now)
    pair.run(40)
    transcript.title("CANCEL crosses the 200")
    crossing: InviteUsage = pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(0.05)
    theirs = received(pair)
    theirs.send_provisional(now=pair.now)
    pair.run(0.1)
    crossing.cancel(now=pair.now)
    theirs.accept(ANSWER, now=pair.now)
    pair.run(80)
    transcript.title("nobody answers the phone; nobody is there")
    pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(0.05)
    received(pair).send_provisional(now=pair.now)
    pair.run(200)
    pair.links["alice"].up = False
    pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(70)
    return transcript.text


def lost_connection() -> str:
    """A TLS connection is lost during calls; the dialogs go on over the next one."""
    pair, transcript = recorded_pair(transport=Transport.TLS)
    mine, theirs = call_up(pair)
    pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(0.05)
    transcript.title("the connection is lost with a call up and one ringing")
    before = dict(pair.flows)
    pair.cut()
    pair.run(5)
    pair.connect()
    for name, machine in pair.machines.items():
        machine.rebind_flow(before[name], pair.flows[name], now=pair.now)
    mine.reinvite(OFFER, now=pair.now)
    pair.run(0.1)
    theirs.answer_modification(ANSWER, now=pair.now)
    pair.run(1)
    theirs.bye(now=pair.now)
    pair.run(40)
    transcript.title("a connection that cannot be opened")
    target = pair.target
    pair.alice.close_flow(pair.flows["alice"], now=pair.now)
    pair.drain()
    pair.alice.invite(pair.invitation(), now=pair.now)
    pair.drain()
    pair.alice.disconnected(flow=target, reason="connection refused", now=pair.now)
    pair.run(40)
    return transcript.text


def challenges() -> str:
    """INVITE, MESSAGE and a request in the dialog are challenged, by server and by proxy."""
    lone, transcript = recorded_lone(transport=Transport.TLS)
    session = DigestSession(
        [DigestCredentials("alice", KeyMaterial(b"secret"), algorithms=tuple(DigestAlgorithm))],
        entropy=seeded_entropy(3),
        policy=own_server_everywhere("r", "p"),
    )
    www = 'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth,auth-int"'
    proxy = 'Proxy-Authenticate: Digest realm="p", nonce="m", opaque="o", algorithm=MD5, qop="auth"'
    invitation = Pair().invitation(to=lone.flow, credentials=session)
    usage: InviteUsage = lone.endpoint.invite(invitation, now=lone.now)
    lone.drain()
    for status, field in ((401, www), (407, proxy)):
        lone.say(lone.response(sent_request(lone), status, headers=(field,), to_tag="c"))
    lone.say(lone.response(sent_request(lone), 200, body=SDP))
    usage.info(None, now=lone.now)
    lone.drain()
    for nonce in ("n2", "n3"):  # What was added in advance is withdrawn, then asked for anew.
        field = www.replace('"n"', f'"{nonce}"')
        lone.say(lone.response(sent_request(lone), 401, headers=(field,)))
    lone.say(lone.response(sent_request(lone), 200))
    usage.bye(now=lone.now)
    lone.drain()
    lone.say(lone.response(sent_request(lone), 200))
    transcript.title("MESSAGE outside of a dialog; then with a password that is not believed")
    for answers in ((407, 407, 200), (407, 407, 407)):
        fields = [
            ("From", "<sip:alice@example.com>"),
            ("To", "<sip:bob@example.com>"),
        ]
        text = Body("text/plain", b"Hello")
        request = Request.build("MESSAGE", SipUri.parse("sip:bob@192.0.2.9"), fields, text)
        lone.endpoint.send_request(request, to=lone.flow, now=lone.now, credentials=session)
        lone.drain()
        for status in answers:
            headers = (proxy.replace('"m"', f'"m{lone.now}"'),) if status == 407 else ()
            lone.say(lone.response(sent_request(lone), status, headers=headers))
            lone.wait(1)
    lone.wait(60)
    return transcript.text


def streams() -> str:
    """A TCP stream in pieces and in one, keep-alives, OPTIONS, MESSAGE, and lost framing."""
    lone, transcript = recorded_lone(transport=Transport.TCP, side=Side.SERVER)
    hello = lone.request("MESSAGE", body="Hello", headers=("Content-Type: text/plain",))
    options = lone.request("OPTIONS", call_id="o", cseq=2)
    both = (hello + options).encode()
    for start in range(0, len(both), 97):
        lone.say(both[start : start + 97])
    for event in list(lone.events):
        if isinstance(event, RequestReceived):
            lone.endpoint.respond(event.exchange, 202, now=lone.now, headers=(("X-Seen", "1"),))
    lone.drain()
    transcript.title("pings, ours and theirs; other requests; what is not supported")
    lone.say("\r\n\r\n")
    lone.endpoint.ping_flow(lone.flow, now=lone.now)
    lone.drain()
    lone.say("\r\n")
    lone.say(lone.request("OPTIONS", cseq=3, call_id="r", headers=("Require: x-none",)))
    lone.say(lone.request("PUBLISH", cseq=4, call_id="p", body="x"))
    lone.say(lone.request("SUBSCRIBE", cseq=5, call_id="s", headers=("Event: nothing",)))
    lone.say(lone.request("BYE", cseq=6, call_id="b", to_tag="none"))
    lone.say(lone.request("INVITE", cseq=7, call_id="i", body=SDP))
    taken(lone.events, InviteReceived).usage.reject(603, now=lone.now)
    lone.drain()
    lone.say(lone.request("ACK", cseq=7, call_id="i", to_tag="x", branch="z9hG4bKfar7"))
    lone.say("This is no SIP\r\n\r\n")
    lone.wait(40)
    return transcript.text


def torture() -> str:
    """What is answered to, and reported of, every message of RFC 4475."""
    texts = []
    for side, transport in ((Side.CLIENT, Transport.UDP), (Side.SERVER, Transport.TCP)):
        # On the server's side every third will do.
        for name in list(TORTURE)[:: 1 if side is Side.CLIENT else 3]:
            lone, transcript = recorded_lone(side=side, transport=transport)
            transcript.title(f"{name}, {side.value}, {transport.value}")
            flow: Flow = new_flow(transport, ("192.0.2.1", 5060), ("192.0.2.8", 5060))
            lone.say(TORTURE[name], flow=flow)
            texts.append(transcript.text)
    return "".join(texts)


def routes() -> str:
    """Record-Route, a strict router, a target refresh, and copies of requests by other ways."""
    lone, transcript = recorded_lone()
    recorded = ("Record-Route: <sip:p2.test;lr>, <sip:p1.test>",)
    lone.say(lone.request("INVITE", body=SDP, headers=recorded))
    usage: InviteUsage = taken(lone.events, InviteReceived).usage
    usage.accept(ANSWER, now=lone.now)
    lone.drain()
    success = lone.last()
    tag = success.headers.get("To") or ""
    tag = tag.partition("tag=")[2]
    lone.say(lone.request("ACK", to_tag=tag))
    lone.say(lone.request("INVITE", body=SDP, headers=recorded, branch="z9hG4bKother"))
    lone.say(
        lone.request(
            "UPDATE", cseq=2, to_tag=tag, contact="<sip:moved@192.0.2.77>", headers=recorded
        )
    )
    lone.say(lone.request("INFO", cseq=2, to_tag=tag))
    usage.bye(now=lone.now)
    lone.drain()
    lone.say(lone.response(sent_request(lone), 200))
    outgoing: InviteUsage = lone.endpoint.invite(
        Pair().invitation(
            to=lone.flow,
            route_set=(NameAddr.parse("<sip:edge.test;lr>"),),
            headers=(("X-Extra", "ü"), ("Subject", "golden")),
        ),
        now=lone.now,
    )
    lone.drain()
    invite = sent_request(lone)
    lone.say(lone.response(invite, 200, body=SDP, headers=recorded))
    outgoing.bye(now=lone.now)
    lone.drain()
    lone.wait(80)
    return transcript.text


TRANSCRIPTS: dict[str, Callable[[], str]] = {
    "sip-failures": failures,
    "sip-lost-connection": lost_connection,
    "sip-challenges": challenges,
    "sip-streams": streams,
    "sip-torture": torture,
    "sip-routes": routes,
}
