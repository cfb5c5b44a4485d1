"""The caller's INVITE: answers, forks, CANCEL and its races (RFC 3261 13.2, 9.1; RFC 3262 4)."""

from __future__ import annotations

import pytest

from softphone.errors import LocalProtocolError
from softphone.sans_io import Transport
from softphone.security import KeyMaterial
from softphone.sip import EndpointConfig
from softphone.sip.auth import DigestCredentials, DigestSession
from softphone.sip.invite import InviteState
from softphone.sip.message import BodyRole
from tests.support.challenges import own_server_everywhere
from tests.support.clock import seeded_entropy
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER, OFFER, Pair, kinds


def call(lone, **changes):
    invitation = Pair().invitation(to=lone.flow, **changes)
    usage = lone.endpoint.invite(invitation, now=lone.now)
    lone.drain()
    return usage, lone.last()


def test_an_offer_is_answered_in_the_2xx_and_acknowledged_at_once():
    lone = Lone()
    usage, invite = call(lone)
    lone.say(lone.response(invite, 180))
    assert usage.state is InviteState.EARLY
    lone.say(lone.response(invite, 200, body=SDP))
    answered = lone.take("InviteAnswered")
    assert answered.role is BodyRole.ANSWER
    assert answered.body.data == SDP.encode()
    assert usage.state is InviteState.CONFIRMED
    assert lone.heard() == ["INVITE", "ACK"]


def test_a_delayed_offer_comes_in_the_2xx_and_its_answer_goes_in_the_ack():
    lone = Lone()
    usage, invite = call(lone, body=None)
    lone.say(lone.response(invite, 200, body=SDP))
    assert lone.take("InviteAnswered").role is BodyRole.OFFER
    assert lone.heard() == ["INVITE"]
    usage.acknowledge(ANSWER, now=lone.now)
    lone.drain()
    assert lone.last().content == ANSWER
    with pytest.raises(LocalProtocolError):
        usage.acknowledge(ANSWER, now=lone.now)


def test_each_to_tag_is_an_early_dialog_of_its_own():
    lone = Lone()
    usage, invite = call(lone)
    for tag in ("one", "two"):
        lone.say(lone.response(invite, 183, to_tag=tag, body=SDP))
        early = lone.take("ProvisionalReceived")
        assert (early.to_tag, early.role, early.reliable) == (tag, BodyRole.ANSWER, False)
    lone.say(lone.response(invite, 200, to_tag="one", body=SDP))
    assert lone.take("InviteAnswered").role is BodyRole.ANSWER
    assert usage.dialog.remote.tag == "one"
    assert len(lone.endpoint._table) == 1


def test_a_second_2xx_from_another_fork_gets_ack_and_bye():
    lone = Lone()
    usage, invite = call(lone)
    lone.say(lone.response(invite, 200, to_tag="one", body=SDP))
    lone.heard()
    lone.say(lone.response(invite, 200, to_tag="two", body=SDP))
    assert [m.to.tag for m in lone.out] == ["two", "two"]
    assert lone.heard() == ["ACK", "BYE"]
    assert usage.state is InviteState.CONFIRMED
    assert [type(event).__name__ for event in lone.events] == ["InviteAnswered"]


def test_early_dialogs_are_bounded():
    lone = Lone(config=EndpointConfig(max_early_dialogs=4))
    _, invite = call(lone)
    for i in range(20):
        lone.say(lone.response(invite, 180, to_tag=f"fork{i}"))
    assert len(lone.endpoint._table) == 4


def test_cancel_waits_for_a_provisional():
    lone = Lone()
    usage, invite = call(lone)
    usage.cancel(now=lone.now)
    lone.drain()
    assert lone.heard() == ["INVITE"]
    lone.say(lone.response(invite, 100, to_tag=""))
    cancel = lone.last()
    assert lone.heard() == ["CANCEL"]
    assert cancel.top_via == invite.top_via
    assert cancel.cseq.number == invite.cseq.number
    assert cancel.to == invite.to
    lone.say(lone.response(cancel, 200))
    lone.say(lone.response(invite, 487))
    rejected = lone.take("InviteRejected")
    assert (rejected.status, rejected.canceled) == (487, True)
    assert lone.heard() == ["ACK"]


def test_a_200_that_crosses_cancel_is_acknowledged_ended_and_reported_as_canceled():
    lone = Lone()
    usage, invite = call(lone)
    lone.say(lone.response(invite, 180))
    usage.cancel(now=lone.now)
    lone.drain()
    lone.heard()
    lone.say(lone.response(invite, 200, body=SDP))
    assert lone.heard() == ["ACK", "BYE"]
    assert lone.take("InviteRejected").canceled
    assert not [event for event in lone.events if type(event).__name__ == "InviteAnswered"]


