"""`StreamBank`: the state of all streams as a struct of arrays, one row per stream.

A phase is a slice of every array: a block of rows that are served together.  The phases are spread
over the frame of 20 ms.  Phase p begins at its bit-reversed fraction of the frame, so that the work
is spread evenly for any number of phases in use, and a row never changes its time.

A handle is `(row, generation)`; the handle of a released row raises StaleHandle.  `StreamObjects`
holds the Python objects of a row, used only on demand.  This module has no clock, no socket and no
packets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from softphone.errors import LocalProtocolError, NoPortFree
from softphone.media.bank.address import AddressBank
from softphone.media.bank.codec_lookup import AnyCodec
from softphone.media.bank.delivery import DeliveryBank
from softphone.media.bank.demultiplexer import Demultiplexer
from softphone.media.bank.newest_packets import NewestPackets
from softphone.media.bank.receiver import ReceiverBank
from softphone.media.bank.reception import ReceptionBank
from softphone.media.bank.send_grouping import SendGroupingBank
from softphone.media.bank.sender import SenderBank
from softphone.media.bank.source_feed import FeedTable, SourceFeed, same_rate
from softphone.media.bank.srtp_sessions import SrtpSessions
from softphone.media.bank.stateful_decoder import StatefulDecoder
from softphone.media.clear_latching import ClearLatching
from softphone.media.interface import (
    MediaEvent,
    Sink,
    Source,
    StaleHandle,
    StreamHandle,
    StreamSpec,
)
from softphone.media.playout import Concealment, JitterBufferBank
from softphone.media.playout.jitter_buffer import JitterBufferConfig
from softphone.rtp import (
    RemoteReport,
    RtcpSession,
    TelephoneEventReceiver,
    TelephoneEventSender,
    VoipMetrics,
)
from softphone.sans_io import Entropy, Timers
from softphone.srtp import (
    ReceiveContext,
    ReceiveKeys,
    SendContext,
)
from softphone_codecs import ComfortNoiseGenerator, RowEncoder


@dataclass(slots=True)
class StreamObjects:
    """The Python objects of one row; `spec` is None until the stream is opened.

    `codec` is the codec sent, `receive_codec` the one decoded; for stateful codecs, `encoder` and
    `stateful_decoder` hold their state.  `packets_before` and `octets_before` count what was sent
    with earlier SSRCs.  While `paused`, silence is sent and the source is not read.
    `reported_packets` is the packet count at the last RTCP report.
    `changed_at` is the RTP sequence number of the last codec change, `reported_type` the payload
    type of the last `PayloadTypeChanged`.  `conflicts` are the addresses from which our own SSRC
    came (RFC 3550 section 8.2).
    """

    handle: StreamHandle
    on_event: Callable[[MediaEvent], None] | None = None
    spec: StreamSpec | None = None
    codec: AnyCodec | None = None
    receive_codec: AnyCodec | None = None
    encoder: RowEncoder | None = None
    stateful_decoder: StatefulDecoder | None = None
    send_context: SendContext | None = None
    receive_keys: ReceiveKeys = field(default_factory=ReceiveKeys)
    source: Source | None = None
    paused: bool = False
    feed: SourceFeed | None = None
    sink: Sink | None = None
    monitor: Sink | None = None
    rtcp: RtcpSession | None = None
    event_sender: TelephoneEventSender | None = None
    event_receiver: TelephoneEventReceiver | None = None
    remote_report: RemoteReport | None = None
    remote_metrics: VoipMetrics | None = None
    round_trip_time: float | None = None
    reported_packets: int = 0
    packets_before: int = 0
    octets_before: int = 0
    changed_at: int | None = None
    reported_type: int | None = None
    conflicts: tuple[bytes, ...] = ()
    clear_latching: ClearLatching | None = None
    send_fingerprint: bytes = b""


FRAME_MS: Final = 20
FRAME: Final = FRAME_MS / 1000
"""Seconds of the media frame, in which every phase runs once."""

FEW_STREAMS: Final = 128
"""Number of streams up to which a phase receives before it sends."""

PHASE_TARGET: Final = 640
"""The most rows of a phase before another is used, where there is one.

