"""RTP and RTCP without I/O, one packet at a time: headers, reports, feedback, payload formats.

It parses and prints packets, counts reception and schedules RTCP reports.  Batches in arrays, the
jitter buffer and the state of many streams are in `softphone.media`, encryption is in
`softphone.srtp`, the codecs are in `softphone_codecs`; no video is decoded here.

RFC 3550 (RTP and RTCP), RFC 3611 (extended reports), RFC 4585 and RFC 5104 (feedback), RFC 4733
section 2 (telephone-event), RFC 5506 (reduced-size RTCP), RFC 5761 section 4 (RTP or RTCP),
RFC 6184 (H.264), RFC 7741 (VP8).
"""

from __future__ import annotations

from softphone.rtp.h264 import H264Depacketizer, H264Packetizer
from softphone.rtp.packet import (
    HeaderExtension,
    MalformedPacket,
    RtpPacket,
    is_rtcp,
)
from softphone.rtp.payload_format import LARGEST_PAYLOAD, Depacketizer, EncodedFrame, Packetizer
from softphone.rtp.reception_statistics import (
    ReceptionSnapshot,
    ReceptionStatistics,
    SequenceStatus,
    extend,
)
from softphone.rtp.rtcp_feedback import (
    BitrateLimit,
    FullIntraRequest,
    Nack,
    PictureLossIndication,
    TemporaryBitrateNotification,
    TemporaryBitrateRequest,
)
from softphone.rtp.rtcp_packet import (
    ReceiverReport,
    ReportBlock,
    RtcpApp,
    RtcpBye,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    ntp_from_wall,
    parse_compound,
    print_compound,
    round_trip_time,
    wall_from_ntp,
)
from softphone.rtp.rtcp_session import RemoteReport, RtcpSession, SenderClock, SenderInformation
from softphone.rtp.rtcp_xr import DelaySinceLastReceiverReport, ReceiverReferenceTime, VoipMetrics
from softphone.rtp.telephone_event import (
    DIGITS,
    ReceivedDigit,
    TelephoneEventPacket,
    TelephoneEventPayload,
    TelephoneEventReceiver,
    TelephoneEventSender,
)
from softphone.rtp.vp8 import Vp8Depacketizer, Vp8Packetizer

__all__ = [
    "DIGITS",
    "LARGEST_PAYLOAD",
    "BitrateLimit",
    "DelaySinceLastReceiverReport",
    "Depacketizer",
    "EncodedFrame",
    "FullIntraRequest",
    "H264Depacketizer",
    "H264Packetizer",
    "HeaderExtension",
    "MalformedPacket",
    "Nack",
    "Packetizer",
    "PictureLossIndication",
    "ReceivedDigit",
    "ReceiverReferenceTime",
    "ReceiverReport",
    "ReceptionSnapshot",
    "ReceptionStatistics",
    "RemoteReport",
    "ReportBlock",
    "RtcpApp",
    "RtcpBye",
    "RtcpPacket",
    "RtcpSession",
    "RtpPacket",
    "SenderClock",
    "SenderInformation",
    "SenderReport",
    "SequenceStatus",
    "SourceDescription",
    "TelephoneEventPacket",
    "TelephoneEventPayload",
    "TelephoneEventReceiver",
    "TelephoneEventSender",
    "TemporaryBitrateNotification",
    "TemporaryBitrateRequest",
    "VoipMetrics",
    "Vp8Depacketizer",
    "Vp8Packetizer",
    "extend",
    "is_rtcp",
    "ntp_from_wall",
    "parse_compound",
    "print_compound",
    "round_trip_time",
    "wall_from_ntp",
]