def test_a_canceled_invite_that_nobody_ends_is_given_up_after_64_t1():
    lone = Lone()
    usage, invite = call(lone)
    lone.say(lone.response(invite, 180))
    usage.cancel(now=lone.now)
    lone.wait(31)
    assert not [event for event in lone.events if type(event).__name__ == "InviteRejected"]
    lone.wait(2)
    assert lone.take("InviteRejected").canceled
    assert lone.endpoint.next_timer() is None


def test_cancel_cannot_be_given_twice_or_after_the_answer():
    lone = Lone()
    usage, invite = call(lone)
    usage.cancel(now=lone.now)
    with pytest.raises(LocalProtocolError):
        usage.cancel(now=lone.now)
    usage, invite = call(lone)
    lone.say(lone.response(invite, 200, body=SDP))
    with pytest.raises(LocalProtocolError):
        usage.cancel(now=lone.now)


def test_a_redirection_brings_its_contacts():
    lone = Lone()
    _, invite = call(lone)
    lone.say(lone.response(invite, 302, contact="<sip:a@x.test>, <sip:b@y.test>"))
    rejected = lone.take("InviteRejected")
    assert [str(contact.uri) for contact in rejected.contacts] == ["sip:a@x.test", "sip:b@y.test"]


def test_a_challenge_is_answered_inside_with_the_next_cseq():
    lone = Lone()
    session = DigestSession(
        [DigestCredentials("alice", KeyMaterial(b"secret"))],
        entropy=seeded_entropy(3),
        policy=own_server_everywhere("r"),
    )
    _, invite = call(lone, credentials=session)
    challenge = 'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"'
    lone.say(lone.response(invite, 401, headers=(challenge,)))
    again = lone.last()
    assert lone.heard() == ["INVITE", "ACK", "INVITE"]
    assert again.cseq.number == invite.cseq.number + 1
    assert again.call_id == invite.call_id
    assert again.from_.tag == invite.from_.tag
    assert "Authorization" in again.headers
    assert not lone.events
    lone.say(lone.response(again, 200, body=SDP))
    # RFC 3261 section 22.1: the ACK carries the credentials of its INVITE.
    assert lone.last().headers.get("Authorization") == again.headers.get("Authorization")


def test_without_credentials_the_challenge_is_the_final_word():
    lone = Lone()
    _, invite = call(lone)
    lone.say(lone.response(invite, 407))
    assert lone.take("InviteRejected").status == 407


def test_422_raises_the_interval_and_tries_again():
    lone = Lone()
    _, invite = call(lone, session_timer=120.0)
    assert invite.session_expires.delta == 120
    lone.say(lone.response(invite, 422, headers=("Min-SE: 600",)))
    again = lone.last()
    assert (again.session_expires.delta, again.min_se) == (600, 600)
    lone.say(lone.response(again, 422, headers=("Min-SE: 600",)))
    assert lone.take("InviteRejected").status == 422


def test_a_reliable_provisional_is_acknowledged_at_once_and_its_copies_are_dropped():
    lone = Lone()
    _, invite = call(lone)
    ringing = lone.response(invite, 183, body=SDP, headers=("Require: 100rel", "RSeq: 7"))
    lone.say(ringing)
    prack = lone.last()
    assert (str(prack.rack), prack.method) == (f"7 {invite.cseq.number} INVITE", "PRACK")
    early = lone.take("ProvisionalReceived")
    assert (early.role, early.reliable) == (BodyRole.ANSWER, True)
    lone.heard()
    lone.say(ringing)
    assert lone.heard() == []
    lone.say(lone.response(invite, 180, headers=("Require: 100rel", "RSeq: 9")))
    assert lone.heard() == []
    lone.say(lone.response(invite, 180, headers=("Require: 100rel", "RSeq: 8")))
    assert lone.heard() == ["PRACK"]
    lone.say(lone.response(invite, 200, body=SDP))
    # The answer has come reliably: that of the 2xx does not count (RFC 3261 section 13.2.1).
    answered = lone.take("InviteAnswered")
    assert (answered.role, answered.body) == (None, None)
    assert lone.heard() == ["ACK"]


