"""A conference bridge: each member hears the sum of all others, on NumPy, in frames of 20 ms.

Members come and go by ramps, so that nobody hears a click; the sum is limited, not wrapped.  The
members' own sound is the clock: a frame is mixed once everybody has given one, and whoever falls
silent is waited for `PATIENCE` frames at most.  A member is a `Sink` for what it says and a
`Source` of what it hears.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from softphone.errors import LocalProtocolError
from softphone.media.audio.resample import Resampler
from softphone.media.interface import Pcm, PcmBlock, Source

PATIENCE = 3
"""Frames that one member may be ahead of another."""
HELD = 10
"""Frames that wait for a member's stream at most; the oldest go."""
LOUD = 24_000.0
"""Above this the sum is bent towards full scale."""


class MixerMember:
    """One party of a bridge: `write` takes what it says, `read` gives what it hears."""

    def __init__(self, bridge: ConferenceMixer) -> None:
        self._bridge = bridge
        self._converter: Resampler | None = None
        self.said = np.zeros(0, dtype=np.int16)
        self.heard = np.zeros(0, dtype=np.int16)
        self.away = False
        """Whether it has given nothing of late, and is not waited for."""
        self.leaving = False
        self.muted = False
        self.gain = 0.0
        """The share of the others that it hears: 0 to 1, moved within one frame."""
        self.level = 0.0
        """The share of it that the others hear."""
        self.whisper: Source | None = None
        """What it alone hears beside the others."""
        self.dropped_samples = 0

    @property
    def clock_rate_hz(self) -> int:
        """The rate of the bridge."""
        return self._bridge.clock_rate_hz

    @property
    def ended(self) -> bool:
        """Whether it has left."""
        return self.leaving and self not in self._bridge.members

    def write(self, block: PcmBlock) -> None:
        """Take what it says."""
        rate, pcm = self._bridge.clock_rate_hz, block.pcm
        if block.clock_rate_hz != rate:
            if self._converter is None or self._converter.source_rate_hz != block.clock_rate_hz:
                self._converter = Resampler(block.clock_rate_hz, rate)
            pcm = self._converter.feed(pcm)
        self.away = False
        said = np.concatenate((self.said, pcm))
        over = said.size - HELD * self._bridge.frame
        if over > 0:
            said, self.dropped_samples = said[over:], self.dropped_samples + over
        self.said = said
        self._bridge.mix()

    def read(self, samples: int) -> Pcm:
        """Take out at most `samples` of what it hears."""
        taken, self.heard = self.heard[:samples], self.heard[samples:]
        return taken

    def queue_heard(self, pcm: Pcm) -> None:
        """Put in a frame; what nobody reads goes, oldest first."""
        self.heard = np.concatenate((self.heard, pcm))[-HELD * self._bridge.frame :]


class ConferenceMixer:
    """Members and what is announced to all of them, at one rate."""

    def __init__(self, clock_rate_hz: int = 16_000) -> None:
        self.clock_rate_hz = clock_rate_hz
        self.frame = clock_rate_hz // 50
        self.members: list[MixerMember] = []
        self.frames = 0
        self._announced: Source | None = None
        self._up = np.linspace(0.0, 1.0, self.frame, dtype=np.float32)

    def add_member(self) -> MixerMember:
        """A new member, heard from its next frame on, by a ramp."""
        member = MixerMember(self)
        self.members.append(member)
        return member

    def remove_member(self, member: MixerMember) -> None:
        """It leaves with the next frame, by a ramp.  Raises LocalProtocolError for a stranger."""
        if member not in self.members:
            raise LocalProtocolError("it is no member of this bridge")
        member.leaving = True
        if all(each.away or each.leaving for each in self.members):
            self._drop()

    def announce(self, source: Source | None) -> None:
        """Let everybody hear a source, beside each other; None stops it."""
        self._announced = source

    def mix(self) -> None:
        """Mix every frame that is complete."""
        while self._complete():
            self._mix_frame()

    def tick(self) -> None:
        """A frame's time has passed in which nobody said anything: mix one all the same."""
        if self.members and all(each.said.size < self.frame for each in self.members):
            self._mix_frame()

    def _complete(self) -> bool:
        ready = [each.said.size // self.frame for each in self.members]
        if not ready or not max(ready):
            return False
        if max(ready) > PATIENCE:
            for each, frames in zip(self.members, ready, strict=True):
                each.away = each.away or not frames
        return all(frames or each.away for each, frames in zip(self.members, ready, strict=True))

    def _mix_frame(self) -> None:
        voices = np.stack([self._voice(each) for each in self.members])
        total = voices.sum(axis=0) + self._sound_of(self._announced)
        for each, own in zip(self.members, voices, strict=True):
            mixed = limit(total - own + self._sound_of(each.whisper))
            each.queue_heard(self._faded(each, mixed))
        for each in self.members:
            each.gain = 0.0 if each.leaving else 1.0
        self.frames += 1
        self._drop()

    def _voice(self, member: MixerMember) -> NDArray[np.float32]:
        """Its next frame, float32, faded in, out, or to silence where it ends short."""
        pcm, member.said = member.said[: self.frame], member.said[self.frame :]
        voice = np.zeros(self.frame, dtype=np.float32)
        voice[: pcm.size] = pcm
        target = 0.0 if member.leaving or member.muted else 1.0
        start, member.level = member.level, target
        if start == target:
            return voice * np.float32(target)
        faded: NDArray[np.float32] = voice * (start + (target - start) * self._up)
        return faded

    def _faded(self, member: MixerMember, mixed: NDArray[np.float32]) -> Pcm:
        target = 0.0 if member.leaving else 1.0
        if member.gain != target:
            mixed = mixed * (member.gain + (target - member.gain) * self._up)
        return np.rint(mixed).astype(np.int16)

    def _sound_of(self, source: Source | None) -> NDArray[np.float32]:
        sound = np.zeros(self.frame, dtype=np.float32)
        if source is not None:
            pcm = source.read(self.frame)
            sound[: pcm.size] = pcm
        return sound

    def _drop(self) -> None:
        self.members = [each for each in self.members if not each.leaving]


def limit(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bend what is louder than `LOUD` so that nothing exceeds full scale; the rest is untouched."""
    size = np.abs(sound)
    if not np.count_nonzero(size > LOUD):
        return sound
    headroom = np.float32(32_767.0 - LOUD)
    bent = LOUD + headroom * np.tanh((size - LOUD) / headroom)
    limited: NDArray[np.float32] = np.where(size > LOUD, np.copysign(bent, sound), sound)
    return limited.astype(np.float32)
