"""The commands of `MediaBackend` applied to the bank; the engine adds sockets and the clock.

An SRTP context stays while its key stays (RFC 4568 section 7.1.4).  Replacing a send context
changes the SSRC, because the new key may have been used before.  Receive contexts are kept by key.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from typing import Final

from softphone.errors import ConfigurationError, LocalProtocolError
from softphone.events import Direction
from softphone.extras import install_command
from softphone.media.audio.resample import as_flushable_source
from softphone.media.bank import (
    FRAME_MS,
    AnyCodec,
    SourceFeed,
    StreamBank,
    StreamObjects,
    find_codec,
    is_stateful,
)
from softphone.media.clear_latching import start_clear_latching
from softphone.media.interface import Sink, Source, SrtpKey, StreamHandle, StreamSpec
from softphone.media.tick.codec_change import set_receive_codec
from softphone.media.tick.rtcp import start_rtcp
from softphone.rtp import TelephoneEventSender
from softphone.srtp import ReceiveContext, SendContext, key_fingerprint, make_together
from softphone_codecs import CodecUnavailable, RowEncoder

MOST_OCTETS: Final = 1440
"""Maximum payload in octets; with its headers and the SRTP tag it fits an Ethernet frame."""


@dataclass(frozen=True, slots=True)
class RemoteAddresses:
    """The destinations of RTP and RTCP as padded socket addresses of 32 octets."""

    rtp: bytes
    rtcp: bytes


def open_stream(
    bank: StreamBank,
    handle: StreamHandle,
    spec: StreamSpec,
    far_end: RemoteAddresses,
    *,
    frame: int,
    now: float,
) -> None:
    """Open or renegotiate a stream at media frame `frame`.

    Raises StaleHandle; ConfigurationError or LocalProtocolError, and then nothing has changed.
    """
    stream = bank.find_stream(handle)
    row, first = handle.row, stream.spec is None
    chosen = find_codec(spec.codec)
    _check_size(chosen, spec)
    before, description = "", None
    if stream.spec is not None:
        before, description = stream.spec.fmtp, stream.spec.description
    encoder = stream.encoder
    if stream.codec is not chosen or before != spec.fmtp:
        encoder = _encoder(chosen, spec)
    feed = bank.feeds.acquire_feed(stream.source, chosen, spec.ptime_ms, instead=stream.feed)
    try:
        _set_keys(bank, stream, spec.send_key, spec.receive_key)
    except BaseException:
        bank.feeds.release_feed(feed)
        raise
    _replace_feed(bank, stream, feed)
    if stream.codec is not chosen:
        bank.sender.set_clock_rate(row, chosen.clock_rate, 0 if first else frame * FRAME_MS)
        stream.event_sender = stream.event_receiver = None
        bank.sending_digits.discard(row)
    stream.codec, stream.encoder, stream.spec = chosen, encoder, spec
    _set_received(bank, stream, chosen, spec)
    if first:
        bank.delivery.open_row(row, frame)
        bank.receiver.expect_packets(row, bank.stream_timeout, now=now)
    _set_numbers(bank, row, spec)
    followed = spec.clear_latching or bank.addresses.adopted[row]
    anew = bool(followed) and description != spec.description
    if _set_remote(bank, row, far_end, anew=anew):
        count = int(bank.receiver.packets_received[row])
        stream.clear_latching = start_clear_latching(spec, now=now, packets_received=count)
        bank.addresses.allow_adoption(row, stream.clear_latching is not None)
    _set_flow(bank, row, spec, now=now)
    bank.receiver.activate_row(row)
    if stream.rtcp is None:
        start_rtcp(bank, row, now=now)


def _replace_feed(bank: StreamBank, stream: StreamObjects, feed: SourceFeed) -> None:
    if stream.feed is not None:
        bank.feeds.release_feed(stream.feed)
    stream.feed = feed


def _check_size(chosen: AnyCodec, spec: StreamSpec) -> None:
    octets = chosen.octets_per_tick * chosen.clock_rate * spec.ptime_ms // 1000
    if octets > MOST_OCTETS:
        raise ConfigurationError(
            f"{spec.ptime_ms} ms of {spec.codec[:64]} are {octets} octets, more than the "
            f"{MOST_OCTETS} that a packet holds"
        )


def _encoder(chosen: AnyCodec, spec: StreamSpec) -> RowEncoder | None:
    if not is_stateful(chosen):
        return None
    if spec.ptime_ms % chosen.ptime:
        raise ConfigurationError(
            f"{chosen.name} is sent in packets of {chosen.ptime} ms or a multiple of it, "
            f"not of {spec.ptime_ms}"
        )
    try:
        return chosen.encoder(spec.fmtp)
    except CodecUnavailable as error:
        raise ConfigurationError(f"{error}: {install_command('video')}") from error


def _set_received(
    bank: StreamBank, stream: StreamObjects, chosen: AnyCodec, spec: StreamSpec
) -> None:
    """Expect the announced payload type and codec until another arrives."""
    row, received = stream.handle.row, spec.receive_payload_type
    number = spec.payload_type if received is None else received
    stream.reported_type = None
    if stream.receive_codec is not chosen or bank.receiver.receive_type[row] != number:
        set_receive_codec(bank, stream, chosen, number)


def _set_numbers(bank: StreamBank, row: int, spec: StreamSpec) -> None:
    bank.sender.set_types(row, spec)
    bank.receiver.set_types(row, spec)
    bank.addresses.set_rules(row, symmetric=spec.symmetric, mux=spec.rtcp_mux)
    bank.delivery.set_generation(row, spec.security_generation)
    bank.playout.measure_bursts(row, spec.measured or "voip-metrics" in spec.extended_reports)


# Keys -------------------------------------------------------------------------------------------


def _set_keys(
    bank: StreamBank, stream: StreamObjects, send_key: SrtpKey | None, receive_key: SrtpKey | None
) -> None:
    """Set both SRTP contexts for the keys, or raise ConfigurationError and change neither."""
    row = stream.handle.row

    def make() -> tuple[SendContext | None, bytes, ReceiveContext | None]:
        return _make_contexts(stream, send_key, receive_key)

    # Later most keys stay, and then there is nothing to make.
    sending, name, receiving = make_together(make) if stream.spec is None else make()
    bank.newest.save_row(row)
    if receiving is None:
        bank.receive_contexts.pop(row, None)
    else:
        bank.receive_contexts[row] = receiving
    bank.sessions.note_contexts(row, sending, bank.receive_contexts.get(row))
    if sending is stream.send_context:
        return
    if stream.send_context is not None:
        stream.send_context.close()
    # A stream opened for the first time keeps its initial SSRC and sequence number.
    if sending is not None and stream.spec is not None:
        bank.change_ssrc(row)
    stream.send_context, stream.send_fingerprint = sending, name


def _make_contexts(
    stream: StreamObjects, send_key: SrtpKey | None, receive_key: SrtpKey | None
) -> tuple[SendContext | None, bytes, ReceiveContext | None]:
    """Return the contexts for the keys, new ones where a key is new, and the fingerprint of what
    is sent with.  Raises ConfigurationError; the stream's keys are the same then."""
    sending, name = None, b""
    if send_key is not None:
        name = key_fingerprint(send_key.suite, send_key.key, send_key.mki)
        sending = stream.send_context
        if sending is None or not hmac.compare_digest(name, stream.send_fingerprint):
            sending = SendContext(send_key.suite, send_key.key, mki=send_key.mki)
    if receive_key is None:
        stream.receive_keys.deselect()
        return sending, name, None
    try:
        receiving = stream.receive_keys.select(receive_key.suite, receive_key.key, receive_key.mki)
    except ConfigurationError:
        if sending is not None and sending is not stream.send_context:
            sending.close()
        raise
    return sending, name, receiving


