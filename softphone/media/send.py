"""The sending half of a tick: sources, encoding, digits, headers, SRTP.

What does not change from tick to tick is kept in a `SendPlan` a phase; a command that changes it
throws the plan away.  RFC 3550 section 5.1, RFC 3711, RFC 4733 section 2.5.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from softphone.media.bank import FRAME_MS, StreamBank
from softphone.media.batch import PacketBatch
from softphone.media.feed import Feed, collect
from softphone.media.monitor import Monitored, tell_monitors
from softphone.media.packetize import HEADER_OCTETS, write_headers
from softphone.media.port import PlaybackEnded, StreamSpec
from softphone.media.stream import Stream
from softphone.srtp import SendContext
from softphone_codecs import Codec

__all__ = ["Cohort", "make_cohorts", "media_position", "packets_due", "send"]

Rows: TypeAlias = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Cohort:
    """Rows of one phase that agree in codec, ptime and in whether they are SRTP; k of them.

    `feeds` are what they send, `which` intp[k] tells whose is whose; `contexts` is empty in
    clear.  `port` int32[k] and `address` uint8[k, 32] are where the packets go.
    """

    codec: Codec
    ptime_ms: int
    rows: Rows
    feeds: tuple[Feed, ...]
    which: npt.NDArray[np.intp]
    contexts: tuple[SendContext, ...]
    port: npt.NDArray[np.int32]
    address: npt.NDArray[np.uint8]
    suppressing: npt.NDArray[np.bool_]
    monitored: tuple[Monitored, ...] = ()

    @property
    def lone(self) -> bool:
        """Whether each row has a feed of its own, in order."""
        return len(self.feeds) == len(self.rows)


def packets_due(frame: int, ptime_ms: int) -> range:
    """The numbers of the packets of `ptime_ms` that begin within frame `frame`.

    Packet i begins at i * ptime; a frame of 20 ms begins none, one or two.
    """
    return range(-(-frame * FRAME_MS // ptime_ms), -(-(frame + 1) * FRAME_MS // ptime_ms))


def media_position(milliseconds: int, clock_rate: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    """RTP clock ticks of a media time, modulo 2^32."""
    ticks: npt.NDArray[np.uint32] = (milliseconds * clock_rate // 1000 & 0xFFFFFFFF).astype(
        np.uint32
    )
    return ticks


def make_cohorts(bank: StreamBank, phase: int) -> tuple[Cohort, ...]:
    """Sort the sending rows of `phase` into cohorts, neighbors by socket."""
    groups: dict[tuple[str, int, int, bool], list[int]] = defaultdict(list)
    for row in bank.rows(phase, bank.sends).tolist():
        _, spec, codec, _ = _parts(bank, row)
        groups[codec.name, codec.clock_rate, spec.ptime_ms, spec.secure].append(row)
    return tuple(_make_cohort(bank, rows) for rows in groups.values())


def _parts(bank: StreamBank, row: int) -> tuple[Stream, StreamSpec, Codec, Feed]:
    stream = bank.streams[row]
    if stream is None or stream.spec is None or stream.codec is None or stream.feed is None:
        raise RuntimeError(f"row {row} sends without having been opened")
    return stream, stream.spec, stream.codec, stream.feed


def _make_cohort(bank: StreamBank, members: list[int]) -> Cohort:
    members.sort(key=lambda row: int(bank.rtp_port[row]))
    _, spec, codec, _ = _parts(bank, members[0])
    feeds: dict[int, Feed] = {}
    which, contexts, suppressing = [], [], []
    monitored: list[Monitored] = []
    for row in members:
        stream, own, _, feed = _parts(bank, row)
        feeds[id(feed)] = feed
        silent = bank.feeds.silence(codec, spec.ptime_ms) if bank.muted[row] else feed
        feeds[id(silent)] = silent
        which.append(id(silent))
        suppressing.append(own.silence_suppression)
        if stream.monitor is not None:
            monitored.append(Monitored(row, silent, stream.monitor))
        if stream.send_context is not None:
            contexts.append(stream.send_context)
    if spec.secure and len(contexts) != len(members):
        raise RuntimeError("an SRTP stream has no context")
    place = {identity: at for at, identity in enumerate(feeds)}
    rows = np.array(members, dtype=np.int32)
    return Cohort(
        codec=codec,
        ptime_ms=spec.ptime_ms,
        rows=rows,
        feeds=tuple(feeds.values()),
        which=np.array([place[identity] for identity in which], dtype=np.intp),
        contexts=tuple(contexts),
        port=bank.rtp_port[rows],
        address=bank.remote[rows],
        suppressing=np.array(suppressing, dtype=np.bool_),
        monitored=tuple(monitored),
    )


def send(bank: StreamBank, cohorts: Sequence[Cohort], frame: int, out: PacketBatch) -> None:
    """Put into `out` the RTP that the cohorts send in `frame`, protected."""
    for cohort in cohorts:
        for number in packets_due(frame, cohort.ptime_ms):
            _send_packets(bank, cohort, number, out)
    out.media = out.count


def _send_packets(bank: StreamBank, cohort: Cohort, number: int, out: PacketBatch) -> None:
    payloads = collect(cohort.feeds, number)
    if cohort.monitored:
        tell_monitors(bank, cohort.monitored, number, cohort.ptime_ms)
    keep = _note_starved(bank, cohort)
    rows, which, port, address = cohort.rows, cohort.which, cohort.port, cohort.address
    contexts: Sequence[SendContext] = cohort.contexts
    if keep is not None:
        rows, which, port, address = rows[keep], which[keep], port[keep], address[keep]
        contexts = [contexts[at] for at in np.flatnonzero(keep).tolist()] if contexts else contexts
    start, stop = out.count, min(out.count + len(rows), out.capacity)
    count = stop - start
    if count == 0:
        return
    span = slice(start, stop)
    rows, size = rows[:count], payloads.shape[1]
    if cohort.lone and keep is None:
        chosen = payloads[:count]
    else:
        chosen = payloads if len(payloads) == 1 else payloads[which[:count]]
    out.data[span, HEADER_OCTETS : HEADER_OCTETS + size] = chosen
    out.length[span] = HEADER_OCTETS + size
    out.row[span], out.port[span], out.address[span] = rows, port[:count], address[:count]
    out.count = stop
    _write(bank, rows, cohort.ptime_ms * number, span, out)
    sent = out.length[span] - HEADER_OCTETS
    if contexts:
        statuses = out.cipher.protect(range(start, stop), contexts[:count], out.length)
        if any(statuses):
            # A refused packet has length 0 now; pipeline.tick closes up over it.
            sent = np.where(np.array(statuses) == 0, sent, 0)
    bank.packets_sent[rows] += sent > 0
    bank.octets_sent[rows] += sent


def _write(bank: StreamBank, rows: Rows, milliseconds: int, span: slice, out: PacketBatch) -> None:
    """Write the headers, and digits in the place of sound."""
    timestamp = media_position(milliseconds, bank.clock_rate[rows])
    timestamp += bank.timestamp_base[rows]
    kind: npt.NDArray[np.uint8] = (~bank.talking[rows]).astype(np.uint8)
    kind *= np.uint8(0x80)
    kind |= bank.payload_type[rows]
    bank.talking[rows] = True
    sequence = bank.sequence[rows]
    bank.sequence[rows] = sequence + np.uint16(1)
    if bank.dialing:
        for at in np.flatnonzero(np.isin(rows, list(bank.dialing))).tolist():
            _dial(bank, int(rows[at]), at, (kind, timestamp), (span.start + at, out))
    write_headers(
        out,
        span,
        payload_type=kind,
        sequence=sequence,
        timestamp=timestamp,
        ssrc=bank.ssrc[rows],
    )


def _dial(
    bank: StreamBank,
    row: int,
    at: int,
    fields: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32]],
    place: tuple[int, PacketBatch],
) -> None:
    stream = bank.streams[row]
    if stream is None or stream.event_sender is None:
        return
    kind, timestamp = fields
    slot, out = place
    packet = stream.event_sender.poll(int(timestamp[at]))
    if stream.event_sender.idle:
        bank.dialing.discard(row)
    if packet is None:
        return
    kind[at] = bank.telephone_event[row] | packet.marker << 7
    timestamp[at] = packet.timestamp
    payload = np.frombuffer(packet.payload, dtype=np.uint8)
    out.data[slot, HEADER_OCTETS : HEADER_OCTETS + len(payload)] = payload
    out.length[slot] = HEADER_OCTETS + len(payload)
    # RFC 4733 2.5.1.2: sound that follows begins a talkspurt of its own.
    bank.talking[row] = False


def _note_starved(bank: StreamBank, cohort: Cohort) -> npt.NDArray[np.bool_] | None:
    """Count feeds that had too little, tell those that ended, and say which rows still send.

    None: all of them.
    """
    hungry = [
        at
        for at, feed in enumerate(cohort.feeds)
        if feed.reader is not None and feed.reader.count < feed.reader.samples
    ]
    if not hungry:
        return None
    silent = np.zeros(len(cohort.rows), dtype=np.bool_)
    for at in hungry:
        members = cohort.which == at
        reader = cohort.feeds[at].reader
        if reader is None:
            continue
        if reader.ended:
            _end_playback(bank, cohort.feeds[at], cohort.rows)
        elif not reader.source.ended:
            bank.starved[cohort.rows[members]] += 1
        if reader.count == 0:
            silent |= members & cohort.suppressing
    if not np.count_nonzero(silent):
        return None
    rows = cohort.rows[silent].tolist()
    for place, row in zip(np.flatnonzero(silent).tolist(), rows, strict=True):
        silent[place] = row not in bank.dialing
    bank.talking[cohort.rows[silent]] = False
    return ~silent


def _end_playback(bank: StreamBank, feed: Feed, rows: Rows) -> None:
    for row in rows.tolist():
        stream = bank.streams[row]
        if stream is None or stream.feed is not feed or stream.codec is None:
            continue
        bank.emit(PlaybackEnded(stream.handle))
        stream.source = None
        bank.feeds.release(feed)
        ptime_ms = stream.spec.ptime_ms if stream.spec is not None else FRAME_MS
        stream.feed = bank.feeds.acquire(None, stream.codec, ptime_ms)
        bank.replan(row)
