"""What our session descriptions can say: the audio codecs of a call, and those of its video.

RFC 3264 section 5.1, RFC 3551.  Which of it is agreed is `softphone.sdp`'s to find out.
"""

from __future__ import annotations

from functools import lru_cache

from softphone.call.leg.video_setup import VideoSetup, video_capability
from softphone.media.bank import find_codec
from softphone.sdp import CodecCapability, MediaCapability

__all__ = ["capabilities"]


def capabilities(
    codecs: tuple[str, ...],
    comfort_noise: bool,
    video: VideoSetup | None,
    extended_reports: str = "",
) -> list[MediaCapability]:
    """Audio, with the extended reports that we would like, and video where a call may have it."""
    audio = _capability(codecs, comfort_noise, extended_reports)
    return [audio] if video is None else [audio, video_capability(video.codecs)]


@lru_cache(64)
def _capability(
    codecs: tuple[str, ...], comfort_noise: bool, extended_reports: str
) -> MediaCapability:
    return MediaCapability(
        "audio",
        tuple(_described(name) for name in codecs),
        telephone_event=True,
        comfort_noise=comfort_noise,
        extended_reports=extended_reports,
    )


def _described(name: str) -> CodecCapability:
    """A codec as it is offered; numbers of one's own are only customary (RFC 3551 section 3)."""
    found = find_codec(name)
    return CodecCapability(
        found.name,
        found.clock_rate,
        found.channels,
        payload_type=found.payload_type,
        fmtp=found.fmtp or None,
    )
