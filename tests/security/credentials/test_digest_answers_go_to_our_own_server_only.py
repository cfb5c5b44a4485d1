"""A callee, or anybody on the way, that asks for digest credentials gets no answer to its nonce.

The realm of a registrar is public, and whoever has an answer to a nonce of his own can guess the
password offline.
"""

from __future__ import annotations

import pytest

from softphone.sans_io import Transport
from softphone.security import KeyMaterial
from softphone.sip.auth import DigestAlgorithm, DigestCredentials, DigestSession
from softphone.sip.message import Request
from tests.support.challenges import ELSEWHERE, OWN, OWN_UDP, own_server_everywhere
from tests.support.clock import seeded_entropy
from tests.support.lone import SDP, Lone
from tests.support.pair import Pair, new_flow

REALM = "registrar.test"
CALLEES = "callee-chose-this"
PROXYS = "proxy-chose-this"
SHA = ("SHA-256",)


def challenge(nonce, *, header="WWW-Authenticate", realm=REALM, stale=False, algorithms=SHA):
    extra = ", stale=true" if stale else ""
    return tuple(
        f'{header}: Digest realm="{realm}", nonce="{nonce}", algorithm={name}, qop="auth"{extra}'
        for name in algorithms
    )


def by_proxy(nonce, **options):
    return challenge(nonce, header="Proxy-Authenticate", **options)


def session(*, used=(REALM,), realms=(), algorithms=None):
    credentials = DigestCredentials(
        "alice", KeyMaterial(b"secret"), realms, algorithms, place="[credentials] (alice.toml:4)"
    )
    return DigestSession(
        [credentials], entropy=seeded_entropy(3), policy=own_server_everywhere(*used)
    )


def call(far, credentials):
    """An INVITE of ours by way of the far end, as it went out."""
    invitation = Pair().invitation(to=far.flow, credentials=credentials)
    usage = far.endpoint.invite(invitation, now=far.now)
    far.drain()
    return usage, far.last()


def answer(far, status, headers=()):
    """The far end answers our latest request; our next one, None when there is none."""
    sent = next(m for m in reversed(far.out) if isinstance(m, Request) and m.method != "ACK")
    far.out.clear()
    far.say(far.response(sent, status, headers=headers, body=SDP if status == 200 else ""))
    ours = [m for m in far.out if isinstance(m, Request) and m.method != "ACK"]
    return ours[-1] if ours else None


def nonces(far_or_message):
    """The nonces that a request of ours answers."""
    message = far_or_message
    values = (*message.authorizations, *message.proxy_authorizations)
    return [value.parameter("nonce") for value in values]


@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("asks", [(401, challenge), (407, by_proxy)], ids=["401", "407"])
def test_a_callee_that_repeats_the_realm_after_the_proxy_gets_no_answer(asks, stale):
    far = Lone()
    call(far, session())
    again = answer(far, 407, by_proxy(PROXYS))
    assert nonces(again) == [PROXYS]
    status, make = asks
    assert answer(far, status, make(CALLEES, stale=stale)) is None
    refused = far.take("InviteRejected")
    assert refused.status == status
    assert REALM in refused.unauthorized


@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("asks", [(401, challenge), (407, by_proxy)], ids=["401", "407"])
def test_a_callee_that_calls_the_proxys_old_nonce_stale_gets_no_answer(asks, stale):
    far, credentials = Lone(), session()
    call(far, credentials)
    answer(far, 407, by_proxy(PROXYS))
    answer(far, 200)
    _, second = call(far, credentials)
    assert nonces(second) == [PROXYS]
    status, make = asks
    third = answer(far, status, make(CALLEES, stale=stale))
    assert nonces(third) == []
    assert nonces(answer(far, 407, by_proxy("proxy-anew"))) == ["proxy-anew"]
    assert answer(far, status, make(CALLEES, stale=stale)) is None


@pytest.mark.parametrize("ringing", [180, 183, 199])
def test_whoever_has_rung_is_no_server(ringing):
    far = Lone()
    _, invite = call(far, session())
    far.say(far.response(invite, 100))
    far.say(far.response(invite, ringing))
    assert answer_to(far, invite, 407, by_proxy(CALLEES)) is None
    assert "ringing" in far.take("InviteRejected").unauthorized


def answer_to(far, sent, status, headers):
    far.out.clear()
    far.say(far.response(sent, status, headers=headers))
    ours = [m for m in far.out if isinstance(m, Request) and m.method != "ACK"]
    return ours[-1] if ours else None


@pytest.mark.parametrize("method", ["INFO", "INVITE", "BYE"])
def test_within_a_call_the_realm_of_the_proxy_is_asked_for_once_too(method):
    far, credentials = Lone(), session()
    usage, _ = call(far, credentials)
    answer(far, 407, by_proxy(PROXYS))
    answer(far, 200)
    if method == "INFO":
        usage.info(None, now=far.now)
    elif method == "INVITE":
        usage.reinvite(None, now=far.now)
    else:
        usage.bye(now=far.now)
    far.drain()
    asked = [answer(far, 401, challenge(CALLEES, stale=True))]
    asked.append(answer(far, 407, by_proxy("proxy-anew")))
    asked.append(answer(far, 401, challenge(CALLEES, stale=True)))
    answered = [nonce for message in asked if message is not None for nonce in nonces(message)]
    assert answered == ["proxy-anew"]


def test_a_realm_that_the_server_never_used_is_refused_and_the_place_to_list_it_is_said():
    far = Lone()
    call(far, session())
    assert answer(far, 407, by_proxy(CALLEES, realm="other.test")) is None
    said = far.take("InviteRejected").unauthorized
    assert "'other.test'" in said
    assert "[credentials] (alice.toml:4)" in said


