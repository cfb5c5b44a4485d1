"""Video capabilities of a call's negotiation, and key frame requests by INFO.

RFC 6184 section 8.2 and RFC 7741 section 6 (formats), RFC 4585 and 5104 (rtcp-fb), RFC 5168.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from softphone.media import StreamSpec, VideoBackend
from softphone.media.video import CLOCK_RATE_HZ, VideoSpec
from softphone.sdp import CodecCapability, MediaCapability, NegotiatedMedia
from softphone.sip import Body

MEDIA_CONTROL = "application/media_control+xml"
FEEDBACK = ("nack", "nack pli", "ccm fir", "ccm tmmbr")
H264 = "profile-level-id=42e01f;level-asymmetry-allowed=1"
LONGEST = 4096


@dataclass(frozen=True, slots=True)
class VideoSetup:
    """How a call does video: `codecs` by preference; with `offer`, our offers have a video line."""

    port: VideoBackend
    codecs: tuple[str, ...]
    offer: bool = False


def video_capability(codecs: Sequence[str]) -> MediaCapability:
    """Return our capability: H.264 constrained baseline in both packetization modes, and VP8."""
    known: list[CodecCapability] = []
    for name in codecs:
        if name == "H264":
            fmtps = (f"{H264};packetization-mode=1", H264)
            known += [
                CodecCapability(name, CLOCK_RATE_HZ, fmtp=fmtp, feedback=FEEDBACK) for fmtp in fmtps
            ]
        else:
            known.append(CodecCapability(name, CLOCK_RATE_HZ, feedback=FEEDBACK))
    return MediaCapability("video", tuple(known))


def video_spec(spec: StreamSpec, media: NegotiatedMedia) -> VideoSpec:
    """Extend a stream specification with the feedback and bandwidth of a video stream."""
    values = {name: getattr(spec, name) for name in StreamSpec.__slots__}
    return VideoSpec(**values, feedback=media.codec.feedback, bandwidth=media.bandwidth)


def key_frame_request() -> Body:
    """Make the body of an INFO that asks for a key frame (RFC 5168 section 7)."""
    text = (
        '<?xml version="1.0" encoding="utf-8"?><media_control><vc_primitive><to_encoder>'
        "<picture_fast_update/></to_encoder></vc_primitive></media_control>"
    )
    return Body(MEDIA_CONTROL, text.encode())


def is_key_frame_request(body: bytes) -> bool:
    """Whether the body of an INFO asks for a key frame; only `LONGEST` bytes are searched."""
    return b"<picture_fast_update" in body[:LONGEST]
