"""Calls that come in, on virtual time: how long they ring, and who is refused."""

from __future__ import annotations

import pytest

from softphone.config import DialPolicyConfig
from softphone.errors import CallError
from softphone.mcp import PhoneTools, phone_tools
from softphone.phone import Phone
from tests.support.direct import address_of, clear
from tests.support.virtual_loop import run_virtually


def test_a_call_that_nobody_answers_is_refused_in_time():
    async def ring():
        async with Phone() as phone:
            alice = await phone.register(clear("alice"))
            bob = await phone.register(clear("bob", dial_policy=DialPolicyConfig()))
            async with PhoneTools(bob) as tools:
                with pytest.raises(CallError, match="480"):
                    await alice.dial(address_of(bob)).answered(timeout=600)
                assert await tools.wait_for_call(seconds=phone_tools.LONGEST_WAIT) is None
                (found,) = tools.list_calls()
                assert (found.stage, found.outcome) == ("ended", "")

    run_virtually(ring())


def test_a_caller_that_gives_up_is_not_answered():
    async def ring():
        async with Phone() as phone:
            alice = await phone.register(clear("alice"))
            bob = await phone.register(clear("bob", dial_policy=DialPolicyConfig()))
            async with PhoneTools(bob) as tools:
                async with alice.dial(address_of(bob)):
                    found = await tools.wait_for_call(seconds=30)
                assert await tools._until(
                    lambda: tools.call_state(found.call).stage == "ended" or None, 30
                )
                with pytest.raises(phone_tools.LocalProtocolError, match="does not ring"):
                    await tools.answer(found.call)
                assert tools.call_state(found.call).ended_by == "remote"

    run_virtually(ring())


@pytest.mark.parametrize("seconds", [0, -1, 601, float("nan"), float("inf")])
def test_no_wait_is_without_end(seconds):
    async def wait():
        async with Phone() as phone:
            bob = await phone.register(clear("bob", dial_policy=DialPolicyConfig()))
            async with PhoneTools(bob) as tools:
                with pytest.raises(phone_tools.ConfigurationError, match="600 at most"):
                    await tools.wait_for_call(seconds=seconds)

    run_virtually(wait())
