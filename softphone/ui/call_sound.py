"""The sound card of this machine.  Only one call has sound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from softphone import Call, SilenceSource, Sink, SoundDevice, Source, list_sound_devices
from softphone.errors import LocalProtocolError, SoftphoneError

NO_CARD = "this machine has no sound card with a microphone and a loudspeaker"
NOT_WANTED = "no sound card is to be used"


class Sound(Source, Sink, Protocol):
    """What is asked of a sound card: `SoundDevice`."""

    ended: bool

    def close(self) -> None:
        """Release the card."""


class CallSound:
    """Opens the sound card `device` for the first call and releases it after the last.

    Only one call has it at a time.  `problem` says why there is no sound; "" if there is.  A call
    goes on without it.
    """

    def __init__(
        self, device: str | None, *, open_device: Callable[[str], Sound] = SoundDevice
    ) -> None:
        self.device = device
        self.problem = NOT_WANTED if device is None else ""
        self._open_device = open_device
        self._opened: Sound | None = None
        self._call: Call | None = None
        self._turn = asyncio.Lock()

    async def look(self) -> None:
        """See whether there is a sound card, before the first call."""
        if self.device is None:
            return
        try:
            found = await asyncio.to_thread(list_sound_devices)
        except SoftphoneError as error:
            self.problem = str(error)
        else:
            usable = any(each.inputs and each.outputs for each in found)
            self.problem = "" if usable else NO_CARD

    async def give_to(self, call: Call) -> None:
        """Let a call have the sound card, and nobody else."""
        async with self._turn:
            if self.device is None or self._call is call:
                return
            self._part()
            if self._opened is None or self._opened.ended:
                try:
                    # PortAudio takes a while to open a card.
                    self._opened = await asyncio.to_thread(self._open_device, self.device)
                except SoftphoneError as error:
                    self.problem = str(error)
                    return
            self.problem, card = "", self._opened
            try:
                call.audio.play(card)
                call.audio.record(card)
            except LocalProtocolError:
                return  # the call is over already
            self._call = call

    def take_from(self, call: Call | None) -> None:
        """Take the sound card from a call, if it has it."""
        if call is not None and self._call is call:
            self._part()

    def close(self) -> None:
        """Release the sound card."""
        self._part()
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _part(self) -> None:
        call, self._call = self._call, None
        if call is None:
            return
        try:
            call.audio.play(SilenceSource())
            call.audio.record(None)
        except LocalProtocolError:
            return
