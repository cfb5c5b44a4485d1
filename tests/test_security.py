"""SecurityPolicy, SecurityState and the judge between them."""

from __future__ import annotations

import copy
import operator
import pickle
from dataclasses import replace

import pytest

from softphone.errors import ConfigurationError
from softphone.events import SecurityChanged
from softphone.security import (
    DEFAULT_SUITES,
    CryptoSuite,
    KeyExchange,
    KeyMaterial,
    MediaSecurity,
    OnDrop,
    Relaxation,
    RevocationMode,
    Scope,
    SecurityLevel,
    SecurityPolicy,
    SecurityShortfall,
    SecurityState,
    ShortfallCode,
    SignalingSecurity,
    SrtpPolicy,
    TlsVersion,
)

TLS = SignalingSecurity("TLSv1.3", "TLS_AES_256_GCM_SHA384", "CN=pbx", "chain")
CLEAR = SignalingSecurity()
NULL = SignalingSecurity("TLSv1.2", "NULL-SHA", "CN=pbx", "chain", encrypted=False)
SRTP = MediaSecurity("audio", "RTP/SAVP", CryptoSuite.AEAD_AES_256_GCM, KeyExchange.SDES)
RTP = MediaSecurity("audio", "RTP/AVP")


def codes(shortfalls):
    return {shortfall.code for shortfall in shortfalls}


def test_levels_are_ordered_as_written():
    assert SecurityLevel.UNKNOWN < SecurityLevel.NOT_SECURE
    assert SecurityLevel.NOT_SECURE < SecurityLevel.AUTHENTICATED < SecurityLevel.ENCRYPTED
    assert Scope.HOP < Scope.END_TO_END


@pytest.mark.parametrize("kind", [SecurityLevel, Scope, TlsVersion])
def test_every_comparison_follows_the_order_and_none_crosses_kinds(kind):
    members = list(kind)
    for i, one in enumerate(members):
        for j, other in enumerate(members):
            assert (one < other, one <= other, one > other, one >= other) == (
                i < j,
                i <= j,
                i > j,
                i >= j,
            )
    for compare in (operator.lt, operator.le, operator.gt, operator.ge):
        with pytest.raises(TypeError):
            compare(members[0], "encrypted")


def test_the_lock_needs_every_part_and_a_known_far_end():
    assert SecurityState(TLS, (SRTP,), SecurityLevel.ENCRYPTED).lock
    for state in (
        SecurityState(TLS, (SRTP,)),
        SecurityState(TLS, (SRTP,), SecurityLevel.AUTHENTICATED),
        SecurityState(TLS, (SRTP, RTP), SecurityLevel.ENCRYPTED),
        SecurityState(CLEAR, (SRTP,), SecurityLevel.ENCRYPTED),
        SecurityState(TLS, (), SecurityLevel.ENCRYPTED),
    ):
        assert not state.lock
        assert state.shortfalls


def test_shortfalls_are_empty_exactly_with_the_lock():
    for signaling in (TLS, CLEAR):
        for media in ((), (SRTP,), (RTP,), (SRTP, RTP)):
            for far_end in (None, *SecurityLevel):
                state = SecurityState(signaling, media, far_end)
                assert state.lock == (not state.shortfalls)


def test_an_unknown_far_end_is_encrypted_to_the_server_only():
    state = SecurityState(TLS, (SRTP,))
    assert state.level is SecurityLevel.ENCRYPTED
    assert state.scope is Scope.HOP
    assert codes(state.shortfalls) == {ShortfallCode.FAR_END_UNKNOWN}


