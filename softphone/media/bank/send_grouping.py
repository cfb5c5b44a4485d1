"""What each row contributes to the groups of rows that are sent together.

It is noted when a command has changed a row, and the groups of a phase are selected from arrays.
While calls come and go they are made anew at nearly every tick, and to look at the objects of every
row would cost as much as to send its packet.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from softphone.media.arrays import ArrayGroup, column
from softphone.media.bank.codec_lookup import AnyCodec
from softphone.media.bank.source_feed import SourceFeed


class SendFormat(NamedTuple):
    """What rows that are sent together have in common."""

    codec: AnyCodec
    ptime_ms: int
    secure: bool

    @property
    def samples(self) -> int:
        """Samples of a packet."""
        return self.codec.sample_rate * self.ptime_ms // 1000


class SendGroupingBank(ArrayGroup):
    """The contributions of `capacity` rows.

    `format` is the index of a row's `SendFormat` in `formats`, or -1 before it is opened.  `sent`
    and `read` are rows of the `FrameBank`: of the frames that are sent, and of the source, which is
    read for a muted row, too; row 0 is silence.  `suppressing`: the row sends nothing while its
    source has no samples.  `monitored`: its sent sound is monitored.
    """

    format = column(np.intp, default=-1)
    sent = column(np.intp)
    read = column(np.intp)
    suppressing = column(np.bool_)
    monitored = column(np.bool_)

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.formats: list[SendFormat] = []
        self._known: dict[tuple[str, int, int, bool], int] = {}

    def note_format(self, row: int, wanted: SendFormat) -> None:
        """Note how a row is sent."""
        codec = wanted.codec
        key = codec.name, codec.clock_rate, wanted.ptime_ms, wanted.secure
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = len(self.formats)
            self.formats.append(wanted)
        self.format[row] = found

    def note_sound(self, row: int, feed: SourceFeed, *, muted: bool, paused: bool) -> None:
        """Note the feed of a row's source, and whether silence is sent; paused, it is not read."""
        self.sent[row] = 0 if muted or paused else feed.row
        self.read[row] = 0 if paused else feed.row

    def note_use(self, row: int, *, suppressing: bool, monitored: bool) -> None:
        """Note whether a row is silent without samples, and whether it is monitored."""
        self.suppressing[row], self.monitored[row] = suppressing, monitored
