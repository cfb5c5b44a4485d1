"""The send half of a tick: read sources, encode, insert digits, write headers, protect.

The `SendGroup`s of a phase are kept in its `PhasePlan` from tick to tick; a command that changes
them invalidates the plan.  RFC 3550 section 5.1, RFC 3711, RFC 4733 section 2.5.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from softphone.media.arrays import count_nonzero
from softphone.media.bank import (
    FRAME_MS,
    NO_TYPE,
    AnyCodec,
    FeedGroup,
    PacketBatch,
    SourceFeed,
    StreamBank,
    StreamObjects,
    is_stateless,
)
from softphone.media.interface import PcmBlock, PlaybackEnded, Sink, StreamSpec
from softphone.media.kernel import BankKernel, SendPlaces
from softphone.media.tick.comfort_noise import PAUSE_NOISE_PAYLOAD, REPEAT
from softphone.media.tick.rtp_headers import HEADER_OCTETS, write_headers
from softphone.srtp import SendContext
from softphone_codecs import RowEncoder

logger = logging.getLogger("softphone.media")

Rows: TypeAlias = npt.NDArray[np.intp]
Octets: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SendMonitor:
    """A row whose sent sound is monitored, the place of its feed among those of the group, and the
    monitoring sink."""

    row: int
    at: int
    sink: Sink


@dataclass(frozen=True, slots=True)
class SendGroup:
    """k rows of one phase with the same codec and ptime, either all SRTP or all in clear.

    `feeds` are their sources; `which` intp[k] is the index of each row's feed.  `contexts` is empty
    in clear, `encoders` for a stateless codec.  `places` is where the packets go, `codes` the
    codec's `octet_codes`, if it has them.  `suppressing` bool[k]: the row sends nothing while its
    source has no samples.  `noise` uint8[k] is the payload type of comfort noise, or NO_TYPE.
    """

    codec: AnyCodec
    ptime_ms: int
    rows: Rows
    feeds: FeedGroup
    which: npt.NDArray[np.intp]
    contexts: tuple[SendContext, ...]
    places: SendPlaces
    suppressing: npt.NDArray[np.bool_]
    noise: Octets
    codes: Octets | None = None
    encoders: tuple[RowEncoder, ...] = ()
    monitored: tuple[SendMonitor, ...] = ()

    def select(self, keep: npt.NDArray[np.bool_]) -> SendGroup:
        """Return the group of the rows where `keep` bool[k] is true."""
        kept, rows, places = keep.nonzero()[0].tolist(), self.rows[keep], self.places
        return replace(
            self,
            rows=rows,
            which=self.which[keep],
            contexts=tuple(self.contexts[at] for at in kept) if self.contexts else (),
            places=SendPlaces(rows, places.port[keep], places.address[keep], places.feed[keep]),
            suppressing=self.suppressing[keep],
            noise=self.noise[keep],
            encoders=tuple(self.encoders[at] for at in kept) if self.encoders else (),
        )


def packets_due(frame: int, ptime_ms: int) -> range:
    """Return the numbers of the packets of `ptime_ms` that begin within frame `frame`.

    Packet i begins at i * ptime.  None, one or two packets begin in a frame of 20 ms.
    """
    return range(-(-frame * FRAME_MS // ptime_ms), -(-(frame + 1) * FRAME_MS // ptime_ms))


def make_send_groups(bank: StreamBank, phase: int) -> tuple[SendGroup, ...]:
    """Group the sending rows of `phase`; the rows of a group are sorted by socket."""
    groups: dict[tuple[str, int, int, bool], list[int]] = defaultdict(list)
    for row in bank.flagged_rows(phase, bank.sender.sends).tolist():
        _, spec, codec, _ = _parts(bank, row)
        groups[codec.name, codec.clock_rate, spec.ptime_ms, spec.secure].append(row)
    return tuple(_make_send_group(bank, rows) for rows in groups.values())


def _parts(bank: StreamBank, row: int) -> tuple[StreamObjects, StreamSpec, AnyCodec, SourceFeed]:
    stream = bank.streams[row]
    if stream is None or stream.spec is None or stream.codec is None or stream.feed is None:
        raise RuntimeError(f"row {row} sends without having been opened")
    return stream, stream.spec, stream.codec, stream.feed


def _make_send_group(bank: StreamBank, members: list[int]) -> SendGroup:
    members.sort(key=lambda row: int(bank.addresses.rtp_port[row]))
    _, spec, codec, _ = _parts(bank, members[0])
    feeds: dict[int, SourceFeed] = {}
    which, contexts, suppressing, encoders = [], [], [], []
    monitored: list[tuple[int, int, Sink]] = []
    for row in members:
        stream, own, _, feed = _parts(bank, row)
        silent = feed
        if stream.paused or bank.sender.muted[row]:
            silent = bank.feeds.silence(codec, spec.ptime_ms)
        feeds[id(silent)] = silent
        if not stream.paused:
            # The source of a muted row is still read.
            feeds[id(feed)] = feed
        which.append(id(silent))
        suppressing.append(own.silence_suppression or own.comfort_noise is not None)
        if stream.encoder is not None:
            encoders.append(stream.encoder)
        if stream.monitor is not None:
            monitored.append((row, id(silent), stream.monitor))
        if stream.send_context is not None:
            contexts.append(stream.send_context)
    if spec.secure and len(contexts) != len(members):
        raise RuntimeError("an SRTP stream has no context")
    place = {identity: at for at, identity in enumerate(feeds)}
    rows = np.array(members, dtype=np.intp)
    which_feed = np.array([place[identity] for identity in which], dtype=np.intp)
    group = FeedGroup(list(feeds.values()))
    return SendGroup(
        codec=codec,
        ptime_ms=spec.ptime_ms,
        rows=rows,
        feeds=group,
        which=which_feed,
        contexts=tuple(contexts),
        places=SendPlaces(
            rows, bank.addresses.rtp_port[rows], bank.addresses.remote[rows], group.rows[which_feed]
        ),
        suppressing=np.array(suppressing, dtype=np.bool_),
        noise=bank.sender.noise_type[rows],
        codes=codec.octet_codes if is_stateless(codec) else None,
        encoders=tuple(encoders),
        monitored=tuple(SendMonitor(row, place[feed], sink) for row, feed, sink in monitored),
    )


def send_rtp(
    bank: StreamBank,
    groups: Sequence[SendGroup],
    frame: int,
    out: PacketBatch,
    kernel: BankKernel | None = None,
) -> None:
    """Append to `out` the protected RTP packets that the groups send in `frame`."""
    if bank.on_clear_packet is not None:
        kernel = None
    for group in groups:
        for number in packets_due(frame, group.ptime_ms):
            _send_packets(bank, group, number, out, kernel)
    out.media = out.count


def _send_packets(
    bank: StreamBank,
    group: SendGroup,
    number: int,
    out: PacketBatch,
    kernel: BankKernel | None,
) -> None:
    feeds, speaking, short = group.feeds, group, True
    if kernel is None:
        feeds.read(number)
    else:
        short = kernel.advance(feeds, number)
    if group.monitored:
        write_monitors(bank, group, feeds.frames(), number)
    keep = _note_starved(bank, group) if short else None
    if keep is not None:
        speaking = group.select(keep)
        _send_noise(bank, group.select(~keep & (group.noise != NO_TYPE)), number, out)
        bank.sender.end_talkspurt(group.rows[~keep])
    if kernel is not None and not bank.sending_digits and _send_by(kernel, speaking, number, out):
        return
    if is_stateless(group.codec):
        _append_packets(bank, speaking, number, _payloads(speaking), out)
    else:
        _send_encoded(bank, speaking, number, feeds.frames(), out)


def _send_by(kernel: BankKernel, group: SendGroup, number: int, out: PacketBatch) -> bool:
    """Send by `kernel`; return False if it sent nothing."""
    places, contexts, milliseconds = group.places, group.contexts, group.ptime_ms * number
    if group.codes is not None:
        return kernel.send_frames(out, group.feeds, places, contexts, milliseconds, group.codes)
    if group.encoders:
        return False
    return kernel.send(out, _payloads(group), places, contexts, milliseconds)


def _payloads(group: SendGroup) -> Octets:
    """Return the encoded current frames of a stateless codec, uint8[k, size], or uint8[1, size] for
    all rows; a source that several rows share is encoded once."""
    if not is_stateless(group.codec):
        raise RuntimeError(f"{group.codec.name} is not encoded in batches")
    payloads, _ = group.codec.encode(group.feeds.frames())
    return payloads[group.which] if len(payloads) > 1 else payloads


def _send_encoded(
    bank: StreamBank,
    group: SendGroup,
    number: int,
    frames: npt.NDArray[np.int16],
    out: PacketBatch,
) -> None:
    """Send with stateful codecs: each row has its own encoder, and sends nothing on DTX.

    `frames` int16[len(group.feeds), samples] is what the feeds have.
    """
    encoded = [
        encoder.encode(frames[at])
        for encoder, at in zip(group.encoders, group.which.tolist(), strict=True)
    ]
    length = np.array([len(each) for each in encoded], dtype=np.int32)
    speaks = length > 0
    if count_nonzero(speaks) != speaks.size:
        if bank.sending_digits:
            speaks |= np.isin(group.rows, list(bank.sending_digits))
        bank.sender.end_talkspurt(group.rows[~speaks])
        encoded = [each for each, kept in zip(encoded, speaks.tolist(), strict=True) if kept]
        group, length = group.select(speaks), length[speaks]
    if not encoded:
        return
    size = max(int(length.max()), 1)
    octets = b"".join(each.ljust(size, b"\0") for each in encoded)
    payloads = np.frombuffer(octets, dtype=np.uint8).reshape(len(encoded), size)
    _append_packets(bank, group, number, payloads, out, length=length)


def _send_noise(bank: StreamBank, group: SendGroup, number: int, out: PacketBatch) -> None:
    """Send comfort noise at the beginning of a pause and every REPEAT packets (RFC 3389 4)."""
    due = bank.sender.talking[group.rows] | (number % REPEAT == 0)
    group = group.select(due)
    payload = np.frombuffer(PAUSE_NOISE_PAYLOAD, dtype=np.uint8)[None, :]
    _append_packets(bank, group, number, payload, out, kind=group.noise)


def _append_packets(
    bank: StreamBank,
    group: SendGroup,
    number: int,
    payloads: Octets,
    out: PacketBatch,
    *,
    length: npt.NDArray[np.int32] | None = None,
    kind: Octets | None = None,
) -> None:
    """Append a packet for each row to `out`, with headers, and protect it under SRTP.

    `payloads` is uint8[k, size], or uint8[1, size] for all rows.  `length` int32[k] gives the
    payload lengths if they differ; `kind` uint8[k] replaces the rows' payload types.  Packets
    beyond the capacity of `out` are not sent.
    """
    start, stop = out.count, min(out.count + len(group.rows), out.capacity)
    count = stop - start
    if count == 0:
        return
    span = slice(start, stop)
    rows, size = group.rows[:count], payloads.shape[1]
    out.data[span, HEADER_OCTETS : HEADER_OCTETS + size] = payloads[:count]
    out.length[span] = HEADER_OCTETS + (size if length is None else length[:count])
    out.row[span], out.port[span], out.address[span] = (
        rows, group.places.port[:count], group.places.address[:count],
    )  # fmt: skip
    out.count = stop
    milliseconds = group.ptime_ms * number
    types, sequence, timestamp = bank.sender.advance(rows, milliseconds, kind)
    if bank.sending_digits and kind is None:
        for at in np.isin(rows, list(bank.sending_digits)).nonzero()[0].tolist():
            place = PacketSlot(start + at, at, milliseconds, out)
            _write_telephone_event(bank, int(rows[at]), place, types, timestamp)
    write_headers(out, span, types, sequence, timestamp, bank.sender.ssrc[rows])
    sent = out.length[span] - HEADER_OCTETS
    if bank.on_clear_packet is not None:
        for at in range(start, stop):
            bank.on_clear_packet(out.packet(at), int(out.port[at]), out.address[at], True)
    if group.contexts:
        contexts = group.contexts[:count]
        statuses = out.cipher.protect(range(start, stop), contexts, out.length)
        if any(statuses):
            # A refused packet has length 0; `run_send_half` removes it with `drop_empty`.
            sent = np.where(np.array(statuses) == 0, sent, 0)
    bank.sender.count_packets(rows, sent)


class PacketSlot(NamedTuple):
    """The position of a packet in `out` (`slot`) and in its `SendGroup` (`at`), and its media time
    in ms."""

    slot: int
    at: int
    milliseconds: int
    out: PacketBatch


def _write_telephone_event(
    bank: StreamBank,
    row: int,
    place: PacketSlot,
    kind: Octets,
    timestamp: npt.NDArray[np.uint32],
) -> None:
    stream = bank.streams[row]
    if stream is None or stream.event_sender is None or stream.spec is None:
        return
    # A telephone-event clock of another rate than the codec's starts at the same media time.
    clock = int(bank.sender.clock_rate[row])
    rate = stream.spec.telephone_event_rate or clock
    packet = stream.event_sender.poll(place.milliseconds * rate // 1000)
    if stream.event_sender.idle:
        bank.sending_digits.discard(row)
    if packet is None:
        return
    out, slot = place.out, place.slot
    kind[place.at] = bank.sender.telephone_event[row] | packet.marker << 7
    begin = int(bank.sender.timestamp_base[row]) + packet.timestamp * clock // rate
    timestamp[place.at] = begin & 0xFFFFFFFF
    payload = np.frombuffer(packet.payload, dtype=np.uint8)
    out.data[slot, HEADER_OCTETS : HEADER_OCTETS + len(payload)] = payload
    out.length[slot] = HEADER_OCTETS + len(payload)
    # RFC 4733 2.5.1.2: sound after the event begins a new talkspurt.
    bank.sender.end_talkspurt(row)


def _note_starved(bank: StreamBank, group: SendGroup) -> npt.NDArray[np.bool_] | None:
    """Count starved feeds and emit PlaybackEnded for ended ones; return a mask of the rows that
    still send, or None for all."""
    short = group.feeds.short_feeds()
    if not short:
        return None
    starved, empty = [False] * len(group.feeds), [False] * len(group.feeds)
    for at, feed, count in short:
        ended = feed.reader is None or feed.reader.source.ended
        starved[at], empty[at] = not ended, count == 0
        if ended and not count:
            _end_playback(bank, feed, group.rows)
    if any(starved):
        bank.sender.count_starved(group.rows[np.array(starved)[group.which]])
    if not any(empty):
        return None
    silent = np.array(empty)[group.which] & group.suppressing
    if not count_nonzero(silent):
        return None
    rows = group.rows[silent].tolist()
    for place, row in zip(silent.nonzero()[0].tolist(), rows, strict=True):
        silent[place] = row not in bank.sending_digits
    return ~silent


def _end_playback(bank: StreamBank, feed: SourceFeed, rows: Rows) -> None:
    for row in rows.tolist():
        stream = bank.streams[row]
        if stream is None or stream.feed is not feed or stream.codec is None:
            continue
        bank.emit(PlaybackEnded(stream.handle))
        stream.source = None
        bank.feeds.release_feed(feed)
        ptime_ms = stream.spec.ptime_ms if stream.spec is not None else FRAME_MS
        stream.feed = bank.feeds.acquire_feed(None, stream.codec, ptime_ms)
        bank.invalidate_plan(row)


# Monitors ---------------------------------------------------------------------------------------


def write_monitors(
    bank: StreamBank, group: SendGroup, frames: npt.NDArray[np.int16], number: int
) -> None:
    """Write to each monitoring sink what its row sends in packet `number`, before encoding.

    `frames` int16[len(group.feeds), samples] is what the feeds have.

    A monitor gets the samples of the source, or silence without a source and while the stream is
    muted.  It does not get digits, which are not sound (RFC 4733).  Its blocks have the same media
    time as received ones, so that both directions of a call can be aligned.
    """
    rate = group.codec.sample_rate
    for each in group.monitored:
        pcm = frames[each.at].copy()
        milliseconds = (
            number * group.ptime_ms - int(bank.delivery.opened_frame[each.row]) * FRAME_MS
        )
        generation = int(bank.delivery.security_generation[each.row])
        try:
            each.sink.write(PcmBlock(pcm, rate, milliseconds * rate // 1000, generation))
        except Exception:
            # The sink is the application's; an error in it must not stop other streams.
            logger.exception("a monitor of what is sent failed; it is taken off its stream")
            _detach_monitor(bank, each)


def _detach_monitor(bank: StreamBank, each: SendMonitor) -> None:
    stream = bank.streams[each.row]
    if stream is not None and stream.monitor is each.sink:
        stream.monitor = None
        bank.invalidate_plan(each.row)
