"""A bearer token is as good as the user: a callee that asks for it does not get it."""

from __future__ import annotations

import pytest

from softphone.security import KeyMaterial
from softphone.sip.auth import BearerSession, bearer_challenge, presented_token
from softphone.sip.message import Request
from tests.support.challenges import ELSEWHERE, OWN, own_server_everywhere
from tests.support.lone import Lone
from tests.support.pair import Pair

REALM = "ccmsipline"
CHALLENGE = ": ".join(bearer_challenge(REALM))


def session(*used):
    lost = []
    made = BearerSession(
        KeyMaterial(b"the-token"),
        policy=own_server_everywhere(*used),
        on_refused=lambda: lost.append(1),
    )
    return made, lost


def invited(far, credentials):
    far.endpoint.invite(Pair().invitation(to=far.flow, credentials=credentials), now=far.now)
    far.drain()
    return far.last()


@pytest.mark.parametrize(("used", "ringing"), [((), None), ((REALM,), 180), ((REALM,), 183)])
def test_a_callee_that_asks_for_the_token_gets_none(used, ringing):
    far = Lone()
    credentials, lost = session(*used)
    invite = invited(far, credentials)
    if ringing is not None:
        far.say(far.response(invite, ringing))
    far.say(far.response(invite, 407, headers=(CHALLENGE,)))
    sent = [message for message in far.out if isinstance(message, Request)]
    assert [presented_token(message) for message in sent if message.method != "ACK"] == [None]
    assert "the-token" not in "".join(message.encode().decode() for message in sent)
    assert far.take("InviteRejected").unauthorized
    # Nor does it make us throw the token away.
    assert not lost


def test_the_account_s_server_gets_it_and_in_advance_nobody_else():
    credentials, _ = session(REALM)
    invite = invited(Lone(), None)
    response = invite.response(407, headers=[bearer_challenge(REALM)])
    assert "own server" in credentials.authorize(invite, response, flow=ELSEWHERE).reason
    assert presented_token(credentials.authorize(invite, response, flow=OWN)) == "the-token"
    assert presented_token(credentials.preauthorize(invite, to=OWN)) == "the-token"
    assert presented_token(credentials.preauthorize(invite, to=ELSEWHERE)) is None
