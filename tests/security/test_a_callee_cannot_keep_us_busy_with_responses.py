"""Endless responses to our INVITE: 1xx without end, challenges without end, crowds of contacts."""

from __future__ import annotations

from softphone.security import KeyMaterial
from softphone.sip.auth import DigestCredentials, DigestSession
from softphone.sip.auth.digest_client import MAXIMUM_ROUNDS
from softphone.sip.message import Request
from tests.support.challenges import own_server_everywhere
from tests.support.clock import seeded_entropy
from tests.support.lone import SDP, Lone
from tests.support.pair import Pair

CHALLENGE = 'WWW-Authenticate: Digest realm="r", nonce="{}", algorithm=SHA-256, qop="auth"{}'


def call(far, **changes):
    invitation = Pair().invitation(to=far.flow, **changes)
    usage = far.endpoint.invite(invitation, now=far.now)
    far.drain()
    return usage, far.last()


def test_endless_provisionals_open_no_dialog_beyond_the_bound_and_send_nothing():
    far = Lone()
    _, invite = call(far)
    for i in range(500):
        far.say(far.response(invite, 180, to_tag=f"fork{i}"))
        far.say(far.response(invite, 183, to_tag="fork0", body=SDP))
    assert len(far.endpoint._table) == far.endpoint.config.max_early_dialogs
    assert far.heard() == ["INVITE"]


def test_endless_reliable_provisionals_of_new_forks_get_a_bounded_number_of_pracks():
    far = Lone()
    _, invite = call(far)
    for i in range(500):
        reliable = ("Require: 100rel", f"RSeq: {i + 1}")
        far.say(far.response(invite, 183, to_tag=f"fork{i}", headers=reliable, body=SDP))
    assert far.heard().count("PRACK") <= far.endpoint.config.max_early_dialogs


def test_challenges_without_end_are_answered_a_few_times():
    for stale in ("", ", stale=true"):
        far = Lone()
        password = DigestCredentials("alice", KeyMaterial(b"secret"))
        session = DigestSession(
            [password], entropy=seeded_entropy(3), policy=own_server_everywhere("r")
        )
        call(far, credentials=session)
        for i in range(50):
            last = next(m for m in reversed(far.out) if isinstance(m, Request))
            if last.method != "INVITE":
                break
            far.say(far.response(last, 401, headers=(CHALLENGE.format(i, stale),)))
        assert 1 < far.heard().count("INVITE") <= MAXIMUM_ROUNDS + 1
        assert far.take("InviteRejected").status == 401


def test_a_crowd_of_contacts_is_followed_nowhere():
    far = Lone()
    _, invite = call(far)
    places = ", ".join(f"<sip:place{i}@h>;q=0.5" for i in range(200))
    far.say(far.response(invite, 302, contact=places))
    far.wait(60)
    assert set(far.heard()) == {"INVITE", "ACK"}
    assert {t.to for t in far.transmits} == {far.flow}


def test_numbers_of_reliable_provisionals_that_go_to_and_fro_get_one_prack_each_at_most():
    far = Lone()
    _, invite = call(far)
    for number in (5, 4, 6, 5, 2**31 - 1, 1, 2**32, 7):
        reliable = ("Require: 100rel", f"RSeq: {number}")
        far.say(far.response(invite, 183, to_tag="far", headers=reliable, body=SDP))
    # RFC 3262 section 4: one that does not follow the last is not acknowledged.
    assert far.heard().count("PRACK") <= 2


def test_answers_of_crowds_of_forks_are_acknowledged_within_bounds():
    far = Lone()
    _, invite = call(far)
    for number in range(500):
        far.say(far.response(invite, 200, to_tag=f"fork{number}", body=SDP))
    heard = far.heard()
    bound = 2 * far.endpoint.config.max_early_dialogs + 2
    assert heard.count("ACK") <= bound
    assert heard.count("BYE") <= bound
