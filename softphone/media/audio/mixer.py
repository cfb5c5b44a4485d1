"""A conference bridge: each member hears the sum of all others, in frames of 20 ms.

Members fade in and out, which avoids clicks; the sum is limited and never wraps.  The members'
audio drives the mixer: it mixes a frame once each member has written one, and waits at most
`PATIENCE` frames for a member that writes nothing.  A member is a `Sink` for what it says and a
`Source` of what it hears.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from softphone.errors import LocalProtocolError
from softphone.media.arrays import count_nonzero
from softphone.media.audio.block_batch import BatchSink, BlockBatch
from softphone.media.audio.resample import Resampler
from softphone.media.interface import Pcm, PcmBlock, Source

PATIENCE = 3
"""Frames that one member may be ahead before the mixer stops waiting for the others."""
HELD = 10
"""The most frames queued for a member, each way; beyond it the oldest are dropped."""
LOUD = 24_000.0
"""The limiter compresses samples above this absolute value."""


class MixerMember(BatchSink):
    """One party of a bridge: `write` takes what it says, `read` gives what it hears."""

    def __init__(self, bridge: ConferenceMixer) -> None:
        self._bridge = bridge
        self.clock_rate_hz = bridge.clock_rate_hz
        """The rate of the bridge."""
        self._converter: Resampler | None = None
        self.said = np.zeros(0, dtype=np.int16)
        self.heard = np.zeros(0, dtype=np.int16)
        self.away = False
        """Whether the mixer has stopped waiting for the member, which has written nothing."""
        self.leaving = False
        self.muted = False
        self.gain = 0.0
        """The gain of what the member hears, 0 to 1; a change ramps over one frame."""
        self.level = 0.0
        """The gain of what the others hear of the member, 0 to 1; a change ramps over a frame."""
        self.whisper: Source | None = None
        """A source that only this member hears, beside the others."""
        self.dropped_samples = 0

    @property
    def ended(self) -> bool:
        """Whether the member has left the bridge."""
        return self.leaving and self not in self._bridge.members

    def write(self, block: PcmBlock) -> None:
        """Queue a block of what the member says, converted to the bridge's rate, and mix."""
        pcm = block.pcm
        if block.clock_rate_hz != self.clock_rate_hz:
            if self._converter is None or self._converter.source_rate_hz != block.clock_rate_hz:
                self._converter = Resampler(block.clock_rate_hz, self.clock_rate_hz)
            pcm = self._converter.feed(pcm)
        self._say(pcm)

    def take_block(self, batch: BlockBatch, at: int) -> None:
        """Queue block `at` of a batch, as `write` does."""
        if batch.clock_rate_hz == self.clock_rate_hz:
            self._say(batch.pcm[at])
        else:
            self.write(batch.block(at))

    def take_converted(self, batch: BlockBatch, at: int) -> None:
        """Queue block `at` of a batch that the member's converter has converted."""
        self._say(batch.pcm[at])

    def converter_for(self, security_generation: int) -> Resampler | None:
        """Return the converter of what the member says, which is the same for all generations."""
        return self._converter

    def _say(self, pcm: Pcm) -> None:
        self.away = False
        said = np.concatenate((self.said, pcm)) if self.said.size else pcm
        over = said.size - HELD * self._bridge.frame
        if over > 0:
            said, self.dropped_samples = said[over:], self.dropped_samples + over
        self.said = said
        self._bridge.mix(self)

    def read(self, samples: int) -> Pcm:
        """Return the next samples of what the member hears, `samples` at most."""
        taken, self.heard = self.heard[:samples], self.heard[samples:]
        return taken

    def queue_heard(self, pcm: Pcm) -> None:
        """Queue a frame for `read`; beyond `HELD` frames the oldest are dropped."""
        if self.heard.size:
            pcm = np.concatenate((self.heard, pcm))[-HELD * self._bridge.frame :]
        self.heard = pcm


