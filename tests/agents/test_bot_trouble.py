"""A bot that is away, refuses, lies, dies or floods: its own call follows its rule, no other."""

from __future__ import annotations

import asyncio
import base64
import json
import wave
from dataclasses import replace

import numpy as np
import pytest

from softphone.agents import ReportKind
from softphone.agents.dialects import TwilioMessages
from softphone.agents.signature import sign_url
from softphone.errors import CallError
from softphone.lab import CertificateNames
from softphone.media.audio import ToneSource, tone_level
from softphone.security import KeyMaterial
from tests.agents.conftest import calling
from tests.agents.test_agent_server import AUDIBLE_DBM0, RATE, echo, hears, silent, tone
from tests.support.certificates import alice as client_certificate
from tests.support.certificates import authority, foreign, store
from tests.support.waiting import PATIENCE, patiently, until

TOKEN = "a token of the tests, 7f3a"


@pytest.fixture
def announcement(tmp_path):
    """A file of half a second at 2,000 Hz."""
    path = tmp_path / "sorry.wav"
    pcm = (8000 * np.sin(2 * np.pi * 2000 * np.arange(RATE // 2) / RATE)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.tobytes())
    return path


async def refused(alice, serving):
    """Alice calls, and nobody answers: gives why, as the server reports it."""
    with pytest.raises(CallError) as caught:
        async with calling(alice):
            pass
    assert caught.value.status == 480
    await until(lambda: ReportKind.REFUSED in serving.kinds())
    assert serving.kinds() == [ReportKind.BOT_FAILED, ReportKind.REFUSED]
    return serving.reports[0].reason


async def ends(call):
    return await patiently(call.ended())


def failure(serving):
    """Why the bot has failed the call that it had."""
    assert serving.kinds() == [ReportKind.JOINED, ReportKind.BOT_FAILED, ReportKind.ENDED]
    return serving.reports[1].reason


# Before the answer


async def test_a_bot_that_is_not_there(serve, account_of):
    serving = await serve("ws://127.0.0.1:9/media", patience=0.3)
    reason = await refused(await account_of("alice"), serving)
    assert "127.0.0.1:9" in reason
    assert "media" not in reason


@pytest.mark.parametrize("status", [401, 404, 302, 200])
async def test_a_bot_that_refuses_is_asked_once(bots, serve, account_of, status):
    bot = await bots(silent, answers=[status] * 9)
    serving = await serve(bot.url)
    reason = await refused(await account_of("alice"), serving)
    assert str(status) in reason
    assert bot.requests == 1
    assert bot.sessions == []


async def test_a_bot_that_is_starting_is_tried_again(bots, serve, account_of):
    bot = await bots(silent, answers=[503, 502])
    serving = await serve(bot.url, patience=30.0)
    async with calling(await account_of("alice")):
        await until(lambda: bot.sessions and bot.sessions[0].of("media"))
    assert bot.requests == 3
    assert ReportKind.BOT_FAILED not in serving.kinds()


async def test_a_bot_that_does_not_answer_the_handshake(serve, account_of):
    async def mute(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        serving = await serve(f"ws://127.0.0.1:{port}/", patience=0.5)
        assert "0.5 s" in await refused(await account_of("alice"), serving)


async def test_a_caller_who_gives_up_meanwhile_leaves_nothing(bots, serve, account_of):
    bot = await bots(silent, answers=[503] * 100)
    serving = await serve(bot.url, patience=60.0)
    alice = await account_of("alice")
    async with alice.dial("bob"):
        await until(lambda: bot.requests)
    await until(lambda: not serving.server._tasks)
    assert serving.reports == []


async def test_without_a_bot_the_announcement_is_heard(bots, serve, account_of, announcement):
    bot = await bots(silent, answers=[403])
    serving = await serve(bot.url, announcement=announcement)
    async with calling(await account_of("alice")) as call:
        call.audio.use_rates(read_hz=RATE)
        await hears(call, 2000.0)
        await ends(call)
    assert serving.kinds() == [ReportKind.BOT_FAILED]


# TLS and the signature


async def test_over_tls_with_a_certificate_of_ours_and_a_signature(
    bots, serve, account_of, bot_credential, bot_tls, caplog
):
    bot = await bots(echo, credential=bot_credential, ask_client=True)
    tls = bot_tls(client_certificate())
    token = KeyMaterial(TOKEN.encode())
    await serve(bot.url, tls=tls, token=token)
    async with calling(await account_of("alice")) as call:
        call.audio.use_rates(read_hz=RATE)
        call.audio.play(ToneSource(700.0))
        await hears(call, 700.0)
    (session,) = bot.sessions
    assert session.headers["x-twilio-signature"] == sign_url(bot.url, TOKEN.encode())
    assert session.headers["host"] == bot.url.split("/")[2]
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(token)


def test_the_signature_is_hmac_sha1():
    """RFC 2202, test case 2."""
    digest = bytes.fromhex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
    assert base64.b64decode(sign_url("what do ya want for nothing?", b"Jefe")) == digest


async def test_a_bot_of_another_authority_gets_nothing(
    bots, serve, account_of, bot_credential, bot_tls
):
    bot = await bots(silent, credential=bot_credential)
    tls = replace(bot_tls(), store=store(foreign()))
    serving = await serve(bot.url, tls=tls, token=KeyMaterial(TOKEN.encode()))
    reason = await refused(await account_of("alice"), serving)
    assert "certificate" in reason
    assert bot.requests == 0


async def test_a_bot_of_another_name_gets_nothing(bots, serve, account_of, bot_tls, tmp_path):
    other = authority().server("other.example.test", CertificateNames(dns=("other.example.test",)))
    bot = await bots(silent, credential=other.write(tmp_path, "other"))
    serving = await serve(bot.url, tls=bot_tls())
    assert "127.0.0.1" in await refused(await account_of("alice"), serving)
    assert bot.requests == 0


async def test_a_bot_that_wants_a_certificate_of_ours_and_gets_none(
    bots, serve, account_of, bot_credential, bot_tls
):
    bot = await bots(silent, credential=bot_credential, ask_client=True)
    serving = await serve(bot.url, tls=bot_tls(), patience=2.0)
    await refused(await account_of("alice"), serving)
    assert bot.requests == 0


# In the call


async def dies(session):
    await session.begin()
    session.socket._req.transport.abort()
    await session.listen()


async def test_a_bot_that_dies_ends_its_call(bots, serve, account_of):
    bot = await bots(dies)
    serving = await serve(bot.url)
    async with calling(await account_of("alice")) as call:
        ended = await ends(call)
    assert ended.by.value == "remote"
    await until(lambda: ReportKind.ENDED in serving.kinds())
    assert "lost" in failure(serving) or "ended" in failure(serving)


async def test_a_bot_that_dies_in_one_call_leaves_the_other_alone(bots, serve, account_of):
    async def first_dies(session):
        await session.begin()
        if session.of("start")[0]["start"]["customParameters"]["from"].startswith("sip:alice"):
            await dies(session)
        while (message := await session.next()) is not None:
            if message["event"] == "media":
                await session.play(message["media"]["payload"])

    bot = await bots(first_dies)
    serving = await serve(bot.url, parameters={"from": "{from}"})
    dave = await account_of("dave")
    async with calling(dave) as good:
        good.audio.use_rates(read_hz=RATE)
        async with calling(await account_of("alice")) as bad:
            await ends(bad)
        await until(lambda: ReportKind.ENDED in serving.kinds())
        good.audio.play(ToneSource(700.0))
        await hears(good, 700.0)
        assert serving.server.streams == 1


async def test_a_bot_that_is_lost_is_joined_anew(bots, serve, account_of):
    async def dies_at_first(session):
        await session.begin()
        if len(bot.sessions) == 1:
            await dies(session)
        await echo(session)

    bot = await bots(dies_at_first)
    serving = await serve(bot.url, reconnects=1)
    async with calling(await account_of("alice")) as call:
        call.audio.use_rates(read_hz=RATE)
        call.audio.play(ToneSource(700.0))
        await hears(call, 700.0)
    first, second = (each.of("start")[0] for each in bot.sessions)
    assert first["start"]["callSid"] == second["start"]["callSid"]
    assert first["streamSid"] != second["streamSid"]
    assert second["sequenceNumber"] == "1"
    assert bot.sessions[1].of("media")[0]["media"]["timestamp"] == "0"
    await until(lambda: ReportKind.ENDED in serving.kinds())
    assert serving.kinds() == [ReportKind.JOINED, ReportKind.RECONNECTED, ReportKind.ENDED]


async def test_a_lost_bot_that_stays_away_leaves_the_announcement(
    bots, serve, account_of, announcement
):
    async def dies_and_refuses(session):
        bot.answers.append(403)
        await dies(session)

    bot = await bots(dies_and_refuses)
    serving = await serve(bot.url, reconnects=3, announcement=announcement)
    async with calling(await account_of("alice")) as call:
        call.audio.use_rates(read_hz=RATE)
        await hears(call, 2000.0)
        await ends(call)
    await until(lambda: ReportKind.ENDED in serving.kinds())
    assert "403" in failure(serving)


@pytest.mark.parametrize("pieces", [1, 100])
async def test_more_than_a_minute_of_sound_closes_with_1009(bots, serve, account_of, pieces):
    async def floods(session):
        await session.begin()
        await session.mark("before")
        # What is heard meanwhile makes room: on a busy machine that is some seconds.
        piece = 75.0 / pieces
        for _ in range(pieces):
            await session.play(tone(piece))
        await session.listen()

    bot = await bots(floods)
    serving = await serve(bot.url, reconnects=5)
    async with calling(await account_of("alice")) as call:
        await ends(call)
    await until(lambda: bot.sessions[0].socket.close_code)
    assert bot.sessions[0].socket.close_code == 1009
    await until(lambda: ReportKind.ENDED in serving.kinds())
    assert "60 s of sound" in failure(serving)
    assert len(bot.sessions) == 1


async def test_a_minute_of_sound_is_taken_and_cleared(bots, serve, account_of):
    async def script(session):
        await session.begin()
        for _ in range(3):
            await session.play(tone(59.5))
            await session.mark("end")
            await session.say("clear")
        await session.wait_for("mark", 3)
        await session.listen()

    bot = await bots(script)
    serving = await serve(bot.url)
    async with calling(await account_of("alice")):
        await until(lambda: bot.sessions and len(bot.sessions[0].of("mark")) == 3)
        assert serving.kinds() == [ReportKind.JOINED]
    assert bot.failures == []


async def test_more_than_a_thousand_marks_close_with_1009(bots, serve, account_of):
    async def floods(session):
        await session.begin()
        await session.play(tone(30.0))
        for number in range(1001):
            await session.mark(str(number))
        await session.listen()

    bot = await bots(floods)
    serving = await serve(bot.url)
    async with calling(await account_of("alice")) as call:
        await ends(call)
    await until(lambda: bot.sessions[0].socket.close_code)
    assert bot.sessions[0].socket.close_code == 1009
    await until(lambda: ReportKind.ENDED in serving.kinds())
    assert "1000 marks" in failure(serving)


async def test_a_thousand_marks_come_back_in_order(bots, serve, account_of):
    returned = asyncio.get_running_loop().create_future()

    async def script(session):
        await session.begin()
        for number in range(1000):
            await session.mark(str(number))
        returned.set_result(await session.wait_for("mark", 1000))
        await session.listen()

    bot = await bots(script)
    await serve(bot.url)
    async with calling(await account_of("alice")):
        # Two seconds of processor time where branches are recorded, and the machine is busy.
        marks = await asyncio.wait_for(returned, 3 * PATIENCE)
    names = [each["mark"]["name"] for each in marks]
    assert names == [str(number) for number in range(1000)]


async def test_a_huge_message_closes_with_1009(bots, serve, account_of):
    async def huge(session):
        await session.begin()
        await session.socket.send_str("x" * (1 << 21))
        await session.listen()

    bot = await bots(huge)
    serving = await serve(bot.url, reconnects=2)
    async with calling(await account_of("alice")) as call:
        await ends(call)
    await until(lambda: ReportKind.ENDED in serving.kinds())
    assert "1009" in failure(serving)
    assert bot.sessions[0].socket.close_code == 1009


GARBAGE = [
    "",
    "no json",
    "[]",
    "7",
    "[" * 100_000,
    '{"event": "media"}',
    '{"event": "media", "streamSid": "MZ"}',
    '{"event": {"event": []}}',
]


async def test_garbage_is_left_aside_and_told_once(bots, serve, account_of, caplog):
    """As Twilio has it: one warning a stream, and the stream goes on."""

    async def talks(session):
        await session.begin()
        for text in GARBAGE:
            await session.socket.send_str(text)
        await session.socket.send_bytes(b"\x00" * 160)
        for body in ({}, {"media": []}, {"media": {"payload": 7}}, {"media": {"payload": "%"}}):
            await session.say("media", **body)
        await session.say("mark", mark={"name": "n" * 2000})
        await session.say("transfer", to="sip:premium@example.test")
        await session.mark("sane")
        await session.wait_for("mark")
        await session.listen()

    bot = await bots(talks)
    serving = await serve(bot.url)
    async with calling(await account_of("alice")):
        await until(lambda: bot.sessions and bot.sessions[0].of("mark"))
        assert serving.kinds() == [ReportKind.JOINED]
    assert [each["mark"]["name"] for each in bot.sessions[0].of("mark")] == ["sane"]
    told = [each for each in caplog.records if "left aside" in each.getMessage()]
    assert len(told) == 1
    assert "premium" not in caplog.text
    assert bot.failures == []


async def test_garbage_of_the_protocol_ends_its_call(serve, account_of, bots):
    async def breaks(session):
        await session.begin()
        session.socket._req.transport.write(b"\xff" * 64)
        await session.listen()

    bot = await bots(breaks)
    serving = await serve(bot.url)
    async with calling(await account_of("alice")) as call:
        await ends(call)
    await until(lambda: ReportKind.ENDED in serving.kinds())
    assert "lost" in failure(serving)


async def test_a_bot_that_does_not_read_is_given_up(bots, serve, account_of, monkeypatch):
    """Its kernel's buffers fill with what the caller says; then a message has to wait."""
    monkeypatch.setattr("softphone.agents.bot_socket.SEND_PATIENCE", 0.3)
    monkeypatch.setattr("softphone.agents.bot_call.LOST_PATIENCE", 0.1)
    sends = []

    async def stuck(self, text):
        sends.append(json.loads(text)["event"])
        if len(sends) > 5:
            await asyncio.Event().wait()
        await send_str(self, text)

    from aiohttp import ClientWebSocketResponse

    send_str = ClientWebSocketResponse.send_str
    bot = await bots(silent)
    serving = await serve(bot.url)
    monkeypatch.setattr(ClientWebSocketResponse, "send_str", stuck)
    async with calling(await account_of("alice")) as call:
        await ends(call)
    await until(lambda: ReportKind.ENDED in serving.kinds())
    assert "not read for 0.3 s" in failure(serving)


async def test_a_fault_of_ours_ends_one_call(bots, serve, account_of, monkeypatch, caplog):
    """What no rule foresees is logged, hangs up its own call, and the server goes on."""
    bot = await bots(echo)
    serving = await serve(bot.url)
    alice = await account_of("alice")

    def broken(message, text):
        raise RuntimeError("a fault")

    with monkeypatch.context() as broken_for_now:
        broken_for_now.setattr(TwilioMessages, "parse", broken)
        async with calling(alice) as call:
            await ends(call)
        await until(lambda: not serving.server._tasks)
    assert "a call of the agent server failed" in caplog.text
    async with calling(alice) as call:
        call.audio.use_rates(read_hz=RATE)
        call.audio.play(ToneSource(700.0))
        await hears(call, 700.0)


async def test_what_a_bot_sent_before_it_died_is_not_played_on(bots, serve, account_of):
    """The announcement, or the next stream, begins with nothing of the one before."""

    async def dies_with_a_long_tone(session):
        await session.begin()
        if len(bot.sessions) == 1:
            await session.play(tone(50.0, 3000.0))
            await session.mark("x")
            await session.next()
            await dies(session)
        await session.play(tone(1.0, 500.0))
        await session.listen()

    bot = await bots(dies_with_a_long_tone)
    await serve(bot.url, reconnects=1)
    async with calling(await account_of("alice")) as call:
        call.audio.use_rates(read_hz=RATE)
        await hears(call, 500.0)
        async with asyncio.timeout(PATIENCE):
            pcm = (await call.audio.read(800)).pcm
        assert tone_level(pcm, 3000.0, RATE) < AUDIBLE_DBM0