@pytest.mark.parametrize("signaling", [TLS, CLEAR])
@pytest.mark.parametrize("far_end", [None, *SecurityLevel])
def test_a_call_without_media_is_not_known_yet_and_meets_no_demand(signaling, far_end):
    state = SecurityState(signaling, (), far_end)
    assert state.level is state.hop_level is SecurityLevel.UNKNOWN
    assert not state.lock
    assert ShortfallCode.NO_MEDIA in codes(state.shortfalls)
    for level in (SecurityLevel.AUTHENTICATED, SecurityLevel.ENCRYPTED):
        with pytest.raises(SecurityShortfall):
            state.require(level)
    state.require(SecurityLevel.NOT_SECURE)


@pytest.mark.parametrize("media", [(), (SRTP,), (RTP,), (SRTP, RTP)])
@pytest.mark.parametrize("far_end", [None, *SecurityLevel])
@pytest.mark.parametrize("by_word", [True, False])
def test_no_sentence_says_more_than_there_is(media, far_end, by_word):
    for signaling in (TLS, CLEAR):
        state = SecurityState(signaling, media, far_end, by_word=by_word)
        sentences = [shortfall.explanation for shortfall in state.shortfalls]
        assert not any("the call is encrypted to" in sentence for sentence in sentences)
        assert by_word or not any("the server says" in sentence for sentence in sentences)


NOBODY = "nobody has said how secure the call is beyond our own connection"
AUDIO_CLEAR = "the audio stream is in clear"
NO_MEDIA = "no media stream is agreed yet"


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (
            SecurityState(TLS, (RTP,)),
            f"not secure (signaling TLSv1.3, media in clear): {AUDIO_CLEAR}; {NOBODY}",
        ),
        (
            SecurityState(TLS, (RTP,), SecurityLevel.ENCRYPTED, by_word=True),
            f"not secure (signaling TLSv1.3, media in clear): {AUDIO_CLEAR};"
            " the server says that the call is encrypted, and our own leg is in clear",
        ),
        (
            SecurityState(TLS, (SRTP, RTP), direct=True),
            "not secure (signaling TLSv1.3, media AEAD_AES_256_GCM, in clear):"
            f" {AUDIO_CLEAR}; {NOBODY}",
        ),
        (
            SecurityState(TLS),
            f"not known yet (signaling TLSv1.3, media none): {NO_MEDIA}; {NOBODY}",
        ),
        (
            SecurityState(TLS, (), SecurityLevel.ENCRYPTED, by_word=True),
            f"not known yet (signaling TLSv1.3, media none): {NO_MEDIA}",
        ),
        (
            SecurityState(TLS, (SRTP,), SecurityLevel.UNKNOWN),
            f"not known yet (signaling TLSv1.3, media AEAD_AES_256_GCM): {NOBODY}",
        ),
    ],
)
def test_the_text_of_media_in_clear_under_tls_and_of_what_is_not_known(state, text):
    assert str(state) == text


def test_one_clear_stream_makes_the_call_not_secure():
    assert SecurityState(TLS, (SRTP, RTP)).level is SecurityLevel.NOT_SECURE


def test_tls_without_encryption_authenticates_only():
    null = SignalingSecurity("TLSv1.2", "NULL-SHA", "CN=pbx", "trust-list", encrypted=False)
    assert SecurityState(null, (SRTP,)).level is SecurityLevel.AUTHENTICATED


def test_tls_that_nobody_verified_is_not_secure():
    assert SignalingSecurity("TLSv1.3", "X", None, None).level is SecurityLevel.NOT_SECURE


def test_a_strict_policy_refuses_clear_media():
    found = SecurityPolicy.strict().judge(SecurityState(TLS, (RTP,)))
    assert ShortfallCode.SRTP_REQUIRED in codes(found)


def test_a_strict_policy_lets_a_call_encrypted_to_the_server_pass():
    assert SecurityPolicy.strict().judge(SecurityState(TLS, (SRTP,))) == ()


def test_a_far_end_below_matters_only_to_an_end_to_end_policy():
    state = SecurityState(TLS, (SRTP,), SecurityLevel.NOT_SECURE)
    assert SecurityPolicy.strict().judge(state) == ()
    found = SecurityPolicy(scope=Scope.END_TO_END).judge(state)
    assert codes(found) == {ShortfallCode.FAR_END_NOT_SECURE}


