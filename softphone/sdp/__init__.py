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
from softphone.sdp.codecs import (
    CodecCapability,
    MediaCapability,
    NegotiatedCodec,
    NegotiatedTelephoneEvent,
)
from softphone.sdp.description import (
    Attribute,
    Bandwidth,
    Connection,
    DescriptionLimits,
    MalformedDescription,
    MediaDescription,
    Origin,
    SessionDescription,
    TimeDescription,
)
from softphone.sdp.media_line import LocalMediaLine, NegotiatedMedia, OfferedMedia
from softphone.sdp.offer_answer import AnswerMismatch, OfferAnswerSession

__all__ = [
    "AnswerMismatch",
    "Attribute",
    "Bandwidth",
    "CodecCapability",
    "Connection",
    "Crypto",
    "CryptoLine",
    "DescriptionLimits",
    "Fmtp",
    "KeyParameter",
    "LocalMediaLine",
    "MalformedDescription",
    "MediaCapability",
    "MediaDescription",
    "NegotiatedCodec",
    "NegotiatedMedia",
    "NegotiatedTelephoneEvent",
    "OfferAnswerSession",
    "OfferedMedia",
    "Origin",
    "RtcpPort",
    "Rtpmap",
    "SessionDescription",
    "SsrcAttribute",
    "TimeDescription",
    "UnreadableCrypto",
    "read_crypto",
]
