"""Opus (RFC 6716; RTP payload RFC 7587), mono speech at 48 kHz, through libopus.

In-band forward error correction and discontinuous transmission are on.  The decoder mixes received
stereo down to mono.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import ClassVar

import numpy as np

from softphone_codecs.codec import PayloadRefused, RowDecoder, RowEncoder, Samples, StatefulCodec
from softphone_codecs.libopus import load_libopus

SAMPLE_RATE = 48000
MAX_PAYLOAD = 1275 * 6  # RFC 6716 section 3.2.1: 1,275 octets a frame; 120 ms hold six of 20
MAX_SAMPLES = 5760  # 120 ms
_FRAMES = frozenset({120, 240, 480, 960, 1920, 2880})  # 2.5 to 60 ms (RFC 6716 section 2.1.4)

# The public request numbers of opus_defines.h.
_APPLICATION_VOIP = 2048
_SET_BITRATE = 4002
_SET_MAX_BANDWIDTH = 4004
_SET_COMPLEXITY = 4010
_SET_INBAND_FEC = 4012
_SET_PACKET_LOSS_PERCENT = 4014
_SET_DTX = 4016
_SET_SIGNAL = 4024
_SIGNAL_VOICE = 3001
_BANDWIDTHS = ((8000, 1101), (12000, 1102), (16000, 1103), (24000, 1104), (48000, 1105))
"""The sample rates of the five audio bandwidths (RFC 6716 section 2), in Hz, and their numbers."""

_PARAMETER = re.compile(r"\s*([a-z-]{1,32})\s*=\s*([0-9]{1,7})\s*")
QUIET = 328.0
"""The root mean square above which no frame counts as a pause: 40 dB below overload."""

LEAST_BITRATE, MOST_BITRATE = 6000, 510_000


class OpusFailed(RuntimeError):
    """libopus refused a call of ours; never raised for a peer's payload."""


@dataclass(frozen=True, slots=True)
class OpusSettings:
    """`bitrate` in bit/s, `complexity` 0 to 10, `expected_loss` in percent.

    The more loss the encoder expects, the more it spends on forward error correction; at 0 percent
    it spends nothing.  `playback_rate` in Hz is the highest sample rate worth sending.
    """

    bitrate: int = 32000
    complexity: int = 5
    expected_loss: int = 10
    fec: bool = True
    dtx: bool = True
    playback_rate: int = SAMPLE_RATE

    def restricted_to(self, fmtp: str) -> OpusSettings:
        """These settings, limited by the far end's `a=fmtp` (RFC 7587 section 6.1).

        Error correction and pauses are sent only to a far end that asked for them; invalid values
        are ignored.
        """
        found = (_PARAMETER.fullmatch(part) for part in fmtp[:1024].lower().split(";"))
        parameters = {match[1]: int(match[2]) for match in found if match is not None}
        most = min(
            max(parameters.get("maxaveragebitrate", MOST_BITRATE), LEAST_BITRATE), MOST_BITRATE
        )
        return replace(
            self,
            bitrate=min(self.bitrate, most),
            fec=self.fec and parameters.get("useinbandfec") == 1,
            dtx=self.dtx and parameters.get("usedtx") == 1,
            playback_rate=max(parameters.get("maxplaybackrate", SAMPLE_RATE), 8000),
        )

    @property
    def bandwidth(self) -> int:
        """libopus's number of the narrowest bandwidth that covers `playback_rate`."""
        fitting = (number for rate, number in _BANDWIDTHS if rate >= self.playback_rate)
        return next(fitting, _BANDWIDTHS[-1][1])


@dataclass(frozen=True, slots=True)
class OpusCodec(StatefulCodec):
    """Opus; `a=rtpmap` is always opus/48000/2, whatever the stream (RFC 7587 section 7)."""

    settings: OpusSettings = field(default_factory=OpusSettings)
    _: KW_ONLY
    name: str = "opus"
    payload_type: int = 111
    clock_rate: int = SAMPLE_RATE
    sample_rate: int = SAMPLE_RATE
    channels: int = 2
    octets_per_tick: int = 0
    conceals: ClassVar[bool] = True

    def check_available(self) -> None:
        """Raise CodecUnavailable where no libopus can be loaded."""
        load_libopus()

    def encoder(self, fmtp: str = "useinbandfec=1;usedtx=1") -> RowEncoder:
        """Make an encoder for a far end whose `a=fmtp` is `fmtp`.  Raises CodecUnavailable."""
        return OpusEncoder(self.settings.restricted_to(fmtp))

    def decoder(self) -> RowDecoder:
        """Make a decoder.  Raises CodecUnavailable."""
        return OpusDecoder()

    @property
    def fmtp(self) -> str:
        """Our receive parameters for `a=fmtp` (RFC 7587 section 6.1)."""
        chosen = {"useinbandfec": self.settings.fec, "usedtx": self.settings.dtx}
        return ";".join(f"{name}=1" for name, wanted in chosen.items() if wanted)


def _created(made: int | None, error: ctypes.c_int, what: str) -> ctypes.c_void_p:
    if not made or error.value:
        reason = load_libopus().opus_strerror(error.value)
        raise OpusFailed(f"no {what}: {reason.decode(errors='replace')}")
    return ctypes.c_void_p(made)


