"""softphone.media.video."""

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
