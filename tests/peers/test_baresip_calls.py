"""Calls with baresip, an SRTP implementation that shares nothing with ours, in both directions."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from softphone.errors import NotAcceptable
from softphone.events import CallRefused, DigitReceived, Direction, EndedBy, HoldChanged
from softphone.media.audio import ToneSource
from softphone.phone import Phone
from softphone.security import (
    DEFAULT_SUITES,
    CryptoSuite,
    Scope,
    SecurityLevel,
    ShortfallCode,
    SrtpPolicy,
)
from tests.peers.phones import AUDIBLE_DBM0, direct_over_tls, level_heard, next_event
from tests.peers.tone import heard, read_wav
from tests.support.waiting import PATIENCE

THEIRS, OURS = 620.0, 440.0


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


@pytest.fixture
def line_with(authority, client_certificate, phone):
    """`await line_with(suites=…)`: a listening account of ours that knows no server."""

    async def start(**media):
        config = direct_over_tls("desk", authority.certificate, client_certificate("desk"), **media)
        return await phone.register(config)

    return start


def our_uri(line):
    """What baresip calls to reach us."""
    _, host, port = line.listening
    return f"sip:desk@{host}:{port};transport=tls"


async def seen(robot, kind, **more):
    """Wait for an event of baresip's."""
    return await asyncio.to_thread(robot.wait_for, kind, **more)


async def what_it_heard(robot, hz):
    """Seconds of a tone that it recorded; it is ended for that."""
    await asyncio.to_thread(robot.stop)
    return heard(*read_wav(robot.heard), hz)


@pytest.mark.feature("SRTP AES_CM_128")
@pytest.mark.feature("SRTP AEAD_AES_GCM")
@pytest.mark.parametrize("suite", DEFAULT_SUITES, ids=lambda suite: suite.value)
async def test_it_hears_us_and_we_hear_it_with_each_suite(baresip, line_with, suite):
    robot = await asyncio.to_thread(baresip)
    line = await line_with(suites=(suite,))
    async with line.dial(robot.uri()) as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        assert call.audio.security.suite is suite
        assert call.security.level is SecurityLevel.ENCRYPTED
        assert call.security.scope is Scope.END_TO_END
        assert call.security.lock
        call.audio.play(ToneSource(OURS))
        assert await level_heard(call, THEIRS) > AUDIBLE_DBM0
        assert await level_heard(call, THEIRS) > AUDIBLE_DBM0
        statistics = call.audio.statistics
        assert statistics.packets_received > 50
        assert statistics.authentication_failures == statistics.replayed == 0
    await seen(robot, "CALL_CLOSED")
    assert await what_it_heard(robot, OURS) > 0.8


@pytest.mark.feature("G.722")
async def test_g722_carries_a_tone_both_ways(baresip, line_with):
    await carries("G722", baresip, line_with)


@pytest.mark.feature("Opus")
async def test_opus_carries_a_tone_both_ways(baresip, line_with):
    await carries("OPUS", baresip, line_with)


async def carries(codec, baresip, line_with):
    """It takes an offer of this codec alone; we hear its tone, and it hears ours."""
    robot = await asyncio.to_thread(baresip)
    line = await line_with(codecs=(codec,))
    async with line.dial(robot.uri()) as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        assert call.audio.codec == codec
        assert call.security.lock
        call.audio.play(ToneSource(OURS, 16000))
        assert await level_heard(call, THEIRS) > AUDIBLE_DBM0
        assert await level_heard(call, THEIRS) > AUDIBLE_DBM0
        assert call.audio.statistics.malformed == 0
    await seen(robot, "CALL_CLOSED")
    assert await what_it_heard(robot, OURS) > 0.8


async def answered(robot, line):
    """Let baresip call us, ring, and answer."""
    robot.dial(our_uri(line))
    async with asyncio.timeout(PATIENCE):
        incoming = await anext(line.incoming())
        incoming.ring()
        await seen(robot, "CALL_RINGING")
        return await incoming.answer()


@pytest.mark.feature("incoming call")
async def test_it_calls_us_and_both_hear_each_other(baresip, line_with):
    robot, line = await asyncio.to_thread(baresip), await line_with()
    async with await answered(robot, line) as call:
        assert call.audio.security.suite is CryptoSuite.AES_CM_128_HMAC_SHA1_80
        assert call.security.lock
        call.audio.play(ToneSource(OURS))
        assert await level_heard(call, THEIRS) > AUDIBLE_DBM0
        assert await level_heard(call, THEIRS) > AUDIBLE_DBM0
        assert call.audio.statistics.authentication_failures == 0
    await seen(robot, "CALL_CLOSED")
    assert await what_it_heard(robot, OURS) > 0.8


