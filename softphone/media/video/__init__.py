"""softphone.media.video."""

from __future__ import annotations

from softphone.media.video.codec import VIDEO_CODECS, VideoDecoder, VideoEncoder
from softphone.media.video.file_source import FileSound, VideoFileSource, picture_of
from softphone.media.video.lip_sync import Ear, LipSync, Moment, SharedTimeline
from softphone.media.video.packet_path import CLOCK_RATE_HZ, Overhear, VideoPath, VideoSpec
from softphone.media.video.picture import PatternSource, Picture, VideoBlock, VideoSink, VideoSource
from softphone.media.video.reassembly import ReceivedFrame

__all__ = [
    "CLOCK_RATE_HZ",
    "VIDEO_CODECS",
    "Ear",
    "FileSound",
    "LipSync",
    "Moment",
    "Overhear",
    "PatternSource",
    "Picture",
    "ReceivedFrame",
    "SharedTimeline",
    "VideoBlock",
    "VideoDecoder",
    "VideoEncoder",
    "VideoFileSource",
    "VideoPath",
    "VideoSink",
    "VideoSource",
    "VideoSpec",
    "picture_of",
]
