"""Calls with bots that speak another dialect than Twilio's: over the lab, under SRTP."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest
from aiohttp import WSMsgType

from softphone.agents import ReportKind
from softphone.agents.dialects import StreamDialect
from softphone.agents.sound_coding import SoundCoding, encode_sound
from softphone.media.audio import ToneSource
from softphone.security import SecurityLevel
from tests.agents.conftest import calling
from tests.agents.test_agent_server import RATE, hears
from tests.support.waiting import patiently, until

TELNYX = {"dialect": StreamDialect.TELNYX, "coding": SoundCoding.PCM}
VONAGE = {"dialect": StreamDialect.VONAGE}
JAMBONZ = {"dialect": StreamDialect.JAMBONZ}
ASTERISK = {"dialect": StreamDialect.ASTERISK}
ASTERISK_TEXT = {"dialect": StreamDialect.ASTERISK_TEXT, "coding": SoundCoding.PCMA}


def tone(seconds, rate=16000, coding=SoundCoding.PCM, hz=1000.0):
    at = np.arange(round(seconds * rate)) / rate
    return encode_sound((8000 * np.sin(2 * np.pi * hz * at)).astype(np.int16), coding)


class Bot:
    """Takes what comes: texts, parsed where they are JSON, and binary messages; both are kept."""

    def __init__(self, session):
        self.socket = session.socket
        self.texts, self.sounds = session.messages, []

    async def next(self):
        message = await self.socket.receive()
        if message.type is WSMsgType.BINARY:
            self.sounds.append(message.data)
        elif message.type is WSMsgType.TEXT:
            text = message.data
            self.texts.append(json.loads(text) if text.startswith("{") else text)
        else:
            return None
        return message

    async def until(self, found):
        """Take messages until one of the texts is as wanted."""
        while not any(map(found, self.texts)):
            assert await self.next() is not None, self.texts
        return next(filter(found, self.texts))

    async def listen(self):
        while await self.next() is not None:
            pass


async def echoes(session):
    """Says back what it hears, in the form in which that has come."""
    bot = Bot(session)
    while (message := await bot.next()) is not None:
        if message.type is WSMsgType.BINARY:
            await bot.socket.send_bytes(message.data)
        elif isinstance(said := bot.texts[-1], dict) and said.get("event") == "media":
            payload = said["media"]["payload"]
            await bot.socket.send_json({"event": "media", "media": {"payload": payload}})


@pytest.mark.parametrize(
    ("config", "protocol", "digit", "last"),
    [
        (TELNYX, None, lambda said: said.get("dtmf", {}).get("digit"), "stop"),
        (VONAGE, None, lambda said: said.get("digit"), None),
        (JAMBONZ, "audio.jambonz.org", lambda said: said.get("dtmf"), None),
        (ASTERISK, "media", lambda said: said.get("digit"), None),
        (ASTERISK_TEXT, "media", lambda said: said.partition("digit:")[2], None),
    ],
    ids=["telnyx", "vonage", "jambonz", "asterisk", "asterisk-text"],
)
async def test_sound_and_digits_go_both_ways(
    bots, serve, account_of, config, protocol, digit, last
):
    bot = await bots(echoes)
    serving = await serve(bot.url, parameters={"who": "{call_sid}"}, **config)
    async with calling(await account_of("alice")) as call:
        assert call.security.level is SecurityLevel.ENCRYPTED
        call.audio.use_rates(read_hz=RATE)
        call.audio.play(ToneSource(700.0))
        await hears(call, 700.0)
        (session,) = bot.sessions
        await call.send_digits("5")
        await until(lambda: any(digit(each) == "5" for each in session.messages))
        call.hangup()
    await until(lambda: ReportKind.ENDED in serving.kinds())
    assert serving.kinds() == [ReportKind.JOINED, ReportKind.ENDED]
    assert session.headers.get("sec-websocket-protocol") == protocol
    if last is not None:
        await until(lambda: session.messages[-1].get("event") == last)
    assert bot.failures == []
    if config is not ASTERISK_TEXT:
        call_sid = serving.reports[0].call_sid
        assert any(f'"{call_sid}"' in json.dumps(each) for each in session.messages)


async def test_vonage_tells_what_was_played_and_cleared(bots, serve, account_of):
    async def script(session):
        bot = Bot(session)
        await bot.socket.send_bytes(tone(0.2))
        await bot.socket.send_json({"action": "notify", "payload": {"n": 1}})
        await bot.until(lambda said: said == {"event": "websocket:notify", "payload": {"n": 1}})
        await bot.socket.send_bytes(tone(30.0))
        await bot.socket.send_json({"action": "notify", "payload": {"n": 2}})
        await bot.socket.send_json({"action": "clear"})
        await bot.until(lambda said: said == {"event": "websocket:cleared"})
        await bot.socket.send_json({"action": "notify", "payload": {"n": 3}})
        await bot.until(lambda said: said.get("payload") == {"n": 3})

    bot = await bots(script)
    serving = await serve(bot.url, **VONAGE)
    async with calling(await account_of("alice")) as call:
        await patiently(call.ended())
    assert bot.failures == []
    (session,) = bot.sessions
    told = [each["payload"] for each in session.messages if "payload" in each]
    assert told == [{"n": 1}, {"n": 3}]  # the second was dropped
    await until(lambda: ReportKind.ENDED in serving.kinds())


async def test_jambonz_marks_and_ends(bots, serve, account_of):
    """Marks come back played or cleared, are forgotten on a wish, and `disconnect` ends at once."""

    def mark(name, event):
        return {"type": "mark", "data": {"name": name, "event": event}}

    async def script(session):
        bot = Bot(session)

        async def say(kind, **rest):
            await bot.socket.send_json({"type": kind, **rest})

        await bot.socket.send_bytes(tone(0.1, 8000))
        await say("mark", data={"name": "a"})
        await bot.until(lambda said: said == mark("a", "playout"))
        await bot.socket.send_bytes(tone(30.0, 8000))
        await say("mark", data={"name": "b"})
        await say("clearMarks")
        await say("mark", data={"name": "c"})
        await say("killAudio")
        await bot.until(lambda said: said == mark("c", "cleared"))
        await bot.socket.send_bytes(tone(30.0, 8000))
        await say("disconnect")
        await bot.listen()

    bot = await bots(script)
    serving = await serve(bot.url, **JAMBONZ)
    async with calling(await account_of("alice")) as call:
        async with asyncio.timeout(20):  # not the 30 s of the sound
            await call.ended()
    assert bot.failures == []
    assert [each["data"]["name"] for each in bot.sessions[0].messages if "data" in each] == [
        "a",
        "c",
    ]
    await until(lambda: ReportKind.ENDED in serving.kinds())
    assert ReportKind.BOT_FAILED not in serving.kinds()


async def test_asterisk_paces_pauses_and_drains(bots, serve, account_of):
    async def script(session):
        bot = Bot(session)

        async def say(command, **rest):
            await bot.socket.send_json({"command": command, **rest})

        def event(name):
            return lambda said: said["event"] == name

        silence = tone(19.0, 8000, SoundCoding.PCMU)
        await say("PAUSE_MEDIA")
        await bot.socket.send_bytes(silence)
        await bot.until(event("MEDIA_XOFF"))
        await say("GET_STATUS")
        status = await bot.until(event("STATUS"))
        assert (status["queue_length"], status["media_paused"]) == (950, True)
        await say("MARK_MEDIA", correlation_id="dropped")
        await say("REPORT_QUEUE_DRAINED")
        await say("FLUSH_MEDIA")
        await bot.until(event("MEDIA_XON"))
        await bot.until(event("QUEUE_DRAINED"))
        bot.texts.clear()
        # Behind a mark, more sound; the queue is empty after that only.
        await say("START_MEDIA_BUFFERING")
        await bot.socket.send_bytes(tone(0.1, 8000, SoundCoding.PCMU))
        await say("REPORT_QUEUE_DRAINED")
        await say("STOP_MEDIA_BUFFERING", correlation_id="first")
        await bot.socket.send_bytes(tone(0.3, 8000, SoundCoding.PCMU))
        await say("MARK_MEDIA", correlation_id="second")
        await bot.until(event("QUEUE_DRAINED"))
        await say("HANGUP")
        await bot.listen()

    bot = await bots(script)
    await serve(bot.url, **ASTERISK)
    async with calling(await account_of("alice")) as call:
        await patiently(call.ended())
    assert bot.failures == []
    told = [
        (each["event"], each.get("correlation_id"))
        for each in bot.sessions[0].messages
        if isinstance(each, dict)
    ]
    assert told == [
        ("MEDIA_BUFFERING_COMPLETED", "first"),
        ("MEDIA_MARK_PROCESSED", "second"),
        ("QUEUE_DRAINED", None),
    ]


async def test_a_bot_that_has_paused_and_gone_is_heard_to_its_end(bots, serve, account_of):
    async def script(session):
        await session.socket.send_json({"command": "PAUSE_MEDIA"})
        await session.socket.send_bytes(tone(0.3, 8000, SoundCoding.PCMU))

    bot = await bots(script)
    await serve(bot.url, **ASTERISK)
    async with calling(await account_of("alice")) as call:
        call.audio.use_rates(read_hz=RATE)
        await hears(call, 1000.0)
        await patiently(call.ended())


async def test_a_minute_is_the_most_at_any_rate(bots, serve, account_of):
    async def floods(session):
        for _ in range(75):
            await session.socket.send_bytes(bytes(32000))
        await Bot(session).listen()

    bot = await bots(floods)
    serving = await serve(bot.url, **VONAGE)
    async with calling(await account_of("alice")) as call:
        await patiently(call.ended())
    await until(lambda: bot.sessions[0].socket.close_code)
    assert bot.sessions[0].socket.close_code == 1009
    await until(lambda: ReportKind.BOT_FAILED in serving.kinds())
