"""The far end may send what it likes within a call: what nobody has read of it is bounded."""

from __future__ import annotations

import pytest

from softphone.sip import Body
from tests.support.stage import Stage, first_line

PLACE = "192.0.2.2:5061"
FLOODS = {
    "INFO": Body("application/dtmf-relay", b"Signal=5\r\nDuration=100\r\n"),
    "MESSAGE": Body("text/plain", bytes(2000)),
}


@pytest.mark.parametrize("method", FLOODS)
async def test_a_flood_of_a_method_is_answered_and_forgotten(method):
    stage = Stage()
    stage.answered()
    leg, dialog = stage.alice.leg, stage.bob.leg.usage.dialog
    before = len(stage.wire)
    for number in range(400):
        fields = [
            ("Via", f"SIP/2.0/TLS {PLACE};branch=z9hG4bK{method}{number}"),
            ("Contact", f"<sip:bob@{PLACE}>"),
        ]
        request = dialog.build_request(method, headers=fields, body=FLOODS[method])
        stage.deliver("alice", request.encode())
    answers = [first_line(data) for name, data in stage.wire[before:] if name == "alice"]
    assert sum(line.startswith("SIP/2.0") for line in answers) == 400
    assert len(leg.event_queue._events) <= 256
