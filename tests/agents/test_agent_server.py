"""Calls joined with a stand-in of a bot: over the lab, under SRTP, one WebSocket a call."""

from __future__ import annotations

import asyncio
import base64
import itertools

import numpy as np
import pytest

from softphone.agents import ReportKind
from softphone.agents.sound_coding import SoundCoding, encode_sound
from softphone.errors import CallError
from softphone.media.audio import ToneSource, tone_level
from softphone.security import SecurityLevel
from tests.agents.conftest import calling
from tests.support.calling import answer_one
from tests.support.waiting import PATIENCE, patiently, until

RATE = 8000
AUDIBLE_DBM0 = -25.0


def tone(seconds: float, hz: float = 1000.0) -> str:
    at = np.arange(round(seconds * RATE)) / RATE
    return base64.b64encode(
        encode_sound((8000 * np.sin(2 * np.pi * hz * at)).astype(np.int16), SoundCoding.PCMU)
    ).decode()


async def echo(session):
    """Give back every sound, until the end."""
    await session.begin()
    while (message := await session.next()) is not None:
        if message["event"] == "media":
            await session.play(message["media"]["payload"])


async def silent(session):
    await session.begin()
    await session.listen()


async def hears(call, hz, *, within=PATIENCE):
    """Read until a tone is heard."""
    async with asyncio.timeout(within):
        while True:
            pcm = (await call.audio.read(800)).pcm
            assert pcm.size, "the call is over"
            if tone_level(pcm, hz, RATE) > AUDIBLE_DBM0:
                return


async def test_an_echo_bot_gives_back_what_the_caller_says(bots, serve, account_of):
    bot = await bots(echo)
    serving = await serve(bot.url)
    alice = await account_of("alice")
    async with calling(alice) as call:
        assert call.security.level is SecurityLevel.ENCRYPTED
        call.audio.use_rates(read_hz=RATE)
        call.audio.play(ToneSource(700.0))
        await hears(call, 700.0)
        call.hangup()
        (session,) = bot.sessions
        await until(lambda: session.of("stop"))
    await until(lambda: ReportKind.ENDED in serving.kinds())
    assert serving.kinds() == [ReportKind.JOINED, ReportKind.ENDED]
    assert bot.failures == []


def check_media(media):
    """Blocks of 20 ms, 160 octets each, numbered from 1, from 0 ms on."""
    assert [each["media"]["chunk"] for each in media] == [str(1 + n) for n in range(len(media))]
    assert all(set(each) == {"event", "sequenceNumber", "streamSid", "media"} for each in media)
    assert all(set(each["media"]) == {"track", "chunk", "timestamp", "payload"} for each in media)
    assert {each["media"]["track"] for each in media} == {"inbound"}
    times = [int(each["media"]["timestamp"]) for each in media]
    assert times[0] == 0
    # A busy machine skips frames, and the time goes on.
    gaps = {after - before for before, after in itertools.pairwise(times)}
    assert min(gaps) == 20
    assert all(gap % 20 == 0 for gap in gaps)
    assert {len(base64.b64decode(each["media"]["payload"])) for each in media} == {160}


async def test_the_messages_are_those_of_the_dialect(bots, serve, account_of):
    """Field by field as Twilio documents them."""
    bot = await bots(silent)
    await serve(
        bot.url,
        account_id="AC" + "7" * 32,
        parameters={"who": "{from}", "called": "{to}", "fixed": "x", "how": "{assurance}"},
    )
    alice = await account_of("alice")
    async with calling(alice) as call:
        await until(lambda: bot.sessions and len(bot.sessions[0].of("media")) >= 10)
        await call.send_digits("5#")
        await until(lambda: len(bot.sessions[0].of("dtmf")) == 2)
        call.hangup()
        await until(lambda: bot.sessions[0].of("stop"))
    (session,) = bot.sessions
    connected, start, *rest = session.messages
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    stream, call_id = start["streamSid"], start["start"]["callSid"]
    assert (stream[:2], len(stream), call_id[:2], len(call_id)) == ("MZ", 34, "CA", 34)
    told = start["start"].pop("customParameters")
    # Both were seen: it is as the call knows its caller when the stream starts.
    assert told.pop("how") in ("claimed", "asserted")
    assert told == {"who": "sip:alice@127.0.0.1", "called": "bob", "fixed": "x"}
    assert start == {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": stream,
        "start": {
            "streamSid": stream,
            "accountSid": "AC" + "7" * 32,
            "callSid": call_id,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        },
    }
    assert [each["sequenceNumber"] for each in rest] == [str(2 + n) for n in range(len(rest))]
    check_media(session.of("media"))
    assert [each["dtmf"] for each in session.of("dtmf")] == [
        {"track": "inbound_track", "digit": "5"},
        {"track": "inbound_track", "digit": "#"},
    ]
    assert rest[-1]["stop"] == {"accountSid": "AC" + "7" * 32, "callSid": call_id}
    assert "x-twilio-signature" not in session.headers


