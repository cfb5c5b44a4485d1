"""Whatever a bot sends, each of its frames costs a turn of the loop, so that other calls go on."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import secrets
from contextlib import asynccontextmanager

import pytest

from softphone.agents import BotConfig
from softphone.agents.bot_playback import BotPlayback
from softphone.agents.bot_socket import BotConnector, system_network
from softphone.agents.dialects import StreamSound
from softphone.agents.dialects.stream_dialect import MOST_PARTS, MarkMessage
from softphone.agents.dialects.twilio_dialect import parse_bot_message
from softphone.agents.sound_coding import SoundCoding
from softphone.errors import TransportTimeout
from tests.support.waiting import patiently, until

FRAMES = 5_000
TEXT, PING, PONG, CLOSE = b"\x81\x00", b"\x89\x00", b"\x8a\x00", b"\x88\x02\x03\xe8"
LAST = b"\x81\x04last"


async def accept(reader, writer):
    """Take the handshake of RFC 6455."""
    request = await reader.readuntil(b"\r\n\r\n")
    key = re.search(rb"(?i)sec-websocket-key: *(\S+)", request)[1]
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )


@asynccontextmanager
async def flooding(octets):
    """A socket to a bot that sends octets at once, and takes what it is sent."""

    async def flood(reader, writer):
        await accept(reader, writer)
        writer.write(octets)
        while await reader.read(1 << 16):
            pass
        writer.close()

    async with await asyncio.start_server(flood, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        connector = BotConnector(BotConfig(url=url), system_network(), secrets.token_bytes)
        yield await connector.open_socket()


class OtherCalls:
    """Counts the turns that the rest of the loop gets."""

    def __init__(self):
        self.turns = 0

    async def run(self):
        while True:
            self.turns += 1
            await asyncio.sleep(0)

    async def __aenter__(self):
        self._task = asyncio.ensure_future(self.run())
        return self

    async def __aexit__(self, *exc_info):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.mark.parametrize("frame", [PING, PONG], ids=["pings", "pongs"])
async def test_control_frames_without_end(frame):
    async with flooding(frame * FRAMES + LAST) as socket:
        async with OtherCalls() as others:
            assert await patiently(socket.receive()) == "last"
        await socket.close()
    assert others.turns >= FRAMES


async def test_messages_while_the_callee_rings():
    async with flooding(TEXT * FRAMES + CLOSE) as socket:
        async with OtherCalls() as others:
            await patiently(socket.wait_for_end())
        await socket.close()
    assert others.turns >= FRAMES


async def test_messages_that_nobody_has_read_at_the_end_of_a_call():
    async with flooding(TEXT * FRAMES + CLOSE) as socket, OtherCalls() as others:
        await patiently(socket.close())
    assert others.turns >= FRAMES


@pytest.mark.parametrize("pings", [0, FRAMES])
async def test_a_bot_that_reads_nothing_cancels_nobody(monkeypatch, pings):
    """In aiohttp all that send wait for one future: cancelled for one, it would end the others."""
    monkeypatch.setattr("softphone.agents.bot_socket.SEND_PATIENCE", 0.2)
    monkeypatch.setattr("softphone.agents.bot_socket.CLOSE_PATIENCE", 0.2)

    over, own = asyncio.Event(), asyncio.all_tasks()

    async def never_reads(reader, writer):
        await accept(reader, writer)
        writer.transport.pause_reading()
        for _ in range(pings):
            writer.write(b"\x89\x7d" + b"p" * 125)
        await over.wait()
        writer.transport.abort()

    async with await asyncio.start_server(never_reads, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        connector = BotConnector(BotConfig(url=url), system_network(), secrets.token_bytes)
        socket = await connector.open_socket()
        reading = asyncio.ensure_future(socket.receive())
        failures = 0
        while failures < 3:
            try:
                await patiently(socket.send("x" * 600_000))
            except TransportTimeout:
                failures += 1
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await patiently(socket.close())
        over.set()
        await until(lambda: asyncio.all_tasks() <= own)


async def test_a_ping_is_answered():
    heard = asyncio.get_running_loop().create_future()

    async def ask(reader, writer):
        await accept(reader, writer)
        writer.write(b"\x89\x02hi")
        head, mask, data = [await reader.readexactly(count) for count in (2, 4, 2)]
        heard.set_result((head, bytes(a ^ b for a, b in zip(data, mask, strict=False))))
        writer.write(CLOSE)
        writer.close()

    async with await asyncio.start_server(ask, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        connector = BotConnector(BotConfig(url=url), system_network(), secrets.token_bytes)
        socket = await connector.open_socket()
        assert await patiently(socket.receive()) is None
        assert await heard == (b"\x8a\x82", b"hi")
        assert socket.close_code == 1000
        await socket.close()


async def test_a_close_without_a_code_is_an_end_and_no_loss():
    async with flooding(b"\x88\x00") as socket:
        assert await patiently(socket.receive()) is None
        assert socket.close_code == 1005
        await socket.close()


@pytest.mark.parametrize(
    "text", ["[" + "[]," * 300_000 + "1]", '[{"a":1},' * 100_000, '{"a":' * 200_000]
)
def test_a_message_of_many_parts_is_not_built(text):
    with pytest.raises(ValueError, match="too many parts"):
        parse_bot_message(text, "MZ1")


def test_a_mark_may_have_any_name():
    name = "[{," * 341
    text = f'{{"event":"mark","streamSid":"MZ1","mark":{{"name":"{name}"}}}}'
    assert parse_bot_message(text, "MZ1") == MarkMessage(name)
    assert len(name) + 7 < MOST_PARTS


class SilentCall:
    """A call whose audio is not reached."""

    audio = None


@pytest.mark.parametrize(
    ("coding", "piece", "last"), [(SoundCoding.PCMU, 800, 1), (SoundCoding.PCM, 1600, 0)]
)
async def test_sound_that_comes_octet_by_octet_waits_in_whole_pieces(coding, piece, last):
    playback = BotPlayback(SilentCall(), StreamSound(coding, 8000), None, None)
    for number in range(2 * piece + 1):
        playback.add_sound(bytes([number % 256]))
    pieces = [each for each in playback._pending if each]
    # Half a sample waits for its other half.
    assert [len(each) for each in pieces] == [piece, piece, 1][: 2 + last]
    assert b"".join(pieces) == bytes(number % 256 for number in range(2 * piece + last))
    assert playback.waiting_octets == 2 * piece + last
