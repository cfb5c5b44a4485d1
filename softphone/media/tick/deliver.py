"""From jitter buffers to sinks: one frame of every receiving row, decoded where it is wanted.

Rows without a sink only have their buffers advanced.  Each block carries its row's security
generation, so that whoever reads it can drop what was received at another level.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softphone.media.audio.fan_out import write_all
from softphone.media.audio.resample import ConvertingSink, converting
from softphone.media.bank import (
    FRAME_MS,
    AnyCodec,
    FrameBatch,
    StreamBank,
    forgets,
    geometry,
    remembers,
)
from softphone.media.interface import PcmBlock, Sink
from softphone.media.playout import CONCEALED, PLAYED, Frames
from softphone.media.tick.codec_change import follow_playing
from softphone.media.tick.comfort_noise import fill

__all__ = ["Audience", "deliver", "make_audiences"]


@dataclass(frozen=True, slots=True)
class Audience:
    """Rows of one phase with a sink and the same codec, k of them.

    `at` intp[k] is where they are among the receiving rows of the phase; `converting` are the
    sinks whose blocks are converted together, None in the place of the others.
    """

    codec: AnyCodec
    rows: npt.NDArray[np.intp]
    at: npt.NDArray[np.intp]
    sinks: tuple[Sink, ...]
    converting: tuple[ConvertingSink | None, ...]


def make_audiences(bank: StreamBank, receiving: npt.NDArray[np.intp]) -> tuple[Audience, ...]:
    """Sort the rows that have a sink by codec."""
    groups: dict[tuple[str, int], list[tuple[int, int, AnyCodec, Sink]]] = defaultdict(list)
    for at, row in enumerate(receiving.tolist()):
        stream = bank.streams[row]
        if stream is None or stream.sink is None or stream.receive_codec is None:
            continue
        key = stream.receive_codec.name, stream.receive_codec.clock_rate
        groups[key].append((at, row, stream.receive_codec, stream.sink))
    return tuple(_make_audience(members) for members in groups.values())


def _make_audience(members: list[tuple[int, int, AnyCodec, Sink]]) -> Audience:
    sinks = tuple(sink for _, _, _, sink in members)
    return Audience(
        codec=members[0][2],
        rows=np.array([row for _, row, _, _ in members], dtype=np.intp),
        at=np.array([at for at, _, _, _ in members], dtype=np.intp),
        sinks=sinks,
        converting=tuple(converting(sink) for sink in sinks),
    )


def deliver(
    bank: StreamBank,
    receiving: npt.NDArray[np.intp],
    audiences: Sequence[Audience],
    frame: int,
    *,
    now: float,
    wall: float = 0.0,
) -> None:
    """Advance the buffers of the `receiving` rows of a phase, and give sinks what is played.

    `wall` is `now` in seconds since 1970.
    """
    if not len(receiving):
        return
    frames = bank.playout.get(receiving, now=now)
    odd = (frames.payload_type != bank.playing_type[receiving]) & (frames.status == PLAYED)
    if np.count_nonzero(odd):
        for at in np.flatnonzero(odd).tolist():
            follow_playing(bank, int(receiving[at]), int(frames.payload_type[at]))
        audiences = make_audiences(bank, receiving)
    for audience in audiences:
        batch = _decode(bank, audience, frames)
        _give(bank, audience, batch, frame, wall - now)


def _decode(bank: StreamBank, audience: Audience, frames: Frames) -> FrameBatch:
    codec, at = audience.codec, audience.at
    samples = codec.sample_rate * FRAME_MS // 1000
    status, spliced = frames.status[at], frames.spliced[at]
    played = status == PLAYED
    if remembers(codec):
        pcm, filled = _decode_each(bank, audience, frames, samples, spliced)
    else:
        pcm = _decode_batch(bank, audience, frames, played, samples)
        filled = played
    if np.count_nonzero(bank.hushed[audience.rows]):
        noisy, edge = fill(bank, audience.rows, pcm, played)
        spliced |= edge
        filled = filled | noisy
    known = np.where(filled, PLAYED, status)
    energy = bank.concealment(samples).apply(audience.rows, pcm, known, spliced)
    bank.playout.quiet(audience.rows, energy)
    return FrameBatch(audience.rows, pcm, status)


def _decode_each(
    bank: StreamBank,
    audience: Audience,
    frames: Frames,
    samples: int,
    spliced: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.bool_]]:
    """int16[k, samples] of rows whose codec remembers, and where there is any, bool[k]; what does
    not follow its last frame is noted in `spliced`."""
    at = audience.at
    octets = min(_octets(bank, audience.codec), max(int(frames.length[at].max()), 1))
    data = bank.playout.payload(audience.rows, frames.slot[at], octets)
    pcm = np.zeros((len(at), samples), dtype=np.int16)
    filled = np.zeros(len(at), dtype=np.bool_)
    fields = zip(
        audience.rows.tolist(), frames.status[at].tolist(), frames.length[at].tolist(), strict=True
    )
    for place, (row, status, length) in enumerate(fields):
        stream = bank.streams[row]
        if stream is None or stream.voice is None:
            continue
        refused = stream.voice.refused
        several: list[bytes] = []
        if status == PLAYED:
            several = bank.playout.take_joined(row, int(frames.slot[at[place]]))
        payload = data[place, :length].tobytes()
        frame = stream.voice.play(status, payload, samples, several=several)
        bank.malformed[row] += stream.voice.refused - refused
        if frame.pcm is not None:
            pcm[place], filled[place] = frame.pcm, True
            spliced[place] |= frame.spliced
    return pcm, filled


def _octets(bank: StreamBank, codec: AnyCodec) -> int:
    """The octets of a slot that a frame can take."""
    clock = geometry(codec)
    whole = clock.clock_rate * FRAME_MS // 1000 * clock.octets_per_tick
    return whole or bank.playout.config.slot_octets


def _decode_batch(
    bank: StreamBank,
    audience: Audience,
    frames: Frames,
    played: npt.NDArray[np.bool_],
    samples: int,
) -> npt.NDArray[np.int16]:
    codec, at = audience.codec, audience.at
    if not forgets(codec):
        raise RuntimeError(f"{codec.name} is not decoded in batches")
    octets = _octets(bank, codec)
    if np.count_nonzero(played) == played.size:
        rows, slots, length = audience.rows, frames.slot[at], frames.length[at]
        pcm: npt.NDArray[np.int16] = codec.decode(bank.playout.payload(rows, slots, octets), length)
    else:
        pcm = np.zeros((len(at), samples), dtype=np.int16)
        if np.count_nonzero(played):
            rows, chosen = audience.rows[played], at[played]
            payload = bank.playout.payload(rows, frames.slot[chosen], octets)
            pcm[played] = codec.decode(payload, frames.length[chosen])
    return pcm


def _give(
    bank: StreamBank, audience: Audience, batch: FrameBatch, frame: int, since_1970: float
) -> None:
    rate = audience.codec.sample_rate
    samples = batch.pcm.shape[1]
    position = (frame - bank.opened_frame[batch.row]) * samples
    concealed = batch.status == CONCEALED
    fields = zip(
        batch.pcm,
        position.tolist(),
        bank.security_generation[batch.row].tolist(),
        concealed.tolist(),
        _captures(bank, batch.row, since_1970),
        strict=True,
    )
    blocks = [
        PcmBlock(pcm, rate, timestamp, generation, hidden, *captured)
        for pcm, timestamp, generation, hidden, captured in fields
    ]
    for at in write_all(audience.sinks, audience.converting, blocks):
        _take_off(bank, int(batch.row[at]), audience.sinks[at])


def _captures(
    bank: StreamBank, rows: npt.NDArray[np.intp], since_1970: float
) -> list[tuple[float, bool]]:
    """When the far ends captured the frames just played, and whether that is their own word."""
    playout = bank.playout
    fields = zip(
        rows.tolist(),
        bank.heard[rows].tolist(),
        (playout.due(rows) + since_1970).tolist(),
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


def _take_off(bank: StreamBank, row: int, sink: Sink) -> None:
    stream = bank.streams[row]
    if stream is not None and stream.sink is sink:
        stream.sink = None
        bank.replan(row)
