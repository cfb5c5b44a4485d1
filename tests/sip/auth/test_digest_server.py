"""The server's side, against our own client's side and against forgeries."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial
from softphone.sip.auth import DigestAlgorithm, DigestCredentials, DigestSession
from softphone.sip.auth.digest_algorithm import ha1
from softphone.sip.auth.digest_client import DigestRole
from softphone.sip.auth.digest_server import (
    DigestRefused,
    DigestVerified,
    DigestVerifier,
    StoredHash,
    VerifierConfig,
)
from softphone.sip.message import AuthValue, Request, SipUri
from tests.support.challenges import OWN, own_server_everywhere

REALM = "lab.test"


def request(method="REGISTER", uri="sip:lab.test"):
    fields = [
        ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"),
        ("From", "<sip:alice@lab.test>;tag=1"),
        ("To", "<sip:alice@lab.test>"),
        ("Call-ID", "c1"),
        ("CSeq", f"1 {method}"),
    ]
    return Request.build(method, SipUri.parse(uri), fields)


def lookup(username, algorithm):
    return KeyMaterial(b"secret") if username == "alice" else None


def make_verifier(entropy, **options):
    find = options.pop("lookup", lookup)
    return DigestVerifier(VerifierConfig(REALM, **options), entropy=entropy, lookup=find)


@pytest.fixture
def verifier(entropy):
    return make_verifier(entropy)


def make_session(entropy, username="alice", password=b"secret", **options):
    credentials = DigestCredentials(username, KeyMaterial(password), **options)
    return DigestSession([credentials], entropy=entropy, policy=own_server_everywhere(REALM))


def answered(session, verifier, sent, *, now, stale=False):
    headers = verifier.challenge(now=now, stale=stale)
    status = 407 if headers[0][0].startswith("Proxy") else 401
    again = session.authorize(sent, sent.response(status, headers=headers), flow=OWN)
    assert isinstance(again, Request), again
    return again


def altered(sent, header="Authorization", **changes):
    value = AuthValue.parse(sent.headers.get(header))
    parameters = dict(value.parameters) | changes
    kept = tuple((k, v) for k, v in parameters.items() if v is not None)
    return sent.with_header(header, str(AuthValue("Digest", kept)))


def test_a_request_without_credentials_is_challenged_once_for_each_algorithm(verifier):
    found = verifier.verify(request(), now=0.0)
    assert isinstance(found, DigestRefused)
    assert found.status == 401
    values = [AuthValue.parse(text) for name, text in found.headers]
    assert [value.parameter("algorithm") for value in values] == ["SHA-256", "MD5"]
    assert all(value.parameter("qop") == "auth" for value in values)
    assert not found.stale


@pytest.mark.parametrize("algorithm", list(DigestAlgorithm))
def test_our_own_client_is_verified_with_every_algorithm(entropy, algorithm):
    verifier = make_verifier(entropy, algorithms=(algorithm,))
    session = make_session(entropy)
    again = answered(session, verifier, request(), now=1.0)
    found = verifier.verify(again, now=1.1)
    assert isinstance(found, DigestVerified)
    assert (found.username, found.algorithm) == ("alice", algorithm)


def test_a_proxy_challenges_with_407(entropy):
    verifier = make_verifier(entropy, role=DigestRole.PROXY)
    assert verifier.verify(request(), now=0.0).status == 407
    again = answered(make_session(entropy), verifier, request("INVITE"), now=0.0)
    assert isinstance(verifier.verify(again, now=0.0), DigestVerified)


def test_the_server_proves_that_it_knows_the_password(entropy, verifier):
    session = make_session(entropy)
    again = answered(session, verifier, request(), now=0.0)
    ((name, text),) = verifier.verify(again, now=0.0).information
    assert name == "Authentication-Info"
    session.note_accepted(
        again, again.response(200, headers=[(name, text + ', nextnonce="n2"')]), flow=OWN
    )
    value = session.preauthorize(request(), to=OWN).authorizations[0]
    assert value.parameter("nonce") == "n2"


@pytest.mark.parametrize(("username", "password"), [("alice", b"wrong"), ("mallory", b"secret")])
def test_a_wrong_password_and_an_unknown_user_look_the_same(entropy, username, password):
    verifier = make_verifier(entropy)
    session = make_session(entropy, username, password)
    found = verifier.verify(answered(session, verifier, request(), now=0.0), now=0.0)
    assert isinstance(found, DigestRefused)
    assert (found.status, found.stale) == (401, False)
    assert found.reason == "the user name or the password is wrong"


def test_a_stored_hash_serves_as_well_as_the_password(entropy):
    def stored(username, algorithm):
        text = ha1(algorithm, "alice", REALM, KeyMaterial(b"secret"))
        return StoredHash(KeyMaterial(text.encode()))

    verifier = make_verifier(entropy, lookup=stored)
    again = answered(make_session(entropy), verifier, request(), now=0.0)
    assert isinstance(verifier.verify(again, now=0.0), DigestVerified)


def test_a_nonce_grows_stale_and_the_client_gets_over_it(entropy, verifier):
    session = make_session(entropy)
    again = answered(session, verifier, request(), now=0.0)
    assert isinstance(verifier.verify(again, now=299.0), DigestVerified)
    session.note_accepted(again, again.response(200), flow=OWN)
    late = verifier.verify(session.preauthorize(request(), to=OWN), now=301.0)
    assert isinstance(late, DigestRefused)
    assert late.stale
    sent = session.preauthorize(request(), to=OWN)
    third = session.authorize(sent, sent.response(401, headers=late.headers), flow=OWN)
    assert isinstance(verifier.verify(third, now=301.0), DigestVerified)


def answering_all(verifier, *, entropy, passwords):
    """A request that answers each challenge by itself, as libre does, with its own password."""
    sent = request()
    headers = verifier.challenge(now=0.0)
    values = []
    for algorithm, password in passwords.items():
        mine = [field for field in headers if f"algorithm={algorithm.value}" in field[1]]
        session = make_session(entropy, password=password)
        again = session.authorize(sent, sent.response(401, headers=mine), flow=OWN)
        values.append(str(again.authorizations[0]))
    return sent.with_header("Authorization", *values)


@pytest.mark.parametrize(
    ("strong", "weak", "right"), [(b"secret", b"wrong", True), (b"wrong", b"secret", False)]
)
@pytest.mark.parametrize("order", [1, -1])
def test_of_an_answer_to_each_challenge_the_strongest_counts(entropy, strong, weak, right, order):
    verifier = make_verifier(entropy)
    given = {DigestAlgorithm.MD5: weak, DigestAlgorithm.SHA_256: strong}
    passwords = dict(list(given.items())[::order])
    found = verifier.verify(answering_all(verifier, entropy=entropy, passwords=passwords), now=0.0)
    assert isinstance(found, DigestVerified) is right
    if right:
        assert found.algorithm is DigestAlgorithm.SHA_256


@pytest.mark.parametrize("offered", [DigestAlgorithm.SHA_256, DigestAlgorithm.MD5])
def test_an_algorithm_that_was_not_offered_does_not_count_however_strong_it_is(entropy, offered):
    verifier = make_verifier(entropy, algorithms=(offered,))
    again = answered(make_session(entropy), verifier, request(), now=0.0)
    other = altered(again, algorithm="SHA-512-256").headers.get("Authorization")
    both = again.with_header("Authorization", other, again.headers.get("Authorization"))
    assert isinstance(verifier.verify(both, now=0.0), DigestVerified)


def test_staleness_is_not_told_to_somebody_without_the_password(entropy, verifier):
    session = make_session(entropy, password=b"wrong")
    again = answered(session, verifier, request(), now=0.0)
    assert not verifier.verify(again, now=1000.0).stale


def test_a_replayed_answer_is_refused(entropy, verifier):
    again = answered(make_session(entropy), verifier, request(), now=0.0)
    assert isinstance(verifier.verify(again, now=0.0), DigestVerified)
    replay = verifier.verify(again, now=0.0)
    assert isinstance(replay, DigestRefused)
    assert replay.stale


def test_counts_may_come_out_of_order_but_once_each_and_not_long_after(entropy, verifier):
    session = make_session(entropy)
    sent = [answered(session, verifier, request(), now=0.0)]
    sent += [session.preauthorize(request(), to=OWN) for _ in range(80)]
    order = [0, 3, 1, 2, 80, 40]
    assert all(isinstance(verifier.verify(sent[i], now=0.0), DigestVerified) for i in order)
    assert all(isinstance(verifier.verify(sent[i], now=0.0), DigestRefused) for i in order)
    assert isinstance(verifier.verify(sent[4], now=0.0), DigestRefused)


def test_a_forgotten_nonce_cannot_be_replayed(entropy):
    verifier = make_verifier(entropy, capacity=4)
    first = answered(make_session(entropy), verifier, request(), now=0.0)
    assert isinstance(verifier.verify(first, now=0.0), DigestVerified)
    for number in range(1, 6):
        again = answered(make_session(entropy), verifier, request(), now=float(number))
        assert isinstance(verifier.verify(again, now=float(number)), DigestVerified)
    assert len(verifier._uses) == 4
    assert verifier.verify(first, now=6.0).stale


def test_challenges_alone_cost_no_memory(verifier):
    for number in range(1000):
        verifier.verify(request(), now=float(number))
    assert not verifier._uses


@pytest.mark.parametrize(
    "nonce", ["", "x" * 72, "0" * 72, "0" * 40 + "é", "0" * 10_000], ids=lambda text: text[:8]
)
def test_a_nonce_that_is_not_ours_is_challenged_anew(entropy, verifier, nonce):
    again = answered(make_session(entropy), verifier, request(), now=0.0)
    found = verifier.verify(altered(again, nonce=nonce), now=0.0)
    assert isinstance(found, DigestRefused)
    assert (found.status, found.stale) == (401, False)


def test_a_nonce_of_another_realm_of_the_same_process_is_not_ours(entropy):
    same = lambda n: b"\7" * n  # noqa: E731
    one = DigestVerifier(VerifierConfig("one"), entropy=same, lookup=lookup)
    two = DigestVerifier(VerifierConfig("two"), entropy=same, lookup=lookup)
    session = make_session(entropy)
    again = answered(session, one, request(), now=0.0)
    found = two.verify(altered(again, realm="two"), now=0.0)
    assert found.reason == "the nonce is not one of ours"


@pytest.mark.parametrize(
    "changes",
    [
        {"nc": None},
        {"nc": "1"},
        {"nc": "+0000001"},
        {"nc": "0000000g"},
        {"cnonce": None},
        {"qop": "auth-int"},
        {"qop": None},
        {"uri": None},
        {"uri": "sip:elsewhere.test"},
        {"uri": "not a uri"},
        {"algorithm": "SHA-1"},
        {"username": None},
    ],
    ids=str,
)
def test_malformed_credentials_are_a_bad_request(entropy, verifier, changes):
    again = answered(make_session(entropy), verifier, request(), now=0.0)
    found = verifier.verify(altered(again, **changes), now=0.0)
    assert isinstance(found, DigestRefused)
    assert found.status == 400


@pytest.mark.parametrize("changes", [{"response": None}, {"response": "é"}, {"cnonce": "other"}])
def test_an_answer_that_does_not_fit_is_challenged(entropy, verifier, changes):
    again = answered(make_session(entropy), verifier, request(), now=0.0)
    assert verifier.verify(altered(again, **changes), now=0.0).status == 401


def test_an_algorithm_that_was_not_offered_is_not_taken(entropy):
    lax = make_verifier(lambda n: b"\7" * n, algorithms=(DigestAlgorithm.MD5,))
    strict = make_verifier(lambda n: b"\7" * n, algorithms=(DigestAlgorithm.SHA_256,))
    again = answered(make_session(entropy), lax, request(), now=0.0)
    assert strict.verify(again, now=0.0).status == 401


def test_credentials_twice_for_one_realm_are_a_bad_request(entropy, verifier):
    again = answered(make_session(entropy), verifier, request(), now=0.0)
    text = again.headers.get("Authorization")
    doubled = again.with_header("Authorization", text, text)
    assert verifier.verify(doubled, now=0.0).status == 400


def test_an_equivalent_request_uri_is_the_same_place(entropy, verifier):
    again = answered(make_session(entropy), verifier, request(), now=0.0)
    moved = replace(again, uri=SipUri.parse("sip:LAB.test"))
    assert isinstance(verifier.verify(moved, now=0.0), DigestVerified)


def test_an_answer_without_qop_is_taken_once_where_legacy_is_allowed(entropy):
    verifier = make_verifier(entropy, legacy=True)
    sent = request()
    headers = [
        (name, text.replace(', qop="auth"', "")) for name, text in verifier.challenge(now=0.0)
    ]
    again = make_session(entropy).authorize(sent, sent.response(401, headers=headers), flow=OWN)
    assert again.authorizations[0].parameter("qop") is None
    assert isinstance(verifier.verify(again, now=0.0), DigestVerified)
    assert verifier.verify(again, now=0.0).stale
    strict = make_verifier(entropy)
    assert strict.verify(again, now=0.0).status == 400


def test_a_realm_whose_algorithms_the_process_lacks_cannot_be_served(entropy, monkeypatch):
    monkeypatch.setattr(DigestAlgorithm, "available", property(lambda it: it.strength > 1))
    verifier = make_verifier(entropy)
    assert len(verifier.challenge(now=0.0)) == 1
    with pytest.raises(ConfigurationError):
        make_verifier(entropy, algorithms=(DigestAlgorithm.MD5,))


def test_each_count_is_taken_once_and_within_64_of_the_highest(entropy, verifier):
    """Against the plain rule, in an order that leaps ahead, falls back and repeats."""
    session = make_session(entropy)
    sent = [answered(session, verifier, request(), now=0.0)]
    sent += [session.preauthorize(request(), to=OWN) for _ in range(299)]
    order = random.Random(7)
    used, highest = set(), 0
    for _ in range(600):
        count = min(300, max(1, highest + order.randint(-70, 8)))
        wanted = count not in used and highest - count < 64
        found = verifier.verify(sent[count - 1], now=0.0)
        assert isinstance(found, DigestVerified) is wanted, (count, highest)
        if wanted:
            used.add(count)
            highest = max(highest, count)
    assert highest > 200
    assert len(used) < highest


def test_a_leap_of_the_count_forgets_no_count_within_reach(entropy, verifier):
    session = make_session(entropy)
    sent = [answered(session, verifier, request(), now=0.0)]
    sent += [session.preauthorize(request(), to=OWN) for _ in range(130)]
    for leap in (0, 63, 127):
        assert isinstance(verifier.verify(sent[leap], now=0.0), DigestVerified)
        assert not isinstance(verifier.verify(sent[leap], now=0.0), DigestVerified)
    for count, taken in ((63, False), (64, True), (65, True), (64, False)):
        assert isinstance(verifier.verify(sent[count], now=0.0), DigestVerified) is taken


@pytest.mark.parametrize(("age", "fresh"), [(300.0, True), (300.002, False)])
def test_a_nonce_lives_for_exactly_its_lifetime(entropy, verifier, age, fresh):
    again = answered(make_session(entropy), verifier, request(), now=1000.0)
    assert isinstance(verifier.verify(again, now=1000.0 + age), DigestVerified) is fresh


def test_nonces_of_one_moment_are_forgotten_as_one(entropy):
    verifier = make_verifier(entropy, capacity=1)
    first, second = (answered(make_session(entropy), verifier, request(), now=5.0) for _ in "12")
    assert isinstance(verifier.verify(first, now=5.0), DigestVerified)
    assert isinstance(verifier.verify(second, now=5.0), DigestVerified)
    assert verifier.verify(first, now=5.0).stale


def test_a_nonce_that_was_forgotten_before_an_older_one_stays_so(entropy):
    verifier = make_verifier(entropy, capacity=1)
    old, middle, new = (
        answered(make_session(entropy), verifier, request(), now=now) for now in (1.0, 2.0, 3.0)
    )
    assert isinstance(verifier.verify(middle, now=3.0), DigestVerified)
    # `old` was not used before `middle`, and is refused once that is forgotten.
    for sent, taken in ((new, True), (old, False), (middle, False)):
        assert isinstance(verifier.verify(sent, now=3.0), DigestVerified) is taken


def test_what_was_used_longest_ago_is_forgotten_first(entropy):
    verifier = make_verifier(entropy, capacity=2)
    sessions = [make_session(entropy) for _ in range(3)]
    for number, session in enumerate(sessions):
        again = answered(session, verifier, request(), now=float(number))
        assert isinstance(verifier.verify(again, now=float(number)), DigestVerified)
    for session, taken in zip(sessions, (False, True, True), strict=True):
        again = session.preauthorize(request(), to=OWN)
        assert isinstance(verifier.verify(again, now=3.0), DigestVerified) is taken


def test_the_first_nonce_of_all_serves_at_time_zero(entropy):
    verifier = make_verifier(entropy, capacity=1)
    again = answered(make_session(entropy), verifier, request(), now=0.0)
    assert isinstance(verifier.verify(again, now=0.0), DigestVerified)


def test_credentials_for_other_realms_and_schemes_are_left_alone(entropy, verifier):
    session = make_session(entropy)
    first = answered(session, verifier, request(), now=0.0)
    others = [altered(first, realm="other").headers.get("Authorization"), 'Bearer realm="lab.test"']
    for place in (0, 2):
        sent = session.preauthorize(request(), to=OWN)
        values = others.copy()
        values.insert(place, sent.headers.get("Authorization"))
        found = verifier.verify(sent.with_header("Authorization", *values), now=0.0)
        assert isinstance(found, DigestVerified)
    for value in others:
        found = verifier.verify(first.with_header("Authorization", value), now=0.0)
        assert (found.status, found.reason) == (401, "credentials are missing")


def test_letters_of_either_case_are_one_in_scheme_response_and_count(entropy, verifier):
    session = make_session(entropy)
    answered(session, verifier, request(), now=0.0)
    for _ in range(10):
        again = session.preauthorize(request(), to=OWN)
    value = again.authorizations[0]
    assert value.parameter("nc") == "0000000b"
    text = again.headers.get("Authorization").replace("Digest", "DIGEST")
    response = value.parameter("response")
    shouted = again.with_header("Authorization", text.replace(response, response.upper()))
    assert isinstance(verifier.verify(shouted, now=0.0), DigestVerified)


def test_an_unknown_user_is_refused_even_with_the_password_that_stands_in_for_one():
    verifier = make_verifier(lambda n: b"\7" * n)
    session = make_session(lambda n: b"\7" * n, "mallory", b"\7" * 16)
    found = verifier.verify(answered(session, verifier, request(), now=0.0), now=0.0)
    assert isinstance(found, DigestRefused)


@pytest.mark.parametrize("role", list(DigestRole))
@pytest.mark.parametrize("algorithm", list(DigestAlgorithm))
def test_the_servers_proof_fits_every_algorithm_and_its_header_the_role(entropy, role, algorithm):
    verifier = make_verifier(entropy, algorithms=(algorithm,), role=role)
    session = make_session(entropy)
    sent = answered(session, verifier, request(), now=0.0)
    verifier.verify(sent, now=0.0)
    sent = session.preauthorize(request(), to=OWN)
    ((name, text),) = verifier.verify(sent, now=0.0).information
    assert name == role.information_header
    mine, told = role.credentials_of(sent)[0], AuthValue.parse_info(text)
    assert told.parameter("rspauth")
    for parameter in ("cnonce", "nc", "qop"):
        assert told.parameter(parameter) == mine.parameter(parameter)
    headers = [(name, text + ', nextnonce="n2"')]
    session.note_accepted(sent, sent.response(200, headers=headers), flow=OWN)
    following = role.credentials_of(session.preauthorize(request(), to=OWN))[0]
    assert following.parameter("nonce") == "n2"


def test_without_qop_the_server_proves_nothing(entropy):
    verifier = make_verifier(entropy, legacy=True)
    sent = request()
    headers = [
        (name, text.replace(', qop="auth"', "")) for name, text in verifier.challenge(now=0.0)
    ]
    again = make_session(entropy).authorize(sent, sent.response(401, headers=headers), flow=OWN)
    assert verifier.verify(again, now=0.0).information == ()


def test_no_two_nonces_are_alike_nor_hold_less_than_96_random_bits(entropy):
    asked = []

    def counting(size):
        asked.append(size)
        return entropy(size)

    verifier = make_verifier(counting)
    assert asked[0] >= 32  # the key that seals nonces
    assert asked[1] >= 16  # the password that stands in for an unknown user's
    asked.clear()
    nonces = {
        AuthValue.parse(verifier.challenge(now=7.0)[0][1]).parameter("nonce") for _ in range(50)
    }
    assert len(nonces) == 50
    assert min(asked) >= 12
    assert {len(nonce) for nonce in nonces} == {72}


@pytest.mark.parametrize("at", range(72))
def test_no_character_of_a_nonce_can_be_changed(entropy, verifier, at):
    again = answered(make_session(entropy), verifier, request(), now=0.0)
    nonce = again.authorizations[0].parameter("nonce")
    other = nonce[:at] + ("0" if nonce[at] != "0" else "1") + nonce[at + 1 :]
    found = verifier.verify(altered(again, nonce=other), now=0.0)
    assert found.reason == "the nonce is not one of ours"


def test_credentials_that_name_no_algorithm_are_md5(entropy):
    verifier = make_verifier(entropy, algorithms=(DigestAlgorithm.MD5,))
    again = answered(make_session(entropy), verifier, request(), now=0.0)
    found = verifier.verify(altered(again, algorithm=None), now=0.0)
    assert isinstance(found, DigestVerified)
    assert found.algorithm is DigestAlgorithm.MD5


def test_a_challenge_says_stale_only_when_it_is(verifier):
    for _, text in verifier.challenge(now=0.0):
        assert AuthValue.parse(text).parameter("stale") is None
    for stale in (False, True):
        for _, text in verifier.challenge(now=0.0, stale=stale):
            assert AuthValue.parse(text).parameter("stale") == ("true" if stale else None)
