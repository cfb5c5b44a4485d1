"""SIPp: every scenario is one that it can run, and its two plain sides talk to each other."""

from __future__ import annotations

import pytest

from tests.peers.process import PeerFailed
from tests.peers.sipp import scenarios

pytestmark = pytest.mark.peer("sipp")
NOBODY = ("127.0.0.1", 9)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_its_plain_sides_hold_a_call(sipp, transport):
    with (
        sipp.run("uas_answer", transport=transport) as called,
        sipp.run("uac_call", transport=transport, target=called.address) as calling,
    ):
        calling.wait()
        called.wait()
        assert len(called.received("INVITE")) == 1
        assert len(calling.received("SIP/2.0 200")) == 2


@pytest.mark.parametrize("scenario", [name for name in scenarios() if name.startswith("uas_")])
def test_a_called_side_waits(sipp, scenario):
    with sipp.run(scenario) as run:
        assert not run.finished


@pytest.mark.parametrize("scenario", [name for name in scenarios() if name.startswith("uac_")])
def test_a_calling_side_calls_and_fails_without_a_phone(sipp, scenario):
    with sipp.run(scenario, target=NOBODY, timeout=1) as run, pytest.raises(PeerFailed):
        run.wait(10)
    assert run.sent("INVITE")
