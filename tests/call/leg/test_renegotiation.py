"""What a negotiation does after its first exchange: repeats, early answers, holds, video."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from softphone.call.leg import MediaProposal, MediaSetup, Negotiation
from softphone.call.leg.negotiation import DescriptionRefusal
from softphone.call.leg.video_setup import VideoSetup
from softphone.errors import LocalProtocolError, MediaError
from softphone.events import Direction
from softphone.media import StreamHandle
from softphone.sdp import SessionDescription
from softphone.security import DEFAULT_SUITES, CryptoSuite, MediaSecurity, ShortfallCode
from softphone.sip import Body
from tests.call.leg.test_negotiation import (
    AVP,
    KEY,
    OFF,
    OPTIONAL,
    REQUIRED,
    agree,
    codes,
    offer_of,
    party,
    specs,
)
from tests.support.media_port import RecordingPort

OTHER_KEY = "inline:" + "Zq7w" * 10
LINE = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 "


class VideoPort(RecordingPort):
    """A port of video, whose streams only remember how a picture is asked for."""

    def __init__(self):
        super().__init__(first_port=50000)
        self.opened[StreamHandle(0, 1)] = []  # the audio has that one
        self.streams = {}

    def stream(self, handle):
        return self.streams.setdefault(handle, SimpleNamespace(ask_by_signaling=None))


def with_video(policy=REQUIRED, seed=1, *, offer=True, **more):
    return party(policy, seed, video=VideoSetup(VideoPort(), ("H264",), offer=offer), **more)


def pair(one=OPTIONAL, other=OPTIONAL, **more):
    caller, callee = party(one, seed=1, **more), party(other, seed=2, **more)
    agree(caller, callee)
    return caller, callee


def text_of(body):
    return body.data.decode()


def keys_of(body):
    return re.findall(r"inline:(\S+)", text_of(body))


def ports_of(body):
    return re.findall(r"m=(\w+) (\d+) (\S+)", text_of(body))


def with_direction(body, direction):
    return Body("application/sdp", body.data.replace(b"a=sendrecv", b"a=" + direction))


# Offers


def test_a_session_that_was_never_agreed_cannot_be_refreshed():
    caller = party()
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match="no session to refresh"):
            caller.repeat()
    assert not caller.offer_pending


@pytest.mark.parametrize("held", [False, True])
def test_a_refresh_says_once_more_what_was_said(held):
    caller, callee = pair(REQUIRED, REQUIRED)
    caller.held = held
    agree(caller, callee)
    said = caller._session.local.encode()
    assert caller.repeat() is None
    assert caller.offer_pending
    assert caller._session._pending.description.encode() == said
    with pytest.raises(LocalProtocolError):
        caller.repeat()


def test_a_refresh_says_once_more_what_was_refused():
    caller, callee = with_video(OFF), party(OFF, seed=2)
    agree(caller, callee)
    said = caller._session.local.encode()
    caller.repeat()
    assert caller._session._pending.description.encode() == said


@pytest.mark.parametrize("direction", [b"sendonly", b"inactive", b"recvonly"])
def test_a_refresh_by_the_held_side_keeps_its_direction(direction):
    callee, caller = party(OFF), party(OFF, seed=2)
    assert isinstance(
        callee.receive_offer(with_direction(caller.create_offer(), direction)), MediaProposal
    )
    callee.commit(0)
    callee.repeat()
    ours = callee._session._pending.description
    assert ours.direction_of(ours.media[0]) is callee.direction


def test_a_renewed_offer_has_fresh_keys_and_everything_else_as_before():
    caller = party()
    first = caller.create_offer()
    second = caller.renew_offer()
    assert not set(keys_of(first)) & set(keys_of(second))
    assert ports_of(first) == ports_of(second)
    assert len(keys_of(first)) == len(keys_of(second)) == len(DEFAULT_SUITES)
    callee = party(seed=2)
    answer = callee.receive_offer(second)
    assert isinstance(caller.receive_answer(answer.body), MediaProposal)
    caller.commit(0)
    callee.commit(0)
    assert specs(caller)[0].send_key.key.reveal() == specs(callee)[0].receive_key.key.reveal()


def test_an_offer_while_one_waits_is_an_error_and_changes_nothing():
    caller = party()
    caller.create_offer()
    with pytest.raises(LocalProtocolError):
        caller.create_offer()
    assert caller.offer_pending
    refusal = caller.receive_offer(offer_of())
    assert (refusal.warning_code, caller.offer_pending) == (399, True)


def test_the_suites_of_the_next_offer_may_be_set():
    caller = party()
    caller.use_suites((CryptoSuite.AES_CM_128_HMAC_SHA1_80,))
    text = text_of(caller.create_offer())
    assert re.findall(r"a=crypto:\d+ (\S+)", text) == ["AES_CM_128_HMAC_SHA1_80"]


@pytest.mark.parametrize(
    ("policy", "clear", "profile"),
    [
        (OPTIONAL, True, "RTP/AVP"),
        (OPTIONAL, False, "RTP/SAVP"),
        (REQUIRED, True, "RTP/SAVP"),
        (REQUIRED, False, "RTP/SAVP"),
        (OFF, True, "RTP/AVP"),
        (OFF, False, "RTP/AVP"),
    ],
)
def test_a_server_may_offer_in_clear_only_where_the_policy_leaves_it_open(policy, clear, profile):
    caller = party(policy)
    caller.offer_in_clear(clear)
    offer = caller.create_offer()
    assert ports_of(offer) == [("audio", "40000", profile)]
    assert bool(keys_of(offer)) is ("SAVP" in profile)
    # What the call has agreed on before does not decide.
    if policy is OPTIONAL:
        caller.receive_answer(offer_of())
        caller.rollback()
        caller.offer_in_clear(not clear)
        assert ports_of(caller.create_offer())[0][2] != profile


def test_what_was_agreed_in_clear_is_not_opened_again_as_srtp_by_a_hold():
    caller = party(OPTIONAL)
    caller.create_offer()
    caller.receive_answer(offer_of())
    caller.commit(0)
    caller.held = True
    assert ports_of(caller.create_offer())[0][2] == "RTP/AVP"
    caller.rollback()
    caller.offer_in_clear(False)
    assert ports_of(caller.create_offer())[0][2] == "RTP/SAVP"


def test_a_full_offer_within_a_call_has_every_suite_and_another_only_the_key_in_use():
    caller, _ = pair(REQUIRED, REQUIRED)
    (key,) = keys_of(caller.create_offer())
    caller.rollback()
    keys = keys_of(caller.create_offer(full=True))
    assert len(keys) == len(DEFAULT_SUITES)
    assert keys[0] == key


def keys_in_use(*ends):
    return [end.spec.send_key.key.reveal() for end in ends]


def test_a_stream_that_wakes_has_a_fresh_key_and_one_that_sleeps_on_keeps_its_own():
    caller, callee = party(seed=1), party(seed=2)
    agree(caller, callee)
    for end in (caller, callee):
        end.held = True
    agree(caller, callee)  # neither sends to the other
    asleep = keys_in_use(caller, callee)
    for _ in range(2):
        callee.repeat()
        offer = callee._session._pending.description
        answer = caller.receive_offer(Body("application/sdp", offer.encode()))
        callee.receive_answer(answer.body)
        for end in (caller, callee):
            end.commit(0)
        assert keys_in_use(caller, callee) == asleep
    for end in (caller, callee):
        end.held = False
    agree(caller, callee)
    assert not set(keys_in_use(caller, callee)) & set(asleep)


def test_the_keys_of_a_final_answer_outlast_an_offer_that_is_refused():
    caller, callee = pair(REQUIRED, REQUIRED)
    before = keys_in_use(caller)
    assert isinstance(caller.receive_offer(offer_of("RTP/AVP")), DescriptionRefusal)
    caller.rollback()
    assert len(keys_of(caller.create_offer())) == 1
    caller.rollback()
    agree(caller, callee)
    assert keys_in_use(caller) == before


def test_what_was_agreed_as_srtp_stays_so_and_keeps_its_profile():
    caller, callee = party(OPTIONAL), party(OPTIONAL, seed=2)
    offer = caller.create_offer()
    as_feedback = Body("application/sdp", offer.data.replace(b"RTP/SAVP ", b"RTP/SAVPF "))
    answer = callee.receive_offer(as_feedback)
    assert ports_of(answer.body)[0][2] == "RTP/SAVPF"
    callee.commit(0)
    assert ports_of(callee.create_offer())[0][2] == "RTP/SAVPF"


# Holding


@pytest.mark.parametrize(
    ("offered", "held", "answered"),
    [
        (b"sendrecv", False, Direction.SENDRECV),
        (b"sendrecv", True, Direction.SENDONLY),
        (b"recvonly", True, Direction.SENDONLY),
        (b"sendonly", True, Direction.INACTIVE),
        (b"sendonly", False, Direction.RECVONLY),
        (b"inactive", True, Direction.INACTIVE),
    ],
)
def test_whoever_holds_answers_that_he_hears_nothing(offered, held, answered):
    callee = party(OFF)
    callee.held = held
    offer = Body("application/sdp", offer_of().data + b"a=" + offered + b"\r\n")
    callee.receive_offer(offer)
    callee.commit(0)
    assert callee.direction is answered


# Early answers


def test_an_early_answer_that_becomes_final_ends_the_exchange():
    caller, callee = party(), party(seed=2)
    answer = callee.receive_offer(caller.create_offer()).body
    assert isinstance(caller.receive_answer(answer, final=False), MediaProposal)
    caller.commit(0)
    assert caller.offer_pending
    assert caller.complete(answer) is None
    assert not caller.offer_pending
    # It was in force already: nothing waits, and nothing is opened twice.
    caller.commit(1)
    assert len(specs(caller)) == 1
    caller.held = True
    assert ports_of(caller.create_offer())[0][2] == "RTP/SAVP"


def test_an_early_answer_whose_rows_still_wait_is_opened_once_it_is_final():
    caller, callee = party(), party(seed=2)
    answer = callee.receive_offer(caller.create_offer()).body
    caller.receive_answer(answer, final=False)
    assert caller.complete(answer) is None
    assert specs(caller) == []
    caller.commit(7)
    assert [spec.security_generation for spec in specs(caller)] == [7]


def test_a_final_answer_that_cannot_be_used_is_refused_and_leaves_the_early_one():
    caller, callee = party(), party(seed=2)
    answer = callee.receive_offer(caller.create_offer()).body
    caller.receive_answer(answer, final=False)
    caller.commit(0)
    refusal = caller.complete(offer_of("RTP/AVP"))
    assert isinstance(refusal, DescriptionRefusal)
    assert len(specs(caller)) == 1
    assert caller.media[0].suite is CryptoSuite.AEAD_AES_256_GCM


def test_the_keys_of_an_early_answer_are_used_and_replaced_by_those_of_the_final_one():
    caller, forks = party(), [party(seed=seed) for seed in (2, 3)]
    offer = caller.create_offer()
    early, final = (fork.receive_offer(offer).body for fork in forks)
    caller.receive_answer(early, final=False)
    caller.commit(0)
    caller.receive_answer(final)
    caller.commit(0)
    received = [spec.receive_key.key.reveal() for spec in specs(caller)]
    for fork, key in zip(forks, received, strict=True):
        fork.commit(0)
        assert specs(fork)[0].send_key.key.reveal() == key


# What is refused, and by which Warning (RFC 3261 section 20.43)


def test_an_answer_nobody_waits_for_is_refused():
    refusal = party().receive_answer(offer_of())
    assert (refusal.warning_code, refusal.shortfalls) == (399, ())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ((b"m=audio", b"m=video"), 399),
        ((b"m=audio 5004", b"m=audio 0"), 304),
        ((b"IP4 127.0.0.1\r\nt", b"IP4 224.0.0.1\r\nt"), 301),
        ((b"IP4 127.0.0.1\r\nt", b"IP6 ::1\r\nt"), 301),
        ((b"IP4 127.0.0.1\r\nt", b"IP4 media.example.test\r\nt"), 301),
    ],
)
def test_an_answer_that_does_not_fit_or_goes_elsewhere_is_refused(change, code):
    caller = party(OFF)
    caller.create_offer()
    answer = offer_of()
    assert isinstance(caller.receive_answer(answer, final=False), MediaProposal)
    refusal = caller.receive_answer(Body("application/sdp", answer.data.replace(*change)))
    assert isinstance(refusal, DescriptionRefusal)
    assert refusal.warning_code == code


@pytest.mark.parametrize("address", ["224.0.0.1", "255.255.255.255", "media.example.test"])
def test_an_offer_whose_media_is_not_of_one_host_is_refused_and_forgotten(address):
    callee = party(OFF)
    session = AVP.replace("c=IN IP4 127.0.0.1", f"c=IN IP4 {address}")
    refusal = callee.receive_offer(offer_of(session=session))
    assert refusal.warning_code == 301
    assert not callee.offer_pending
    assert isinstance(callee.receive_offer(offer_of()), MediaProposal)


def test_keys_in_an_answer_to_an_offer_in_clear_are_not_used():
    caller = party(OFF)
    caller.create_offer()
    refusal = caller.receive_answer(offer_of("RTP/AVP", LINE + KEY))
    assert isinstance(refusal, MediaProposal)
    assert refusal.media[0].suite is None


@pytest.mark.parametrize("policy", [REQUIRED, OPTIONAL])
@pytest.mark.parametrize("lines", [(), (LINE.replace("AES_CM", "F8_CM") + KEY,)])
def test_an_answer_as_srtp_without_a_key_that_can_be_used_is_never_taken_in_clear(policy, lines):
    caller = party(policy)
    caller.create_offer()
    refusal = caller.receive_answer(offer_of("RTP/SAVP", *lines))
    assert isinstance(refusal, DescriptionRefusal)
    assert refusal.warning_code == 399
    assert codes(refusal) == {ShortfallCode.SRTP_REQUIRED}


def two_lines(first, second):
    """An offer of two audio lines, each a profile and whether it has a key that can be used."""
    (profile, keyed), (other, other_keyed) = first, second
    body = offer_of(profile, *([LINE + KEY] if keyed else []), formats="0")
    text = f"m=audio 5006 {other} 0\r\n" + (f"{LINE}{OTHER_KEY}\r\n" if other_keyed else "")
    return Body("application/sdp", body.data + text.encode())


SECURE, KEYED, CLEAR = ("RTP/SAVP", True), ("RTP/AVP", True), ("RTP/AVP", False)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("policy", "better", "worse"),
    [
        (OPTIONAL, SECURE, KEYED),
        (OPTIONAL, SECURE, CLEAR),
        (OPTIONAL, KEYED, CLEAR),
        (OPTIONAL, CLEAR, ("RTP/SAVP", False)),
        (REQUIRED, SECURE, KEYED),
        (REQUIRED, KEYED, CLEAR),
        (OFF, CLEAR, SECURE),
        (OFF, KEYED, SECURE),
    ],
)
def test_the_safest_line_that_the_policy_allows_is_answered(policy, better, worse, turned):
    lines = (worse, better) if turned else (better, worse)
    result = party(policy).receive_offer(two_lines(*lines))
    assert isinstance(result, MediaProposal)
    answered = [port != "0" for _, port, _ in ports_of(result.body)]
    assert answered == ([False, True] if turned else [True, False])
    assert (result.media[0].suite is not None) is (better[1] and policy is not OFF)


def test_an_offer_without_audio_is_refused_for_its_formats():
    refusal = party(OFF).receive_offer(Body("application/sdp", AVP.encode()))
    assert refusal.warning_code == 305
    assert "no audio stream" in refusal.explanation


@pytest.mark.parametrize("policy", [REQUIRED, OPTIONAL])
def test_of_several_offered_lines_the_refusal_tells_of_the_secure_one(policy):
    offer = offer_of("RTP/AVP")
    lines = f"m=audio 5006 RTP/SAVP 0\r\n{LINE}inline:AAAA\r\n"
    both = Body("application/sdp", offer.data + lines.encode())
    result = party(policy).receive_offer(both)
    assert isinstance(result, DescriptionRefusal) or result.media[0].suite is None
    if policy is REQUIRED:
        assert "RTP/SAVP" in result.explanation


def test_a_key_that_cannot_be_used_is_noted_where_the_call_goes_on_in_clear():
    line = "a=crypto:1 F8_128_HMAC_SHA1_80 " + KEY
    callee = party(OPTIONAL)
    result = callee.receive_offer(offer_of("RTP/AVP", line))
    assert result.media[0].suite is None
    assert "F8_128_HMAC_SHA1_80" in result.media[0].unusable_crypto[0]
    callee.commit(0)
    assert callee.media == result.media
    caller = party(OPTIONAL)
    caller.create_offer()
    result = caller.receive_answer(offer_of("RTP/AVP", line))
    assert "F8_128_HMAC_SHA1_80" in result.media[0].unusable_crypto[0]
    caller.commit(0)
    assert caller.media == result.media


def test_of_several_lines_that_were_passed_over_the_answer_notes_none_of_the_good_one():
    lines = ("a=crypto:1 F8_128_HMAC_SHA1_80 " + OTHER_KEY, "a=crypto:2" + LINE[10:] + KEY)
    result = party(OPTIONAL).receive_offer(offer_of("RTP/AVP", *lines))
    assert result.media[0].suite is CryptoSuite.AES_CM_128_HMAC_SHA1_80
    assert "a=crypto:2 " in text_of(result.body)


# Taking effect


def test_nothing_that_was_judged_is_in_force_before_the_commit_and_all_of_it_after():
    caller, callee = party(), party(seed=2)
    assert (caller.media, caller.spec, caller.audio, caller.video) == ((), None, None, None)
    assert caller.direction is Direction.INACTIVE
    answer = callee.receive_offer(caller.create_offer())
    caller.receive_answer(answer.body)
    assert (caller.media, caller.spec) == ((), None)
    assert caller.audio.rtp_port == 40000
    caller.commit(3)
    (media,) = caller.media
    assert isinstance(media, MediaSecurity)
    assert (media.media, media.profile) == ("audio", "RTP/SAVP")
    assert caller.spec.security_generation == 3
    assert caller.direction is Direction.SENDRECV
    assert caller.kind_of(caller.audio.handle) == "audio"


def test_what_is_committed_in_silence_flows_nowhere_until_the_next_commit():
    caller, callee = party(OFF), party(OFF, seed=2)
    answer = callee.receive_offer(caller.create_offer())
    caller.receive_answer(answer.body)
    caller.commit(0, silent=True)
    assert caller.spec.direction is Direction.INACTIVE
    callee.commit(0)
    agree(caller, callee)
    assert caller.spec.direction is Direction.SENDRECV
    caller.silence()
    assert caller.spec.direction is Direction.INACTIVE
    agree(caller, callee)
    assert caller.spec.direction is Direction.SENDRECV


def test_an_answer_of_ours_that_never_went_out_is_taken_back_with_its_keys():
    caller, callee = pair(REQUIRED, REQUIRED)
    before = callee.media, callee._session.negotiated
    stranger = party(seed=9)
    proposal = callee.receive_offer(stranger.create_offer())
    assert isinstance(proposal, MediaProposal)
    callee.rollback()
    assert (callee.media, callee._session.negotiated) == before
    callee.commit(1)  # nothing waits
    assert len(specs(callee)) == 1
    agree(caller, callee)
    ours, theirs = specs(caller)[-1], specs(callee)[-1]
    assert ours.send_key.key.reveal() == theirs.receive_key.key.reveal()


def test_an_exchange_whose_answer_went_out_waits_behind_a_later_one_that_is_refused():
    caller, callee = party(), party(seed=2)
    answer = callee.receive_offer(caller.create_offer())
    callee.confirm_exchange()  # the answer is out, the rows wait
    caller.receive_answer(answer.body)
    caller.commit(0)
    later = callee.receive_offer(caller.create_offer())
    assert isinstance(later, MediaProposal)
    callee.rollback()
    caller.rollback()
    assert specs(callee) == []
    callee.commit(4)
    assert [spec.security_generation for spec in specs(callee)] == [4]
    assert specs(callee)[0].send_key.key.reveal() == specs(caller)[0].receive_key.key.reveal()


def test_an_exchange_that_was_confirmed_is_not_taken_back():
    caller, callee = party(), party(seed=2)
    callee.receive_offer(caller.create_offer())
    callee.confirm_exchange()
    callee.confirm_exchange()
    callee.rollback()
    callee.commit(0)
    assert len(specs(callee)) == 1
    callee.rollback()
    assert len(callee.media) == 1


def test_a_call_that_falls_to_clear_forgets_its_keys():
    caller, callee = pair()
    assert caller.spec.send_key is not None
    callee.offer_in_clear(True)
    offer = callee.create_offer()
    proposal = caller.receive_offer(offer)
    callee.receive_answer(proposal.body)
    caller.commit(1)
    callee.commit(1)
    for end in (caller, callee):
        assert end.spec.send_key is end.spec.receive_key is None
        assert [media.suite for media in end.media] == [None]
        assert ports_of(end.create_offer())[0][2] == ("RTP/AVP")


def test_only_the_stream_that_is_meant_follows_its_payload_type():
    caller = party(OFF)
    caller.create_offer()
    caller.receive_answer(offer_of(formats="0 8 101"))
    caller.commit(0)
    handle = caller.audio.handle
    assert caller.spec.payload_type == 0
    caller.follow_payload_type(SimpleNamespace(), 8)
    assert caller.spec.payload_type == 0
    caller.follow_payload_type(handle, 8)
    assert (caller.spec.payload_type, caller.spec.codec) == (8, "PCMA")


def test_media_events_go_to_the_leg_that_asks():
    heard = []
    setup = party(OFF).setup
    Negotiation(setup, heard.append).create_offer()
    Negotiation(setup).create_offer()
    assert list(setup.backend.callbacks.values()) == [heard.append, None]


class OddPort(RecordingPort):
    """A port whose RTCP is not behind its RTP."""

    def allocate_stream(self, **more):
        local = super().allocate_stream(**more)
        return replace(local, rtcp_port=local.rtp_port + 7)


def test_where_rtcp_goes_is_said_in_offers_and_answers():
    ends = [Negotiation(replace(party(OFF).setup, backend=OddPort())) for _ in range(2)]
    agree(*ends)
    for end in ends:
        assert end.spec.remote_rtcp == ("127.0.0.1", 40007)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_description_has_our_address_and_a_number_of_its_own(host):
    backend = RecordingPort()
    setup = MediaSetup(backend, OFF, random.Random(5).randbytes, host, codecs=("PCMA",))
    first, second = (text_of(Negotiation(setup).create_offer()) for _ in range(2))
    numbers = [int(re.search(r"o=- (\d+) 1 ", text)[1]) for text in (first, second)]
    assert numbers[0] != numbers[1]
    assert all(1 << 32 < number < 1 << 53 for number in numbers)
    assert f"{host}\r\n" in first
    assert "m=audio 40000 RTP/AVP 8 101" in first


def test_comfort_noise_is_offered_where_it_is_wanted():
    for wanted in (False, True):
        text = text_of(party(OFF, comfort_noise=wanted).create_offer())
        assert ("m=audio 40000 RTP/AVP 0 8 101 13" in text) is wanted


# Video


def test_media_moves_to_another_address_with_its_key():
    caller, callee = pair()
    key = caller.spec.send_key.key
    caller.move("127.0.0.9")
    assert caller.audio.host == "127.0.0.9"
    agree(caller, callee)
    assert callee.spec.remote == ("127.0.0.9", caller.audio.rtp_port)
    assert caller.spec.send_key.key is key
    caller.move("127.0.0.8", "203.0.113.8")
    assert "c=IN IP4 203.0.113.8" in text_of(caller.create_offer())


def test_video_moves_with_the_audio():
    caller, callee = with_video(), with_video(seed=2)
    agree(caller, callee)
    caller.move("127.0.0.9")
    assert caller.setup.host == caller.audio.host == "127.0.0.9"
    moved = [host for name, *rest, host in caller.setup.video.port.commands if name == "rebind"]
    assert moved == ["127.0.0.9"]


@pytest.mark.parametrize("proven", [False, True])
def test_a_stream_goes_to_a_third_host_only_once_the_far_end_is_proven(proven):
    caller, callee = with_video(), with_video(seed=2)
    callee.only_host = "192.0.2.66"
    if proven:
        callee.send_anywhere()  # before any stream is there
    agree(caller, callee)
    ports = callee.setup.backend, callee.setup.video.port
    assert [port.specs[-1].withheld for port in ports] == [not proven] * 2
    callee.send_anywhere()
    assert not any(port.specs[-1].withheld for port in ports)


def test_video_that_cannot_move_keeps_no_audio_back(monkeypatch, caplog):
    caller, callee = with_video(), with_video(seed=2)
    agree(caller, callee)

    def refuse(handle, host):
        raise MediaError("it is elsewhere")

    monkeypatch.setattr(caller.setup.video.port, "rebind_stream", refuse)
    caller.move("127.0.0.9")
    assert caller.setup.host == caller.audio.host == "127.0.0.9"
    assert "the video does not follow to our new address: it is elsewhere" in caplog.text


def relayed(negotiation, *answer):
    """What becomes of a music source's stream in the place of ours, by the far end's answer."""
    music = SessionDescription.parse(f"{AVP}m=audio 7000 RTP/AVP 0\r\n".encode())
    negotiation.relay_offer(music.media[0])
    text = AVP + "".join(f"{line}\r\n" for line in answer)
    return negotiation.receive_relayed_answer(Body("application/sdp", text.encode()))


@pytest.mark.parametrize(("kinds", "gone"), [(["audio", "video"], 1), (["audio"], 0)])
def test_after_the_music_the_media_of_before_is_offered_again(kinds, gone):
    far = with_video(OFF) if gone else party(OFF)
    holder = with_video(OFF, seed=2, offer=False)  # takes video, and offers none of its own accord
    assert not holder.relayed
    agree(far, holder)
    assert (holder.video is not None) is bool(gone)
    description, line = relayed(holder, "m=audio 5000 RTP/AVP 0", *["m=video 0 RTP/AVP 97"] * gone)
    assert (line.port, len(description.media)) == (5000, len(kinds))
    holder.commit_relayed(MediaSecurity("audio", "RTP/AVP"))
    assert holder.relayed
    assert holder.video is None
    offer = holder.create_offer(full=True)
    assert [kind for kind, port, *_ in ports_of(offer) if port != "0"] == kinds
    holder.rollback()
    agree(holder, far)
    assert not holder.relayed


def test_an_answer_that_does_not_fit_the_music_is_refused_with_a_word():
    caller, callee = pair(OFF, OFF)
    refusal = relayed(caller, "m=audio 0 RTP/AVP 0")
    assert isinstance(refusal, DescriptionRefusal)
    assert refusal.warning_code == 399
    assert refusal.explanation.startswith("the answer does not fit the offer: ")
    assert caller.relayed
    assert callee.audio


def test_before_media_only_the_description_moves():
    negotiation = party(OFF)
    negotiation.move("127.0.0.9")
    assert "c=IN IP4 127.0.0.9" in text_of(negotiation.create_offer())
    assert negotiation.audio.host == "127.0.0.9"


def test_voice_and_picture_have_marks_of_their_own():
    caller, callee = with_video(dscp=(46, 34)), with_video(seed=2)
    agree(caller, callee)
    assert [spec.dscp for spec in caller.setup.backend.specs] == [46]
    assert [spec.dscp for spec in caller.setup.video.port.specs] == [34]
    assert [spec.dscp for spec in callee.setup.video.port.specs] == [0]


def test_video_is_offered_where_the_setup_says_so_and_keyed_by_itself():
    caller, callee = with_video(), with_video(seed=2, offer=False)
    assert [kind for kind, *_ in ports_of(callee.create_offer())] == ["audio"]
    callee.rollback()
    result, answer = agree(caller, callee)
    assert [media.media for media in result.media] == ["audio", "video"]
    assert [media.suite for media in answer.media] == [CryptoSuite.AEAD_AES_256_GCM] * 2
    kinds = ports_of(answer.body)
    assert [(kind, profile) for kind, _, profile in kinds] == [
        ("audio", "RTP/SAVP"),
        ("video", "RTP/SAVP"),
    ]
    (seen,) = caller.setup.video.port.specs
    (heard,) = caller.setup.backend.specs
    assert seen.send_key.key.reveal() != heard.send_key.key.reveal()
    for end in (caller, callee):
        assert end.kind_of(end._rows["video"].local.handle) == "video"
        assert end.video is end.setup.video.port.stream(end._rows["video"].local.handle)
        # Whoever has it keeps it in his next offer, whether or not he began with it.
        assert [kind for kind, *_ in ports_of(end.create_offer())] == ["audio", "video"]
        end.rollback()


def test_a_party_without_video_refuses_it_and_takes_the_call():
    caller, callee = with_video(OPTIONAL), party(OPTIONAL, seed=2)
    result, answer = agree(caller, callee)
    assert [media.media for media in result.media] == ["audio"]
    assert ports_of(answer.body)[1][:2] == ("video", "0")
    assert caller.video is callee.video is None


def test_a_stream_that_is_removed_is_silent_and_no_longer_told():
    caller, callee = with_video(), with_video(seed=2)
    agree(caller, callee)
    assert isinstance(callee.receive_offer(party(seed=7).create_offer()), MediaProposal)
    assert len(callee.media) == 2
    callee.commit(0)
    assert [media.media for media in callee.media] == ["audio"]
    assert callee.video is None
    assert callee.setup.video.port.commands[-1][0] == "direction"


def test_an_early_answer_without_video_does_not_remove_it_yet():
    caller, callee = with_video(), with_video(seed=2)
    agree(caller, callee)
    answer = callee.receive_offer(caller.create_offer()).body
    without = Body(answer.content_type, re.sub(rb"m=video \d+", b"m=video 0", answer.data))
    for final, left in ((False, ["audio", "video"]), (True, ["audio"])):
        assert isinstance(caller.receive_answer(without, final=final), MediaProposal)
        caller.commit(0)
        assert [media.media for media in caller.media] == left


def test_an_answer_that_takes_up_video_alone_has_no_direction_of_sound():
    caller, callee = with_video(OFF), with_video(OFF, seed=2)
    answer = callee.receive_offer(caller.create_offer()).body
    silent = Body(answer.content_type, re.sub(rb"m=audio \d+", b"m=audio 0", answer.data))
    result = caller.receive_answer(silent)
    assert [media.media for media in result.media] == ["video"]
    caller.commit(0)
    assert caller.direction is Direction.INACTIVE


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
def test_ports_are_taken_at_the_address_that_is_told(host):
    hosts = []

    class Port(RecordingPort):
        def allocate_stream(self, *, host=None, on_event=None):
            hosts.append(host)
            return super().allocate_stream(host=host, on_event=on_event)

    Negotiation(replace(party(OFF).setup, backend=Port(), host=host)).create_offer()
    assert hosts == [host]


def test_a_key_that_stands_on_two_lines_is_used_on_neither():
    body = offer_of("RTP/SAVP", LINE + KEY, formats="0")
    video = f"m=video 5006 RTP/SAVP 97\r\na=rtpmap:97 H264/90000\r\n{LINE}{KEY}\r\n"
    both = Body("application/sdp", body.data + video.encode())
    refusal = with_video().receive_offer(both)
    assert isinstance(refusal, DescriptionRefusal)
    assert codes(refusal)
    fine = Body("application/sdp", both.data.replace(KEY.encode(), OTHER_KEY.encode(), 1))
    assert isinstance(with_video().receive_offer(fine), MediaProposal)
    caller, callee = with_video(), with_video(seed=2)
    answer = text_of(callee.receive_offer(caller.create_offer()).body)
    audio, video = re.findall(r"inline:(\S+)", answer)
    for text, outcome in (
        (answer, MediaProposal),
        (answer.replace(video, audio), DescriptionRefusal),
    ):
        body = Body("application/sdp", text.encode())
        assert isinstance(caller.receive_answer(body, final=False), outcome)


def test_a_key_of_the_sound_never_comes_again_for_the_picture():
    callee = with_video()
    assert isinstance(callee.receive_offer(offer_of("RTP/SAVP", LINE + KEY)), MediaProposal)
    callee.commit(0)
    video = f"m=video 5006 RTP/SAVP 97\r\na=rtpmap:97 H264/90000\r\n{LINE}{KEY}\r\n"
    later = offer_of("RTP/SAVP", LINE + OTHER_KEY).data + video.encode()
    assert isinstance(callee.receive_offer(Body("application/sdp", later)), DescriptionRefusal)


def test_a_picture_is_asked_for_by_the_call_as_long_as_it_lasts():
    caller, callee = with_video(), with_video(seed=2)
    agree(caller, callee)
    caller.video.ask_by_signaling()  # nobody can be asked yet
    asked = []
    caller.ask_for_picture = lambda: asked.append(1)
    caller.video.ask_by_signaling()
    assert asked == [1]
    stream = caller.video
    caller.close()
    stream.ask_by_signaling()
    assert asked == [1]
    assert caller.video is None
    assert caller.setup.video.port.closed