The last packet of a phase waits for all others: see SENDING_TIME.  But a phase costs its wake-up
and some hundred calls of Python and NumPy however few rows it has, and after a short sleep finds
all of it in others' caches: with 256 for a target, 600 streams cost a quarter more.
"""

SENDING_TIME: Final = 0.004
"""Seconds in which the packets of one phase are to be made and sent; 5 ms count as late.  Where
they take longer, a phase is full with fewer rows than PHASE_TARGET, but FEW_STREAMS at least."""

PHASE_ROWS: Final = 2 * PHASE_TARGET
"""Maximum number of rows of one phase; with several phases each has PHASE_TARGET at least."""

MOST_PAYLOAD: Final = 1488
"""Octets of the largest payload: the space after the header in a packet of a batch."""

MAXIMUM_EVENTS: Final = 8192


ClearPacketCallback: TypeAlias = Callable[[bytes, int, npt.NDArray[np.uint8], bool], None]
"""Called with each packet in clear: its octets, the key of our socket, the padded remote address,
and whether it is outgoing."""


class StreamBank:
    """The state of `capacity` streams in `phases` phases of `phase_rows` rows each.

    `capacity` is rounded up to whole phases.  Each group of arrays is written by its owner only:
    `sender`, `grouping` (what is sent together), `receiver`, `addresses`, `delivery`, `newest` (the
    newest SRTP packets), `reception` (loss and jitter, for RTCP) and `playout` (jitter buffers).
    `offsets` are the seconds from the beginning of a frame to that of each phase.  `unclaimed`
    counts packets without an open row, `events_lost` events dropped because the queue was full.
    `next_reports` is the time before which no RTCP report is sent, so that many are at once.
    """

    def __init__(
        self,
        capacity: int = 8192,
        *,
        entropy: Entropy,
        adapt: Callable[[Source, int], Source] = same_rate,
        rtcp_interval: float = 5.0,
        stream_timeout: float = 30.0,
    ) -> None:
        self.entropy = entropy
        self.rtcp_interval = rtcp_interval
        self.stream_timeout = stream_timeout
        self.phases = 1 << max(0, -(-capacity // PHASE_ROWS) - 1).bit_length()
        self.phase_rows = -(-capacity // self.phases)
        capacity = self.capacity = self.phases * self.phase_rows
        self.streams: list[StreamObjects | None] = [None] * capacity
        self._generations = [0] * capacity
        self.sender = SenderBank(capacity)
        self.grouping = SendGroupingBank(capacity)
        self.receiver = ReceiverBank(capacity)
        self.addresses = AddressBank(capacity)
        self.delivery = DeliveryBank(capacity)
        self.receive_contexts: dict[int, ReceiveContext] = {}
        self.newest = NewestPackets(capacity, self.receive_contexts)
        self.sessions = SrtpSessions(capacity)
        self.demultiplexer = Demultiplexer()
        self.feeds = FeedTable(adapt)
        self.playout = JitterBufferBank(capacity, JitterBufferConfig(slot_octets=MOST_PAYLOAD))
        self.reception = ReceptionBank(capacity)
        self.reports: Timers[int] = Timers()
        self.next_reports = -math.inf
        self.digit_timers: Timers[int] = Timers()
        self.sending_digits: set[int] = set()
        self.events: list[MediaEvent] = []
        self.events_lost = self.unclaimed = 0
        self.plans: list[object | None] = [None] * self.phases
        self.changed_rows: set[int] = set()
        """The rows whose plan has been discarded and not been made again."""
        self.on_clear_packet: ClearPacketCallback | None = None
        self._concealment: dict[int, Concealment] = {}
        self._noise: dict[int, ComfortNoiseGenerator] = {}
        self._free = [
            list(range((phase + 1) * self.phase_rows - 1, phase * self.phase_rows - 1, -1))
            for phase in range(self.phases)
        ]
        self._used, self._packet_time = [0] * self.phases, 0.0
        bits = self.phases.bit_length() - 1
        self.offsets = [
            FRAME * int(f"{phase:0{bits}b}"[::-1], 2) / self.phases for phase in range(self.phases)
        ]

    # Rows ---------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return sum(self._used)

    def phase_of(self, row: int) -> int:
        """Return the phase that serves `row`."""
        return row // self.phase_rows

    def span(self, phase: int) -> slice:
        """Return the rows of `phase` as a slice."""
        return slice(phase * self.phase_rows, (phase + 1) * self.phase_rows)

    def used(self, phase: int) -> int:
        """Return how many rows of `phase` are in use."""
        return self._used[phase]

    def note_sending(self, packets: int, seconds: float) -> None:
        """Note how long it took to make and send the packets of a tick, for `phase_target`."""
        if not packets:
            return
        # One packet costs most of what a few cost: that says nothing of many, unless it is less.
        # A tick that had to wait for the processor counts for little.
        each = min(seconds, 2 * SENDING_TIME) / packets
        if packets >= FEW_STREAMS // 2 or each < self._packet_time:
            self._packet_time += (each - self._packet_time) / 16

    @property
    def phase_target(self) -> int:
        """The rows of a phase from which on another is used, if the bank has another."""
        if PHASE_TARGET * self._packet_time <= SENDING_TIME:
            return PHASE_TARGET
        return max(FEW_STREAMS, int(SENDING_TIME / self._packet_time))

    def _choose_phase(self) -> int:
        """Return the emptiest phase among as many as the number of streams requires."""
        wanted = len(self) + 1
        count = -(-wanted // self.phase_target)
        count = min(self.phases, 1 << (count - 1).bit_length())
        return min(range(count), key=self._used.__getitem__)

    def reserve_row(self) -> StreamObjects:
        """Reserve a row, with a new SSRC and handle.  Raises NoPortFree when all are in use."""
        phase = self._choose_phase()
        if not self._free[phase]:
            phase = min(range(self.phases), key=self._used.__getitem__)
        if not self._free[phase]:
            raise NoPortFree(f"all {self.capacity} streams of the media engine are in use")
        row = self._free[phase].pop()
        self._used[phase] += 1
        self.sender.begin_row(row, self.entropy)
        for group in (self.grouping, self.receiver, self.addresses, self.delivery):
            group.reset_row(row)
        stream = StreamObjects(StreamHandle(row, self._generations[row]))
        self.streams[row] = stream
        return stream

    def change_ssrc(self, row: int) -> None:
        """Continue RTP and RTCP with a new SSRC, a new sequence number and new sender counts.

        Called after a collision (RFC 3550 section 8.2) and whenever a send context is replaced.
        """
        self.sender.change_ssrc(row, self.entropy)
        stream = self.streams[row]
        if stream is None:
            return
        stream.packets_before = stream.reported_packets = int(self.sender.packets_sent[row])
        stream.octets_before = int(self.sender.octets_sent[row])
        if stream.rtcp is not None:
            stream.rtcp.ssrc = int(self.sender.ssrc[row])

    def release_row(self, handle: StreamHandle) -> None:
        """Release a row and close its SRTP contexts; its handle is stale from now on.

        Raises StaleHandle.
        """
        stream = self.find_stream(handle)
        row = handle.row
        self.newest.save_row(row)
        self.sessions.note_contexts(row, None, None)
        if stream.send_context is not None:
            stream.send_context.close()
        stream.receive_keys.close()
        if stream.feed is not None:
            self.feeds.release_feed(stream.feed)
        self.sender.set_flow(row, False)
        self.receiver.close_row(row)
        self.playout.close_row(row)
        self.reports.cancel(row)
        self.digit_timers.cancel(row)
        self.sending_digits.discard(row)
        self.receive_contexts.pop(row, None)
        self.demultiplexer.remove_row(row)
        self.streams[row] = None
        self._generations[row] += 1
        phase = self.phase_of(row)
        self._free[phase].append(row)
        self._used[phase] -= 1
        self.invalidate_plan(row)

    def find_stream(self, handle: StreamHandle) -> StreamObjects:
        """Return the objects of a row.  Raises StaleHandle."""
        stream = self.streams[handle.row] if 0 <= handle.row < self.capacity else None
        # Nearly always it is the very handle that was given out.
        if stream is None or (stream.handle is not handle and stream.handle != handle):
            raise StaleHandle(f"stream {handle.row}.{handle.generation} has been closed")
        return stream

    def find_open_stream(self, handle: StreamHandle) -> tuple[StreamObjects, StreamSpec]:
        """Return the objects and the spec of an open row.

        Raises StaleHandle, or LocalProtocolError before `open_stream`.
        """
        stream = self.find_stream(handle)
        if stream.spec is None:
            raise LocalProtocolError("the stream has not been opened")
        return stream, stream.spec

    def invalidate_plan(self, row: int) -> None:
        """Discard the plan of the row's phase, because what it sends or its sink has changed."""
        self.plans[row // self.phase_rows] = None
        self.changed_rows.add(row)

    def flagged_rows(self, phase: int, flag: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
        """Return the rows of `phase` where `flag` bool[capacity] is set, intp[k]."""
        span = self.span(phase)
        rows: npt.NDArray[np.intp] = flag[span].nonzero()[0]
        rows += span.start
        return rows

    def concealment(self, samples: int) -> Concealment:
        """Return the concealment of frames of `samples` samples; create it on first use."""
        found = self._concealment.get(samples)
        if found is None:
            found = self._concealment[samples] = Concealment(self.capacity, samples)
        return found

    def concealments(self) -> Iterable[Concealment]:
        """Return the concealments in use."""
        return self._concealment.values()

    def noise(self, samples: int) -> ComfortNoiseGenerator:
        """Return the comfort noise generator for frames of `samples` samples; create it on first
        use."""
        found = self._noise.get(samples)
        if found is None:
            seed = int.from_bytes(self.entropy(4), "big")
            found = self._noise[samples] = ComfortNoiseGenerator(
                self.capacity, samples=samples, seed=seed
            )
        return found

    # Events -------------------------------------------------------------------------------------

    def emit(self, event: MediaEvent) -> None:
        """Queue an event; beyond MAXIMUM_EVENTS, count it in `events_lost` instead."""
        if len(self.events) < MAXIMUM_EVENTS:
            self.events.append(event)
        else:
            self.events_lost += 1

    def take_events(self) -> list[MediaEvent]:
        """Remove and return the queued events."""
        events, self.events = self.events, []
        return events
