"""The media plane: RTP audio and video streams with their sockets, clocks, sources and sinks.

`interface` is the API for the layers above.  `placement` chooses an engine in this process or in
worker processes.  `video_stream` runs the video streams of calls.  The media plane does not
negotiate and does not judge security: offer and answer are in `softphone.sdp`, keys and SRTP in
`softphone.srtp`, packet formats in `softphone.rtp`, audio codecs in `softphone_codecs`, calls in
`softphone.call`.

RFC 3550 (RTP and RTCP), RFC 3711 (SRTP), RFC 3389 (comfort noise), RFC 4733 (digits), RFC 4961
(symmetric RTP), RFC 5761 (RTP and RTCP on one port), RFC 3611 (XR), RFC 4585 and RFC 5104 (video
feedback).  Each subpackage names the sections that it implements.
"""

from __future__ import annotations

from softphone.media.audio import EchoSource, SilenceSource, TeeSink, ToneSource
from softphone.media.audio.sources import PcmRing, WavSink, WavSource, at_rate
from softphone.media.engine import MediaEngine
from softphone.media.interface import (
    AllocatedStream,
    DigitDetected,
    EventCallback,
    FirstPacketReceived,
    LatchCause,
    MediaBackend,
    MediaConfig,
    MediaEvent,
    MediaFailed,
    PayloadTypeChanged,
    Pcm,
    PcmBlock,
    Placement,
    PlaybackEnded,
    PortRange,
    PublicAddresses,
    RemoteLatched,
    RtcpByeReceived,
    Sink,
    SocketSharing,
    Source,
    SrtpKey,
    SsrcChanged,
    StaleHandle,
    StreamHandle,
    StreamSpec,
    StreamTimedOut,
)
from softphone.media.placement import AnyEngine, make_engine
from softphone.media.video_stream import VideoBackend, VideoStream

__all__ = [
    "AllocatedStream",
    "AnyEngine",
    "DigitDetected",
    "EchoSource",
    "EventCallback",
    "FirstPacketReceived",
    "LatchCause",
    "MediaBackend",
    "MediaConfig",
    "MediaEngine",
    "MediaEvent",
    "MediaFailed",
    "PayloadTypeChanged",
    "Pcm",
    "PcmBlock",
    "PcmRing",
    "Placement",
    "PlaybackEnded",
    "PortRange",
    "PublicAddresses",
    "RemoteLatched",
    "RtcpByeReceived",
    "SilenceSource",
    "Sink",
    "SocketSharing",
    "Source",
    "SrtpKey",
    "SsrcChanged",
    "StaleHandle",
    "StreamHandle",
    "StreamSpec",
    "StreamTimedOut",
    "TeeSink",
    "ToneSource",
    "VideoBackend",
    "VideoStream",
    "WavSink",
    "WavSource",
    "at_rate",
    "make_engine",
]
