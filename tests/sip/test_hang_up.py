"""BYE in the background."""

from __future__ import annotations

from softphone.security import KeyMaterial
from softphone.sip.digest import Credentials, DigestSession
from tests.support.clock import seeded_entropy
from tests.support.lone import SDP, Lone
from tests.support.pair import Pair, kinds


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
    assert kinds(lone.events) == ["Ended"]


def test_a_challenged_bye_is_sent_again_with_credentials():
    lone = Lone()
    session = DigestSession(
        [Credentials("alice", KeyMaterial(b"secret"))], entropy=seeded_entropy(3)
    )
    usage, _ = confirmed(lone, credentials=session)
    usage.bye(now=lone.now)
    lone.drain()
    challenge = 'Proxy-Authenticate: Digest realm="r", nonce="n", algorithm=MD5, qop="auth"'
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
