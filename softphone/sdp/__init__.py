"""SDP: session descriptions, their attributes, and the offer/answer exchange of one call.

Negotiates m-lines, formats, directions and payload types.  Crypto lines are parsed here and judged
in `softphone.srtp`; ports are opened in `softphone.media`; policy is in `softphone.call`; when an
offer may be sent is decided in `softphone.sip.invite`.

RFC 8866 (SDP), RFC 3264 (offer and answer), RFC 3551 (static payload types), RFC 3605 (rtcp),
RFC 3611 section 5.1 (rtcp-xr), RFC 3890 (bandwidth), RFC 4568 section 9 (crypto), RFC 4585
(rtcp-fb), RFC 5576 (ssrc), RFC 5761 (RTCP on RTP's port), RFC 6184 section 8.2 (H.264 formats).
"""

from softphone.sdp.attributes import (
    Crypto,
    CryptoLine,
    Fmtp,
    KeyParameter,
    RtcpPort,
    Rtpmap,
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
from softphone.sdp.media_line import (
    LocalMediaLine,
    NegotiatedMedia,
    OfferedMedia,
    is_secure_profile,
    media_address_fault,
)
from softphone.sdp.offer_answer import AnswerMismatch, OfferAnswerSession
from softphone.sdp.relay import SendingLine, relayed_answer, same_stream, sending_lines

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
    "SendingLine",
    "SessionDescription",
    "TimeDescription",
    "UnreadableCrypto",
    "is_secure_profile",
    "media_address_fault",
    "read_crypto",
    "relayed_answer",
    "same_stream",
    "sending_lines",
]
