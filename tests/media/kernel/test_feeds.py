"""Sources that the kernel finds dry, and which change the bank while they are read."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from softphone.media.bank.codec_lookup import find_codec
from softphone.media.bank.source_feed import FeedGroup, FeedTable
from softphone.media.kernel import BankKernel
from tests.support.wire import Station, Tone

SAMPLES = 160


class Changing(Tone):
    """A tone that, when it is first read, has another source begin, as an application may do."""

    def __init__(self, feeds: FeedTable) -> None:
        super().__init__(300.0)
        self.feeds = feeds
        self.kept: list[object] = []

    def read(self, samples: int) -> np.ndarray:
        if not self.kept:
            rows = len(self.feeds.banks[SAMPLES].number)
            other = Tone(400.0)
            self.kept += [other, self.feeds.acquire_feed(other, find_codec("PCMU"), 20)]
            assert len(self.feeds.banks[SAMPLES].number) > rows
            # The memory of the arrays before is given to others at once.
            self.kept += [np.zeros(rows, dtype) for dtype in (np.int32, np.int64) * 100]
        return super().read(samples)


def test_a_source_that_makes_the_bank_grow_while_it_is_read_is_not_short(
    compiled: ModuleType,
) -> None:
    bank = Station("10.0.0.1", seed=5).bank
    kernel = BankKernel(bank, compiled)
    feed = bank.feeds.acquire_feed(Changing(bank.feeds), find_codec("PCMU"), 20)
    group = FeedGroup(feed.bank, np.array([feed.row]))
    for number in range(3):
        assert not kernel.advance(group, number)
        assert not group.short_readers()
