"""H.264 and VP8, encoded and decoded by PyAV (libx264, libvpx), one picture at a time.

Encoding adds no delay by reordering (no B frames).  PyAV is imported on first use.  Decoders take
data from the network: a frame that cannot be decoded gives no picture, and one that is too large is
rejected.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from softphone.errors import ConfigurationError
from softphone.media.video.packet_path import CLOCK_RATE_HZ, h264_mode
from softphone.media.video.picture import Picture
from softphone.rtp import LARGEST_PAYLOAD, EncodedFrame

if TYPE_CHECKING:
    import av

NAMES = {"H264": ("libx264", "h264"), "VP8": ("libvpx", "vp8")}
"""PyAV's encoder and decoder of each codec."""
VIDEO_CODECS = tuple(NAMES)
KEY_SECONDS = 10
MOST_PIXELS = 1920 * 1088
CHANGE = 0.1
"""The relative change of the bit rate that restarts the encoder."""


class VideoEncoder:
    """One encoder; `fmtp` has the far end's parameters of the codec.

    The first picture sets its size; a picture of another size restarts it.
    """

    def __init__(self, codec: str, *, fmtp: str = "", rate: float, bitrate: int) -> None:
        if codec not in NAMES:
            raise ConfigurationError(f"the video codec {codec} is not {' or '.join(NAMES)}")
        self.codec = codec
        self._fmtp = fmtp
        self._rate = rate
        self._bitrate = max(bitrate, 1)
        self._context: Any = None
        self._size = (0, 0)
        self._count = 0

    def encode(self, picture: Picture, *, key: bool, bitrate: int) -> EncodedFrame | None:
        """Return the coded picture, with `key` as a key frame.

        Raises ConfigurationError for a picture of a size that cannot be coded.
        """
        import av

        rows, width = picture.shape
        size = (width, rows * 2 // 3)
        changed = abs(bitrate - self._bitrate) > CHANGE * self._bitrate
        if self._context is None or size != self._size or changed:
            # Neither encoder can change its bit rate while it runs: it restarts with a key frame.
            self._bitrate = max(bitrate, 1)
            self._start(size)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="yuv420p")
        frame.pts = int(self._count * CLOCK_RATE_HZ / self._rate)
        frame.pict_type = av.video.frame.PictureType.I if key else av.video.frame.PictureType.NONE
        self._count += 1
        packets = self._context.encode(frame)
        data = b"".join(bytes(packet) for packet in packets)
        return EncodedFrame(data, any(packet.is_keyframe for packet in packets)) if data else None

    def _start(self, size: tuple[int, int]) -> None:
        import av

        if size[0] % 2 or size[1] % 2 or size[0] * size[1] > MOST_PIXELS:
            raise ConfigurationError(f"a picture of {size[0]}x{size[1]} cannot be coded")
        context = av.CodecContext.create(NAMES[self.codec][0], "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height = size
        context.pix_fmt = "yuv420p"
        context.time_base = Fraction(1, CLOCK_RATE_HZ)
        context.framerate = Fraction(self._rate).limit_denominator(1001)
        context.bit_rate = self._bitrate
        context.gop_size = int(KEY_SECONDS * self._rate)
        context.thread_count = 1
        context.options = self._options()
        self._context, self._size = context, size

    def _options(self) -> dict[str, str]:
        if self.codec == "VP8":
            return {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
        # Constrained baseline (no B frames, no CABAC), which every decoder supports.
        parameters = f"vbv-maxrate={self._kilobits}:vbv-bufsize={self._kilobits}:repeat-headers=1"
        if h264_mode(self._fmtp) == 0:
            parameters += f":slice-max-size={LARGEST_PAYLOAD}"
        return {
            "preset": "veryfast",
            "tune": "zerolatency",
            "profile": "baseline",
            "forced-idr": "1",
            "x264-params": parameters,
        }

    @property
    def _kilobits(self) -> int:
        return max(self._bitrate // 1000, 1)


class VideoDecoder:
    """One decoder, for one codec."""

    def __init__(self, codec: str) -> None:
        self.codec = codec
        self.failures = 0
        self._context: Any = None

    def decode(self, frame: EncodedFrame) -> list[Picture]:
        """Decode a frame; return one picture, or none if it cannot be decoded."""
        import av

        if self._context is None:
            self._context = av.CodecContext.create(NAMES[self.codec][1], "r")
            self._context.thread_count = 1
            self._context.flags |= av.codec.context.Flags.low_delay
            self._context.options = {"max_pixels": str(MOST_PIXELS)}
        try:
            # A picture of 2x2 can be decoded, but not converted to a valid `Picture`.
            return [self._array(each) for each in self._context.decode(av.Packet(frame.data))]
        except (av.FFmpegError, ValueError, AssertionError):
            self.failures += 1
            return []

    @staticmethod
    def _array(picture: av.VideoFrame) -> Picture:
        width, height = picture.width // 4 * 4, picture.height // 2 * 2
        if (picture.format.name, picture.width, picture.height) != ("yuv420p", width, height):
            picture = picture.reformat(width=width, height=height, format="yuv420p")
        return np.asarray(picture.to_ndarray(), dtype=np.uint8)