def test_a_listed_realm_is_answered_with_its_own_user():
    far = Lone()
    mine = DigestCredentials("alice", KeyMaterial(b"secret"))
    other = DigestCredentials("alice-edge", KeyMaterial(b"edge"), ("edge.test",))
    policy = own_server_everywhere(REALM)
    call(far, DigestSession([mine, other], entropy=seeded_entropy(3), policy=policy))
    again = answer(far, 407, by_proxy("e", realm="edge.test"))
    assert again.proxy_authorizations[0].parameter("username") == "alice-edge"
    again = answer(far, 401, challenge("r"))
    assert again.authorizations[0].parameter("username") == "alice"
    assert nonces(again) == ["r", "e"]


@pytest.mark.parametrize("listed", [(), (REALM,)])
def test_a_server_that_is_not_ours_gets_no_answer_and_nothing_in_advance(listed):
    credentials = session(realms=listed)
    far = Lone()
    _, sent = call(far, credentials)
    assert isinstance(credentials.authorize(sent, _challenged(sent), flow=OWN), Request)
    assert credentials.preauthorize(sent, to=OWN).authorizations
    assert credentials.preauthorize(sent, to=ELSEWHERE).authorizations == ()
    refused = credentials.authorize(sent, _challenged(sent), flow=ELSEWHERE)
    assert "own server" in refused.reason


def _challenged(sent, *, algorithms=SHA):
    headers = [line.split(": ", 1) for line in challenge(CALLEES, algorithms=algorithms)]
    return sent.response(401, headers=headers)


def test_a_callee_that_writes_to_us_past_the_server_is_not_heard():
    far = Lone(transport=Transport.UDP)
    _, invite = call(far, session())
    past = new_flow(Transport.UDP, ("192.0.2.1", 5060), ("192.0.2.66", 5060))
    far.out.clear()
    far.say(far.response(invite, 401, headers=challenge(CALLEES)), flow=past)
    assert not far.out
    assert far.take("MessageRejected").flow == past
    assert nonces(answer_to(far, invite, 407, by_proxy(PROXYS))) == [PROXYS]


def test_what_was_learned_or_used_over_tls_is_not_given_away_over_udp():
    """A realm that was learned in clear does not serve over TLS; a nonce of TLS stays there."""
    credentials = session(used=())
    far = Lone()
    _, sent = call(far, None)
    register = Request.build("REGISTER", sent.uri, list(sent.headers)).with_header(
        "CSeq", "1 REGISTER"
    )
    in_clear = credentials.authorize(register, _challenged(register), flow=OWN_UDP)
    credentials.note_accepted(in_clear, in_clear.response(200), flow=OWN_UDP)
    assert isinstance(credentials.authorize(sent, _challenged(sent), flow=OWN_UDP), Request)
    assert "is none that" in credentials.authorize(sent, _challenged(sent), flow=OWN).reason
    verified = credentials.authorize(register, _challenged(register), flow=OWN)
    credentials.note_accepted(verified, verified.response(200), flow=OWN)
    assert isinstance(credentials.authorize(sent, _challenged(sent), flow=OWN), Request)
    assert credentials.preauthorize(register, to=OWN).authorizations
    assert credentials.preauthorize(register, to=OWN_UDP).authorizations == ()


# MD5 ----------------------------------------------------------------------------------------------


def test_md5_is_answered_over_verified_tls_and_elsewhere_only_where_it_is_listed():
    every = tuple(DigestAlgorithm)
    for algorithms, flow, answered in (
        (None, OWN, True),
        (None, OWN_UDP, False),
        (every, OWN_UDP, True),
        ((DigestAlgorithm.SHA_256,), OWN, False),
    ):
        credentials = session(algorithms=algorithms)
        credentials._policy.note_success(REALM, method="REGISTER", flow=OWN, algorithm=None)
        _, sent = call(Lone(), None)
        found = credentials.authorize(sent, _challenged(sent, algorithms=("MD5",)), flow=flow)
        assert isinstance(found, Request) is answered
        if algorithms is None and not answered:
            assert 'algorithms = ["SHA-256", "MD5"]' in found.reason
            assert "alice.toml:4" in found.reason


def test_a_server_that_took_a_stronger_algorithm_is_not_answered_with_a_weaker_one():
    credentials = session(algorithms=tuple(DigestAlgorithm))
    _, sent = call(Lone(), None)
    again = credentials.authorize(sent, _challenged(sent), flow=OWN)
    credentials.note_accepted(again, again.response(200), flow=OWN)
    refused = credentials.authorize(sent, _challenged(sent, algorithms=("MD5",)), flow=OWN)
    assert "has taken SHA-256 before and offers MD5" in refused.reason
    assert "register it anew" in refused.reason
    both = _challenged(sent, algorithms=("MD5", "SHA-256"))
    assert credentials.authorize(sent, both, flow=OWN).authorizations[0].parameter("algorithm") == (
        "SHA-256"
    )


def test_an_algorithm_that_was_never_accepted_does_not_count():
    """Else one forged challenge would lock out a server that knows MD5 only."""
    credentials = session(algorithms=tuple(DigestAlgorithm))
    _, sent = call(Lone(), None)
    assert isinstance(credentials.authorize(sent, _challenged(sent), flow=OWN), Request)
    answered = credentials.authorize(sent, _challenged(sent, algorithms=("MD5",)), flow=OWN)
    assert isinstance(answered, Request)
