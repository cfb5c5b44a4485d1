"""What a call asks for when its scenario plays packets."""

from __future__ import annotations

from dataclasses import dataclass

from softphone.load.sipp.media.agreement import MediaAgreement
from softphone.load.sipp.media.packet_file import PacketFile


@dataclass(frozen=True, slots=True)
class PlayWanted:
    """Call `number` plays the packets of a file to where its media goes."""

    number: int
    file: PacketFile
    agreement: MediaAgreement
