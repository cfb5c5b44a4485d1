"""RTP and RTCP, sans IO (RFC 3550, 3611, 4585, 4733, 5104, 8285)."""

from __future__ import annotations

from softphone.rtp.extended_report import (
    DelaySinceLastReceiverReport,
    ReceiverReferenceTime,
    VoipMetrics,
)
from softphone.rtp.feedback import (
    BitrateLimit,
    FullIntraRequest,
    Nack,
    PictureLossIndication,
    TemporaryBitrateNotification,
    TemporaryBitrateRequest,
)
from softphone.rtp.packet import (
    ExtensionElement,
    HeaderExtension,
    MalformedPacket,
    RtpPacket,
    is_rtcp,
)
from softphone.rtp.rtcp import (
    App,
    Bye,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    ntp_from_wall,
    parse_compound,
    print_compound,
    round_trip_time,
    wall_from_ntp,
)
from softphone.rtp.rtcp_session import (
    RemoteReport,
    RtcpSession,
    SenderClock,
    SenderInformation,
)
from softphone.rtp.sequence import Arrival, Reception, ReceptionSnapshot, extend
from softphone.rtp.telephone_event import (
    DIGITS,
    EventPacket,
    EventPayload,
    EventReceiver,
    EventSender,
    ReceivedDigit,
)

__all__ = [
    "DIGITS",
    "App",
    "Arrival",
    "BitrateLimit",
    "Bye",
    "DelaySinceLastReceiverReport",
    "EventPacket",
    "EventPayload",
    "EventReceiver",
    "EventSender",
    "ExtensionElement",
    "FullIntraRequest",
    "HeaderExtension",
    "MalformedPacket",
    "Nack",
    "PictureLossIndication",
    "ReceivedDigit",
    "ReceiverReferenceTime",
    "ReceiverReport",
    "Reception",
    "ReceptionSnapshot",
    "RemoteReport",
    "ReportBlock",
    "RtcpPacket",
    "RtcpSession",
    "RtpPacket",
    "SenderClock",
    "SenderInformation",
    "SenderReport",
    "SourceDescription",
    "TemporaryBitrateNotification",
    "TemporaryBitrateRequest",
    "VoipMetrics",
    "extend",
    "is_rtcp",
    "ntp_from_wall",
    "parse_compound",
    "print_compound",
    "round_trip_time",
    "wall_from_ntp",
]