async def test_marks_come_back_in_order_when_their_sound_was_played(bots, serve, account_of):
    sent = []

    async def script(session):
        await session.begin()
        (call,) = served.account.calls
        sent.append(call.statistics.packets_sent)
        for name in ("first", "second", "third"):
            await session.play(tone(0.4))
            await session.mark(name)
        for count in (1, 2, 3):
            await session.wait_for("mark", count)
            sent.append(call.statistics.packets_sent)
        await session.listen()

    bot = await bots(script)
    served = await serve(bot.url)
    alice = await account_of("alice")
    async with calling(alice):
        await until(lambda: len(sent) == 4)
    (session,) = bot.sessions
    names = [each["mark"]["name"] for each in session.of("mark")]
    assert names == ["first", "second", "third"]
    # Each sound is 20 packets of 20 ms, which had left when its mark came.
    begun, *marked = sent
    assert all(packets - begun >= 20 * count for count, packets in enumerate(marked, start=1))
    assert bot.failures == []


async def test_clear_stops_the_sound_and_returns_what_waits(bots, serve, account_of):
    played = asyncio.Event()
    cleared = []

    async def script(session):
        await session.begin()
        await session.play(tone(20.0))
        await session.mark("a")
        await session.play(tone(20.0))
        await session.mark("b")
        while not played.is_set():
            await session.next()
        assert session.of("mark") == []
        before = len(session.of("media"))
        await session.say("clear")
        await session.wait_for("mark", 2)
        cleared.append(len(session.of("media")) - before)
        await session.play(tone(0.2, 400.0))
        await session.mark("c")
        await session.wait_for("mark", 3)
        await session.listen()

    bot = await bots(script)
    await serve(bot.url)
    alice = await account_of("alice")
    async with calling(alice) as call:
        call.audio.use_rates(read_hz=RATE)
        await hears(call, 1000.0)
        played.set()
        await hears(call, 400.0)
        await until(lambda: len(bot.sessions[0].of("mark")) == 3)
    (session,) = bot.sessions
    assert [each["mark"]["name"] for each in session.of("mark")] == ["a", "b", "c"]
    # Long before their sound would have ended: a frame or two, and what a busy machine adds.
    assert cleared[0] < 250
    assert bot.failures == []


async def test_a_mark_with_nothing_before_it_comes_back_at_once(bots, serve, account_of):
    async def script(session):
        await session.begin()
        await session.mark("now")
        await session.wait_for("mark")
        await session.say("clear")
        await session.mark("again")
        await session.wait_for("mark", 2)
        await session.listen()

    bot = await bots(script)
    await serve(bot.url)
    alice = await account_of("alice")
    async with calling(alice):
        await until(lambda: bot.sessions and len(bot.sessions[0].of("mark")) == 2)
    assert bot.failures == []


async def test_what_a_bot_has_said_is_heard_though_it_has_closed(bots, serve, account_of):
    async def script(session):
        await session.begin()
        await session.play(tone(3.0))

    bot = await bots(script)
    serving = await serve(bot.url)
    alice = await account_of("alice")
    async with calling(alice) as call:
        call.audio.use_rates(read_hz=RATE)
        loud = 0
        async with asyncio.timeout(PATIENCE):
            async for piece in call.audio:
                loud += 160 * (tone_level(piece.pcm, 1000.0, RATE) > AUDIBLE_DBM0)
        # Of what would have been lost with the connection, a busy machine may skip some.
        assert loud >= 1.5 * RATE
    assert serving.kinds()[:1] == [ReportKind.JOINED]
    await until(lambda: ReportKind.ENDED in serving.kinds())
    assert ReportKind.BOT_FAILED not in serving.kinds()