def test_an_end_to_end_policy_refuses_an_unknown_far_end():
    found = SecurityPolicy(scope=Scope.END_TO_END).judge(SecurityState(TLS, (SRTP,)))
    assert codes(found) == {ShortfallCode.FAR_END_UNKNOWN}
    found = SecurityPolicy(scope=Scope.END_TO_END).judge(SecurityState(CLEAR, (SRTP,)))
    assert codes(found) == {ShortfallCode.SIGNALING_CLEAR, ShortfallCode.FAR_END_UNKNOWN}


def test_an_end_to_end_policy_accepts_the_lock():
    state = SecurityState(TLS, (SRTP,), SecurityLevel.ENCRYPTED)
    assert SecurityPolicy(scope=Scope.END_TO_END).judge(state) == ()


def test_the_judge_fails_closed_without_media():
    assert SecurityPolicy.strict().judge(SecurityState(TLS)) != ()


def test_a_suite_that_is_not_allowed_is_refused():
    policy = SecurityPolicy(suites=(CryptoSuite.AES_CM_128_HMAC_SHA1_80,))
    found = policy.judge(SecurityState(TLS, (SRTP,)))
    assert codes(found) == {ShortfallCode.SUITE_NOT_ALLOWED}


def test_tls_below_the_minimum_is_refused():
    old = SignalingSecurity("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384", "CN=pbx", "chain")
    policy = SecurityPolicy(tls_minimum=TlsVersion.TLS_1_3)
    assert codes(policy.judge(SecurityState(old, (SRTP,)))) == {ShortfallCode.TLS_TOO_OLD}
    unheard = SignalingSecurity("TLSv1.1", "AES128-SHA", "CN=pbx", "chain")
    found = SecurityPolicy().judge(SecurityState(unheard, (SRTP,)))
    assert codes(found) == {ShortfallCode.TLS_TOO_OLD}


def test_fips_is_demanded_of_the_engine():
    state = SecurityState(TLS, (SRTP,))
    assert codes(SecurityPolicy.fips140().judge(state)) == {ShortfallCode.NOT_FIPS}
    assert SecurityPolicy.fips140().judge(SecurityState(TLS, (SRTP,), fips=True)) == ()


def test_optional_and_off_accept_clear_media():
    for srtp in (SrtpPolicy.OPTIONAL, SrtpPolicy.OFF):
        policy = SecurityPolicy.strict().with_srtp(srtp)
        assert policy.judge(SecurityState(TLS, (RTP,))) == ()


def test_require_raises_with_every_reason():
    state = SecurityState(CLEAR, (RTP,))
    with pytest.raises(SecurityShortfall) as caught:
        state.require(SecurityLevel.ENCRYPTED)
    assert codes(caught.value.shortfalls) == {
        ShortfallCode.SIGNALING_CLEAR,
        ShortfallCode.MEDIA_CLEAR,
    }
    told = str(caught.value)
    assert told == "; ".join(each.explanation for each in caught.value.shortfalls)
    assert "the audio stream is in clear" in told
    assert [code for code in ShortfallCode if code.value in told] == []
    SecurityState(TLS, (SRTP,)).require(SecurityLevel.ENCRYPTED)
    with pytest.raises(SecurityShortfall) as caught:
        SecurityState(TLS, (SRTP,)).require(SecurityLevel.ENCRYPTED, scope=Scope.END_TO_END)
    assert codes(caught.value.shortfalls) == {ShortfallCode.FAR_END_UNKNOWN}
    known = SecurityState(TLS, (SRTP,), SecurityLevel.ENCRYPTED)
    known.require(SecurityLevel.ENCRYPTED, scope=Scope.END_TO_END)