def test_an_offer_in_a_reliable_provisional_waits_for_our_answer():
    lone = Lone()
    usage, invite = call(lone, body=None)
    lone.say(lone.response(invite, 183, body=SDP, headers=("Require: 100rel", "RSeq: 1")))
    assert lone.take("ProvisionalReceived").role is BodyRole.OFFER
    assert lone.heard() == ["INVITE"]
    usage.prack(ANSWER, now=lone.now)
    lone.drain()
    assert lone.last().content == ANSWER
    lone.say(lone.response(lone.last(), 200))
    lone.say(lone.response(invite, 200))
    assert lone.take("InviteAnswered").role is None
    assert lone.heard()[-1] == "ACK"


def test_the_request_waits_for_its_flow_and_is_built_with_its_address():
    pair = Pair(transport=Transport.TLS, connect=False)
    usage = pair.alice.invite(pair.invitation(), now=pair.now)
    pair.drain()
    assert pair.opens == [pair.target]
    assert pair.wire == []
    pair.connect()
    pair.run(0.3)
    assert pair.wire[0][1].top_via.host == "192.0.2.1"
    assert "sip:alice@192.0.2.1:5060;transport=tls" in pair.wire[0][1].headers.get("Contact")
    assert kinds(pair.events["bob"])[-1] == "InviteReceived"
    assert usage.flow == pair.flows["alice"]


def test_a_flow_that_cannot_be_opened_rejects_the_call_with_503():
    pair = Pair(transport=Transport.TLS, connect=False)
    pair.alice.invite(pair.invitation(), now=pair.now)
    pair.drain()
    pair.alice.disconnected(flow=pair.target, reason="refused", now=pair.now)
    pair.drain()
    rejected = pair.take("alice", "InviteRejected")
    assert (rejected.status, rejected.reason) == (503, "refused")


def test_requests_that_wait_for_flows_are_bounded():
    pair = Pair(transport=Transport.TLS, connect=False, config=EndpointConfig(max_waiting=2))
    for _ in range(3):
        pair.alice.invite(pair.invitation(body=OFFER), now=pair.now)
    pair.run(0)
    assert kinds(pair.events["alice"]) == ["InviteRejected"]


# Timer C (RFC 3261 sections 16.6 to 16.8) ---------------------------------------------------------


@pytest.mark.parametrize("status", [100, 180, 183])
def test_an_invite_that_only_gets_a_provisional_is_canceled_after_three_minutes(status):
    lone = Lone()
    usage, invite = call(lone)
    lone.say(lone.response(invite, status))
    lone.wait(179.0)
    assert lone.heard() == ["INVITE"]
    lone.wait(2.0)
    assert lone.heard()[0] == "CANCEL"
    lone.say(lone.response(invite, 487))
    rejected = lone.take("InviteRejected")
    assert (rejected.status, rejected.response, rejected.canceled) == (408, None, False)
    assert usage.state is InviteState.TERMINATED
    assert not [e for e in lone.events if type(e).__name__ == "InviteRejected"]


def test_each_word_of_the_far_end_but_100_gives_it_three_minutes_more():
    lone = Lone()
    _, invite = call(lone)
    for _ in range(5):
        lone.say(lone.response(invite, 180))
        lone.wait(100.0)
    lone.say(lone.response(invite, 100))
    assert lone.heard() == ["INVITE"]
    lone.wait(81.0)
    assert lone.heard()[0] == "CANCEL"


def test_a_cancel_by_timer_c_says_why_and_ends_even_in_silence():
    lone = Lone()
    _, invite = call(lone)
    lone.say(lone.response(invite, 180))
    lone.wait(180.5)
    cancel = next(m for m in lone.out if m.method == "CANCEL")
    assert cancel.headers.get("Reason") == 'SIP;cause=408;text="Request Timeout"'
    lone.wait(33.0)
    assert lone.take("InviteRejected").status == 408


def test_a_200_that_crosses_the_cancel_of_timer_c_is_ended():
    lone = Lone()
    _, invite = call(lone)
    lone.say(lone.response(invite, 180))
    lone.wait(181.0)
    lone.heard()
    lone.say(lone.response(invite, 200, body=SDP))
    assert lone.heard() == ["ACK", "BYE"]
    assert lone.take("InviteRejected").status == 408


def test_timer_c_is_settable_off_and_gone_with_the_answer():
    patient = Lone(config=EndpointConfig(timer_c=0.0))
    _, invite = call(patient)
    patient.say(patient.response(invite, 180))
    patient.wait(10_000.0)
    assert patient.heard() == ["INVITE"]
    hasty = Lone(config=EndpointConfig(timer_c=10.0))
    _, invite = call(hasty)
    hasty.say(hasty.response(invite, 180))
    hasty.say(hasty.response(invite, 200, body=SDP))
    hasty.wait(100.0)
    assert hasty.heard() == ["INVITE", "ACK"]