@pytest.mark.feature("SRTP under RTP/AVP")
async def test_its_offer_of_rtp_avp_with_a_key_is_srtp(baresip, line_with):
    robot, line = await asyncio.to_thread(baresip, encryption="srtp"), await line_with()
    async with await answered(robot, line) as call:
        assert call.audio.security.profile == "RTP/AVP"
        assert call.audio.security.suite is CryptoSuite.AES_CM_128_HMAC_SHA1_80
        assert call.security.level is SecurityLevel.ENCRYPTED
        assert await level_heard(call, THEIRS) > AUDIBLE_DBM0


async def held_by_it(call, events, direction):
    """Wait until baresip has changed the direction of the stream."""
    change = await event_of(events, HoldChanged, lambda change: change.by is EndedBy.REMOTE)
    assert change.direction is direction
    assert call.audio.direction is direction


async def event_of(events, kind, wanted=lambda event: True):
    """The next event of a kind from a stream of events that goes on."""
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            if isinstance(event, kind) and wanted(event):
                return event
    raise AssertionError(f"no {kind.__name__} came")


@pytest.mark.feature("hold and resume")
@pytest.mark.feature("re-INVITE both ways")
@pytest.mark.parametrize("caller", ["we", "it"])
async def test_hold_and_resume_by_us_and_by_it(baresip, line_with, caller):
    robot, line = await asyncio.to_thread(baresip, records=False), await line_with()
    if caller == "we":
        call = await line.dial(robot.uri()).answered(timeout=PATIENCE)
    else:
        call = await answered(robot, line)
    suite = call.audio.security.suite
    async with call:
        events = call.events()
        await call.hold()
        assert call.audio.direction is Direction.SENDONLY
        await call.resume()
        assert call.audio.direction is Direction.SENDRECV
        robot.command("hold")
        await held_by_it(call, events, Direction.RECVONLY)
        robot.command("resume")
        await held_by_it(call, events, Direction.SENDRECV)
        assert call.audio.security.suite is suite
        assert call.security.lock
        assert await level_heard(call, THEIRS) > AUDIBLE_DBM0
        # Digits are the proof that it still decrypts what we send.
        await call.send_digits("4")
        assert (await seen(robot, "CALL_DTMF_START"))["param"] == "4"
        assert call.audio.statistics.authentication_failures == 0


@pytest.mark.feature("digits")
async def test_digits_go_both_ways(baresip, line_with):
    robot, line = await asyncio.to_thread(baresip), await line_with()
    async with line.dial(robot.uri()) as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        await call.send_digits("19#")
        for digit in "19#":
            assert (await seen(robot, "CALL_DTMF_START"))["param"] == digit
        events = call.events()
        for digit in "5*":
            robot.command("sndcode", digit)
            assert (await event_of(events, DigitReceived)).digit == digit


@pytest.mark.feature("SRTP required: nothing in clear")
async def test_required_refuses_its_offer_in_clear_and_says_why(baresip, line_with):
    robot, line = await asyncio.to_thread(baresip, encryption=""), await line_with()
    robot.dial(our_uri(line))
    closed = await seen(robot, "CALL_CLOSED")
    refused = await next_event(line, CallRefused)
    assert refused.status == 488
    assert [one.code for one in refused.shortfalls] == [ShortfallCode.SRTP_REQUIRED]
    assert "RTP/AVP" in refused.explanation
    assert closed["direction"] == "outgoing"
    assert line.calls == ()


@pytest.mark.feature("SRTP required: nothing in clear")
async def test_required_against_it_without_srtp_ends_in_its_488(baresip, line_with):
    robot, line = await asyncio.to_thread(baresip, encryption=""), await line_with()
    outgoing = line.dial(robot.uri())
    with pytest.raises(NotAcceptable) as caught:
        await outgoing.answered(timeout=PATIENCE)
    assert caught.value.status == 488
    assert outgoing.statistics.packets_sent == 0


@pytest.mark.feature("opportunistic SRTP (RFC 8643)")
@pytest.mark.parametrize("encryption", ["srtp", ""])
async def test_our_keys_under_avp_are_answered_or_left_in_one_invite(
    baresip, line_with, encryption
):
    robot = await asyncio.to_thread(baresip, encryption=encryption)
    line = await line_with(srtp=SrtpPolicy.OPTIONAL, opportunistic=True)
    async with line.dial(robot.uri()) as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        assert (call.audio.security.suite is not None) is bool(encryption)
        assert call.audio.security.profile == "RTP/AVP"
        assert call.security.lock is bool(encryption)
        assert await level_heard(call, THEIRS) > AUDIBLE_DBM0
        assert call.audio.statistics.authentication_failures == 0