def test_key_material_shows_only_its_length():
    key = KeyMaterial(b"secret-secret")
    for text in (repr(key), str(key), f"{key}", f"{key:>40}", str([key])):
        assert "secret" not in text
        assert "13 bytes" in text


def test_key_material_is_neither_pickled_nor_copied():
    key = KeyMaterial(b"secret")
    for action in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            action(key)


def test_key_material_is_wiped_on_close():
    key = KeyMaterial(b"secret")
    assert key.reveal() == b"secret"
    held = memoryview(key._data)
    with pytest.raises(BufferError):
        key.close()
    assert bytes(held) == bytes(6)
    held.release()
    key.close()
    assert len(key) == 0
    with pytest.raises(ValueError, match="wiped"):
        key.reveal()


def test_video_in_clear_keeps_the_lock_from_encrypted_audio():
    video = MediaSecurity("video", "RTP/SAVP", CryptoSuite.AEAD_AES_256_GCM, KeyExchange.SDES)
    assert SecurityState(TLS, (SRTP, video), SecurityLevel.ENCRYPTED).lock
    clear = MediaSecurity("video", "RTP/AVP")
    state = SecurityState(TLS, (SRTP, clear), SecurityLevel.ENCRYPTED)
    assert not state.lock
    assert state.level is SecurityLevel.NOT_SECURE


def test_the_repr_of_a_state_is_one_line_that_says_the_lock_first():
    state = SecurityState(TLS, (SRTP, SRTP), SecurityLevel.ENCRYPTED, by_word=True)
    changed = repr(SecurityChanged(SecurityState(CLEAR, (RTP,)), state))
    assert "no lock, not secure (signaling in clear, media in clear)" in changed
    assert "<SecurityState: lock, encrypted to the server, and by its word" in changed
    assert str(SRTP.suite) in changed
    assert len(changed) < 300


def test_a_state_says_why_it_is_not_more_secure_and_nothing_where_it_is():
    clear = SecurityState(CLEAR, (RTP,))
    for reason in clear.shortfalls:
        assert reason.explanation in str(clear)
    locked = SecurityState(TLS, (SRTP,), SecurityLevel.ENCRYPTED, by_word=True)
    assert repr(locked) == f"<SecurityState: lock, {locked}>"


def test_a_value_of_another_type_is_named_by_its_key():
    with pytest.raises(ConfigurationError, match=r"^policy\.srtp: "):
        SecurityPolicy(srtp=3)


def test_a_word_that_exceeds_our_own_leg_is_said_and_our_own_verification_is_none():
    claimed = SecurityState(TLS, (RTP,), SecurityLevel.ENCRYPTED, by_word=True)
    assert ShortfallCode.CLAIM_EXCEEDS_MEDIA in codes(claimed.shortfalls)
    verified = SecurityState(TLS, (RTP,), SecurityLevel.ENCRYPTED)
    assert ShortfallCode.CLAIM_EXCEEDS_MEDIA not in codes(verified.shortfalls)
    # It is about the far end: who demands only the way to the server is not refused for it.
    with pytest.raises(SecurityShortfall) as caught:
        claimed.require(SecurityLevel.ENCRYPTED)
    assert codes(caught.value.shortfalls) == {ShortfallCode.MEDIA_CLEAR}


def test_crypto_lines_of_no_use_are_a_shortfall_and_a_refusal_where_the_policy_says_so():
    stream = MediaSecurity("audio", "RTP/AVP", unusable_crypto=("line 1: too short",))
    state = SecurityState(TLS, (stream,))
    both = {ShortfallCode.MEDIA_CLEAR, ShortfallCode.CRYPTO_UNUSABLE}
    assert both <= codes(state.shortfalls)
    assert "too short" in str(state.shortfalls)
    optional = SecurityPolicy.compatible()
    assert optional.judge(state) == ()
    refusing = replace(optional, refuse_unusable_crypto=True)
    assert codes(refusing.judge(state)) == {ShortfallCode.CRYPTO_UNUSABLE}
    assert refusing.judge(SecurityState(TLS, (RTP,))) == ()
    assert optional.stricter(refusing).refuse_unusable_crypto
    assert refusing.stricter(optional).refuse_unusable_crypto
    assert ShortfallCode.SRTP_REQUIRED in codes(SecurityPolicy().judge(state))


