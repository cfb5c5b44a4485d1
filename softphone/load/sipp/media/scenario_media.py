"""The media of all calls of a worker: recorded packets, streams, echoes, and what is heard.

Media come and go on one pair of ports, which `[media_port]` names, or on a pair of each call, which
`[rtpstream_audio_port]` and `[rtpstream_video_port]` take.  What a call has said in SDP decides.
"""

from __future__ import annotations

import asyncio
import errno
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from softphone.load.sipp.media.agreement import MediaAgreement
from softphone.load.sipp.media.heard_media import HeardMedia
from softphone.load.sipp.media.media_wanted import (
    EchoSwitched,
    EchoWanted,
    MediaAgreed,
    MediaWanted,
    PauseWanted,
    PlayWanted,
    StreamWanted,
)
from softphone.load.sipp.media.rtp_stream import RtpStream
from softphone.net.datagrams import DatagramPair, PortPairs
from softphone.sans_io import Address
from softphone.srtp import ReceiveContext, SendContext
from softphone.srtp.receive_keys import key_fingerprint
from softphone.trust.fips import random_bytes

MOST_AT_ONCE = 8
"""Files that one call plays at once; a further one is not played."""
_BUFFER = 1 << 16
_HEADER = 12


@dataclass(slots=True, eq=False)
class _Side:
    """Media of one kind of one call: by which agreement, and what was sent and heard so far."""

    agreement: MediaAgreement
    pair: DatagramPair
    send: SendContext | None
    receive: ReceiveContext | None
    heard: HeardMedia
    ssrc: bytes
    sequence: int
    timestamp: int
    echo: bool = False
    paused: bool = False
    streaming: asyncio.Task[None] | None = None


