"""Fuzz target of SRTP: whatever arrives, both backends say the same, nothing raises."""

from __future__ import annotations

import numpy as np

from softphone.security import CryptoSuite
from softphone.srtp import ReceiveContext, SendContext, SrtpBackend, SrtpBatch
from tests.support.srtp import key, rtcp, rtp

STRIDE = 2048


class SrtpTarget:
    """Receivers of one suite that have heard a packet; nothing forged may change them."""

    def __init__(self, suite: CryptoSuite) -> None:
        send = SendContext(suite, key(suite))
        self.corpus = [send.protect(rtp(number)) or b"" for number in (1, 2, 3)]
        self.corpus.append(send.protect_rtcp(rtcp()) or b"")
        self._last = send.protect(rtp(70)) or b""
        self._receivers = [ReceiveContext(suite, key(suite), backend=b) for b in SrtpBackend]
        self._batched = ReceiveContext(suite, key(suite))
        self._data = np.zeros((1, STRIDE), np.uint8)
        self._lengths = np.zeros(1, np.int32)
        self._batch = SrtpBatch(self._data.ctypes.data, STRIDE, 1)

    def check(self, data: bytes) -> None:
        """One datagram, as SRTP, in a batch, and as SRTCP."""
        one, other = self._receivers
        verdict = one.process_packet(data)
        assert verdict == other.process_packet(data)
        assert one.unprotect_rtcp(data) == other.unprotect_rtcp(data)
        assert one.failures == other.failures
        self._data[0, : len(data)] = np.frombuffer(data, np.uint8)
        self._lengths[0] = len(data)
        (status,) = self._batch.unprotect([0], [self._batched], self._lengths)
        assert bool(status) is bool(verdict[0])
        assert self._data[0, : self._lengths[0]].tobytes() == verdict[1]

    def check_alive(self) -> None:
        """A good packet is still taken, wherever the others have left us."""
        assert all(receiver.unprotect(self._last) == rtp(70) for receiver in self._receivers)