@pytest.mark.feature("SRTP optional")
async def test_optional_falls_back_to_clear_and_says_so(baresip, line_with):
    robot = await asyncio.to_thread(baresip, encryption="")
    line = await line_with(srtp=SrtpPolicy.OPTIONAL)
    async with line.dial(robot.uri()) as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        assert call.security.level is SecurityLevel.NOT_SECURE
        assert call.audio.security.suite is None
        assert ShortfallCode.MEDIA_CLEAR in [one.code for one in call.security.shortfalls]
        assert await level_heard(call, THEIRS) > AUDIBLE_DBM0


@pytest.mark.feature("SRTP without a common suite: refused")
async def test_without_a_common_suite_there_is_no_call(baresip, line_with):
    robot = await asyncio.to_thread(baresip)
    line = await line_with(suites=(CryptoSuite.AEAD_AES_256_GCM,))
    robot.dial(our_uri(line))
    await seen(robot, "CALL_CLOSED")
    refused = await next_event(line, CallRefused)
    assert refused.status == 488
    assert "AES_CM_128_HMAC_SHA1_80" in refused.explanation


# The command line --------------------------------------------------------------------------------


@pytest.fixture
def account_file(authority, client_certificate, tmp_path):
    """The path of an account file of `desk`, as `direct_over_tls` has it; for chosen suites."""

    def write(*suites):
        certificate, key = client_certificate("desk")
        path = tmp_path / "desk.toml"
        path.write_text(
            'aor = "sip:desk@127.0.0.1"\n'
            'listen = "tls:127.0.0.1:0"\n'
            "[tls]\n"
            f'ca = "{authority.certificate}"\n'
            f'certificate = "{certificate}"\n'
            f'key = "{key}"\n'
            "[media]\n"
            f"suites = {json.dumps([suite.value for suite in suites or CryptoSuite])}\n"
        )
        return path

    return write


async def softphone(*arguments):
    """Start the command line with `--json`."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "softphone", *map(str, arguments), "--json", stdout=subprocess.PIPE
    )


async def ending(process):
    """The exit code and the last object that the command line printed."""
    async with asyncio.timeout(PATIENCE):
        output, _ = await process.communicate()
    lines = [json.loads(line) for line in output.splitlines()]
    return process.returncode, lines[-1]


@pytest.mark.feature("softphone call")
async def test_softphone_call_with_aead_aes_256_gcm(baresip, account_file, tmp_path):
    robot = await asyncio.to_thread(baresip)
    account = account_file(CryptoSuite.AEAD_AES_256_GCM)
    recording = tmp_path / "heard.wav"
    wishes = ("--duration", "2", "--record", recording)
    code, summary = await ending(
        await softphone("call", robot.uri(), "--account", account, *wishes)
    )
    print(json.dumps(summary))
    assert code == 0
    assert summary["event"] == "summary"
    assert (summary["result"], summary["status"]) == ("completed", 200)
    assert summary["security"] == {"level": "encrypted", "scope": "end_to_end", "shortfalls": []}
    audio = summary["audio"]
    assert (audio["codec"], audio["suite"]) == ("PCMU", "AEAD_AES_256_GCM")
    assert audio["packets_sent"] > 80
    assert audio["packets_received"] > 80
    assert heard(*read_wav(recording), THEIRS) > 1.0


@pytest.mark.feature("softphone call")
async def test_softphone_call_fails_where_it_has_no_srtp(baresip, account_file):
    robot = await asyncio.to_thread(baresip, encryption="")
    code, summary = await ending(await softphone("call", robot.uri(), "--account", account_file()))
    assert code == 1
    assert (summary["result"], summary["status"]) == ("failed", 488)
    assert summary["audio"]["packets_sent"] == 0


@pytest.mark.feature("softphone answer")
@pytest.mark.parametrize("encryption", ["srtp-mand", ""])
async def test_softphone_answer_takes_its_call_or_refuses_it(baresip, account_file, encryption):
    robot = await asyncio.to_thread(baresip, encryption=encryption)
    process = await softphone("answer", "--account", account_file(), "--duration", "1")
    async with asyncio.timeout(PATIENCE):
        ready = json.loads(await process.stdout.readline())
    assert ready["event"] == "listening"
    robot.dial(f"sip:desk@{ready['address'].removeprefix('tls:')};transport=tls")
    code, summary = await ending(process)
    if encryption:
        assert (code, summary["result"]) == (0, "completed")
        assert summary["audio"]["suite"] == "AES_CM_128_HMAC_SHA1_80"
    else:
        assert (code, summary["result"], summary["status"]) == (3, "refused", 488)
        assert summary["security"]["shortfalls"] == ["srtp_required"]
        assert summary["audio"]["packets_sent"] == 0
