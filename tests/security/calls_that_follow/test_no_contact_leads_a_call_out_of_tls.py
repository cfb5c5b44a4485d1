"""A Contact or route in clear, whenever it comes, sends nothing of a call over TLS in clear.

A re-INVITE of ours holds keys; and a BYE that found no connection would name the call.
"""

from __future__ import annotations

import pytest

from softphone.sans_io import PeerIdentity, Side, Transport
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER, OFFER, new_flow

FAR = PeerIdentity("CN=far", ("uri:sip:far@example.com",), "aa", "TLSv1.3", "GCM")
CLEAR = "sip:192.0.2.66:5060;transport=udp"


@pytest.mark.parametrize("where", ["contact", "route", "refresh"])
def test_requests_of_ours_stay_on_the_connection_or_are_not_sent(where):
    lone = Lone(transport=Transport.TLS, side=Side.SERVER)
    lone.flow = new_flow(Transport.TLS, ("192.0.2.1", 5061), ("192.0.2.9", 40000), FAR)
    lone.endpoint.connected(flow=lone.flow, now=lone.now)
    contact = f"<{CLEAR}>" if where == "contact" else "<sip:far@192.0.2.9>"
    routes = (f"Record-Route: <{CLEAR};lr>",) if where == "route" else ()
    lone.say(lone.request("INVITE", body=SDP, contact=contact, headers=routes))
    usage = lone.take("InviteReceived").usage
    usage.accept(ANSWER, now=lone.now)
    lone.drain()
    tag = lone.last().to.tag
    lone.say(lone.request("ACK", to_tag=tag))
    if where == "refresh":
        lone.say(lone.request("UPDATE", cseq=2, to_tag=tag, contact=f"<{CLEAR}>"))
        assert "192.0.2.66" in str(usage.remote_target)
    lone.transmits.clear()
    usage.reinvite(OFFER, now=lone.now)
    lone.drain()
    assert {transmit.to for transmit in lone.transmits} == {lone.flow}
    lone.endpoint.disconnected(flow=lone.flow, reason="reset", now=lone.now)
    lone.drain()
    lone.transmits.clear()
    usage.bye(now=lone.now)
    lone.drain()
    lone.wait(60)
    assert lone.transmits == []