class OpusEncoder:
    """The encoder of one stream; its libopus state is freed with the object."""

    __slots__ = ("_buffer", "_library", "_may_pause", "_pausing", "_state")

    def __init__(self, settings: OpusSettings) -> None:
        self._library = load_libopus()
        error = ctypes.c_int()
        made = self._library.opus_encoder_create(
            SAMPLE_RATE, 1, _APPLICATION_VOIP, ctypes.byref(error)
        )
        self._state = _created(made, error, "Opus encoder")
        self._buffer = ctypes.create_string_buffer(MAX_PAYLOAD)
        self._may_pause, self._pausing = settings.dtx, settings.dtx
        for request, value in (
            (_SET_BITRATE, settings.bitrate),
            (_SET_COMPLEXITY, settings.complexity),
            (_SET_SIGNAL, _SIGNAL_VOICE),
            (_SET_INBAND_FEC, int(settings.fec)),
            (_SET_PACKET_LOSS_PERCENT, settings.expected_loss),
            (_SET_DTX, int(settings.dtx)),
            (_SET_MAX_BANDWIDTH, settings.bandwidth),
        ):
            self._control(request, value)

    def _control(self, request: int, value: int) -> None:
        status = self._library.opus_encoder_ctl(self._state, request, ctypes.c_int32(value))
        if status:
            raise OpusFailed(f"the Opus encoder does not take {value} for setting {request}")

    def expect_loss(self, percent: int) -> None:
        """Set the loss of what we send, 0 to 100 percent, from the far end's reports."""
        self._control(_SET_PACKET_LOSS_PERCENT, min(max(percent, 0), 100))

    def encode(self, pcm: Samples) -> bytes:
        """Encode int16[samples] of 2.5, 5, 10, 20, 40 or 60 ms; empty in a pause.

        Raises ValueError for another number of samples.
        """
        if pcm.size not in _FRAMES:
            raise ValueError(f"{pcm.size} samples are no Opus frame: 960 are 20 ms")
        samples = np.ascontiguousarray(pcm, dtype=np.int16)
        self._mind_pauses(samples)
        size = self._library.opus_encode(
            self._state,
            samples.ctypes.data_as(ctypes.c_void_p),
            samples.size,
            self._buffer,
            MAX_PAYLOAD,
        )
        if size < 0:
            raise OpusFailed(f"an Opus frame was not encoded: error {size}")
        # A result of two octets or less is not to be sent (opus_encode, on DTX).
        return self._buffer.raw[:size] if size > 2 else b""

    def _mind_pauses(self, samples: Samples) -> None:
        """Allow pauses only in quiet sound: libopus also takes a steady tone for a pause."""
        if not self._may_pause:
            return
        sound = samples.astype(np.float32)
        quiet = float(np.dot(sound, sound)) < QUIET**2 * sound.size
        if quiet is not self._pausing:
            self._pausing = quiet
            self._control(_SET_DTX, int(quiet))

    def __del__(self) -> None:
        if state := getattr(self, "_state", None):
            self._library.opus_encoder_destroy(state)


class OpusDecoder:
    """The decoder of one stream; its libopus state is freed with the object."""

    __slots__ = ("_library", "_state")

    def __init__(self) -> None:
        self._library = load_libopus()
        error = ctypes.c_int()
        made = self._library.opus_decoder_create(SAMPLE_RATE, 1, ctypes.byref(error))
        self._state = _created(made, error, "Opus decoder")

    def decode(self, data: bytes) -> Samples:
        """Decode one packet to int16[samples].  Raises PayloadRefused."""
        if not 0 < len(data) <= MAX_PAYLOAD:
            raise PayloadRefused(f"{len(data)} octets are no Opus packet")
        samples = self._library.opus_decoder_get_nb_samples(self._state, data, len(data))
        if not 0 < samples <= MAX_SAMPLES:
            raise PayloadRefused("the Opus packet's table of contents makes no sense")
        return self._run(data, samples, fec=False)

    def conceal(self, samples: int, following: bytes | None = None) -> Samples:
        """int16[samples] (multiples of 2.5 ms) to play in place of a lost packet.

        Decoded from the forward error correction in `following` if it has some, else extrapolated.
        """
        if following is not None and 0 < len(following) <= MAX_PAYLOAD:
            try:
                return self._run(following, samples, fec=True)
            except PayloadRefused:
                pass  # the packet itself will be refused when its turn comes: extrapolate
        return self._run(None, samples, fec=False)

    def _run(self, data: bytes | None, samples: int, *, fec: bool) -> Samples:
        pcm = np.zeros(samples, dtype=np.int16)
        got = self._library.opus_decode(
            self._state,
            data,
            0 if data is None else len(data),
            pcm.ctypes.data_as(ctypes.c_void_p),
            samples,
            int(fec),
        )
        if got < 0:
            raise PayloadRefused(f"an Opus packet was not decoded: error {got}")
        return pcm[:got]

    def __del__(self) -> None:
        if state := getattr(self, "_state", None):
            self._library.opus_decoder_destroy(state)


OPUS = OpusCodec()
