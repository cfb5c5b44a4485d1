"""Pictures as arrays, the interfaces of video, a numbered test pattern, and PSNR.

A picture is planar YUV 4:2:0 (I420), uint8[height * 3 // 2, width], width and height even, the
width a multiple of 4: rows of luma, then both chroma planes at half size.  No file and no codec.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from softphone.rtp import EncodedFrame

Picture: TypeAlias = npt.NDArray[np.uint8]

BITS = 16
"""Binary digits of a pattern's number, as blocks of black and white in its first rows."""
BLACK, GRAY, WHITE = 16, 128, 235


@dataclass(frozen=True, slots=True)
class ReceivedVideoFrame:
    """A received picture and its coded frame.

    `picture` is None if the sink takes coded frames only.  `seconds` is media time since the first
    frame; `captured` is the capture time, in seconds since 1970 by the far end's clock, None until
    its RTCP has reported the clock.
    """

    picture: Picture | None
    frame: EncodedFrame
    codec: str
    seconds: float
    captured: float | None
    security_generation: int


@runtime_checkable
class VideoSource(Protocol):
    """The source of sent video; the video thread reads it once a frame, and it may block."""

    @property
    def rate(self) -> float:
        """Frames a second."""

    @property
    def ended(self) -> bool:
        """Whether the source gives no more pictures."""

    def read(self) -> Picture | EncodedFrame | None:
        """Return the next picture, or a coded frame to pass through; None: nothing new."""


@runtime_checkable
class KeyFrameOnRequest(Protocol):
    """A source of coded frames that can give a key frame on request."""

    def request_key_frame(self) -> None:
        """Request a key frame; called in the event loop, repeatedly until one has been sent."""


@runtime_checkable
class VideoSink(Protocol):
    """The sink of received video."""

    @property
    def wants_pictures(self) -> bool:
        """Whether the sink needs decoded pictures."""

    def write(self, block: ReceivedVideoFrame) -> None:
        """Process one frame, in the video thread."""


def draw_pattern(number: int, width: int, height: int) -> Picture:
    """A slanted ramp that moves, colored, with its number (modulo 65,536) in the first rows."""
    block = max(width // BITS, 1)
    luma = (np.add.outer(np.arange(height), np.arange(width)) + 4 * number) % 256
    luma = np.abs(luma - GRAY) * 3 // 2 + 32
    bits = [WHITE if number >> bit & 1 else BLACK for bit in range(BITS)]
    luma[: height // 8, : BITS * block] = np.repeat(bits, block)
    chroma = np.full((height // 2, width), GRAY)
    chroma[: height // 4] += np.linspace(-60, 60, width).astype(int)
    return np.concatenate((luma, chroma)).astype(np.uint8)


def pattern_number(picture: Picture) -> int:
    """Read the number of a test pattern, even after lossy coding."""
    width, height = picture.shape[1], picture.shape[0] * 2 // 3
    block = max(width // BITS, 1)
    middle = picture[height // 16, block // 2 : BITS * block : block]
    return int(sum(1 << bit for bit, value in enumerate(middle[:BITS]) if value > GRAY))


def psnr(one: Picture, other: Picture) -> float:
    """The peak signal-to-noise ratio of two pictures of one size, in dB; infinite: the same."""
    error = float(np.mean((one.astype(np.int32) - other.astype(np.int32)) ** 2))
    return math.inf if error == 0 else 10.0 * math.log10(255.0**2 / error)


class PatternSource:
    """The test pattern, `frames` times or endlessly."""

    def __init__(
        self, *, width: int = 320, height: int = 240, rate: float = 15.0, frames: int | None = None
    ) -> None:
        if width % 4 or height % 2 or width < 64 or height < 64:
            raise ValueError(f"a pattern of {width}x{height} cannot be drawn")
        self._size = (width, height)
        self.rate = rate
        """Frames a second."""
        self._frames = frames
        self._number = 0

    @property
    def ended(self) -> bool:
        """Whether all frames have been read."""
        return self._frames is not None and self._number >= self._frames

    def read(self) -> Picture | EncodedFrame | None:
        """The next picture."""
        if self.ended:
            return None
        self._number += 1
        return draw_pattern(self._number - 1, *self._size)
