"""Fuzz target of the endpoint: in the middle of calls, whatever arrives, nothing raises.

The far end has one confirmed call with us, an INVITE and a SUBSCRIBE of ours wait for an answer,
and the corpus is what it might say next.
"""

from __future__ import annotations

from softphone.errors import LocalProtocolError
from softphone.sans_io import Side
from softphone.sip import (
    Body,
    InviteReceived,
    InviteRequest,
    ModificationReceived,
    NameAddr,
    ReferReceived,
    RequestReceived,
    SubscribeReceived,
    SubscribeRequest,
    parse_uri,
)
from softphone.sip.message import Request
from tests.support.lone import SDP, Lone

US = NameAddr.parse("<sip:us@example.com>")
FAR = NameAddr.parse("<sip:far@example.com>")
OFFER = Body("application/sdp", SDP.encode())


class EndpointTarget:
    """An endpoint amid calls; `corpus` holds well-formed next messages."""

    def __init__(self, *, side: Side = Side.CLIENT) -> None:
        self.lone = Lone(side=side)
        self._count = 0
        lone = self.lone
        lone.say(lone.request("INVITE", body=SDP))
        lone.take("InviteReceived").usage.accept(OFFER, now=lone.now)
        lone.drain()
        tag = lone.last().to.tag or ""
        lone.say(lone.request("ACK", to_tag=tag))
        self.corpus = [text.encode() for text in (*self._requests(tag), *self._responses())]
        lone.events.clear()

    def _requests(self, tag: str) -> list[str]:
        def within(method: str, *headers: str, cseq: int, body: str = "") -> str:
            return self.lone.request(method, to_tag=tag, cseq=cseq, headers=headers, body=body)

        return [
            within("INVITE", cseq=2, body=SDP),
            within("INVITE", "Session-Expires: 90;refresher=uac", cseq=3),
            within("UPDATE", "Min-SE: 90", "Session-Expires: 900", cseq=4, body=SDP),
            within("PRACK", "RAck: 1 1 INVITE", cseq=5),
            within("INFO", "Content-Type: application/dtmf-relay", cseq=6, body="Signal=5"),
            within("REFER", "Refer-To: <sip:x@y?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>", cseq=7),
            within("NOTIFY", "Event: refer", "Subscription-State: active;expires=9", cseq=8),
            within("SUBSCRIBE", "Event: dialog", "Expires: 60", cseq=9),
            within("BYE", "Reason: Q.850;cause=16", cseq=10),
            within("CANCEL", cseq=1),
            self.lone.request("INVITE", call_id="call-2", headers=("Replaces: 1;to-tag=a",)),
            self.lone.request("INVITE", call_id="call-3", headers=("Require: 100rel",), body=SDP),
            self.lone.request("OPTIONS", call_id="call-4"),
        ]

    def _responses(self) -> list[str]:
        lone = self.lone
        uri = parse_uri("sip:far@192.0.2.9")
        parts = {"uri": uri, "local": US, "remote": FAR, "to": lone.flow}
        lone.endpoint.invite(InviteRequest(**parts, body=OFFER), now=lone.now)
        lone.endpoint.subscribe(SubscribeRequest(**parts, event="message-summary"), now=lone.now)
        lone.drain()
        invite, subscribe = (m for m in lone.out[-2:] if isinstance(m, Request))
        challenge = 'WWW-Authenticate: Digest realm="x", nonce="n", qop="auth"'
        early = ("Require: 100rel", "RSeq: 1", "Record-Route: <sip:p;lr>")
        return [
            lone.response(invite, 100, to_tag=""),
            lone.response(invite, 183, body=SDP, headers=early),
            lone.response(invite, 200, body=SDP, headers=("Session-Expires: 90;refresher=uac",)),
            lone.response(invite, 200, body=SDP, to_tag="fork"),
            lone.response(invite, 401, headers=(challenge,)),
            lone.response(invite, 302, headers=("Contact: <sip:else@where>;q=0.5",), contact=None),
            lone.response(invite, 422, headers=("Min-SE: 3600",)),
            lone.response(subscribe, 200, headers=("Expires: 60",)),
        ]

    def check(self, data: bytes) -> None:
        """One datagram, in some state; the application answers now this way and now that."""
        self._count += 1
        self.lone.say(data)
        events, self.lone.events[:] = list(self.lone.events), []
        for event in events:
            try:
                self._answer(event)
            except LocalProtocolError:
                # The state may forbid the answer: that is ours to know, not the peer's doing.
                continue
        self.lone.drain()
        self.lone.wait(0.05)
        assert len(self.lone.endpoint.usages()) <= self._count + 2

    def _answer(self, event: object) -> None:
        now, choice = self.lone.now, self._count % 3
        if isinstance(event, InviteReceived):
            if choice == 0:
                event.usage.send_provisional(now=now)
            elif choice == 1:
                event.usage.accept(OFFER, now=now)
            else:
                event.usage.reject(486, now=now)
        elif isinstance(event, ModificationReceived):
            event.usage.answer_modification(OFFER, now=now)
        elif isinstance(event, RequestReceived):
            self.lone.endpoint.respond(event.exchange, 200, now=now)
        elif isinstance(event, SubscribeReceived | ReferReceived):
            event.subscription.reject(603, now=now)

    def settle(self) -> None:
        """Let every timer run out; nothing may raise then either."""
        self.lone.wait(7200.0)
