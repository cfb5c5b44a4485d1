"""What a call asks for when its scenario sends media, sends back what comes, or may hear some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from softphone.load.sipp.media.agreement import MediaAgreement
from softphone.load.sipp.media.packet_file import PacketFile
from softphone.load.sipp.media.rtp_stream import RtpStream


@dataclass(frozen=True, slots=True)
class MediaAgreed:
    """Both sides of call `number` have described media of a kind: audio or video.

    `echo`: what comes is sent back, from now on.
    """

    number: int
    kind: str
    agreement: MediaAgreement
    echo: bool = False


@dataclass(frozen=True, slots=True)
class PlayWanted:
    """Call `number` plays the packets of a file to where its media goes."""

    number: int
    file: PacketFile
    agreement: MediaAgreement


@dataclass(frozen=True, slots=True)
class StreamWanted:
    """Call `number` streams to where its media goes, instead of what it streams of that kind."""

    number: int
    stream: RtpStream
    agreement: MediaAgreement


@dataclass(frozen=True, slots=True)
class PauseWanted:
    """Call `number` pauses its stream of a kind, or resumes it."""

    number: int
    kind: str
    paused: bool


@dataclass(frozen=True, slots=True)
class EchoWanted:
    """Call `number` sends back what comes of a kind by its agreement; None ends that."""

    number: int
    kind: str
    agreement: MediaAgreement | None


@dataclass(frozen=True, slots=True)
class EchoSwitched:
    """The echo of all calls is on, or off until it is on again."""

    on: bool


MediaWanted: TypeAlias = (
    MediaAgreed | PlayWanted | StreamWanted | PauseWanted | EchoWanted | EchoSwitched
)