class ConferenceMixer:
    """Mixes its members and one announcement to all of them, at one rate."""

    def __init__(self, clock_rate_hz: int = 16_000) -> None:
        self.clock_rate_hz = clock_rate_hz
        self.frame = clock_rate_hz // 50
        self.members: list[MixerMember] = []
        self.frames = 0
        self._announced: Source | None = None
        self._awaited: MixerMember | None = None
        """A member that had no whole frame when the mixer last looked; it looks there first."""
        self._up = np.linspace(0.0, 1.0, self.frame, dtype=np.float32)

    def add_member(self) -> MixerMember:
        """Return a new member, which fades in with its next frame."""
        member = MixerMember(self)
        self.members.append(member)
        self._awaited = None
        return member

    def remove_member(self, member: MixerMember) -> None:
        """Fade a member out in the next frame.  Raises LocalProtocolError for an unknown one."""
        if member not in self.members:
            raise LocalProtocolError("it is no member of this bridge")
        member.leaving = True
        if all(each.away or each.leaving for each in self.members):
            self._drop()

    def announce(self, source: Source | None) -> None:
        """Mix a source into what each member hears; None stops it."""
        self._announced = source

    def mix(self, writer: MixerMember) -> None:
        """Mix while each member has a whole frame or is not waited for; `writer` has written."""
        awaited = self._awaited
        waits = awaited is not None and awaited.said.size < self.frame and not awaited.away
        if waits and writer.said.size < (PATIENCE + 1) * self.frame:
            return
        while self._complete():
            self._mix_frame()

    def tick(self) -> None:
        """Mix a frame when no member has a whole one: a frame time has passed without audio."""
        if self.members and all(each.said.size < self.frame for each in self.members):
            self._mix_frame()

    def _complete(self) -> bool:
        ready = [each.said.size // self.frame for each in self.members]
        if not ready or not max(ready):
            return False
        if max(ready) > PATIENCE:
            for each, frames in zip(self.members, ready, strict=True):
                each.away = each.away or not frames
        late = (
            each
            for each, frames in zip(self.members, ready, strict=True)
            if not (frames or each.away)
        )
        self._awaited = next(late, None)
        return self._awaited is None

    def _mix_frame(self) -> None:
        voices = self._voices()
        mixed = voices.sum(axis=0) + self._sound_of(self._announced) - voices
        for heard, each in zip(mixed, self.members, strict=True):
            if each.whisper is not None:
                heard += self._sound_of(each.whisper)
        mixed = limit(mixed)
        for at, each in enumerate(self.members):
            target = 0.0 if each.leaving else 1.0
            if each.gain != target:
                mixed[at] *= each.gain + (target - each.gain) * self._up
            each.gain = target
        for heard, each in zip(np.rint(mixed).astype(np.int16), self.members, strict=True):
            each.queue_heard(heard)
        self.frames += 1
        self._drop()

    def _voices(self) -> NDArray[np.float32]:
        """The members' next frames, float32[k, frame], with their fades; silence fills a short
        one."""
        voices = np.zeros((len(self.members), self.frame), dtype=np.float32)
        for voice, each in zip(voices, self.members, strict=True):
            pcm, each.said = each.said[: self.frame], each.said[self.frame :]
            voice[: pcm.size] = pcm
            target = 0.0 if each.leaving or each.muted else 1.0
            if each.level != target:
                voice *= each.level + (target - each.level) * self._up
            elif not target:
                voice[:] = 0.0
            each.level = target
        return voices

    def _sound_of(self, source: Source | None) -> NDArray[np.float32]:
        sound = np.zeros(self.frame, dtype=np.float32)
        if source is not None:
            pcm = source.read(self.frame)
            sound[: pcm.size] = pcm
        return sound

    def _drop(self) -> None:
        self._awaited = None
        self.members = [each for each in self.members if not each.leaving]


def limit(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compress samples above `LOUD` by a tanh so that none exceeds full scale; keep the rest."""
    size = np.abs(sound)
    if not count_nonzero(size > LOUD):
        return sound
    headroom = np.float32(32_767.0 - LOUD)
    bent = LOUD + headroom * np.tanh((size - LOUD) / headroom)
    limited: NDArray[np.float32] = np.where(size > LOUD, np.copysign(bent, sound), sound)
    return limited.astype(np.float32)