def set_keys(
    bank: StreamBank,
    handle: StreamHandle,
    send_key: SrtpKey | None,
    receive_key: SrtpKey | None,
    security_generation: int,
) -> None:
    """Replace keys and security generation, or raise ConfigurationError and change nothing."""
    stream, spec = bank.find_open_stream(handle)
    changed = replace(
        spec,
        send_key=send_key,
        receive_key=receive_key,
        security_generation=security_generation,
    )
    _set_keys(bank, stream, send_key, receive_key)
    stream.spec = changed
    _set_numbers(bank, handle.row, changed)
    bank.invalidate_plan(handle.row)


# Addresses and direction ------------------------------------------------------------------------


def set_remote(
    bank: StreamBank, handle: StreamHandle, far_end: RemoteAddresses, *, anew: bool = False
) -> bool:
    """Set the signaled address, and forget the addresses that media was latched to.

    Do nothing when the signaled RTP address is the same and `anew` is false.  Return whether it was
    set.
    """
    bank.find_open_stream(handle)
    return _set_remote(bank, handle.row, far_end, anew=anew)


def _set_remote(bank: StreamBank, row: int, far_end: RemoteAddresses, *, anew: bool) -> bool:
    # Host and port are the first 24 octets; for one row, comparing bytes is much faster than
    # comparing arrays.
    anew = anew or bank.addresses.signaled[row, :24].tobytes() != far_end.rtp[:24]
    if anew:
        bank.addresses.signal_remote(row, far_end.rtp, far_end.rtcp)
    bank.invalidate_plan(row)
    return anew


