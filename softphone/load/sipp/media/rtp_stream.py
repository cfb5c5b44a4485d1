"""What `rtp_stream` sends: octets of a file, or a pattern, cut into RTP payloads.

The names, sizes and times of payloads are SIPp's own: a stream is described by a name of a file (or
`apattern`, `vpattern`), how often it is repeated, a payload type and the name of its format.
RFC 3551 section 6 (payload types).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from softphone.errors import ConfigurationError
from softphone.operating_system import open_to_read

MOST_OCTETS = 64 * 1024 * 1024
ENDLESS = -1
DEFAULT_TYPE = 8
PATTERNS = {"apattern": "audio", "vpattern": "video"}
_PATTERN_OCTETS = (0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF)
_STATIC = {0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000", 18: "G729/8000"}
_RIFF = b"RIFF"


@dataclass(frozen=True, slots=True)
class _Format:
    """A format: its kind of media, and octets, milliseconds and timestamp units of a packet."""

    kind: str
    size: int
    milliseconds: int
    ticks: int


_FORMATS = {
    "PCMU/8000": _Format("audio", 160, 20, 160),
    "PCMA/8000": _Format("audio", 160, 20, 160),
    "G722/8000": _Format("audio", 160, 20, 160),
    "G729/8000": _Format("audio", 20, 20, 160),
    "iLBC/8000": _Format("audio", 50, 30, 240),
    "H264/90000": _Format("video", 1280, 160, 1280),
}


@dataclass(frozen=True, slots=True)
class RtpStream:
    """Octets to send, `size` of them and `ticks` timestamp units a packet, every `milliseconds`.

    `loops` is ENDLESS without an end.
    """

    kind: str
    octets: bytes = field(repr=False)
    loops: int
    payload_type: int
    size: int
    milliseconds: int
    ticks: int

    def payload(self, number: int) -> bytes | None:
        """The payload of packet `number`, from 0 on; None behind the last one.

        It wraps at the file's end.
        """
        start = number * self.size
        if self.loops != ENDLESS and start >= self.loops * len(self.octets):
            return None
        at = start % len(self.octets)
        whole = self.octets[at : at + self.size]
        while len(whole) < self.size:
            whole += self.octets[: self.size - len(whole)]
        return whole


def read_stream(text: str, folder: Path) -> RtpStream:
    """Read a description: `FILE[,LOOPS[,TYPE[,NAME]]]`, or of a pattern instead of a file.

    A pattern is `apattern[,NUMBER[,TYPE[,NAME]]]`, or `vpattern,NUMBER,TYPE,NAME`.  A file is
    looked for in `folder`, then in the working folder.  Raises ConfigurationError.
    """
    name, *given = (each.strip() for each in text.split(","))
    number = _whole(given[0] if given else "1")
    payload_type = _whole(given[1] if len(given) > 1 else str(DEFAULT_TYPE))
    format_name = given[2] if len(given) > 2 else _STATIC.get(payload_type, "")
    known = _FORMATS.get(format_name)
    # Static numbers have one meaning each; dynamic ones that of their name.
    static = _STATIC.get(payload_type)
    if known is None or len(given) > 3 or (static or format_name) != format_name:
        raise ConfigurationError(f"payload {payload_type} {format_name} is not supported")
    if (static is None and payload_type < 96) or not 0 <= payload_type <= 127:
        raise ConfigurationError(f"payload {payload_type} {format_name} is not supported")
    loops = number
    if name in PATTERNS:
        if not 1 <= number <= len(_PATTERN_OCTETS) or PATTERNS[name] != known.kind:
            raise ConfigurationError(f"pattern {number} of {format_name} is not supported")
        octets, loops = bytes((_PATTERN_OCTETS[number - 1],)) * known.size, ENDLESS
    else:
        octets = _read_octets(name, folder)
    if loops != ENDLESS and loops < 1:
        raise ConfigurationError(f"{loops} repetitions; expected 1 or more, or -1 without end")
    return RtpStream(
        known.kind, octets, loops, payload_type, known.size, known.milliseconds, known.ticks
    )


def _whole(text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise ConfigurationError(f"{text!r} is no whole number")
    return int(text)


def _read_octets(name: str, folder: Path) -> bytes:
    path = folder / name
    path = path if path.exists() else Path(name)
    try:
        with open_to_read(path) as file:
            data = file.read(MOST_OCTETS + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from error
    if len(data) > MOST_OCTETS:
        raise ConfigurationError(f"{path}: too large for a stream")
    data = _without_header(data)
    if not data:
        raise ConfigurationError(f"{path}: there is nothing to send in it")
    return data


def _without_header(data: bytes) -> bytes:
    """The samples of a WAV file, any other file as it is."""
    if data[:4] != _RIFF or data[8:12] != b"WAVE":
        return data
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"data":
            return data[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)
    return b""
