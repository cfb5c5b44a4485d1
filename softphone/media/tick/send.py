"""The send half of a tick: read sources, encode, insert digits, write headers, protect.

The `SendGroup`s of a phase are kept in its `PhasePlan` from tick to tick; a command that changes
them invalidates the plan.  RFC 3550 section 5.1, RFC 3711, RFC 4733 section 2.5.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
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
    FrameBank,
    PacketBatch,
    SendFormat,
    SendGroupingBank,
    SourceReader,
    StreamBank,
    is_stateless,
)
from softphone.media.interface import PcmBlock, PlaybackEnded, Sink
from softphone.media.kernel import BankKernel, SendPlaces
from softphone.media.tick.comfort_noise import PAUSE_NOISE_PAYLOAD, REPEAT
from softphone.media.tick.rtp_headers import HEADER_OCTETS, write_headers
from softphone.srtp import SendContext

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

    `feeds` are their sources; `which` intp[k] is the index of each row's feed.  `places` is where
    the packets go, `codes` the codec's `octet_codes`, if it has them.  `suppressing` bool[k]: the
    row sends nothing while its source has no samples.  `noise` uint8[k] is the payload type of
    comfort noise, or NO_TYPE.
    """

    codec: AnyCodec
    ptime_ms: int
    rows: Rows
    feeds: FeedGroup
    which: npt.NDArray[np.intp]
    places: SendPlaces
    suppressing: npt.NDArray[np.bool_]
    noise: Octets
    codes: Octets | None = None
    monitored: tuple[SendMonitor, ...] = ()

    def select(self, keep: npt.NDArray[np.bool_]) -> SendGroup:
        """Return the group of the rows where `keep` bool[k] is true."""
        rows, places = self.rows[keep], self.places
        return replace(
            self,
            rows=rows,
            which=self.which[keep],
            places=SendPlaces(
                rows,
                places.port[keep],
                places.address[keep],
                places.feed[keep],
                secure=places.secure,
            ),
            suppressing=self.suppressing[keep],
            noise=self.noise[keep],
        )


