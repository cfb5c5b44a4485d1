"""Delivery from jitter buffers to sinks: one frame of every receiving row per tick.

Only rows with a sink are decoded; the buffers of the others are only advanced.  Each block carries
its row's security generation, so that a reader can drop sound received at another security level.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from softphone.media.arrays import count_nonzero
from softphone.media.audio.block_batch import BlockPage, BlockQueue
from softphone.media.audio.fan_out import BatchWriter
from softphone.media.bank import (
    FRAME_MS,
    AnyCodec,
    StreamBank,
    is_stateful,
    is_stateless,
    payload_layout,
)
from softphone.media.interface import Sink
from softphone.media.kernel import BankKernel, ReceivePlaces
from softphone.media.playout import CONCEALED, PLAYED, PlayoutFrames
from softphone.media.tick.codec_change import switch_decoder
from softphone.media.tick.comfort_noise import fill_pauses


@dataclass(frozen=True, slots=True)
class ReceiveGroup:
    """k rows of one phase with sinks and the same codec.

    `at` intp[k] is their index among the receiving rows of the phase; `places` has both for the
    kernel.  `writer` writes to `sinks` what is put into `queue`.  `values` are the codec's
    `octet_values`, if it has them.
    """

    codec: AnyCodec
    rows: npt.NDArray[np.intp]
    at: npt.NDArray[np.intp]
    places: ReceivePlaces
    sinks: tuple[Sink, ...]
    queue: BlockQueue
    writer: BatchWriter
    values: npt.NDArray[np.int16] | None = None


def make_receive_groups(
    bank: StreamBank, receiving: npt.NDArray[np.intp]
) -> tuple[ReceiveGroup, ...]:
    """Group the receiving rows that have a sink by codec."""
    groups: dict[tuple[str, int], list[tuple[int, int, AnyCodec, Sink]]] = defaultdict(list)
    for at, row in enumerate(receiving.tolist()):
        stream = bank.streams[row]
        if stream is None or stream.sink is None or stream.receive_codec is None:
            continue
        key = stream.receive_codec.name, stream.receive_codec.clock_rate
        groups[key].append((at, row, stream.receive_codec, stream.sink))
    return tuple(_make_receive_group(bank, members) for members in groups.values())


def _make_receive_group(
    bank: StreamBank, members: list[tuple[int, int, AnyCodec, Sink]]
) -> ReceiveGroup:
    codec, sinks = members[0][2], tuple(sink for _, _, _, sink in members)
    rows = np.array([row for _, row, _, _ in members], dtype=np.intp)
    # A command that changes one of these discards the plan, and with it this group.
    queue = BlockQueue(
        codec.sample_rate,
        codec.sample_rate * FRAME_MS // 1000,
        bank.delivery.opened_frame[rows].tolist(),
        bank.delivery.security_generation[rows].tolist(),
    )
    at = np.array([at for at, _, _, _ in members], dtype=np.intp)
    return ReceiveGroup(
        codec=codec,
        rows=rows,
        at=at,
        places=ReceivePlaces(rows, at, codec.clock_rate),
        sinks=sinks,
        queue=queue,
        writer=BatchWriter(sinks, codec.sample_rate, queue),
        values=codec.octet_values if is_stateless(codec) else None,
    )


def deliver_frames(
    bank: StreamBank,
    receiving: npt.NDArray[np.intp],
    groups: Sequence[ReceiveGroup],
    frames: PlayoutFrames,
    frame: int,
    since_1970: float,
    kernel: BankKernel | None = None,
) -> None:
    """Decode `frames`, which the `receiving` rows of a phase play in media frame `frame`, and write
    them to sinks.

    `since_1970` are the seconds from 1970 to zero of the monotonic clock.  With `kernel`, `frames`
    are those that its `next_frames` has returned last.
    """
    if kernel is None or kernel.any_odd:
        groups = _switch_decoders(bank, receiving, groups, frames)
    for group in groups:
        _fill_frame(bank, group, frames, since_1970, kernel)
        for at in group.writer.write_next(group.queue, frame):
            _detach_sink(bank, int(group.rows[at]), group.sinks[at])


def _switch_decoders(
    bank: StreamBank,
    receiving: npt.NDArray[np.intp],
    groups: Sequence[ReceiveGroup],
    frames: PlayoutFrames,
) -> Sequence[ReceiveGroup]:
    """Change the decoders of rows that play another payload type; return the groups then."""
    odd = (frames.payload_type != bank.delivery.playing_type[receiving]) & (frames.status == PLAYED)
    if not count_nonzero(odd):
        return groups
    for at in odd.nonzero()[0].tolist():
        switch_decoder(bank, int(receiving[at]), int(frames.payload_type[at]))
    return make_receive_groups(bank, receiving)


def _fill_frame(
    bank: StreamBank,
    group: ReceiveGroup,
    frames: PlayoutFrames,
    since_1970: float,
    kernel: BankKernel | None,
) -> None:
    """Put the frames of a group into its queue: by `kernel` those that it can, others by NumPy."""
    page, place = group.queue.next_place()
    rest = None
    if kernel is not None and group.values is not None:
        rest = kernel.decode(group.values, group.places, page, place, since_1970)
    if rest is None:
        page.pcm[place] = _decode(bank, group, frames)
        _describe_blocks(bank, group, frames, since_1970, page, place)
    elif rest.size:
        others = replace(group, rows=group.rows[rest], at=group.at[rest])
        page.pcm[place, rest] = _decode(bank, others, frames)


def _decode(bank: StreamBank, group: ReceiveGroup, frames: PlayoutFrames) -> npt.NDArray[np.int16]:
    codec, at = group.codec, group.at
    samples = codec.sample_rate * FRAME_MS // 1000
    status, spliced = frames.status[at], frames.spliced[at]
    played = status == PLAYED
    if is_stateful(codec):
        pcm, filled = _decode_each(bank, group, frames, samples, spliced)
    else:
        pcm = _decode_batch(bank, group, frames, played, samples)
        filled = played
    if count_nonzero(bank.delivery.pause_state[group.rows]):
        noisy, edge = fill_pauses(bank, group.rows, pcm, played)
        spliced |= edge
        filled = filled | noisy
    known = np.where(filled, PLAYED, status)
    energy = bank.concealment(samples).apply(group.rows, pcm, known, spliced)
    bank.playout.observe_energy(group.rows, energy)
    return pcm


def _decode_each(
    bank: StreamBank,
    group: ReceiveGroup,
    frames: PlayoutFrames,
    samples: int,
    spliced: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.bool_]]:
    """Decode the rows of a stateful codec.

    Return int16[k, samples] and a mask bool[k] of the rows with sound.  Set `spliced` where a frame
    does not follow the row's last one.
    """
    at = group.at
    octets = min(_octets(bank, group.codec), max(int(frames.length[at].max()), 1))
    data = bank.playout.payload(group.rows, frames.slot[at], octets)
    pcm = np.zeros((len(at), samples), dtype=np.int16)
    filled = np.zeros(len(at), dtype=np.bool_)
    fields = zip(
        group.rows.tolist(), frames.status[at].tolist(), frames.length[at].tolist(), strict=True
    )
    for place, (row, status, length) in enumerate(fields):
        stream = bank.streams[row]
        if stream is None or stream.stateful_decoder is None:
            continue
        refused = stream.stateful_decoder.refused
        several: list[bytes] = []
        if status == PLAYED:
            several = bank.playout.take_joined(row, int(frames.slot[at[place]]))
        payload = data[place, :length].tobytes()
        frame = stream.stateful_decoder.next_frame(status, payload, samples, several=several)
        if stream.stateful_decoder.refused != refused:
            bank.receiver.count_malformed(row, stream.stateful_decoder.refused - refused)
        if frame.pcm is not None:
            pcm[place], filled[place] = frame.pcm, True
            spliced[place] |= frame.spliced
    return pcm, filled


def _octets(bank: StreamBank, codec: AnyCodec) -> int:
    """Return the number of octets of a slot that a frame may use."""
    clock = payload_layout(codec)
    whole = clock.clock_rate * FRAME_MS // 1000 * clock.octets_per_tick
    return whole or bank.playout.config.slot_octets


def _decode_batch(
    bank: StreamBank,
    group: ReceiveGroup,
    frames: PlayoutFrames,
    played: npt.NDArray[np.bool_],
    samples: int,
) -> npt.NDArray[np.int16]:
    codec, at = group.codec, group.at
    if not is_stateless(codec):
        raise RuntimeError(f"{codec.name} is not decoded in batches")
    octets = _octets(bank, codec)
    if count_nonzero(played) == played.size:
        rows, slots, length = group.rows, frames.slot[at], frames.length[at]
        pcm: npt.NDArray[np.int16] = codec.decode(bank.playout.payload(rows, slots, octets), length)
    else:
        pcm = np.zeros((len(at), samples), dtype=np.int16)
        if count_nonzero(played):
            rows, chosen = group.rows[played], at[played]
            payload = bank.playout.payload(rows, frames.slot[chosen], octets)
            pcm[played] = codec.decode(payload, frames.length[chosen])
    return pcm


def _describe_blocks(
    bank: StreamBank,
    group: ReceiveGroup,
    frames: PlayoutFrames,
    since_1970: float,
    page: BlockPage,
    place: int,
) -> None:
    """Note which of the frames just played are concealed, when the far ends captured them, in
    seconds since 1970 (0.0: unknown), and whether that is by their own clocks (RTCP)."""
    playout, rows = bank.playout, group.rows
    heard = bank.receiver.heard[rows]
    by_sender, known = bank.delivery.capture_times(
        rows, playout.ssrc[rows], playout.timestamps(rows), group.codec.clock_rate
    )
    captured = np.where(known, by_sender, playout.earliest_arrival(rows) + since_1970)
    page.captured[place] = np.where(heard, captured, 0.0)
    page.captured_by_sender[place] = known & heard
    page.concealed[place] = frames.status[group.at] == CONCEALED


def _detach_sink(bank: StreamBank, row: int, sink: Sink) -> None:
    stream = bank.streams[row]
    if stream is not None and stream.sink is sink:
        stream.sink = None
        bank.invalidate_plan(row)
