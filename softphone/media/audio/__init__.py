"""softphone.media.audio."""

from __future__ import annotations

from softphone.media.audio.audio_router import Attached, StreamSound, let_go
from softphone.media.audio.fan_out import write_all
from softphone.media.audio.mixer import Bridge, Member
from softphone.media.audio.part_file import PartFile
from softphone.media.audio.pcm_input import HeardPcm, PcmInput
from softphone.media.audio.pcm_output import Mark, PcmOutput, check_rate
from softphone.media.audio.pcm_ring import PcmRing
from softphone.media.audio.resample import (
    ConvertingSink,
    RateSource,
    ResampleStream,
    at_rate,
    convert,
    converting,
)
from softphone.media.audio.ring_audio import (
    BLOCKS,
    SAMPLES,
    RingSink,
    RingSource,
    put_samples,
    take_blocks,
)
from softphone.media.audio.shared_ring import SharedRing, map_memory, shared_memory
from softphone.media.audio.sources import EchoSource, SilenceSource, TeeSink, ToneSource
from softphone.media.audio.tones import (
    DTMF,
    FULL_SCALE,
    FULL_SCALE_DBM0,
    Cadence,
    ToneGenerator,
    tone_level,
)
from softphone.media.audio.wav import WavSink, WavSource

__all__ = [
    "BLOCKS",
    "DTMF",
    "FULL_SCALE",
    "FULL_SCALE_DBM0",
    "SAMPLES",
    "Attached",
    "Bridge",
    "Cadence",
    "ConvertingSink",
    "EchoSource",
    "HeardPcm",
    "Mark",
    "Member",
    "PartFile",
    "PcmInput",
    "PcmOutput",
    "PcmRing",
    "RateSource",
    "ResampleStream",
    "RingSink",
    "RingSource",
    "SharedRing",
    "SilenceSource",
    "StreamSound",
    "TeeSink",
    "ToneGenerator",
    "ToneSource",
    "WavSink",
    "WavSource",
    "at_rate",
    "check_rate",
    "convert",
    "converting",
    "let_go",
    "map_memory",
    "put_samples",
    "shared_memory",
    "take_blocks",
    "tone_level",
    "write_all",
]
