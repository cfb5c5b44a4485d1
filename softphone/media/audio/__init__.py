"""Sound as PCM: sources, sinks, rings, WAV files, tones, mixing and rate conversion.

It works on samples, not on packets.  Codecs are in `softphone_codecs`, the jitter buffer and
concealment in `softphone.media.playout`, detection of tones and speech in
`softphone.media.detection`, recordings of calls in `softphone.media.recording`, aiortc's tracks in
`softphone.media.tracks`.  Sources and sinks satisfy the protocols of `softphone.media.interface`.

ITU-T Q.23 (DTMF) and E.180 (call progress tones); levels are in dBm0 as in G.711.  `sound_device`
is imported by its module: it needs sounddevice, and only the command line uses it.
"""

from __future__ import annotations

from softphone.media.audio.audio_router import AudioRouter, Detachable, detach_replaced
from softphone.media.audio.block_batch import BatchSink, BlockBatch
from softphone.media.audio.fan_out import TeeSink, write_blocks
from softphone.media.audio.mixer import ConferenceMixer, MixerMember
from softphone.media.audio.part_file import PartFile
from softphone.media.audio.pcm_input import PcmInput, ReceivedAudio
from softphone.media.audio.pcm_output import PcmOutput, PlaybackMark, check_rate
from softphone.media.audio.pcm_ring import PcmRing
from softphone.media.audio.resample import (
    ConvertingSink,
    Resampler,
    ResamplingSource,
    as_converting_sink,
    at_rate,
    resample_together,
)
from softphone.media.audio.ring_audio import (
    BLOCK_RING_OCTETS,
    SAMPLE_RING_OCTETS,
    RingSink,
    RingSource,
    read_blocks,
    write_samples,
)
from softphone.media.audio.shared_ring import SharedRing, map_memory, shared_memory
from softphone.media.audio.sources import EchoSource, SilenceSource, ToneSource
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
    "BLOCK_RING_OCTETS",
    "DTMF",
    "FULL_SCALE",
    "FULL_SCALE_DBM0",
    "SAMPLE_RING_OCTETS",
    "AudioRouter",
    "BatchSink",
    "BlockBatch",
    "Cadence",
    "ConferenceMixer",
    "ConvertingSink",
    "Detachable",
    "EchoSource",
    "MixerMember",
    "PartFile",
    "PcmInput",
    "PcmOutput",
    "PcmRing",
    "PlaybackMark",
    "ReceivedAudio",
    "Resampler",
    "ResamplingSource",
    "RingSink",
    "RingSource",
    "SharedRing",
    "SilenceSource",
    "TeeSink",
    "ToneGenerator",
    "ToneSource",
    "WavSink",
    "WavSource",
    "as_converting_sink",
    "at_rate",
    "check_rate",
    "detach_replaced",
    "map_memory",
    "read_blocks",
    "resample_together",
    "shared_memory",
    "tone_level",
    "write_blocks",
    "write_samples",
]
