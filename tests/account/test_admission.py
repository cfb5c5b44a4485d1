"""Who may begin something with an account that listens: allow-list, certificate, digest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.account.admission import Admission
from softphone.account.first_hop import FirstHopLocator
from softphone.config import AccountConfig, CallerConfig, ChallengeConfig
from softphone.errors import ConfigurationError
from softphone.sans_io import Flow, PeerIdentity, Transport
from softphone.security import KeyMaterial
from softphone.sip import DigestAlgorithm, Request
from softphone.sip.auth.digest_algorithm import DigestInput, digest_response, ha1
from softphone.sip.message import AuthValue
from tests.support.account_context import account_context
from tests.support.lone import Lone

PASSWORD = KeyMaterial(b"a secret")
CHALLENGE = ChallengeConfig((CallerConfig("trunk", PASSWORD),), realm="pbx")
SBC = PeerIdentity("CN=sbc", ("dns:sbc.test",), "00", "TLSv1.3", "AES")


def flow(host="192.0.2.9", transport=Transport.TLS, identity=None):
    session = ("TLSv1.3", "AES") if identity is None and transport is Transport.TLS else None
    return Flow(7, transport, ("192.0.2.1", 5061), (host, 40000), identity, session)


def admission(registration=None, **values):
    config = AccountConfig(**{"aor": "sip:us@pbx.test", "listen": "tcp:127.0.0.1:5060", **values})
    context = account_context(config, registration=registration)
    return Admission(context, FirstHopLocator(context))


def invite(*fields: tuple[str, str], method="INVITE"):
    values = [
        ("Via", "SIP/2.0/TLS 192.0.2.9:5061;branch=z9hG4bK1"),
        ("From", "<sip:far@example.test>;tag=f"),
        ("To", "<sip:us@192.0.2.1>"),
        ("Call-ID", "c"),
        ("CSeq", f"1 {method}"),
        *fields,
    ]
    return Request.build(method, "sip:us@192.0.2.1", values)


def challenge_of(refusal):
    """The parameters of each challenge of a refusal."""
    assert refusal.status == 401
    return [AuthValue.parse(value) for name, value in refusal.headers]


def answer(challenge, username="trunk", password=PASSWORD, count=1, method="INVITE", **changes):
    """The Authorization of a client with this password."""
    algorithm = DigestAlgorithm(challenge.parameter("algorithm"))
    nonce, uri = challenge.parameter("nonce"), "sip:us@192.0.2.1"
    given = DigestInput(algorithm, method, uri, nonce, "cn", count, "auth")
    secret = ha1(algorithm, username, challenge.parameter("realm"), password)
    values = {
        "username": username,
        "realm": challenge.parameter("realm"),
        "nonce": nonce,
        "uri": uri,
        "algorithm": algorithm.value,
        "qop": "auth",
        "nc": f"{count:08x}",
        "cnonce": "cn",
        "response": digest_response(secret, given),
        **changes,
    }
    return ("Authorization", str(AuthValue("Digest", tuple(values.items()))))


async def test_a_caller_with_the_password_is_let_in_and_has_proven_it():
    judge, at = admission(challenge=CHALLENGE), flow()
    (asked,) = challenge_of(judge.judge(invite(), at, 1.0))
    assert judge.proof_of(at) is None
    assert judge.judge(invite(answer(asked)), at, 2.0) is None
    assert judge.proof_of(at) == "digest"
    judge.flow_closed(at)
    assert judge.proof_of(at) is None


async def test_only_sha_256_is_offered_unless_md5_is_allowed():
    (asked,) = challenge_of(admission(challenge=CHALLENGE).judge(invite(), flow(), 1.0))
    assert asked.parameter("algorithm") == "SHA-256"
    allowed = replace(CHALLENGE, algorithms=("SHA-256", "MD5"))
    judge = admission(challenge=allowed)
    first, second = challenge_of(judge.judge(invite(), flow(), 1.0))
    assert (first.parameter("algorithm"), second.parameter("algorithm")) == ("SHA-256", "MD5")
    assert judge.judge(invite(answer(second)), flow(), 2.0) is None
    strict = admission(challenge=CHALLENGE)
    (only,) = challenge_of(strict.judge(invite(), flow(), 1.0))
    weak = AuthValue("Digest", (("realm", "pbx"), ("nonce", only.parameter("nonce")),
                                ("algorithm", "MD5")))  # fmt: skip
    assert strict.judge(invite(answer(weak)), flow(), 2.0).status == 401


async def test_an_old_nonce_is_stale_for_whoever_knows_the_password_only():
    judge = admission(challenge=replace(CHALLENGE, nonce_lifetime=60))
    (asked,) = challenge_of(judge.judge(invite(), flow(), 1.0))
    (late,) = challenge_of(judge.judge(invite(answer(asked)), flow(), 62.0))
    assert late.parameter("stale") == "true"
    wrong = answer(asked, password=KeyMaterial(b"wrong"))
    (guess,) = challenge_of(judge.judge(invite(wrong), flow(), 62.0))
    assert guess.parameter("stale") is None
    assert judge.judge(invite(answer(late)), flow(), 63.0) is None


async def test_the_same_nonce_count_is_taken_once():
    judge = admission(challenge=CHALLENGE)
    (asked,) = challenge_of(judge.judge(invite(), flow(), 1.0))
    given = answer(asked)
    assert judge.judge(invite(given), flow(), 2.0) is None
    assert judge.judge(invite(given), flow(), 2.0).status == 401
    assert judge.judge(invite(answer(asked, count=2)), flow(), 2.0) is None


async def test_an_unknown_user_is_told_what_a_wrong_password_is_told():
    judge = admission(challenge=CHALLENGE)
    (asked,) = challenge_of(judge.judge(invite(), flow(), 1.0))
    wrong = judge.judge(invite(answer(asked, password=KeyMaterial(b"x"))), flow(), 2.0)
    unknown = judge.judge(invite(answer(asked, username="nobody")), flow(), 2.0)

    def form(refusal):
        (challenge,) = challenge_of(refusal)
        names = [name for name, _ in challenge.parameters]
        return refusal.status, refusal.reason, names, len(refusal.headers[0][1])

    assert form(wrong) == form(unknown)


async def test_an_unknown_user_costs_the_calculation_of_a_wrong_password(monkeypatch):
    calculated = []

    def counted(*given):
        calculated.append(given[0])
        return ha1(*given)

    monkeypatch.setattr("softphone.sip.auth.digest_server.ha1", counted)
    judge = admission(challenge=CHALLENGE)
    (asked,) = challenge_of(judge.judge(invite(), flow(), 1.0))
    for each in (answer(asked, password=KeyMaterial(b"x")), answer(asked, username="other")):
        judge.judge(invite(each), flow(), 2.0)
    assert calculated == [DigestAlgorithm.SHA_256] * 2


@pytest.mark.parametrize(
    "value",
    [
        "Digest",
        'Digest username="trunk"',
        'Digest realm="pbx", username="trunk", nonce="\xff", uri="", response=""',
        'Digest realm="pbx", username="\\"", nonce="0", uri="sip:us@192.0.2.1", response="0"',
        'Digest realm="pbx", realm="pbx", username="trunk", nonce="0", uri="x", response="0"',
        "Bearer abc",
        "Digest " + "a=b," * 500,
    ],
)
async def test_hostile_credentials_are_refused(value):
    lone = Lone(transport=Transport.TCP)
    judge = admission(challenge=CHALLENGE)
    lone.endpoint._router._admit = judge.judge
    lone.say(lone.request("INVITE", headers=(f"Authorization: {value}",)))
    (status,) = lone.heard()
    assert status in (400, 401)
    assert not lone.events


async def test_nothing_is_kept_for_whoever_has_no_password():
    lone = Lone()
    judge = admission(challenge=CHALLENGE)
    lone.endpoint._router._admit = judge.judge
    for number in range(500):
        lone.say(lone.request("INVITE", call_id=f"call-{number}", branch=f"z9hG4bK{number}"))
    assert lone.heard() == [401] * 500
    assert lone.endpoint._layer.server_count == 0
    assert lone.endpoint.next_timer() is None
    assert not lone.events
    assert not judge._verifier._uses
    assert not judge._proven


async def test_a_challenged_call_goes_on_once_it_has_the_digest():
    lone = Lone()
    lone.endpoint._router._admit = admission(challenge=CHALLENGE).judge
    lone.say(lone.request("INVITE"))
    (refused,) = lone.out
    asked = AuthValue.parse(refused.headers.get("WWW-Authenticate"))
    lone.say(lone.request("ACK", branch="z9hG4bKfar1", to_tag=refused.to.tag))
    lone.heard()
    name, value = answer(asked, uri="sip:us@192.0.2.1")
    lone.say(lone.request("INVITE", cseq=2, headers=(f"{name}: {value}",)))
    assert lone.take("InviteReceived")


async def test_options_are_answered_without_a_digest():
    lone = Lone()
    lone.endpoint._router._admit = admission(challenge=CHALLENGE, accept_from=("10.0.0.1",)).judge
    lone.say(lone.request("OPTIONS"))
    assert lone.heard() == [200]


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
async def test_a_listener_with_an_allow_list_takes_calls_from_there_only(transport):
    judge = admission(listen=f"{transport}:127.0.0.1:5060", accept_from=("192.0.2.0/24",))
    assert judge.judge(invite(), flow("192.0.2.9", transport), 1.0) is None
    refusal = judge.judge(invite(), flow("198.51.100.9", transport), 1.0)
    assert (refusal.status, refusal.reason) == (403, "Not from here")


async def test_a_listed_certificate_is_let_in_from_anywhere_without_a_digest():
    judge = admission(
        listen="tls:127.0.0.1:5061", accept_from=("certificate:sbc.test",), challenge=CHALLENGE
    )
    assert judge.judge(invite(), flow("198.51.100.9", identity=SBC), 1.0) is None
    other = replace(SBC, names=("dns:other.test",))
    assert judge.judge(invite(), flow("198.51.100.9", identity=other), 1.0).status == 403
    assert judge.judge(invite(), flow("198.51.100.9"), 1.0).status == 403


async def test_a_listed_address_is_challenged_all_the_same():
    judge = admission(accept_from=("192.0.2.9",), challenge=CHALLENGE)
    assert judge.judge(invite(), flow(transport=Transport.TCP), 1.0).status == 401
    assert judge.judge(invite(), flow("192.0.2.8", Transport.TCP), 1.0).status == 403


async def test_a_listed_address_is_a_proof_over_tls():
    judge = admission(accept_from=("192.0.2.9",))
    assert judge.proof_of(flow()) == "address"
    assert judge.proof_of(flow("192.0.2.8")) is None


async def test_refusals_are_logged_a_few_times_only(caplog):
    judge = admission(accept_from=("192.0.2.9",))
    for _ in range(50):
        judge.judge(invite(), flow("198.51.100.9"), 1.0)
    assert len(caplog.records) == 5
    assert "refused INVITE from 198.51.100.9: accept_from does not list it" in caplog.text


async def test_md5_alone_cannot_be_used_in_fips_mode(monkeypatch):
    monkeypatch.setattr(DigestAlgorithm, "available", property(lambda self: False))
    with pytest.raises(ConfigurationError, match="no digest algorithm"):
        admission(challenge=replace(CHALLENGE, algorithms=("MD5",)))


async def test_a_proxy_may_have_changed_the_request_uri():
    """RFC 3261 section 22.4; SIPp writes the host alone as the digest's uri."""
    judge = admission(challenge=CHALLENGE)
    (asked,) = challenge_of(judge.judge(invite(), flow(), 1.0))
    algorithm, nonce = DigestAlgorithm.SHA_256, asked.parameter("nonce")
    secret = ha1(algorithm, "trunk", "pbx", PASSWORD)
    given = DigestInput(algorithm, "INVITE", "sip:pbx.test", nonce, "cn", 1, "auth")
    right = answer(asked, uri="sip:pbx.test", response=digest_response(secret, given))
    assert judge.judge(invite(right), flow(), 2.0) is None
    wrong = answer(asked, uri="sip:other.test", count=2)
    assert judge.judge(invite(wrong), flow(), 2.0).status == 401