class ScenarioMedia:
    """Sends and hears on the ports of a host.

    `ports` is (first, last): the first pair is shared, the rest are per call.

    `on_sent` gets, of each packet that left, how many milliseconds late it was, None of one that is
    sent back.  `counters` counts packets "sent", those "refused" (all of a file beyond the most at
    once, or with a number that was sent before under its key), and received ones that were
    "dropped": from an unknown source, or not authentic.
    Raises OSError for a first pair of ports that cannot be bound.
    """

    def __init__(
        self,
        host: str,
        ports: tuple[int, int],
        *,
        entropy: Callable[[int], bytes] = random_bytes,
        on_sent: Callable[[float | None], None] = lambda late_ms: None,
    ) -> None:
        first, last = ports
        self.counters: Counter[str] = Counter()
        self._host = host
        self._entropy = entropy
        self._on_sent = on_sent
        self._clock = asyncio.get_running_loop().time
        self._plays: dict[int, set[asyncio.Task[None]]] = {}
        self._sides: dict[int, dict[str, _Side]] = {}
        self._by_source: dict[Address, list[_Side]] = {}
        self._own: dict[int, dict[str, DatagramPair]] = {}
        self._contexts: dict[tuple[int, bytes], SendContext] = {}
        self._echoing = True
        self._ports = PortPairs(first + 2, last, entropy=entropy)
        shared = PortPairs(first, first + 1, entropy=entropy)
        self._shared = self._open(shared, self._receive_shared, f"port {first} of {host} is in use")

    def _open(
        self, ports: PortPairs, receive: Callable[[bytes, Address, bool], None], lack: str
    ) -> DatagramPair:
        bound = ports.bind_pair(self._host, receive_buffer=_BUFFER)
        if bound is None:
            raise OSError(errno.EADDRINUSE, lack)
        return DatagramPair(bound, receive, lambda: None)

    def port_of(self, number: int, kind: str) -> int:
        """Return the local port of a call for a kind of media; bind it on first use.

        Raises OSError when none is free.
        """
        own = self._own.setdefault(number, {})
        if kind not in own:
            receive = partial(self._receive_own, number, kind)
            own[kind] = self._open(self._ports, receive, f"no port of {self._host} is free")
        return own[kind].addresses[0][1]

    # What calls ask for -----------------------------------------------------------------------

    def handle(self, wanted: MediaWanted) -> None:
        """Do what a call asks for."""
        match wanted:
            case MediaAgreed():
                side = self._side(wanted.number, wanted.kind, wanted.agreement)
                side.echo = side.echo or wanted.echo
            case PlayWanted():
                self._play(wanted)
            case StreamWanted():
                self._begin_stream(wanted)
            case PauseWanted():
                for side in self._sides_of(wanted.number, wanted.kind):
                    side.paused = wanted.paused
            case EchoWanted(agreement=None):
                for side in self._sides_of(wanted.number, wanted.kind):
                    side.echo = False
            case EchoWanted(agreement=agreement):
                assert agreement is not None
                self._side(wanted.number, wanted.kind, agreement).echo = True
            case EchoSwitched():
                self._echoing = wanted.on

    def stop(self, number: int) -> HeardMedia | None:
        """End the media of a call, and forget its keys; returns what it has heard of audio."""
        for task in self._plays.pop(number, set()):
            task.cancel()
        sides = self._sides.pop(number, {})
        for side in sides.values():
            if side.streaming is not None:
                side.streaming.cancel()
            if side.receive is not None:
                side.receive.close()
            self._forget_source(side)
        for pair in self._own.pop(number, {}).values():
            pair.close()
        for place in [each for each in self._contexts if each[0] == number]:
            self._contexts.pop(place).close()
        return sides["audio"].heard if "audio" in sides else None

    async def close(self) -> None:
        """Stop all calls and close the ports."""
        tasks = [task for several in self._plays.values() for task in several]
        for sides in self._sides.values():
            tasks += [side.streaming for side in sides.values() if side.streaming is not None]
        for number in {*self._plays, *self._sides, *self._own, *(key[0] for key in self._contexts)}:
            self.stop(number)
        await asyncio.gather(*tasks, return_exceptions=True)
        self._shared.close()

    # Agreements -------------------------------------------------------------------------------

    def _sides_of(self, number: int, kind: str) -> list[_Side]:
        side = self._sides.get(number, {}).get(kind)
        return [] if side is None else [side]

    def _side(self, number: int, kind: str, agreement: MediaAgreement) -> _Side:
        """The media of a kind of a call, by its newest agreement."""
        sides = self._sides.setdefault(number, {})
        side = sides.get(kind)
        if side is not None and side.agreement == agreement:
            return side
        pair = self._pair(number, agreement.port)
        send, receive = self._context(number, agreement), None
        if agreement.suite is not None and agreement.their_key is not None:
            receive = ReceiveContext(agreement.suite, agreement.their_key)
        if side is None:
            drawn = self._entropy(10)
            heard = HeardMedia(agreement.clock_rate, trusted=receive is not None)
            sequence, timestamp = (int.from_bytes(each, "big") for each in (drawn[:2], drawn[2:6]))
            # Start in the lower half, to not wrap around soon (RFC 3711 section 3.3.1).
            sequence >>= 1
            side = _Side(
                agreement,
                pair,
                send,
                receive,
                heard=heard,
                ssrc=drawn[6:],
                sequence=sequence,
                timestamp=timestamp,
            )
            sides[kind] = side
        else:
            self._forget_source(side)
            if side.receive is not None:
                side.receive.close()
            side.agreement, side.pair, side.send, side.receive = agreement, pair, send, receive
        if pair is self._shared:
            self._by_source.setdefault(agreement.address, []).append(side)
        return side

    def _forget_source(self, side: _Side) -> None:
        address = side.agreement.address
        left = [each for each in self._by_source.get(address, ()) if each is not side]
        if left:
            self._by_source[address] = left
        else:
            self._by_source.pop(address, None)

    def _pair(self, number: int, port: int) -> DatagramPair:
        """The ports that a description names: a call's own, or else those of all."""
        own = self._own.get(number, {}).values()
        return next((pair for pair in own if pair.addresses[0][1] == port), self._shared)

    def _context(self, number: int, agreement: MediaAgreement) -> SendContext | None:
        """The keys of a call: one context for all that it sends, so that no index comes twice."""
        if agreement.suite is None or agreement.key is None:
            return None
        place = (number, key_fingerprint(agreement.suite, agreement.key))
        if place not in self._contexts:
            self._contexts[place] = SendContext(agreement.suite, agreement.key)
        return self._contexts[place]

    # Sending ----------------------------------------------------------------------------------

    def _play(self, wanted: PlayWanted) -> None:
        """Begin to send the packets of a file, at their times."""
        number, agreement = wanted.number, wanted.agreement
        if len(self._plays.get(number, ())) >= MOST_AT_ONCE:
            self.counters["refused"] += len(wanted.file.packets)
            return
        pair, context = self._pair(number, agreement.port), self._context(number, agreement)
        task = asyncio.ensure_future(self._send_file(wanted, pair, context))
        self._plays.setdefault(number, set()).add(task)
        task.add_done_callback(lambda done: self._plays.get(number, set()).discard(done))

    async def _send_file(
        self, wanted: PlayWanted, pair: DatagramPair, context: SendContext | None
    ) -> None:
        begun = self._clock()
        for at, packet in wanted.file.packets:
            await self._sleep_until(begun + at)
            self._send(packet, pair, context, wanted.agreement.address, due=begun + at)

    def _begin_stream(self, wanted: StreamWanted) -> None:
        side = self._side(wanted.number, wanted.stream.kind, wanted.agreement)
        if side.streaming is not None:
            side.streaming.cancel()
        side.paused = False
        side.streaming = asyncio.ensure_future(self._stream(side, wanted.stream))

    async def _stream(self, side: _Side, stream: RtpStream) -> None:
        begun, ticks, sent = self._clock(), 0, 0
        while (payload := stream.payload(sent)) is not None:
            due = begun + ticks * stream.milliseconds / 1e3
            await self._sleep_until(due)
            ticks += 1
            if not side.paused:
                sent += 1
                packet = self._packet(side, stream.payload_type, payload)
                self._send(packet, side.pair, side.send, side.agreement.address, due=due)
            # Time goes on in a pause, too (RFC 3550 section 5.1).
            side.timestamp = (side.timestamp + stream.ticks) & 0xFFFFFFFF

    def _packet(self, side: _Side, payload_type: int, payload: bytes) -> bytes:
        head = bytes((0x80, payload_type)) + side.sequence.to_bytes(2, "big")
        side.sequence = (side.sequence + 1) & 0xFFFF
        return head + side.timestamp.to_bytes(4, "big") + side.ssrc + payload

    async def _sleep_until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, at - self._clock()))

    def _send(
        self,
        packet: bytes,
        pair: DatagramPair,
        context: SendContext | None,
        address: Address,
        *,
        due: float | None = None,
    ) -> None:
        data = packet if context is None else context.protect(packet)
        self.counters["refused" if data is None else "sent"] += 1
        if data is None:
            return
        pair.send_datagram(data, address, control=False)
        self._on_sent(None if due is None else max(0.0, 1e3 * (self._clock() - due)))

    # Receiving --------------------------------------------------------------------------------

    def _receive_shared(self, data: bytes, source: Address, control: bool) -> None:
        sides = self._by_source.get(source, ())
        if control or not sides:
            self.counters["dropped"] += not control
            return
        # Calls that go to one port of the far end cannot be told apart by what it sends.
        self._hear(sides[-1], data, measured=len(sides) == 1)

    def _receive_own(
        self, number: int, kind: str, data: bytes, source: Address, control: bool
    ) -> None:
        if control:
            return
        for side in self._sides_of(number, kind):
            if side.receive is not None or source[0] == side.agreement.address[0]:
                self._hear(side, data, measured=True)
                return
        self.counters["dropped"] += 1

    def _hear(self, side: _Side, data: bytes, *, measured: bool) -> None:
        packet, status = data, 0
        if side.receive is not None:
            status, packet = side.receive.process_packet(data)
        # RTCP has the packet types 192 to 223 there (RFC 5761 section 4).
        if status or len(packet) < _HEADER or packet[0] >> 6 != 2 or 192 <= packet[1] <= 223:
            self.counters["dropped"] += 1
            return
        if measured:
            side.heard.record_packet(packet, self._clock())
        # Do not echo our own packets (RFC 3550 section 8.2).
        if side.echo and self._echoing and packet[8:12] != side.ssrc:
            self._send(packet, side.pair, side.send, side.agreement.address)