def packets_due(frame: int, ptime_ms: int) -> range:
    """Return the numbers of the packets of `ptime_ms` that begin within frame `frame`.

    Packet i begins at i * ptime.  None, one or two packets begin in a frame of 20 ms.
    """
    return range(-(-frame * FRAME_MS // ptime_ms), -(-(frame + 1) * FRAME_MS // ptime_ms))


def make_send_groups(bank: StreamBank, phase: int) -> tuple[SendGroup, ...]:
    """Group the sending rows of `phase`; the rows of a group are sorted by socket."""
    while bank.changed_rows:
        _note_row(bank, bank.changed_rows.pop())
    rows = bank.flagged_rows(phase, bank.sender.sends)
    formats = bank.grouping.format[rows]
    groups = []
    while rows.size:
        alike = formats == formats[0]
        groups.append(_make_send_group(bank, formats.item(0), rows[alike]))
        rows, formats = rows[~alike], formats[~alike]
    return tuple(groups)


def _note_row(bank: StreamBank, row: int) -> None:
    """Note what a row contributes to its group; nothing of one that is not open."""
    stream = bank.streams[row]
    if stream is None or stream.spec is None or stream.codec is None or stream.feed is None:
        return
    spec, grouping = stream.spec, bank.grouping
    muted = bool(bank.sender.muted[row])
    grouping.note_format(row, SendFormat(stream.codec, spec.ptime_ms, spec.secure))
    grouping.note_sound(row, stream.feed, muted=muted, paused=stream.paused)
    grouping.note_use(
        row,
        suppressing=spec.silence_suppression or spec.comfort_noise is not None,
        monitored=stream.monitor is not None,
    )


def _make_send_group(bank: StreamBank, number: int, rows: Rows) -> SendGroup:
    if number < 0:
        raise RuntimeError(f"row {rows[0]} sends without having been opened")
    grouping, chosen = bank.grouping, bank.grouping.formats[number]
    rows = rows[bank.addresses.rtp_port[rows].argsort(kind="stable")]
    feeds, which = _select_feeds(bank.feeds.banks[chosen.samples], grouping, rows)
    return SendGroup(
        codec=chosen.codec,
        ptime_ms=chosen.ptime_ms,
        rows=rows,
        feeds=feeds,
        which=which,
        places=SendPlaces(
            rows,
            bank.addresses.rtp_port[rows],
            bank.addresses.remote[rows],
            grouping.sent[rows],
            secure=chosen.secure,
        ),
        suppressing=grouping.suppressing[rows],
        noise=bank.sender.noise_type[rows],
        codes=chosen.codec.octet_codes if is_stateless(chosen.codec) else None,
        monitored=tuple(_monitors(bank, rows, which)),
    )


def _select_feeds(
    frames: FrameBank, grouping: SendGroupingBank, rows: Rows
) -> tuple[FeedGroup, Rows]:
    """Return what is read for `rows`, each once and in their order, and the place of what each row
    sends among them, intp[k]."""
    read = np.column_stack((grouping.sent[rows], grouping.read[rows])).ravel()
    order, place = np.arange(read.size), np.empty(len(frames.number), dtype=np.intp)
    place[read[::-1]] = order[::-1]  # the first place of each
    distinct = read[place[read] == order]
    place[distinct] = order[: distinct.size]
    return FeedGroup(frames, distinct), place[read[::2]]


def _monitors(bank: StreamBank, rows: Rows, which: Rows) -> Iterator[SendMonitor]:
    for at in bank.grouping.monitored[rows].nonzero()[0].tolist():
        stream = bank.streams[rows[at]]
        if stream is not None and stream.monitor is not None:
            yield SendMonitor(rows.item(at), which.item(at), stream.monitor)


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
    places, milliseconds = group.places, group.ptime_ms * number
    if group.codes is not None:
        return kernel.send_frames(out, group.feeds, places, milliseconds, group.codes)
    if not is_stateless(group.codec):
        return False
    return kernel.send(out, _payloads(group), places, milliseconds)


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
    encoded = []
    for row, at in zip(group.rows.tolist(), group.which.tolist(), strict=True):
        stream = bank.streams[row]
        if stream is None or stream.encoder is None:
            raise RuntimeError(f"row {row} has no encoder")
        encoded.append(stream.encoder.encode(frames[at]))
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
    if group.places.secure:
        statuses = out.cipher.protect(range(start, stop), _contexts(bank, rows), out.length)
        if any(statuses):
            # A refused packet has length 0; `run_send_half` removes it with `drop_empty`.
            sent = np.where(np.array(statuses) == 0, sent, 0)
    bank.sender.count_packets(rows, sent)


def _contexts(bank: StreamBank, rows: Rows) -> list[SendContext]:
    streams = [bank.streams[row] for row in rows.tolist()]
    contexts = [None if stream is None else stream.send_context for stream in streams]
    found = [context for context in contexts if context is not None]
    if len(found) != rows.size:
        raise RuntimeError("an SRTP stream has no context")
    return found


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
    """Count starved readers and emit PlaybackEnded for ended ones; return a mask of the rows that
    still send, or None for all."""
    short = group.feeds.short_readers()
    if not short:
        return None
    starved, empty = [False] * len(group.feeds), [False] * len(group.feeds)
    for at, reader, count in short:
        ended = reader.source.ended
        starved[at], empty[at] = not ended, count == 0
        if ended and not count:
            _end_playback(bank, reader, group.rows)
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


def _end_playback(bank: StreamBank, reader: SourceReader, rows: Rows) -> None:
    for row in rows.tolist():
        stream = bank.streams[row]
        feed = None if stream is None else stream.feed
        if stream is None or feed is None or feed.reader is not reader or stream.codec is None:
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