@pytest.mark.parametrize("far_end", [None, *SecurityLevel])
@pytest.mark.parametrize("by_word", [True, False])
def test_what_is_said_of_the_far_end_is_its_level_and_whose_word_it_is(far_end, by_word):
    state = SecurityState(TLS, (SRTP,), far_end, by_word=by_word)
    expected = {
        None: ShortfallCode.FAR_END_UNKNOWN,
        SecurityLevel.UNKNOWN: ShortfallCode.FAR_END_UNKNOWN,
        SecurityLevel.NOT_SECURE: ShortfallCode.FAR_END_NOT_SECURE,
        SecurityLevel.AUTHENTICATED: ShortfallCode.FAR_END_AUTHENTICATED,
    }
    found = list(state.shortfalls)
    assert [each.code for each in found] == [expected[e] for e in (far_end,) if e in expected]
    if found and found[0].code is not ShortfallCode.FAR_END_UNKNOWN:
        speaker = "the server says that " if by_word else ""
        assert found[0].explanation.startswith(f"{speaker}the other side is ")


@pytest.mark.parametrize("far_end", [None, *SecurityLevel])
@pytest.mark.parametrize("signaling", [TLS, NULL, CLEAR])
@pytest.mark.parametrize("media", [(), (SRTP,), (RTP,)])
@pytest.mark.parametrize("level", list(SecurityLevel))
@pytest.mark.parametrize("scope", list(Scope))
def test_what_is_demanded_is_refused_exactly_where_it_is_missing(
    far_end, signaling, media, level, scope
):
    state = SecurityState(signaling, media, far_end)
    known = far_end not in (None, SecurityLevel.UNKNOWN)
    has = state.hop_level if scope is Scope.HOP else state.level
    met = has >= level or level is SecurityLevel.NOT_SECURE
    met = met and (known or scope is Scope.HOP)
    found = SecurityPolicy(minimum=level, scope=scope, srtp=SrtpPolicy.OPTIONAL).judge(state)
    assert (found == ()) is met
    assert len(set(found)) == len(found)
    far = {each.code for each in found if each.code.startswith("far_end")}
    if scope is Scope.HOP:
        assert not far
    elif not known:
        assert far == {ShortfallCode.FAR_END_UNKNOWN}


def test_the_defaults_demand_srtp_and_encryption_to_the_server():
    strict = SecurityPolicy.strict()
    assert strict == SecurityPolicy(
        SecurityLevel.ENCRYPTED,
        Scope.HOP,
        SrtpPolicy.REQUIRED,
        DEFAULT_SUITES,
        TlsVersion.TLS_1_2,
        RevocationMode.SOFT,
        frozenset(),
        fips=False,
        on_drop=OnDrop.HANGUP,
        record_secure=True,
        signaling=SecurityLevel.NOT_SECURE,
        refuse_unusable_crypto=False,
    )
    assert SecurityPolicy.fips140() == replace(strict, fips=True)
    optional = strict.with_srtp(SrtpPolicy.OPTIONAL)
    assert optional == SecurityPolicy.compatible()
    assert strict.with_srtp(SrtpPolicy.REQUIRED) == strict
    assert strict.with_srtp(SrtpPolicy.OFF) == SecurityPolicy.clear()


