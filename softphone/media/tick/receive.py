"""The receive half of a tick: from datagrams to jitter buffers.

The order of the checks protects the call: first the format, then the source (in clear) or
authentication (SRTP).  Only a packet that passes may latch an address, change an SSRC, or count as
received.  A packet that fails is counted and changes nothing else.

RFC 3550 sections 5.1, 8.2 and A.1, RFC 3711, RFC 4733, RFC 4961, RFC 5761 section 4.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from softphone.media.arrays import count_nonzero
from softphone.media.bank import PacketBatch, StreamBank, print_address
from softphone.media.interface import DigitDetected, FirstPacketReceived, SsrcChanged
from softphone.media.playout.jitter_buffer import ReceivedPackets
from softphone.media.tick.codec_change import accept_codec_change
from softphone.media.tick.comfort_noise import is_comfort_noise, receive_noise
from softphone.media.tick.rtp_headers import (
    RtpHeaders,
    as_slice,
    read_headers,
    read_payload_lengths,
)
from softphone.media.tick.symmetric_rtp import accept_source, follow_source
from softphone.rtp import TelephoneEventReceiver

Index: TypeAlias = npt.NDArray[np.intp]


def split_rtp_and_rtcp(bank: StreamBank, packets: PacketBatch) -> tuple[Index, Index]:
    """Find each packet's row; return the indices of RTP and of RTCP packets for open rows.

    Packets without an open row are counted in `bank.unclaimed`.
    """
    bank.demultiplexer.assign(packets)
    row = packets.row[: packets.count]
    known = ((row >= 0) & bank.receiver.active[row]).nonzero()[0]
    bank.unclaimed += packets.count - len(known)
    at = as_slice(known)
    control = bank.demultiplexer.control.take(packets.port[at])
    mux = bank.addresses.mux[row[at]]
    if count_nonzero(mux):
        second = packets.data[at, 1]
        control |= mux & (second >= 192) & (second <= 223)
    if not count_nonzero(control):
        return known, known[:0]
    return known[~control], known[control]


def receive_rtp(bank: StreamBank, packets: PacketBatch, index: Index, *, now: float) -> None:
    """Process the RTP packets `index` of a batch: check, authenticate, account for, and buffer."""
    if not len(index):
        return
    headers, valid = read_headers(packets, index)
    if len(headers) != len(index):
        bank.receiver.count_malformed(packets.row[index[~valid]])
    headers, elsewhere = accept_source(bank, packets, headers, now=now)
    headers = _authenticate(bank, packets, headers)
    newer = bank.newest.note_packets(
        headers.row, headers.ssrc, headers.sequence, bank.receiver.secure[headers.row]
    )
    if bank.on_clear_packet is not None:
        for at in headers.index.tolist():
            bank.on_clear_packet(
                packets.packet(at), int(packets.port[at]), packets.address[at], False
            )
    length = read_payload_lengths(packets, headers)
    sound = length >= 0
    if count_nonzero(sound) != sound.size:
        bank.receiver.count_malformed(headers.row[~sound])
        headers, length, newer = headers.select(sound), length[sound], newer[sound]
    keep = _check_ssrc(bank, packets, headers)
    if count_nonzero(keep) != keep.size:
        headers, length, newer = headers.select(keep), length[keep], newer[keep]
    if len(headers):
        if elsewhere:
            follow_source(bank, packets, headers, newer)
        _account_packets(bank, packets, headers, length, now=now)


def _authenticate(bank: StreamBank, packets: PacketBatch, headers: RtpHeaders) -> RtpHeaders:
    """Unprotect SRTP; return the headers of authenticated packets and of those of clear streams."""
    secure = bank.receiver.secure[headers.row]
    if not count_nonzero(secure):
        return headers
    everything = count_nonzero(secure) == secure.size
    index = headers.index if everything else headers.index[secure]
    rows = headers.row if everything else headers.row[secure]
    chosen = list(map(bank.receive_contexts.__getitem__, rows.tolist()))
    at = headers.at if everything else as_slice(index)
    numbers = range(at.start, at.stop) if isinstance(at, slice) else at.tolist()
    verdicts = packets.cipher.unprotect(numbers, chosen, packets.length)
    if not any(verdicts):
        return headers
    status = np.array(verdicts, dtype=np.uint8)
    good = np.ones(len(headers), dtype=np.bool_)
    good[secure.nonzero()[0][status != 0]] = False
    return headers.select(good)


# Sources (RFC 3550 section 8) -------------------------------------------------------------------


def _check_ssrc(
    bank: StreamBank, packets: PacketBatch, headers: RtpHeaders
) -> npt.NDArray[np.bool_]:
    """Return a mask of the packets whose source is accepted; emit the event for a new source."""
    row, ssrc, receiver = headers.row, headers.ssrc, bank.receiver
    keep = np.ones(len(headers), dtype=np.bool_)
    odd = (ssrc != receiver.remote_ssrc[row]) | ~receiver.heard[row]
    odd |= ssrc == bank.sender.ssrc[row]
    if not count_nonzero(odd):
        return keep
    # All packets of these rows, because what one changes counts for the next.
    for at in np.isin(row, row[odd]).nonzero()[0].tolist():
        keep[at] = _admit_source(bank, packets, headers, at)
    return keep


def _admit_source(bank: StreamBank, packets: PacketBatch, headers: RtpHeaders, at: int) -> bool:
    row, ssrc = int(headers.row[at]), int(headers.ssrc[at])
    stream, receiver = bank.streams[row], bank.receiver
    if stream is None:
        return False
    if ssrc == int(bank.sender.ssrc[row]) and not _reflected(bank, packets, headers, at):
        return False
    before, heard = int(receiver.remote_ssrc[row]), bool(receiver.heard[row])
    if heard and ssrc == before:
        return True
    # In clear, a new source needs two packets in sequence, so that a stray packet does not take
    # the stream over; the stream's first source does not.
    new = heard and not receiver.secure[row]
    if new and not receiver.prove_source(row, ssrc, int(headers.sequence[at])):
        return False
    receiver.hear_source(row, ssrc)
    if heard:
        bank.emit(SsrcChanged(stream.handle, before, ssrc))
    else:
        address = packets.address[headers.index[at]]
        source = print_address(address.tobytes())
        bank.emit(FirstPacketReceived(stream.handle, source, bool(receiver.secure[row])))
    return True


def _reflected(bank: StreamBank, packets: PacketBatch, headers: RtpHeaders, at: int) -> bool:
    """Handle a packet with our own SSRC (RFC 3550 section 8.2); return whether to accept it.

    The first one from an address is a collision: it is dropped and we change our SSRC.  A far end
    that then sends our new SSRC, too, reflects our packets.  Section 8.2 drops such a loop, which
    matters to mixers; here it is accepted in clear, because an echo service sends nothing else.
    Under SRTP it is dropped: each direction has its own key, so it cannot be genuine.
    """
    row = int(headers.row[at])
    stream = bank.streams[row]
    if stream is None:
        return False
    bank.receiver.count_looped(row)
    address = packets.address[headers.index[at]].tobytes()
    if address in stream.conflicts:
        return not bank.receiver.secure[row]
    if len(stream.conflicts) < 16:
        stream.conflicts = (*stream.conflicts, address)
        bank.change_ssrc(row)
    return False


# Accounting -------------------------------------------------------------------------------------


def _account_packets(
    bank: StreamBank,
    packets: PacketBatch,
    headers: RtpHeaders,
    length: npt.NDArray[np.int32],
    *,
    now: float,
) -> None:
    """Count packets, update reception statistics, buffer sound, and process digits."""
    row, receiver = headers.row, bank.receiver
    arrival = packets.arrival[headers.at]
    receiver.account(row, length, now=now)
    timestamp = headers.timestamp
    event = headers.payload_type == receiver.receive_event[row]
    if count_nonzero(event):
        timestamp = _event_time(packets, headers, length, event)
    bank.reception.update(row, headers.sequence, timestamp, headers.ssrc, arrival)
    wanted = receiver.receives[row]
    sound = wanted & (headers.payload_type == receiver.receive_type[row])
    noise = None
    if count_nonzero(sound | event) != count_nonzero(wanted):
        noise = _receive_other_types(bank, packets, headers, length, (wanted, sound, event))
    if count_nonzero(sound) == sound.size:
        _insert_packets(bank, packets, headers, length, arrival)
        return
    # Insert events without their octets, so that their sequence numbers do not count as losses.
    heard = sound | (event & wanted)
    if noise is not None:
        heard |= noise
    if count_nonzero(heard):
        octets = np.where(sound, length, 0)
        _insert_packets(bank, packets, headers.select(heard), octets[heard], arrival[heard])
    if count_nonzero(event):
        _receive_telephone_events(
            bank, packets, headers.select(event & wanted), length[event & wanted], now=now
        )


def _receive_other_types(
    bank: StreamBank,
    packets: PacketBatch,
    headers: RtpHeaders,
    length: npt.NDArray[np.int32],
    masks: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.bool_]],
) -> npt.NDArray[np.bool_]:
    """Process packets that have neither the row's current payload type nor that of events.

    They are comfort noise, another agreed codec, or of an unknown type, which is counted.  `masks`
    are wanted, sound and event, bool[n] each.  Set the mask of sound in place for packets of an
    agreed codec; return a mask bool[n] of valid comfort noise.
    """
    wanted, sound, event = masks
    noise = np.zeros(len(headers), dtype=np.bool_)
    for at in (wanted & ~sound & ~event).nonzero()[0].tolist():
        row, payload_type = int(headers.row[at]), int(headers.payload_type[at])
        if accept_codec_change(bank, row, payload_type, int(headers.sequence[at])):
            sound[at] = True
        elif is_comfort_noise(bank, row, payload_type):
            begin = int(headers.offset[at])
            data = packets.data[headers.index[at], begin : begin + int(length[at])].tobytes()
            noise[at] = receive_noise(bank, row, data)
        else:
            bank.receiver.count_unknown_type(row)
    return noise


def _event_time(
    packets: PacketBatch,
    headers: RtpHeaders,
    length: npt.NDArray[np.int32],
    event: npt.NDArray[np.bool_],
) -> npt.NDArray[np.uint32]:
    """Timestamps for the jitter estimate: all packets of an event have one timestamp, so the
    time that passes is in their duration field (RFC 4733 section 2.3.5)."""
    timestamp = headers.timestamp.copy()
    at = (event & (length >= 4)).nonzero()[0]
    index, offset = headers.index[at], headers.offset[at]
    high = packets.data[index, offset + 2].astype(np.uint32)
    timestamp[at] += high << np.uint32(8) | packets.data[index, offset + 3]
    return timestamp


def _insert_packets(
    bank: StreamBank,
    packets: PacketBatch,
    headers: RtpHeaders,
    length: npt.NDArray[np.int32],
    arrival: npt.NDArray[np.float64],
) -> None:
    if isinstance(headers.at, slice):
        data = packets.data[headers.at]
    else:
        width = int((headers.offset + length).max(initial=1))
        data = packets.data[: headers.at[-1] + 1, :width][headers.at]
    bank.playout.insert_packets(
        ReceivedPackets(
            row=headers.row,
            sequence=headers.sequence,
            timestamp=headers.timestamp,
            ssrc=headers.ssrc,
            payload_type=headers.payload_type,
            data=data,
            offset=headers.offset,
            length=length,
            arrival=arrival,
        )
    )


def _receive_telephone_events(
    bank: StreamBank,
    packets: PacketBatch,
    headers: RtpHeaders,
    length: npt.NDArray[np.int32],
    *,
    now: float,
) -> None:
    for at, row in enumerate(headers.row.tolist()):
        stream = bank.streams[row]
        if stream is None:
            continue
        if stream.event_receiver is None:
            stream.event_receiver = TelephoneEventReceiver(clock_rate_hz=_event_rate(bank, row))
        begin = int(headers.offset[at])
        data = packets.data[headers.index[at], begin : begin + int(length[at])].tobytes()
        timestamp = int(headers.timestamp[at])
        for digit in stream.event_receiver.receive_payload(data, timestamp=timestamp, now=now):
            bank.emit(DigitDetected(stream.handle, digit.digit, digit.duration_ms))
        _arm(bank, row, stream.event_receiver)


def _event_rate(bank: StreamBank, row: int) -> int:
    stream = bank.streams[row]
    negotiated = None if stream is None or stream.spec is None else stream.spec.telephone_event_rate
    return negotiated or int(bank.sender.clock_rate[row])


def _arm(bank: StreamBank, row: int, receiver: TelephoneEventReceiver) -> None:
    deadline = receiver.next_timer()
    if deadline is None:
        bank.digit_timers.cancel(row)
    else:
        bank.digit_timers.set(row, deadline)


def expire_digits(bank: StreamBank, *, now: float) -> None:
    """Emit the digits whose end packet was lost."""
    while (row := bank.digit_timers.pop_due(now)) is not None:
        stream = bank.streams[row]
        if stream is None or stream.event_receiver is None:
            continue
        for digit in stream.event_receiver.handle_timer(now=now):
            bank.emit(DigitDetected(stream.handle, digit.digit, digit.duration_ms))
        _arm(bank, row, stream.event_receiver)
