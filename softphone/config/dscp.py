"""The marks of packets by name (RFC 2474), and the table `[dscp]` of the account file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from softphone.errors import ConfigurationError
from softphone.value_types import settle_types

CODE_POINTS: Final = {
    **{f"CS{number}": 8 * number for number in range(8)},
    **{f"AF{kind}{drop}": 8 * kind + 2 * drop for kind in range(1, 5) for drop in range(1, 4)},
    "EF": 46,
    "VOICE-ADMIT": 44,
    "LE": 1,
}
"""Code points by name: RFC 2474, RFC 2597, RFC 3246, RFC 5865, RFC 8622."""


def code_point(mark: str) -> int:
    """Return the code point, 0 to 63, of a name or decimal digits.  Raises ValueError."""
    found = CODE_POINTS.get(mark.upper())
    if found is None and mark.isascii() and mark.isdigit() and len(mark) <= 2:
        found = int(mark)
    if found is None or found > 63:
        raise ValueError(f"{mark[:32]!r} is no code point such as EF, AF41, CS3, or 0 to 63")
    return found


@dataclass(frozen=True, slots=True)
class DscpConfig:
    """The code points of sent packets, by which a network may prioritize them (RFC 2474).

    A name such as "EF", "AF41" or "CS3", or a number from "0" (no mark) to "63".
    """

    audio: str = "EF"
    """Of audio, RTP and RTCP."""
    video: str = "AF41"
    """Of video, RTP and RTCP."""
    signaling: str = "CS3"
    """Of SIP, over every transport."""

    def __post_init__(self) -> None:
        settle_types(self, "dscp", audio='"EF"')
        for key in ("audio", "video", "signaling"):
            try:
                code_point(getattr(self, key))
            except ValueError as error:
                raise ConfigurationError(f"dscp.{key}: {error}") from error

    @property
    def media_code_points(self) -> tuple[int, int]:
        """The numbers of audio and of video.

        :meta private:
        """
        return code_point(self.audio), code_point(self.video)

    @property
    def signaling_code_point(self) -> int:
        """The number of SIP.

        :meta private:
        """
        return code_point(self.signaling)
