"""SDP: descriptions (RFC 8866), attributes, offer and answer (RFC 3264)."""

from softphone.sdp.attributes import (
    Crypto,
    CryptoLine,
    Fmtp,
    KeyParameter,
    RtcpPort,
    Rtpmap,
    SsrcAttribute,
    UnreadableCrypto,
    read_crypto,
)
from softphone.sdp.codecs import Codec, MediaCapability, NegotiatedCodec, TelephoneEvent
from softphone.sdp.description import (
    Attribute,
    Bandwidth,
    Connection,
    DescriptionLimits,
    MalformedDescription,
    MediaDescription,
    Origin,
    SessionDescription,
    Time,
)
from softphone.sdp.media_line import LocalMedia, NegotiatedMedia, OfferedMedia
from softphone.sdp.offer_answer import AnswerMismatch, Session

__all__ = [
    "AnswerMismatch",
    "Attribute",
    "Bandwidth",
    "Codec",
    "Connection",
    "Crypto",
    "CryptoLine",
    "DescriptionLimits",
    "Fmtp",
    "KeyParameter",
    "LocalMedia",
    "MalformedDescription",
    "MediaCapability",
    "MediaDescription",
    "NegotiatedCodec",
    "NegotiatedMedia",
    "OfferedMedia",
    "Origin",
    "RtcpPort",
    "Rtpmap",
    "Session",
    "SessionDescription",
    "SsrcAttribute",
    "TelephoneEvent",
    "Time",
    "UnreadableCrypto",
    "read_crypto",
]
