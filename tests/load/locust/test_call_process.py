"""The process that makes the calls: each step is answered, and nothing stays behind."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from softphone import Phone
from softphone.load import BaseSpec
from softphone.load.distribute.worker_channel import MAXIMUM_LINE, encode_line
from softphone.load.locust.call_process import serve
from softphone.load.plan import base_account, config_of
from softphone.sans_io import Transport
from tests.load.conftest import eventually, many_users
from tests.support.waiting import PATIENCE


class Served:
    """A call process in this loop, and what it says."""

    def __init__(self):
        self.reader = asyncio.StreamReader(limit=MAXIMUM_LINE)
        self.said = asyncio.Queue()
        self.numbers = itertools.count(1)
        self.task = asyncio.ensure_future(serve(self.reader, self.say))

    def say(self, kind, value=None):
        self.said.put_nowait((kind, value))

    def tell(self, kind, value):
        self.reader.feed_data(encode_line(kind, value))

    async def next(self):
        async with asyncio.timeout(PATIENCE):
            return await self.said.get()

    def begin(self, step, **arguments):
        number = next(self.numbers)
        self.tell("do", [number, step, arguments])
        return number

    async def do(self, step, **arguments):
        """A step, which is the only one that is answered meanwhile."""
        number = self.begin(step, **arguments)
        kind, (answered, value) = await self.next()
        assert (kind, answered) == ("done", number), value
        return value

    async def fails(self, step, **arguments):
        number = self.begin(step, **arguments)
        kind, (answered, value) = await self.next()
        assert (kind, answered) == ("failed", number), value
        return value

    async def close(self):
        self.reader.feed_eof()
        async with asyncio.timeout(PATIENCE):
            return await self.task


@asynccontextmanager
async def served(plan):
    one = Served()
    one.tell("plan", plan.to_plain())
    assert await one.next() == ("ready", None)
    try:
        yield one
    finally:
        if not one.reader.at_eof():
            one.reader.feed_eof()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(one.task, return_exceptions=True)


@pytest.fixture
def plan(lab, plan_for):
    return plan_for(lab, "echo", tolerate_late=100.0)


async def test_a_call_from_its_registration_to_its_end(lab, plan):
    async with served(plan) as one:
        assert lab.registered == {}
        assert (await one.do("register", user=0))["ms"] > 0
        assert len(lab.registered) == 1
        answered = await one.do("dial", user=0, target="600")
        assert answered["ms"] > 0
        assert answered["suite"] == "AEAD_AES_256_GCM"
        call = 2
        assert await one.do("talk", call=call, seconds=0.5) == {"up": True}
        assert (await one.do("digits", call=call, digits="1"))["ms"] >= 100
        assert (await one.do("hold", call=call))["ms"] > 0
        assert (await one.do("resume", call=call))["ms"] > 0
        ended = await one.do("end", call=call)
        assert ended["cause"] == ""
        assert ended["bye_ms"] > 0
        assert 1.0 <= ended["mos"] <= 4.5
        assert ended["octets"] > 0
        assert await one.do("unregister", user=0) == {}
        assert lab.registered == {}
        assert await one.close() == 0
        assert await one.next() == ("over", [])


async def test_a_call_that_fails_says_why_and_one_that_is_over_has_no_steps(plan):
    async with served(plan) as one:
        assert (await one.fails("dial", user=0, target="600"))["cause"] == "scenario: ScenarioError"
        await one.do("register", user=0)
        found = await one.fails("dial", user=0, target="999")
        assert found["cause"] == "404 Not Found"
        assert "there is no such user" in found["text"]
        for step, more in (("talk", {"seconds": 1}), ("digits", {"digits": "1"}), ("end", {})):
            assert (await one.fails(step, call=1, **more))["text"] == "this call is over"


async def test_users_of_one_account_share_its_binding(lab, plan):
    async with served(plan) as one:
        assert (await one.do("register", user=0))["ms"] > 0
        assert (await one.do("register", user=0))["ms"] is None
        await one.do("unregister", user=0)
        assert len(lab.registered) == 1
        await one.do("unregister", user=0)
        assert lab.registered == {}


@asynccontextmanager
async def callee(plan, number=1):
    """Another user of the plan, as a phone of its own."""
    async with Phone() as phone:
        config = config_of(base_account(plan), plan.users[number])
        yield await phone.register(config)


async def test_a_step_that_is_canceled_while_it_rings_ends_the_call(lab, plan):
    async with callee(plan) as account, served(plan) as one:
        await one.do("register", user=0)
        number = one.begin("dial", user=0, target="load00002")
        async with asyncio.timeout(PATIENCE):
            incoming = await anext(account.incoming())
        incoming.ring()
        one.tell("cancel", number)
        await eventually(lambda: lab.calls == 0)
        # What was canceled is not answered: this is the next.
        assert await one.do("unregister", user=0) == {}


async def test_a_wait_that_is_canceled_leaves_the_call_and_the_dial_ends_it(lab, plan):
    async with served(plan) as one:
        await one.do("register", user=0)
        await one.do("dial", user=0, target="600")
        talk = one.begin("talk", call=2, seconds=1000)
        one.tell("cancel", talk)
        one.tell("cancel", 77)
        assert (await one.do("digits", call=2, digits="1"))["ms"] > 0
        one.tell("cancel", 2)  # answered just when who asked for it went away
        await eventually(lambda: lab.calls == 0)


async def test_a_call_that_the_far_end_ends_has_been_dropped(plan):
    async with callee(plan) as account, served(plan) as one:
        await one.do("register", user=0)
        number = one.begin("dial", user=0, target="load00002")
        async with asyncio.timeout(PATIENCE):
            incoming = await anext(account.incoming())
            call = await incoming.answer()
        assert (await one.next())[1][0] == number
        talk = one.begin("talk", call=number, seconds=1000)
        call.hangup()
        assert await one.next() == ("done", [talk, {"up": False}])
        ended = await one.do("end", call=number)
        assert (ended["cause"], ended["bye_ms"]) == ("remote", None)


async def test_a_transfer_is_no_dropped_call(plan):
    async with callee(plan) as account, served(plan) as one:
        await one.do("register", user=0)
        number = one.begin("dial", user=0, target="load00002")
        async with asyncio.timeout(PATIENCE):
            await (await anext(account.incoming())).answer()
        assert (await one.next())[1][0] == number
        assert (await one.do("transfer", call=number, target="600"))["ms"] > 0
        assert (await one.do("end", call=number))["cause"] == ""


async def test_the_end_of_the_input_hangs_up_and_unregisters(lab, plan):
    async with served(plan) as one:
        await one.do("register", user=0)
        await one.do("dial", user=0, target="600")
        assert await one.close() == 0
        assert (lab.calls, lab.registered) == (0, {})


async def test_a_call_to_a_server_without_srtp_fails_and_does_not_go_on_in_clear(
    tmp_path, plan_for
):
    async with many_users(tmp_path / "clear", 1, Transport.UDP) as lab:
        plan = plan_for(lab, "echo", users=1, base={"srtp": "required"}, tolerate_late=100.0)
        async with served(plan) as one:
            await one.do("register", user=0)
            found = await one.fails("dial", user=0, target="600")
        assert found["cause"] == "488 Not Acceptable Here", found
        assert lab.calls == 0


async def test_a_server_that_nobody_vouches_for_is_refused(lab, plan):
    server = base_account(plan).registrar
    stranger = replace(plan, base=BaseSpec(server=str(server), ca=("system",)))
    users = tuple(replace(each, aor=f"sip:{each.aor}@127.0.0.1") for each in plan.users)
    async with served(replace(stranger, users=users)) as one:
        found = await one.fails("register", user=0)
        assert found["cause"].startswith("certificate"), found
    assert lab.registered == {}


async def test_what_is_no_plan_is_refused(plan):
    one = Served()
    one.tell("go", 1)
    assert await one.next() == ("refused", "expected a plan, got go")
    assert await one.close() == 2


async def test_a_plan_that_cannot_be_kept_is_refused_before_anything_is_sent(lab, plan):
    one = Served()
    one.tell("plan", replace(plan, ports=(11000, 11001)).to_plain())
    kind, why = await one.next()
    assert kind == "refused"
    assert "the run needs" in why
    assert await one.close() == 2


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [("stop", None, "no line 'stop'"), ("do", [1, "dance", {}], "no step 'dance'")],
)
async def test_a_line_that_is_unknown_ends_the_process(plan, kind, value, why):
    async with served(plan) as one:
        one.tell(kind, value)
        with pytest.raises(ValueError, match=why):
            await one.task
