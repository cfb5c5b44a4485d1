"""A far end says why a call ends; whatever it says, the figures get no sample that it invents."""

from __future__ import annotations

import pytest

from softphone.monitoring import phone_exposition
from softphone.phone import Phone
from softphone.sip.message import EndReason, Reason
from tests.support.calling import connect
from tests.support.direct import address_of, clear
from tests.support.waiting import patiently


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["SIP;cause=200", "Q.850;cause=16"], (200, 16)),
        (["SIP;cause=99", "Q.850;cause=128"], (0, 0)),
        (["SIP;cause=301234567", "Q.850;cause=301234567"], (0, 0)),
        (["SIP;cause=700", "SIP;cause=486"], (0, 0)),
        (["X;cause=486", "sip;cause=486"], (486, 0)),
        (["SIP;cause=x", "SIP"], (0, 0)),
    ],
)
def test_a_cause_that_its_protocol_does_not_have_is_none(values, found):
    reason = EndReason.of([Reason.parse(each) for each in values])
    assert (reason.status, reason.q850_cause) == found


async def test_numbers_in_reasons_add_no_sample_to_the_figures():
    async with Phone() as phone:
        alice, bob = await phone.register(clear("alice")), await phone.register(clear("bob"))
        for number in (301234567, 301234568, 4294967295):
            call, other = await connect(alice, bob, address_of(bob))
            usage = call._leg.usage
            with alice.change() as now:
                usage.bye(now=now, headers=(("Reason", f"SIP;cause={number};text=x"),))
            assert (await patiently(other.ended())).status == 0
        page = phone_exposition(phone)
    assert "301234567" not in page
    assert 'softphone_calls_ended_total{direction="in",by="remote",status="0"} 3' in page
