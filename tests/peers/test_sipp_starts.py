"""SIPp: its two plain sides talk to each other, it tells a failure, and no scenario lies idle."""

from __future__ import annotations

from pathlib import Path

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


def test_a_calling_side_fails_without_a_phone(sipp):
    with sipp.run("uac_call", target=NOBODY, timeout=1) as run, pytest.raises(PeerFailed):
        run.wait(10)
    assert run.sent("INVITE")


def test_every_scenario_is_tried_on_the_phone():
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_sipp_*.py"))
    named = tests.replace("{method}", "invite") + tests.replace("{method}", "update")
    assert [name for name in scenarios() if f'"{name}"' not in named] == []
