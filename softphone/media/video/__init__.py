"""The video of one stream: pictures, codecs, the packet path, feedback, pacing and lip sync.

Sockets, the clock and the thread are in the module `softphone.media.video_stream`, payload formats
(RFC 6184, RFC 7741) and RTCP packets in `softphone.rtp`, negotiation in `softphone.sdp`,
recordings in `softphone.media.recording`.

RFC 3550 (lip sync by section 6.4.1), RFC 3711, RFC 4585 (NACK, PLI), RFC 5104 (FIR, TMMBR),
RFC 4961, RFC 8866 section 5.8 and RFC 3890 (bit rate), RFC 8085 section 3 (no bursts).  H.264 and
VP8 are encoded and decoded by PyAV, which is loaded by the first use.
"""

from __future__ import annotations

from softphone.media.video.codec import VIDEO_CODECS, VideoDecoder, VideoEncoder
from softphone.media.video.file_source import FileAudioSource, VideoFileSource, to_picture
from softphone.media.video.lip_sync import BlockTiming, LipSync, LipSyncSink, SharedTimeline
from softphone.media.video.packet_path import (
    CLOCK_RATE_HZ,
    VideoClearPacketCallback,
    VideoPacketPath,
    VideoSpec,
)
from softphone.media.video.picture import (
    KeyFrameOnRequest,
    PatternSource,
    Picture,
    ReceivedVideoFrame,
    VideoSink,
    VideoSource,
)
from softphone.media.video.reassembly import AssembledFrame

__all__ = [
    "CLOCK_RATE_HZ",
    "VIDEO_CODECS",
    "AssembledFrame",
    "BlockTiming",
    "FileAudioSource",
    "KeyFrameOnRequest",
    "LipSync",
    "LipSyncSink",
    "PatternSource",
    "Picture",
    "ReceivedVideoFrame",
    "SharedTimeline",
    "VideoClearPacketCallback",
    "VideoDecoder",
    "VideoEncoder",
    "VideoFileSource",
    "VideoPacketPath",
    "VideoSink",
    "VideoSource",
    "VideoSpec",
    "to_picture",
]
