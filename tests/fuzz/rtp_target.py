"""Fuzz targets of RTP, RTCP and telephone-events: only documented exceptions come out."""

from __future__ import annotations

from softphone.rtp import (
    Depacketizer,
    H264Depacketizer,
    MalformedPacket,
    RtpPacket,
    TelephoneEventReceiver,
    Vp8Depacketizer,
    parse_compound,
)
from softphone.rtp.h264 import split_nal_units


def check_packet(data: bytes) -> None:
    """One RTP packet and its header extension."""
    try:
        packet = RtpPacket.parse(data)
    except MalformedPacket:
        return
    if packet.padding == 0:
        assert bytes(packet) == data


def check_compound(data: bytes) -> None:
    """One RTCP compound, whole and of reduced size."""
    for reduced_size in (False, True):
        try:
            parse_compound(data, reduced_size=reduced_size)
        except MalformedPacket:
            continue


def check_events(data: bytes) -> None:
    """Telephone-event packets, eight octets each of timestamp and payload: nothing is raised."""
    receiver = TelephoneEventReceiver()
    for at in range(0, len(data), 8):
        timestamp = int.from_bytes(data[at : at + 4], "big")
        receiver.receive_payload(data[at + 4 : at + 8], timestamp=timestamp, now=float(at))


def check_video(data: bytes) -> None:
    """Video payloads, cut by a length octet each, and the frames of them: nothing is raised."""
    split_nal_units(data)
    formats: list[Depacketizer] = [H264Depacketizer(limit=300), Vp8Depacketizer(limit=300)]
    for depacketizer in formats:
        at = 0
        while at < len(data):
            end = at + 1 + data[at] % 64
            depacketizer.add_payload(data[at + 1 : end], gap=data[at] >= 0xE0)
            told = depacketizer.finish_frame() if data[at] & 0x40 else None
            # Each NAL unit held brings a start code of four octets.
            assert told is None or len(told.data) <= 5 * 300
            at = end
