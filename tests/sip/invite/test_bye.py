"""BYE in the background."""

from __future__ import annotations

from softphone.sans_io import Transport
from softphone.security import KeyMaterial
from softphone.sip.auth import DigestCredentials, DigestSession
from tests.support.challenges import own_server_everywhere
from tests.support.clock import seeded_entropy
from tests.support.lone import SDP, Lone
from tests.support.pair import Pair, kinds, new_flow


def confirmed(lone, **changes):
    usage = lone.endpoint.invite(Pair().invitation(to=lone.flow, **changes), now=lone.now)
    lone.drain()
    invite = lone.last()
    lone.say(lone.response(invite, 200, body=SDP))
    lone.heard()
    lone.events.clear()
    return usage, invite


def test_it_carries_what_the_command_says_and_the_event_comes_at_once():
    lone = Lone()
    usage, _ = confirmed(lone)
    usage.bye(now=lone.now, headers=(("Reason", "SIP;cause=488"),))
    lone.drain()
    assert lone.last().reasons[0].cause == 488
    assert kinds(lone.events) == ["InviteEnded"]


def test_a_challenged_bye_is_sent_again_with_credentials():
    lone = Lone()
    session = DigestSession(
        [DigestCredentials("alice", KeyMaterial(b"secret"))],
        entropy=seeded_entropy(3),
        policy=own_server_everywhere("r"),
    )
    usage, _ = confirmed(lone, credentials=session)
    usage.bye(now=lone.now)
    lone.drain()
    challenge = 'Proxy-Authenticate: Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"'
    lone.say(lone.response(lone.last(), 407, headers=(challenge,)))
    assert "Proxy-Authorization" in lone.last().headers
    assert lone.heard() == ["BYE", "BYE"]


def test_while_it_is_under_way_other_requests_get_481_and_nothing_is_left_after():
    lone = Lone()
    usage, invite = confirmed(lone)
    usage.bye(now=lone.now)
    lone.drain()
    bye = lone.last()
    lone.heard()
    lone.say(lone.request("INFO", call_id=invite.call_id, to_tag=invite.from_.tag))
    assert lone.heard() == [481]
    lone.say(lone.response(bye, 200))
    assert len(lone.endpoint._table) == 0


def test_a_bye_that_nobody_answers_is_given_up():
    lone = Lone()
    usage, _ = confirmed(lone)
    usage.bye(now=lone.now)
    lone.wait(40)
    assert lone.heard().count("BYE") == 11
    assert len(lone.endpoint._table) == 0
    assert lone.endpoint.next_timer() is None


def lost(lone):
    """A call over TLS, hung up while its connection goes; and the connection that follows."""
    usage, _ = confirmed(lone)
    usage.bye(now=lone.now)
    lone.drain()
    assert lone.heard() == ["BYE"]
    lone.endpoint.disconnected(flow=lone.flow, reason="cut", now=lone.now)
    lone.wait(1.0)
    following = new_flow(Transport.TLS, ("192.0.2.1", 40000), ("192.0.2.9", 5061))
    lone.endpoint.connected(flow=following, now=lone.now)
    return following


def test_a_bye_that_its_connection_took_along_is_sent_on_the_next_one_once():
    lone = Lone(transport=Transport.TLS)
    following = lost(lone)
    lone.endpoint.rebind_flow(lone.flow, following, now=lone.now)
    lone.drain()
    assert lone.transmits[-1].to == following
    bye = lone.last()
    assert lone.heard() == ["BYE"]
    lone.say(lone.response(bye, 200), flow=following)
    lone.endpoint.rebind_flow(following, lone.flow, now=lone.now)
    lone.wait(40)
    assert lone.heard() == []
    assert len(lone.endpoint._table) == 0


def test_a_second_loss_ends_it():
    lone = Lone(transport=Transport.TLS)
    following = lost(lone)
    lone.endpoint.rebind_flow(lone.flow, following, now=lone.now)
    lone.drain()
    lone.endpoint.disconnected(flow=following, reason="cut", now=lone.now)
    lone.wait(0.1)
    assert len(lone.endpoint._table) == 0


def test_a_connection_that_does_not_come_is_not_waited_for_without_end():
    lone = Lone(transport=Transport.TLS)
    lost(lone)
    assert len(lone.endpoint._table) == 1
    lone.wait(40)
    assert lone.heard() == []
    assert len(lone.endpoint._table) == 0


def test_the_sender_knows_whether_a_bye_was_answered_and_says_so_once():
    lone = Lone()
    answered, over = confirmed(lone)[0], []
    answered.bye(now=lone.now)
    answered.bye_sender.on_over = lambda: over.append("answered")
    lone.drain()
    assert not answered.bye_sender.over
    lone.say(lone.response(lone.last(), 200))
    silent = confirmed(lone)[0]
    silent.bye(now=lone.now)
    silent.bye_sender.on_over = lambda: over.append("silent")
    lone.wait(40)
    assert over == ["answered", "silent"]
    senders = [answered.bye_sender, silent.bye_sender]
    assert all(sender.over for sender in senders)
    assert [sender.answered for sender in senders] == [True, False]
    assert [sender.connection_lost for sender in senders] == [False, False]


def test_the_sender_knows_that_its_connection_was_lost():
    lone = Lone(transport=Transport.TLS)
    usage, _ = confirmed(lone)
    usage.bye(now=lone.now)
    lone.drain()
    sender = usage.bye_sender
    lone.endpoint.disconnected(flow=lone.flow, reason="cut", now=lone.now)
    lone.wait(1.0)
    assert (sender.over, sender.answered, sender.connection_lost) == (False, False, True)
    lone.wait(40)
    assert (sender.over, sender.answered, sender.connection_lost) == (True, False, True)
