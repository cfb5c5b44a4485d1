"""Two baresips call each other: control, events, SRTP and recordings work."""

from __future__ import annotations

import time

import pytest

from tests.peers import tone

pytestmark = pytest.mark.peer("baresip")


@pytest.mark.parametrize("transport", ["udp", "tls"])
def test_two_of_them_hear_each_other_under_srtp(baresip, transport):
    robot = baresip(user="robot", tone_hz=500)
    phone = baresip(user="phone", tone_hz=700)
    phone.dial(robot.uri(transport))
    phone.wait_for("CALL_ESTABLISHED")
    time.sleep(2.0)
    phone.command("hangup")
    robot.wait_for("CALL_CLOSED")
    phone.stop()
    robot.stop()
    assert tone.heard(*tone.read_wav(phone.heard), 500) > 1.0
    assert tone.heard(*tone.read_wav(robot.heard), 700) > 1.0
