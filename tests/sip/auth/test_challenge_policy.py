"""Whose challenges are answered: by place, time, realm, and how safe the transport was."""

from __future__ import annotations

import pytest

from softphone.sans_io import Target, Transport
from softphone.sip.auth import ChallengePolicy, DigestAlgorithm
from softphone.sip.auth.challenge_policy import MAXIMUM_REALMS, is_verified, shown_realm
from tests.support.challenges import ELSEWHERE, OWN, OWN_UDP

SERVER = "sip.example.test"
REALM = "example.test"
OTHER = "other.example.test"


def make_policy(server_of=lambda place: None if place == ELSEWHERE else SERVER):
    return ChallengePolicy(server_of)


def refusal(policy, realm=REALM, *, method="INVITE", flow=OWN, alerted=False, listed=False):
    return policy.why_refused(realm, method=method, flow=flow, alerted=alerted, listed=listed)


def registered(flow=OWN, *, method="REGISTER", algorithm=DigestAlgorithm.SHA_256):
    policy = make_policy()
    policy.note_success(REALM, method=method, flow=flow, algorithm=algorithm)
    return policy


@pytest.mark.parametrize("method", ["INVITE", "REGISTER"])
@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("flow", [ELSEWHERE, None])
def test_nobody_but_the_accounts_server_is_answered(method, listed, flow):
    said = refusal(registered(), method=method, flow=flow, listed=listed)
    assert said == "a challenge is answered only to the account's own server, and this is none"


@pytest.mark.parametrize("method", ["INVITE", "REGISTER"])
@pytest.mark.parametrize("listed", [False, True])
def test_nobody_is_answered_after_ringing(method, listed):
    said = refusal(registered(), method=method, alerted=True, listed=listed)
    assert said is not None
    assert "follows ringing" in said


def test_the_registrar_is_answered_in_any_realm_and_others_only_in_a_listed_or_used_one():
    policy = make_policy()
    assert refusal(policy, method="REGISTER") is None
    assert refusal(policy, listed=True) is None
    said = refusal(policy)
    assert said == f"realm {REALM!r} is none that {SERVER} has used to register the account"
    assert refusal(registered()) is None
    assert refusal(registered(), "Example.test") is not None


@pytest.mark.parametrize(
    ("learned", "asked", "answered"),
    [(OWN, OWN, True), (OWN, OWN_UDP, True), (OWN_UDP, OWN_UDP, True), (OWN_UDP, OWN, False)],
)
def test_a_realm_counts_where_it_was_used_as_safely(learned, asked, answered):
    assert (refusal(registered(learned), flow=asked) is None) is answered


def test_a_realm_that_was_used_in_clear_and_over_tls_counts_over_tls():
    for first, second in ((OWN, OWN_UDP), (OWN_UDP, OWN)):
        policy = registered(first)
        policy.note_success(REALM, method="REGISTER", flow=second, algorithm=None)
        assert refusal(policy, flow=OWN) is None


def test_what_another_request_has_used_is_not_learned():
    policy = registered(method="INVITE")
    assert refusal(policy) is not None
    assert policy.strongest(REALM, OWN) is DigestAlgorithm.SHA_256
    policy.note_success(REALM, method="REGISTER", flow=OWN, algorithm=None)
    policy.note_success(REALM, method="INVITE", flow=OWN_UDP, algorithm=None)
    assert refusal(policy) is None


def test_a_success_of_somebody_else_teaches_nothing():
    for flow in (ELSEWHERE, None):
        policy = registered(flow)
        assert refusal(policy) is not None
        assert policy.strongest(REALM, OWN) is None
        assert policy.strongest(REALM, flow) is None
        assert policy.algorithms == {}


def test_what_one_server_has_used_does_not_count_for_another():
    names = {OWN: SERVER, OWN_UDP: OTHER}
    policy = make_policy(names.get)
    policy.note_success(REALM, method="REGISTER", flow=OWN, algorithm=DigestAlgorithm.SHA_256)
    assert OTHER in (refusal(policy, flow=OWN_UDP) or "")
    assert policy.strongest(REALM, OWN_UDP) is None
    assert policy.strongest(REALM, OWN) is DigestAlgorithm.SHA_256


MD5, SHA_256, SHA_512 = (
    DigestAlgorithm.MD5,
    DigestAlgorithm.SHA_256,
    DigestAlgorithm.SHA_512_256,
)


@pytest.mark.parametrize(
    ("taken", "kept"),
    [
        ([None], None),
        ([MD5], MD5),
        ([MD5, SHA_256], SHA_256),
        ([SHA_256, MD5], SHA_256),
        ([SHA_256, None], SHA_256),
        ([MD5, SHA_512, SHA_256], SHA_512),
        ([SHA_256, DigestAlgorithm.SHA_256_SESS], SHA_256),
    ],
    ids=str,
)
def test_the_strongest_algorithm_of_a_realm_is_remembered(taken, kept):
    policy = make_policy()
    for algorithm in taken:
        policy.note_success(REALM, method="REGISTER", flow=OWN, algorithm=algorithm)
    assert policy.strongest(REALM, OWN) is kept
    assert policy.algorithms == ({} if kept is None else {REALM: kept})
    assert policy.strongest("other", OWN) is None


def test_realms_beyond_the_most_are_unknown_and_those_before_stay():
    policy = make_policy()
    for number in range(MAXIMUM_REALMS + 1):
        policy.note_success(str(number), method="REGISTER", flow=OWN_UDP, algorithm=MD5)
    assert len(policy.algorithms) == MAXIMUM_REALMS
    last, beyond = str(MAXIMUM_REALMS - 1), str(MAXIMUM_REALMS)
    assert refusal(policy, "0", flow=OWN_UDP) is refusal(policy, last, flow=OWN_UDP) is None
    assert refusal(policy, beyond, flow=OWN_UDP) is not None
    policy.note_success("0", method="REGISTER", flow=OWN, algorithm=SHA_256)
    assert policy.strongest("0", OWN) is SHA_256
    assert refusal(policy, "0") is None


def test_a_place_is_verified_by_its_identity_or_before_it_is_reached_by_tls():
    assert is_verified(OWN)
    assert not is_verified(OWN_UDP)
    assert not is_verified(None)
    for transport in Transport:
        target = Target(transport, "sip.example.test", 5061)
        assert is_verified(target) is (transport is Transport.TLS)


def test_a_realm_is_quoted_and_cut():
    assert shown_realm("a\nb") == r"realm 'a\nb'"
    assert shown_realm("x" * 65) == f"realm '{'x' * 64}'"