def test_a_refusal_names_the_stream_and_what_it_is():
    video = MediaSecurity("video", "RTP/AVP")
    odd = replace(video, suite=CryptoSuite.AES_CM_128_HMAC_SHA1_32)
    policy = SecurityPolicy(suites=(CryptoSuite.AEAD_AES_256_GCM,), scope=Scope.HOP)
    found = policy.judge(SecurityState(TLS, (SRTP, video, odd), SecurityLevel.ENCRYPTED))
    assert [str(each) for each in found] == [
        "srtp_required: SRTP is required and the video stream is RTP/AVP",
        "suite_not_allowed: the video stream uses AES_CM_128_HMAC_SHA1_32, which is not allowed",
        "media_clear: the video stream is in clear",
    ]
    old = SecurityPolicy(tls_minimum=TlsVersion.TLS_1_3)
    (told,) = old.judge(SecurityState(replace(TLS, protocol="TLSv1.2"), (SRTP,)))
    assert "runs over TLSv1.2; at least TLS 1.3 is demanded" in told.explanation


def test_a_policy_may_forbid_to_record_what_is_encrypted():
    encrypted = SecurityState(TLS, (SRTP,))
    clear = SecurityState(TLS, (RTP,))
    assert SecurityPolicy().judge_recording(encrypted) == ()
    forbidding = SecurityPolicy(record_secure=False)
    (refused,) = forbidding.judge_recording(encrypted)
    assert refused.code is ShortfallCode.RECORDING_NOT_ALLOWED
    assert "recorded" in refused.explanation
    assert forbidding.judge_recording(clear) == ()
    both = SecurityState(TLS, (RTP, SRTP))
    assert codes(forbidding.judge_recording(both)) == {ShortfallCode.RECORDING_NOT_ALLOWED}
    assert forbidding.judge_recording(SecurityState(TLS)) == ()


POLICIES = [
    SecurityPolicy.strict(),
    SecurityPolicy.compatible(),
    SecurityPolicy.clear(),
    SecurityPolicy.fips140(),
    SecurityPolicy(scope=Scope.END_TO_END),
    SecurityPolicy(minimum=SecurityLevel.AUTHENTICATED, tls_minimum=TlsVersion.TLS_1_3),
    SecurityPolicy(srtp=SrtpPolicy.OPTIONAL, suites=(CryptoSuite.AES_CM_128_HMAC_SHA1_80,)),
    replace(SecurityPolicy.clear(), signaling=SecurityLevel.ENCRYPTED),
    replace(SecurityPolicy.compatible(), on_drop=OnDrop.HOLD, record_secure=False),
    replace(SecurityPolicy.compatible(), revocation=RevocationMode.HARD),
]
OLD = SignalingSecurity("TLSv1.2", "GCM", "CN=pbx", "chain")
STATES = [
    SecurityState(signaling, media, far_end, fips)
    for signaling in (TLS, OLD, NULL, CLEAR)
    for media in ((), (SRTP,), (RTP,), (SRTP, RTP))
    for far_end in (None, *SecurityLevel)
    for fips in (False, True)
]


@pytest.mark.parametrize("one", POLICIES)
@pytest.mark.parametrize("other", POLICIES)
def test_what_passes_the_stricter_of_two_policies_passes_both(one, other):
    both = one.stricter(other)
    for state in STATES:
        passes = not both.judge(state)
        if passes:
            assert not one.judge(state)
            assert not other.judge(state)
    assert one.stricter(one) == one
    again = other.stricter(one)
    assert replace(both, suites=()) == replace(again, suites=())
    assert set(both.suites) == set(again.suites)


def test_the_stricter_of_each_demand_holds():
    lax = SecurityPolicy(
        minimum=SecurityLevel.NOT_SECURE,
        srtp=SrtpPolicy.OFF,
        revocation=RevocationMode.OFF,
        allow=frozenset({Relaxation.SHA1}),
        on_drop=OnDrop.HOLD,
    )
    tight = SecurityPolicy(
        scope=Scope.END_TO_END,
        tls_minimum=TlsVersion.TLS_1_3,
        revocation=RevocationMode.HARD,
        fips=True,
        record_secure=False,
        signaling=SecurityLevel.ENCRYPTED,
    )
    assert lax.stricter(tight) == tight.stricter(lax) == tight
    both = replace(lax, allow=frozenset(Relaxation)).stricter(lax)
    assert both.allow == lax.allow