def set_direction(
    bank: StreamBank, handle: StreamHandle, direction: Direction, *, now: float
) -> None:
    """Set whether RTP is sent and received."""
    stream, spec = bank.find_open_stream(handle)
    stream.spec = replace(spec, direction=direction)
    _set_flow(bank, handle.row, stream.spec, now=now)


def _set_flow(bank: StreamBank, row: int, spec: StreamSpec, *, now: float) -> None:
    bank.receiver.set_flow(row, spec.direction.receives, now=now)
    bank.sender.set_flow(row, spec.sends)
    bank.invalidate_plan(row)


def expect_packets(bank: StreamBank, handle: StreamHandle, patience: float, *, now: float) -> None:
    """Set how long a stream may be silent, counted from `now`."""
    bank.find_open_stream(handle)
    bank.receiver.expect_packets(handle.row, patience, now=now)


# Sound and digits -------------------------------------------------------------------------------


def set_source(bank: StreamBank, handle: StreamHandle, source: Source | None) -> None:
    """Set the source, before or after the stream is opened.

    Raises LocalProtocolError when other streams read the source at another rate or ptime.
    """
    stream = bank.find_stream(handle)
    if stream.codec is not None and stream.spec is not None:
        feed = bank.feeds.acquire_feed(source, stream.codec, stream.spec.ptime_ms)
        _replace_feed(bank, stream, feed)
    stream.source = source
    bank.invalidate_plan(handle.row)


def set_sink(bank: StreamBank, handle: StreamHandle, sink: Sink | None) -> None:
    """Set the sink, before or after the stream is opened."""
    bank.find_stream(handle).sink = sink
    bank.invalidate_plan(handle.row)


def set_monitor(bank: StreamBank, handle: StreamHandle, sink: Sink | None) -> None:
    """Set the sink of sent sound, before or after the stream is opened."""
    bank.find_stream(handle).monitor = sink
    bank.invalidate_plan(handle.row)


def set_muted(bank: StreamBank, handle: StreamHandle, muted: bool) -> None:
    """Send silence in place of the source, or the source again."""
    bank.find_stream(handle)
    bank.sender.set_muted(handle.row, muted)
    bank.invalidate_plan(handle.row)


def set_paused(bank: StreamBank, handle: StreamHandle, paused: bool) -> None:
    """Send silence and leave the source unread, or go on with the source where it was."""
    stream = bank.find_stream(handle)
    source = stream.source
    if paused and source is not None and as_flushable_source(source) is not None:
        # Reading confirms what was read before: marks before it need not wait for the next frame.
        source.read(0)
    stream.paused = paused
    bank.invalidate_plan(handle.row)


def send_digits(bank: StreamBank, handle: StreamHandle, digits: str, *, duration_ms: int) -> None:
    """Queue digits to be sent as telephone-events.

    Raises ConfigurationError for invalid digits, LocalProtocolError where telephone-event was not
    negotiated.
    """
    stream, spec = bank.find_open_stream(handle)
    if spec.telephone_event is None:
        raise LocalProtocolError("telephone-event was not negotiated for this stream")
    if stream.event_sender is None:
        rate = spec.telephone_event_rate or int(bank.sender.clock_rate[handle.row])
        stream.event_sender = TelephoneEventSender(clock_rate_hz=rate, ptime_ms=spec.ptime_ms)
    try:
        stream.event_sender.queue_digits(digits, duration_ms=duration_ms)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    if not stream.event_sender.idle:
        bank.sending_digits.add(handle.row)