async def test_two_calls_at_once_have_a_bot_each(bots, serve, account_of):
    bot = await bots(echo)
    serving = await serve(bot.url)
    alice, dave = await account_of("alice"), await account_of("dave")
    async with calling(alice) as one, calling(dave) as other:
        for call, hz in ((one, 700.0), (other, 1500.0)):
            call.audio.use_rates(read_hz=RATE)
            call.audio.play(ToneSource(hz))
        await hears(one, 700.0)
        await hears(other, 1500.0)
        pcm = await heard_now(one)
        assert tone_level(pcm, 1500.0, RATE) < AUDIBLE_DBM0
        assert serving.server.streams == 2
    first, second = bot.sessions
    assert first.stream != second.stream
    assert first.of("start")[0]["start"]["callSid"] != second.of("start")[0]["start"]["callSid"]
    assert (
        first.of("start")[0]["start"]["accountSid"] == second.of("start")[0]["start"]["accountSid"]
    )


async def heard_now(call):
    return (await patiently(call.audio.read(1600))).pcm


async def test_a_bot_is_called_for_somebody(bots, account_of):
    """Outbound: the bot is reached first, and joined with the callee at the answer."""
    from softphone.agents import AgentServer, BotConfig

    bot = await bots(echo)
    alice, bob = await account_of("alice"), await account_of("bob")
    server = AgentServer(alice, BotConfig(url=bot.url, parameters={"to": "{to}"}))
    calling_out = asyncio.ensure_future(server.call("bob"))
    async for incoming in bob.incoming():
        await until(lambda: bot.sessions)
        call = await incoming.answer()
        break
    call.audio.use_rates(read_hz=RATE)
    call.audio.play(ToneSource(700.0))
    await hears(call, 700.0)
    call.hangup()
    ended = await patiently(calling_out)
    assert ended.by.value == "remote"
    assert bot.sessions[0].of("start")[0]["start"]["customParameters"] == {"to": "bob"}


async def test_a_call_that_is_up_already_is_joined(bots, account_of):
    """A campaign finds out who answered before the bot is there for them."""
    from softphone.agents import AgentServer, BotConfig
    from softphone.errors import TransportError

    bot = await bots(echo)
    alice, bob = await account_of("alice"), await account_of("bob")
    server = AgentServer(alice, BotConfig(url=bot.url, parameters={"to": "{to}"}))

    async def join(to):
        async with alice.dial("bob") as outgoing:
            await to.join(outgoing, await outgoing.answered(timeout=PATIENCE), {"order": "7"})

    joining = asyncio.ensure_future(join(server))
    call = await answer_one(bob)
    call.audio.use_rates(read_hz=RATE)
    call.audio.play(ToneSource(700.0))
    await hears(call, 700.0)
    call.hangup()
    await patiently(joining)
    start = bot.sessions[0].of("start")[0]["start"]
    assert start["customParameters"] == {"to": "bob", "order": "7"}
    refused = AgentServer(alice, BotConfig(url="ws://127.0.0.1:9/", patience=0.1))
    joining = asyncio.ensure_future(join(refused))
    await answer_one(bob)
    with pytest.raises(TransportError):
        await patiently(joining)


async def test_nobody_is_called_without_a_bot_or_an_answer(bots, account_of):
    from softphone.agents import AgentServer, BotConfig
    from softphone.errors import TransportError

    bot = await bots(echo, answers=[403])
    alice = await account_of("alice")
    server = AgentServer(alice, BotConfig(url=bot.url))
    with pytest.raises(TransportError, match="403"):
        await server.call("bob")
    with pytest.raises(CallError):
        await server.call("nobody-there")
    await until(lambda: bot.sessions[0].socket.closed)
    assert bot.sessions[0].of("start") == []