def test_policies_without_a_common_suite_are_met_by_nothing():
    one = SecurityPolicy(suites=(CryptoSuite.AEAD_AES_256_GCM,))
    other = SecurityPolicy(suites=(CryptoSuite.AES_CM_128_HMAC_SHA1_80,))
    with pytest.raises(SecurityShortfall) as caught:
        one.stricter(other)
    assert codes(caught.value.shortfalls) == {ShortfallCode.SUITE_NOT_ALLOWED}
    assert replace(one, srtp=SrtpPolicy.OFF).stricter(replace(other, srtp=SrtpPolicy.OFF))


def test_a_demand_on_the_signaling_is_judged_beside_the_media():
    policy = replace(SecurityPolicy.compatible(), signaling=SecurityLevel.ENCRYPTED)
    assert policy.judge(SecurityState(TLS, (RTP,))) == ()
    assert codes(policy.judge(SecurityState(CLEAR, (SRTP,)))) == {ShortfallCode.SIGNALING_CLEAR}
    assert codes(policy.judge(SecurityState(NULL, (SRTP,)))) == {
        ShortfallCode.SIGNALING_NOT_ENCRYPTED
    }
    required = SecurityPolicy(signaling=SecurityLevel.ENCRYPTED, minimum=SecurityLevel.NOT_SECURE)
    assert codes(required.judge(SecurityState(CLEAR, (RTP,)))) == {
        ShortfallCode.SRTP_REQUIRED,
        ShortfallCode.SIGNALING_CLEAR,
    }


@pytest.mark.parametrize("far_end", [None, *SecurityLevel])
@pytest.mark.parametrize("by_word", [False, True])
def test_through_an_edge_there_is_never_a_lock(far_end, by_word):
    state = SecurityState(TLS, (SRTP,), far_end, by_word=by_word, by_edge=True)
    assert (state.lock, state.scope) == (False, Scope.HOP)
    assert state.shortfalls
    assert SecurityPolicy(scope=Scope.END_TO_END).judge(state)
    assert "to the far end" not in str(state)


def test_a_call_through_an_edge_says_how_far_it_is_encrypted():
    state = SecurityState(TLS, (SRTP,), SecurityLevel.ENCRYPTED, by_word=True, by_edge=True)
    assert str(state).startswith("encrypted to the edge server (signaling TLSv1.3")
    assert [each.code for each in state.shortfalls] == [ShortfallCode.FAR_END_UNKNOWN]
    assert "an edge server decrypts the call" in str(state)
    assert SecurityPolicy.strict().at_edge().judge(state) == ()
    clear = SecurityState(TLS, (RTP,), by_edge=True)
    assert SecurityPolicy.clear().at_edge().judge(clear)


@pytest.mark.parametrize(
    "policy", [SecurityPolicy.clear(), SecurityPolicy.compatible(), SecurityPolicy.strict()]
)
def test_an_edge_is_a_floor_that_no_policy_lowers_and_none_is_lowered_by(policy):
    behind = policy.at_edge()
    assert behind.srtp is SrtpPolicy.REQUIRED
    assert behind.minimum == max(policy.minimum, SecurityLevel.ENCRYPTED)
    assert behind.signaling == max(policy.signaling, SecurityLevel.ENCRYPTED)
    kept = replace(behind, srtp=policy.srtp, minimum=policy.minimum, signaling=policy.signaling)
    assert kept == policy
    high = replace(policy, minimum=max(SecurityLevel), signaling=max(SecurityLevel)).at_edge()
    assert (high.minimum, high.signaling) == (max(SecurityLevel), max(SecurityLevel))
