"""A change of the received codec within a stream.

Codecs with the same clock rate and octets per tick (G.711, G.722) can change from frame to frame
in the jitter buffer.  For other codecs the buffer starts again, and the old sound fades into the
new.  RFC 3264 section 6.1, RFC 7160.
"""

from __future__ import annotations

from softphone.media.bank import (
    FRAME_MS,
    AnyCodec,
    StatefulDecoder,
    StreamBank,
    StreamObjects,
    find_codec,
    is_stateful,
    payload_layout,
)
from softphone.media.interface import PayloadTypeChanged

NOISE_TYPE = 13
"""Comfort noise at 8,000 Hz (RFC 3551 table 4)."""


def set_receive_codec(
    bank: StreamBank, stream: StreamObjects, chosen: AnyCodec, payload_type: int
) -> None:
    """Receive `payload_type` as codec `chosen` from now on.

    The jitter buffer starts again unless both codecs have the same payload layout.
    """
    row, before = stream.handle.row, stream.receive_codec
    bank.receiver.set_type(row, payload_type)
    if before is not None and payload_layout(before) == payload_layout(chosen):
        # Frames of the old codec still wait in the buffer; `switch_decoder` changes after them.
        return
    rate = chosen.clock_rate
    bank.playout.open_row(
        row,
        clock_rate_hz=rate,
        frame_ticks=rate * FRAME_MS // 1000,
        octets_per_tick=chosen.octets_per_tick,
        silence=bank.feeds.silent_octet(chosen),
        afresh=before is None,
    )
    bank.reception.open_row(row, clock_rate_hz=rate, afresh=before is None)
    bank.delivery.set_clock(row, None)
    _decode_with(bank, stream, chosen, payload_type)


def _decode_with(
    bank: StreamBank, stream: StreamObjects, chosen: AnyCodec, payload_type: int
) -> None:
    row, before = stream.handle.row, stream.receive_codec
    bank.delivery.set_playing_type(row, payload_type)
    stream.receive_codec = chosen
    stream.stateful_decoder = (
        StatefulDecoder(chosen.decoder(), chosen.conceals) if is_stateful(chosen) else None
    )
    samples = chosen.sample_rate * FRAME_MS // 1000
    if before is None:
        for concealment in bank.concealments():
            concealment.reset(row)
    elif before.sample_rate != chosen.sample_rate:
        last = bank.concealment(before.sample_rate * FRAME_MS // 1000)
        bank.concealment(samples).follow(row, last)
    bank.invalidate_plan(row)


def accept_codec_change(bank: StreamBank, row: int, payload_type: int, sequence: int) -> bool:
    """Change to the codec of a packet if it was agreed; return whether to play the packet.

    A packet sent before the last change that arrives after it changes nothing.  A change to a new
    payload type emits PayloadTypeChanged.
    """
    stream = bank.streams[row]
    if stream is None or stream.spec is None:
        return False
    named = stream.spec.received_codecs.get(payload_type)
    if named is None:
        return False
    if stream.changed_at is not None and (sequence - stream.changed_at) & 0x8000:
        return _alike(stream, named)
    stream.changed_at = sequence
    set_receive_codec(bank, stream, find_codec(named), payload_type)
    if stream.reported_type != payload_type:
        stream.reported_type = payload_type
        bank.emit(PayloadTypeChanged(stream.handle, payload_type))
    return True


def _alike(stream: StreamObjects, name: str) -> bool:
    current = stream.receive_codec
    return current is not None and payload_layout(current) == payload_layout(find_codec(name))


def switch_decoder(bank: StreamBank, row: int, payload_type: int) -> None:
    """Change the decoder, because the next frame to play has another payload type."""
    stream = bank.streams[row]
    spec = None if stream is None else stream.spec
    named = None if spec is None else spec.received_codecs.get(payload_type)
    if stream is None or named is None:
        bank.delivery.set_playing_type(row, payload_type)
        return
    _decode_with(bank, stream, find_codec(named), payload_type)
