"""The kernel keeps the interpreter's lock: a thread that computes cannot make a tick late."""

from __future__ import annotations

import sys
import threading
from types import ModuleType

import numpy as np

from softphone.media.bank.codec_lookup import find_codec
from softphone.media.bank.source_feed import FeedGroup
from softphone.media.kernel import BankKernel
from tests.support.wire import Station, Tone

INTERVAL = 5.0
"""Seconds that who computes keeps the lock once it has it."""
ATTEMPTS = 3


class Computing:
    """A thread that computes; `turns` says how far it is."""

    def __init__(self) -> None:
        self.turns = 0
        self.going = True
        self.begun = threading.Event()
        self.thread = threading.Thread(target=self._compute)

    def _compute(self) -> None:
        self.begun.set()
        while self.going:
            self.turns += 1


def test_no_other_thread_computes_during_a_call(compiled: ModuleType) -> None:
    bank = Station("10.0.0.1", seed=5).bank
    kernel = BankKernel(bank, compiled)
    feed = bank.feeds.acquire_feed(Tone(300.0), find_codec("PCMU"), 20)
    # A call of milliseconds, so that the other thread had the time to wake.
    group = FeedGroup(feed.bank, np.full(1_000_000, feed.row))
    # What it has to read is read before: NumPy, which a source may use, gives the lock away.
    kernel.advance(group, 0)
    other, usual = Computing(), sys.getswitchinterval()
    other.thread.start()
    turns = []
    try:
        other.begun.wait()
        sys.setswitchinterval(INTERVAL)
        # The first time the other thread may have asked for the lock by the usual interval still;
        # were the lock given away, it would compute each time.
        while len(turns) < ATTEMPTS and 0 not in turns:
            before = other.turns
            for _ in range(3):
                kernel.advance(group, 0)
            turns.append(other.turns - before)
    finally:
        sys.setswitchinterval(usual)
        other.going = False
        other.thread.join()
    assert turns[-1] == 0
