"""Delivery from jitter buffers to sinks: one frame of every receiving row per tick.

Only rows with a sink are decoded; the buffers of the others are only advanced.  Each block carries
its row's security generation, so that a reader can drop sound received at another security level.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from softphone.media.audio.fan_out import write_blocks
from softphone.media.audio.resample import ConvertingSink, as_converting_sink
from softphone.media.bank import (
    FRAME_MS,
    AnyCodec,
    StreamBank,
    is_stateful,
    is_stateless,
    payload_layout,
)
from softphone.media.interface import PcmBlock, Sink
from softphone.media.playout import CONCEALED, PLAYED, PlayoutFrames
from softphone.media.tick.codec_change import switch_decoder
from softphone.media.tick.comfort_noise import fill_pauses

DecodedFrames: TypeAlias = tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8]]
"""The frames of a group, int16[k, samples], and their `FrameStatus`, uint8[k]."""


@dataclass(frozen=True, slots=True)
class ReceiveGroup:
    """k rows of one phase with sinks and the same codec.

    `at` intp[k] is their index among the receiving rows of the phase.  `converting` holds the sinks
    whose blocks are resampled as one batch, and None for the others.
    """

    codec: AnyCodec
    rows: npt.NDArray[np.intp]
    at: npt.NDArray[np.intp]
    sinks: tuple[Sink, ...]
    converting: tuple[ConvertingSink | None, ...]


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
    return tuple(_make_receive_group(members) for members in groups.values())


def _make_receive_group(members: list[tuple[int, int, AnyCodec, Sink]]) -> ReceiveGroup:
    sinks = tuple(sink for _, _, _, sink in members)
    return ReceiveGroup(
        codec=members[0][2],
        rows=np.array([row for _, row, _, _ in members], dtype=np.intp),
        at=np.array([at for at, _, _, _ in members], dtype=np.intp),
        sinks=sinks,
        converting=tuple(as_converting_sink(sink) for sink in sinks),
    )


def deliver_frames(
    bank: StreamBank,
    receiving: npt.NDArray[np.intp],
    groups: Sequence[ReceiveGroup],
    frame: int,
    *,
    now: float,
    wall: float = 0.0,
) -> None:
    """Advance the jitter buffers of the `receiving` rows of a phase, and write the frame to sinks.

    `now` is in monotonic seconds, `wall` the same time in seconds since 1970.
    """
    if not len(receiving):
        return
    frames = bank.playout.next_frames(receiving, now=now)
    odd = (frames.payload_type != bank.delivery.playing_type[receiving]) & (frames.status == PLAYED)
    if np.count_nonzero(odd):
        for at in np.flatnonzero(odd).tolist():
            switch_decoder(bank, int(receiving[at]), int(frames.payload_type[at]))
        groups = make_receive_groups(bank, receiving)
    for group in groups:
        _write_blocks(bank, group, _decode(bank, group, frames), frame, wall - now)


def _decode(bank: StreamBank, group: ReceiveGroup, frames: PlayoutFrames) -> DecodedFrames:
    codec, at = group.codec, group.at
    samples = codec.sample_rate * FRAME_MS // 1000
    status, spliced = frames.status[at], frames.spliced[at]
    played = status == PLAYED
    if is_stateful(codec):
        pcm, filled = _decode_each(bank, group, frames, samples, spliced)
    else:
        pcm = _decode_batch(bank, group, frames, played, samples)
        filled = played
    if np.count_nonzero(bank.delivery.pause_state[group.rows]):
        noisy, edge = fill_pauses(bank, group.rows, pcm, played)
        spliced |= edge
        filled = filled | noisy
    known = np.where(filled, PLAYED, status)
    energy = bank.concealment(samples).apply(group.rows, pcm, known, spliced)
    bank.playout.observe_energy(group.rows, energy)
    return pcm, status


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
    if np.count_nonzero(played) == played.size:
        rows, slots, length = group.rows, frames.slot[at], frames.length[at]
        pcm: npt.NDArray[np.int16] = codec.decode(bank.playout.payload(rows, slots, octets), length)
    else:
        pcm = np.zeros((len(at), samples), dtype=np.int16)
        if np.count_nonzero(played):
            rows, chosen = group.rows[played], at[played]
            payload = bank.playout.payload(rows, frames.slot[chosen], octets)
            pcm[played] = codec.decode(payload, frames.length[chosen])
    return pcm


def _write_blocks(
    bank: StreamBank, group: ReceiveGroup, decoded: DecodedFrames, frame: int, since_1970: float
) -> None:
    (frames, status), rows = decoded, group.rows
    rate = group.codec.sample_rate
    position = (frame - bank.delivery.opened_frame[rows]) * frames.shape[1]
    fields = zip(
        frames,
        position.tolist(),
        bank.delivery.security_generation[rows].tolist(),
        (status == CONCEALED).tolist(),
        _captures(bank, rows, since_1970),
        strict=True,
    )
    blocks = [
        PcmBlock(pcm, rate, timestamp, generation, hidden, *captured)
        for pcm, timestamp, generation, hidden, captured in fields
    ]
    for at in write_blocks(group.sinks, group.converting, blocks):
        _detach_sink(bank, int(rows[at]), group.sinks[at])


def _captures(
    bank: StreamBank, rows: npt.NDArray[np.intp], since_1970: float
) -> list[tuple[float, bool]]:
    """Return when the far ends captured the frames just played, in seconds since 1970 (0.0:
    unknown), and whether that is by their own clocks (RTCP)."""
    playout = bank.playout
    fields = zip(
        rows.tolist(),
        bank.receiver.heard[rows].tolist(),
        (playout.earliest_arrival(rows) + since_1970).tolist(),
        playout.ssrc[rows].tolist(),
        playout.timestamps(rows).tolist(),
        strict=True,
    )
    captures: list[tuple[float, bool]] = []
    for row, heard, due, ssrc, timestamp in fields:
        stream = bank.streams[row]
        if not heard or stream is None:
            captures.append((0.0, False))
            continue
        clock, codec = stream.sender_clock, stream.receive_codec
        if clock is None or codec is None or clock.ssrc != ssrc:
            captures.append((due, False))
        else:
            captures.append((clock.at(timestamp, codec.clock_rate), True))
    return captures


def _detach_sink(bank: StreamBank, row: int, sink: Sink) -> None:
    stream = bank.streams[row]
    if stream is not None and stream.sink is sink:
        stream.sink = None
        bank.invalidate_plan(row)
