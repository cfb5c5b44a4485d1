"""The decoder of one stream with a stateful codec (Opus, G.722), frame by frame.

Packets of any length become frames of 20 ms.  A missing frame is recovered from the packet after it
(forward error correction) or concealed by the decoder, if the codec can.  In a pause (DTX) the
decoder generates comfort noise, for up to `LONGEST_PAUSE` frames after the last packet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from softphone.media.playout import FrameStatus
from softphone_codecs import PayloadRefused, RowDecoder, Samples

LONGEST_PAUSE = 50
"""Maximum frames of a pause that are filled; a live far end sends a packet every 400 ms."""


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """`pcm` int16[samples], or None if the decoder has no samples; `spliced`: the frame does not
    follow the one before it."""

    pcm: Samples | None
    spliced: bool = False


@dataclass(slots=True)
class StatefulDecoder:
    """`decoder`, and the samples that it has decoded beyond the last frame; `conceals` says whether
    it can conceal; `refused` counts payloads that are not valid for the codec."""

    decoder: RowDecoder
    conceals: bool
    refused: int = 0
    _left: Samples = field(default_factory=lambda: np.zeros(0, dtype=np.int16))
    _heard: bool = False
    _missing: int = 0

    def next_frame(
        self, status: int, data: bytes, samples: int, *, several: Sequence[bytes] = ()
    ) -> DecodedFrame:
        """Return the next frame of `samples` samples.

        If `status` is PLAYED, `data` is the payload, and `several` holds all payloads if more than
        one packet begins in the frame.  If it is CONCEALED, `data` is the packet after the missing
        one, or empty.
        """
        if status == FrameStatus.PLAYED:
            decoded = [self._decode(each) for each in several or (data,)]
            parts = [part for part in decoded if part is not None]
            if parts:
                # Samples left over, if less than a frame, precede the packet of this frame.
                spliced = self._left.size >= samples
                kept = parts if spliced or not self._left.size else [self._left, *parts]
                self._left = kept[0] if len(kept) == 1 else np.concatenate(kept)
                return DecodedFrame(self._take_samples(samples), spliced)
        if self._left.size:
            return DecodedFrame(self._take_samples(samples))
        return DecodedFrame(self._bridge(status, data, samples))

    def _decode(self, data: bytes) -> Samples | None:
        try:
            fresh = self.decoder.decode(data)
        except PayloadRefused:
            self.refused += 1
            return None
        self._heard, self._missing = True, 0
        return fresh

    def _take_samples(self, samples: int) -> Samples:
        taken, self._left = self._left[:samples], self._left[samples:]
        lacking = samples - taken.size
        if lacking:
            return np.concatenate((taken, self.decoder.conceal(lacking)))
        return taken

    def _bridge(self, status: int, following: bytes, samples: int) -> Samples | None:
        self._missing += 1
        if not self.conceals or not self._heard or self._missing > LONGEST_PAUSE:
            return None
        recover = following if status == FrameStatus.CONCEALED else b""
        return self.decoder.conceal(samples, recover or None)
