"""What was recorded under a key is not heard again when the key comes back, after its wrap too.

A key that returns is tried with several rollover counters (RFC 3711 section 3.3.1): its replay
window must hold for each of them.
"""

from __future__ import annotations

import pytest

from softphone.security import CryptoSuite
from softphone.srtp import SendContext, SrtpBackend, context
from softphone.srtp.receive_keys import ReceiveKeys
from tests.support.srtp import key, rtp


@pytest.mark.parametrize("suite", list(CryptoSuite))
@pytest.mark.parametrize("backend", list(SrtpBackend))
def test_no_packet_is_heard_twice_over_a_wrap_and_another_key(backend, suite, monkeypatch):
    monkeypatch.setattr(context, "default_backend", lambda: backend)
    first, second = key(suite, 1), key(suite, 2)
    sender, other = SendContext(suite, first), SendContext(suite, second)
    keys = ReceiveKeys()
    heard = keys.select(suite, first)
    for index in range(60_000, 65_536, 500):
        assert heard.unprotect(sender.protect(rtp(index))) is not None
    recorded = [sender.protect(rtp(index)) for index in range(65_536, 65_600)]
    assert all(heard.unprotect(packet) is not None for packet in recorded)
    between = keys.select(suite, second)
    assert between.unprotect(other.protect(rtp(100))) is not None
    back = keys.select(suite, first)
    assert not any(back.unprotect(packet) for packet in recorded)
    assert back.unprotect(sender.protect(rtp(65_700))) is not None
    assert not any(back.unprotect(packet) for packet in recorded)
