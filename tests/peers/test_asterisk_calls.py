"""Encrypted calls with a real Asterisk 22."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from dataclasses import replace

import pytest

from softphone.errors import (
    Busy,
    CertificateError,
    NotAcceptable,
    RegistrationError,
    ServerClosed,
    TransportError,
)
from softphone.events import (
    CallState,
    DialogChanged,
    DigitReceived,
    Direction,
    EarlyMediaStarted,
    EndedBy,
    PresenceChanged,
    RegistrationState,
    TransferRequested,
)
from softphone.media.audio import ToneSource
from softphone.phone import Phone
from softphone.security import CryptoSuite, Scope, SecurityLevel, ShortfallCode, SrtpPolicy
from tests.peers.asterisk.pbx import write_tone
from tests.peers.direct import tone_level_of
from tests.peers.phones import (
    AUDIBLE_DBM0,
    Wire,
    account,
    attempts_failed,
    hears_soon,
    level_heard,
    next_event,
    registered_again,
)
from tests.peers.test_no_rtp_in_clear import PatternSource, shows_pattern
from tests.peers.tone import heard, read_wav
from tests.support.waiting import PATIENCE, until

CM_80 = CryptoSuite.AES_CM_128_HMAC_SHA1_80
CM_32 = CryptoSuite.AES_CM_128_HMAC_SHA1_32


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


@pytest.fixture
def ports():
    """Media ports of the phone that nobody else has."""
    first = 57000 + 8 * random.SystemRandom().randrange(400)
    return first, first + 7


@pytest.fixture
def line_of(asterisk, authority, client_certificate, phone):
    """`await line_of("alice")`: an account registered over mutual TLS and by digest."""

    async def register(user, *, pbx=asterisk, transport="mtls", **options):
        ca = authority.certificate if transport in ("tls", "mtls") else None
        if transport == "mtls":
            options.setdefault("client", client_certificate(user))
        name = "tls" if transport == "mtls" else transport
        options.setdefault("password", f"{user}pw")
        pickup = options.pop("pickup", None)
        config = account(user, getattr(pbx, transport), name, ca=ca, **options)
        config = replace(config, pickup=pickup)
        return await phone.register(config)

    return register


def unregistered(user, asterisk, authority, **options):
    """A call-only account of an endpoint without authentication: it does not register."""
    config = account(user, asterisk.tls, "tls", ca=authority.certificate, **options)
    host, port = asterisk.tls
    return replace(config, registrar=None, outbound_proxy=f"sips:{host}:{port}")


@pytest.mark.feature("TLS with client certificate")
async def test_it_registers_where_a_client_certificate_is_demanded(line_of):
    line = await line_of("dave")
    assert line.registration is RegistrationState.REGISTERED


@pytest.mark.feature("TLS with client certificate")
@pytest.mark.parametrize("kind", ["none", "foreign"])
async def test_it_is_refused_without_a_certificate_and_with_a_foreign_one(
    asterisk, authority, foreign_authority, phone, tmp_path, kind
):
    client = None if kind == "none" else foreign_authority.issue_user("dave", tmp_path)
    config = account(
        "dave", asterisk.mtls, "tls", ca=authority.certificate, client=client, password="davepw"
    )
    with pytest.raises((ServerClosed, TransportError)) as caught:
        await phone.register(config)
    assert "certificate" in str(caught.value)


async def test_a_server_of_an_unknown_authority_is_not_believed(asterisk, foreign_authority, phone):
    config = account("bob", asterisk.tls, "tls", ca=foreign_authority.certificate, password="bobpw")
    with pytest.raises(CertificateError):
        await phone.register(config)


@pytest.mark.feature("digest")
@pytest.mark.parametrize(
    ("user", "algorithms"),
    [
        ("bob", ("MD5",)),
        ("erin", ("SHA-256",)),
        ("frank", ("SHA-256", "MD5")),
        ("grace", ("SHA-512-256",)),
    ],
)
async def test_digest_over_tls(line_of, user, algorithms):
    line = await line_of(user, transport="tls", algorithms=algorithms)
    assert line.registration is RegistrationState.REGISTERED


@pytest.mark.feature("digest")
async def test_md5_is_not_answered_where_it_is_forbidden(line_of):
    with pytest.raises(RegistrationError):
        await line_of("bob", transport="tls", algorithms=("SHA-256",))


@pytest.mark.feature("SRTP AES_CM_128")
@pytest.mark.parametrize(("user", "suite"), [("sdes", CM_80), ("sdes32", CM_32)])
async def test_the_echo_comes_back_encrypted(asterisk, authority, phone, user, suite):
    suites = (CM_80, CM_32) if suite is CM_80 else (CM_32,)
    line = await phone.register(unregistered(user, asterisk, authority, suites=suites))
    async with line.dial("600") as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        assert call.audio.security.suite is suite
        assert call.security.level is SecurityLevel.ENCRYPTED
        assert call.security.scope is Scope.HOP
        assert [s.code for s in call.security.shortfalls] == [ShortfallCode.FAR_END_UNKNOWN]
        call.audio.play(ToneSource(440.0))
        assert await level_heard(call, 440.0) > AUDIBLE_DBM0
        statistics = call.audio.statistics
        assert statistics.authentication_failures == 0
        assert statistics.cumulative_lost == 0


@pytest.mark.feature("SRTP required: nothing in clear")
async def test_an_offer_of_gcm_alone_is_a_488_that_is_explained(asterisk, authority, phone):
    gcm = (CryptoSuite.AEAD_AES_256_GCM, CryptoSuite.AEAD_AES_128_GCM)
    line = await phone.register(unregistered("sdes", asterisk, authority, suites=gcm))
    with pytest.raises(NotAcceptable) as caught:
        await line.dial("600").answered(timeout=PATIENCE)
    assert caught.value.status == 488
    assert "crypto" in str(caught.value)


@pytest.mark.feature("SRTP required: nothing in clear")
async def test_required_against_an_endpoint_without_srtp_sends_nothing_in_clear(
    asterisk, authority, phone, capture, ports
):
    line = await phone.register(unregistered("plain", asterisk, authority, ports=ports))
    outgoing = line.dial("601")
    with pytest.raises(NotAcceptable) as caught:
        await outgoing.answered(timeout=PATIENCE)
    assert caught.value.status == 488
    capture.stop()
    assert outgoing.statistics.packets_sent == 0
    assert capture.on_ports(*range(ports[0], ports[1] + 1)) == []


@pytest.mark.feature("softphone call")
async def test_softphone_call_to_the_echo_over_tls(
    asterisk, authority, client_certificate, tmp_path
):
    certificate, key = client_certificate("dave")
    host, port = asterisk.mtls
    account, recording, tone = (tmp_path / name for name in ("dave.toml", "heard.wav", "tone.wav"))
    account.write_text(
        f'aor = "sip:dave@127.0.0.1"\nregistrar = "sips:{host}:{port}"\n'
        '[credentials]\nusername = "dave"\npassword = "davepw"\n'
        f'[tls]\nca = "{authority.certificate}"\ncertificate = "{certificate}"\nkey = "{key}"\n'
        '[media]\nsuites = ["AES_CM_128_HMAC_SHA1_80"]\n'
    )
    account.chmod(0o600)
    write_tone(tone, 440, seconds=2)
    arguments = ["call", "600", "--account", account, "--play", tone, "--record", recording]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "softphone", *map(str, arguments), "--json"),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        output, _ = await process.communicate()
    summary = json.loads(output.splitlines()[-1])
    print(json.dumps(summary))
    assert process.returncode == 0
    assert (summary["event"], summary["result"]) == ("summary", "completed")
    assert (summary["status"], summary["video"]) == (200, None)
    expected = {"level": "encrypted", "scope": "hop", "shortfalls": ["far_end_unknown"]}
    assert summary["security"] == expected
    audio = summary["audio"]
    assert (audio["codec"], audio["suite"]) == ("PCMU", "AES_CM_128_HMAC_SHA1_80")
    assert audio["packets_sent"] > 80
    assert audio["packets_received"] > 80
    assert heard(*read_wav(recording), 440) > 1.0


@pytest.mark.feature("SRTP optional")
async def test_optional_tries_once_more_in_clear(asterisk, authority, phone):
    config = unregistered("plain", asterisk, authority, srtp=SrtpPolicy.OPTIONAL)
    line = await phone.register(config)
    async with line.dial("601") as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        assert call.security.level is SecurityLevel.NOT_SECURE
        assert call.audio.security.suite is None
        assert await level_heard(call, 440.0) > AUDIBLE_DBM0


@pytest.mark.feature("G.722")
async def test_g722_carries_a_tone_both_ways(asterisk, line_of):
    await carries("G722", asterisk, line_of)


@pytest.mark.feature("Opus")
async def test_opus_carries_a_tone_both_ways(asterisk, line_of):
    await carries("OPUS", asterisk, line_of)


async def carries(codec, asterisk, line_of):
    """Its Echo sends back what we send; its recorder hears what we play."""
    line = await line_of("alice", codecs=(codec,))
    async with line.dial("600") as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        assert call.audio.codec == codec
        call.audio.play(ToneSource(520.0, 16000))
        assert await level_heard(call, 520.0) > AUDIBLE_DBM0
        seen = call.audio.statistics
        assert seen.concealed < seen.packets_received / 2
    async with line.dial("record-ours") as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        call.audio.play(ToneSource(620.0, 16000, seconds=2.0))
        await call.audio.played()
    pcm, rate = read_wav(await asyncio.to_thread(asterisk.recording, "ours"))
    assert heard(pcm, rate, 620.0) > 1.5


@pytest.mark.feature("recording")
async def test_what_we_play_is_what_asterisk_records(asterisk, line_of):
    line = await line_of("alice")
    async with line.dial("record-ours") as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        call.audio.play(ToneSource(620.0, seconds=2.0))
        await call.audio.played()
    pcm, rate = read_wav(await asyncio.to_thread(asterisk.recording, "ours"))
    assert heard(pcm, rate, 620.0) > 1.5


@pytest.mark.feature("early media")
async def test_early_media_is_heard_under_srtp(line_of):
    line = await line_of("alice")
    async with line.dial("604") as outgoing:
        early = await next_event(outgoing, EarlyMediaStarted)
        assert early.security.hop_level is SecurityLevel.ENCRYPTED
        call = await outgoing.answered(timeout=PATIENCE)
        call.audio.play(ToneSource(520.0))
        assert await level_heard(call, 520.0) > AUDIBLE_DBM0


@pytest.mark.feature("incoming call")
async def test_an_incoming_call_is_answered_under_srtp(asterisk, line_of):
    line = await line_of("heidi")
    await asyncio.to_thread(asterisk.originate_extension, "heidi", "601")
    async with asyncio.timeout(PATIENCE):
        incoming = await anext(line.incoming())
        incoming.ring()
        call = await incoming.answer()
    assert call.audio.security.suite is CM_80
    assert await level_heard(call, 440.0) > AUDIBLE_DBM0
    call.hangup()


@pytest.mark.feature("bridge of two secure phones")
async def test_two_phones_talk_through_the_bridge(line_of):
    alice, ivan = await line_of("alice"), await line_of("ivan")
    outgoing = alice.dial("ivan")

    async def attend():
        incoming = await anext(ivan.incoming())
        incoming.ring()
        return await incoming.answer()

    async with asyncio.timeout(PATIENCE), outgoing:
        attending = asyncio.create_task(attend())
        call = await outgoing.answered(timeout=PATIENCE)
        other = await attending
        call.audio.play(ToneSource(440.0))
        other.audio.play(ToneSource(660.0))
        assert await level_heard(call, 660.0) > AUDIBLE_DBM0
        assert await level_heard(other, 440.0) > AUDIBLE_DBM0
    assert (await other.ended()).by is EndedBy.REMOTE


@pytest.mark.feature("early media")
async def test_our_early_media_goes_through_the_bridge_under_srtp(
    asterisk, authority, client_certificate, line_of, capture, ports
):
    """Asterisk supports 100rel: the answer is in the 183, and its PRACK comes before our 200."""
    wire = Wire()
    alice = await line_of("alice")
    config = account(
        "ivan",
        asterisk.mtls,
        "tls",
        ca=authority.certificate,
        client=client_certificate("ivan"),
        password="ivanpw",
        ports=ports,
    )
    async with Phone(tap=wire) as other, asyncio.timeout(40):
        ivan = await other.register(config)
        outgoing = alice.dial("ivan")
        await outgoing.start()
        incoming = await anext(ivan.incoming())
        audio = await incoming.early_media()
        assert audio.security.suite is CM_80
        audio.play(PatternSource())
        await until(lambda: audio.statistics.packets_sent >= 10)
        audio.play(ToneSource(660.0))
        early = await next_event(outgoing, EarlyMediaStarted)
        assert early.security.hop_level is SecurityLevel.ENCRYPTED
        while await tone_level_of(outgoing.early_audio, 660.0) <= AUDIBLE_DBM0:
            pass
        assert incoming.state is outgoing.state is CallState.EARLY
        answering = asyncio.create_task(incoming.answer())
        call = await outgoing.answered(timeout=PATIENCE)
        theirs = await answering
        assert await hears_soon(call, 660.0)
        assert theirs.audio.statistics.authentication_failures == 0
    capture.stop()
    sent = [one.payload for one in capture.sent_by(*range(ports[0], ports[1] + 1))]
    assert len(sent) > 10
    assert not any(shows_pattern(payload) for payload in sent)
    (provisional,) = wire.sent("SIP/2.0 183")
    assert "RSeq:" in provisional
    assert "RTP/SAVP" in provisional
    answer = next(text for text in wire.sent("SIP/2.0 200") if " INVITE\r\n" in text)
    assert answer.endswith("\r\n\r\n")
    heard_order = [text.partition(" ")[0] for ours, text in wire.messages if not ours]
    assert heard_order.index("PRACK") < heard_order.index("ACK")


@pytest.mark.feature("hold and resume")
async def test_hold_and_resume(line_of):
    line = await line_of("alice")
    async with line.dial("601") as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        await call.hold()
        assert call.audio.direction is Direction.SENDONLY
        await call.resume()
        assert call.audio.direction is Direction.SENDRECV
        assert call.audio.security.suite is CM_80
        assert await level_heard(call, 440.0) > AUDIBLE_DBM0
        assert call.audio.statistics.authentication_failures == 0


async def bridged(call, theirs) -> None:
    """Wait until Asterisk has joined both legs: before that it answers a REFER with 400."""
    theirs.audio.play(ToneSource(660.0))
    assert await hears_soon(call, 660.0)
    theirs.audio.play(None)


@pytest.mark.feature("blind transfer")
async def test_a_blind_transfer(asterisk, line_of):
    judy, alice = await line_of("judy"), await line_of("alice")
    outgoing = alice.dial("judy")
    async with asyncio.timeout(40), outgoing:
        answering = asyncio.create_task(anext(judy.incoming()))
        waiting = asyncio.create_task(outgoing.answered(timeout=PATIENCE))
        incoming = await answering
        theirs = await incoming.answer()
        call = await waiting
        await bridged(call, theirs)
        await call.transfer("sip:601@127.0.0.1")
        assert call.state is CallState.TERMINATED
        assert await hears_soon(theirs, 440.0)
        theirs.hangup()


@pytest.mark.feature("attended transfer")
async def test_an_attended_transfer(line_of):
    karl, alice = await line_of("karl"), await line_of("alice")
    outgoing = alice.dial("karl")
    async with asyncio.timeout(40), outgoing:
        answering = asyncio.create_task(anext(karl.incoming()))
        waiting = asyncio.create_task(outgoing.answered(timeout=PATIENCE))
        theirs = await (await answering).answer()
        call = await waiting
        await bridged(call, theirs)
        consultation = await alice.dial("600").answered(timeout=PATIENCE)
        await call.transfer(consultation)
        theirs.audio.play(ToneSource(440.0))  # the echo says that it is connected there
        assert await hears_soon(theirs, 440.0)
        theirs.hangup()
        consultation.hangup()


@pytest.mark.feature("transfer asked of us")
async def test_a_transfer_that_asterisk_asks_for_is_followed(line_of):

    line = await line_of("alice")
    async with line.dial("transfer-601") as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        await next_event(call, TransferRequested)
        async with line.accept_transfer(call) as followed:
            other = await followed.answered(timeout=PATIENCE)
            assert await level_heard(other, 440.0) > AUDIBLE_DBM0


@pytest.mark.feature("session timers")
async def test_a_session_timer_is_agreed_and_422_is_followed(asterisk, authority, phone):
    for user in ("timer", "timer422"):
        line = await phone.register(unregistered(user, asterisk, authority))
        async with line.dial("601") as outgoing:
            call = await outgoing.answered(timeout=PATIENCE)
            assert await level_heard(call, 440.0) > AUDIBLE_DBM0


@pytest.mark.feature("digits")
async def test_digits_go_both_ways(line_of):
    line = await line_of("alice")
    async with line.dial("606") as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        await call.send_digits("1*9#"[:3] + "5")
        got = []
        async with asyncio.timeout(PATIENCE):
            async for event in call.events():
                if isinstance(event, DigitReceived):
                    got.append(event.digit)
                if len(got) == 4:
                    break
        assert "".join(got) == "1*95"


async def test_busy_is_busy(line_of):
    line = await line_of("alice")
    with pytest.raises(Busy):
        await line.dial("607").answered(timeout=PATIENCE)


async def test_a_call_that_asterisk_ends_is_ended_by_the_far_end(line_of):
    line = await line_of("alice")
    async with line.dial("610") as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        async with asyncio.timeout(PATIENCE):
            assert (await call.ended()).by is EndedBy.REMOTE


@pytest.mark.feature("connection cut mid-call")
async def test_a_cut_connection_is_replaced_and_the_call_goes_on(
    asterisk, authority, client_certificate, phone, relay
):
    path = await relay(asterisk.mtls)
    config = account(
        "nina",
        path.address,
        "tls",
        ca=authority.certificate,
        client=client_certificate("nina"),
        password="ninapw",
    )
    line = await phone.register(config)
    call = await line.dial("601").answered(timeout=PATIENCE)
    assert await level_heard(call, 440.0) > AUDIBLE_DBM0
    path.cut()
    await registered_again(line)
    assert call.state is CallState.CONFIRMED
    assert await level_heard(call, 440.0) > AUDIBLE_DBM0
    call.hangup()
    async with line.dial("600") as outgoing:
        await outgoing.answered(timeout=PATIENCE)


@pytest.mark.feature("server restarted")
async def test_an_asterisk_that_was_away_is_registered_with_within_seconds(
    asterisk_of_its_own, line_of
):
    line = await line_of("alice", pbx=asterisk_of_its_own)
    await asyncio.to_thread(asterisk_of_its_own.stop)
    await asyncio.wait_for(attempts_failed(line, 4), PATIENCE)
    await asyncio.to_thread(asterisk_of_its_own.start)
    # Four attempts take 3 to 8 seconds, and the next comes 4 to 8 seconds after them.
    await registered_again(line, within=15)
    async with line.dial("600") as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        assert call.audio.security.suite is CM_80


@pytest.mark.feature("dialog states, pickup by code")
async def test_a_call_that_rings_at_a_watched_user_is_picked_up(line_of):
    alice, tilda = await line_of("alice", transport="tls"), await line_of("tilda", transport="tls")
    bob = await line_of("bob", transport="tls", pickup="*8{user}")
    async with bob.watch("tilda") as watch, alice.dial("tilda") as outgoing:
        answered = asyncio.create_task(outgoing.answered(timeout=PATIENCE))
        ringing = await anext(tilda.incoming())
        ringing.ring()
        async with asyncio.timeout(PATIENCE):
            async for event in watch.events():
                if isinstance(event, DialogChanged) and event.dialog.state is CallState.EARLY:
                    break
        dialog = await watch.ringing()
        assert dialog is not None
        assert dialog.direction == "recipient"
        async with bob.pick_up("tilda", dialog) as picking:
            picked = await picking.answered(timeout=PATIENCE)
            call = await answered
            await asyncio.wait_for(ringing.ended, PATIENCE)
            assert picked.security.level is SecurityLevel.ENCRYPTED
            call.audio.play(ToneSource(700.0, 8000))
            assert await hears_soon(picked, 700.0)
        async with asyncio.timeout(PATIENCE):
            async for event in watch.events():
                if isinstance(event, DialogChanged) and event.dialog.state is CallState.TERMINATED:
                    break


@pytest.mark.feature("presence (PIDF)")
async def test_the_presence_of_a_user_follows_its_calls(line_of):
    ursula, bob = await line_of("ursula", transport="tls"), await line_of("bob", transport="tls")
    async with bob.watch_presence("ursula") as watch:
        seen = watch.events()

        async def until(text):
            async with asyncio.timeout(PATIENCE):
                async for event in seen:
                    if isinstance(event, PresenceChanged) and event.presence.note == text:
                        return event.presence
            raise AssertionError("the watch has ended")

        assert (await until("Ready")).available
        async with ursula.dial("602") as outgoing:
            await outgoing.answered(timeout=PATIENCE)
            await until("On the phone")
        assert (await until("Ready")).available
