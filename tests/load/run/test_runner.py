"""The runner: arrivals at their times, as many calls as were asked for, and an honest end."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace

import pytest

from softphone.errors import ConfigurationError, RegistrationError
from softphone.load import BaseSpec, FaultSpec, LoadPlan, Runner, Scenario, Tally, UserSpec
from softphone.load.run import users_with_faults
from tests.load.conftest import eventually, many_users, media_addresses, own_sockets
from tests.support.waiting import PATIENCE


async def run(plan):
    seconds = []
    async with Runner(plan, on_second=seconds.append) as runner:
        outcome = await runner.run_share()
    total = Tally()
    for second in seconds:
        total.merge(second.tally)
    return total, seconds, outcome


async def test_fifty_calls_over_tls_with_srtp(tmp_path, plan_for):
    """All are answered with the suite asked for, none is dropped, and every second adds up."""
    async with many_users(tmp_path / "lab", 10) as lab:
        plan = plan_for(
            lab,
            "echo",
            users=10,
            calls=50,
            rate=50.0,
            duration=120.0,
            base={"srtp": "required", "suites": ("AES_CM_128_HMAC_SHA1_80",)},
        )
        seconds = []
        async with Runner(plan, on_second=seconds.append) as runner:
            running = asyncio.ensure_future(runner.run_share())
            # As long as it takes, on whatever machine, until all are up and have been listened to.
            await eventually(
                lambda: (
                    seconds
                    and seconds[-1].up == 50
                    and sum(second.tally.received for second in seconds) > 50 * 50
                    and any(second.tally.checked for second in seconds)
                )
            )
            runner.stop_run()
            await running
        assert lab.calls == 0
    total = Tally()
    for second in seconds:
        total.merge(second.tally)
    assert (total.attempted, total.answered) == (50, 50)
    assert total.suites == {"AES_CM_128_HMAC_SHA1_80": 50}
    assert (total.failed.total(), total.dropped.total()) == (0, 0)
    assert total.ended == {"local": 50}
    assert max(second.peak for second in seconds) == 50
    assert total.received > 0.5 * total.sent
    assert total.mos.total == 50
    # Which frames a check hears late depends on the machine; test_audio_check judges them exactly.
    assert total.heard > 0.5 * total.checked > 0
    assert total.cpu_ms_per_call_second > 0


@pytest.mark.parametrize("host", [None, "127.0.0.3"])
async def test_signaling_and_media_go_out_from_one_address(lab, plan_for, host):
    plan = plan_for(lab, "echo", calls=2, duration=60.0, checks=0, host=host)
    seconds = []
    async with Runner(plan, on_second=seconds.append) as runner:
        running = asyncio.ensure_future(runner.run_share())
        await eventually(lambda: any(second.tally.received for second in seconds))
        assert lab.registered["load00001"].flow.remote[0] == (host or "127.0.0.1")
        ours = own_sockets()
        found = media_addresses(plan.ports)
        assert {place for place in found if found[place] & ours} == {host or "127.0.0.1"}
        runner.stop_run()
        await running


@pytest.mark.parametrize(("sockets", "open_ports"), [("shared", 2), ("per-call", 12)])
async def test_calls_have_sockets_of_their_own_or_share_them(lab, plan_for, sockets, open_ports):
    plan = plan_for(lab, "echo", calls=6, duration=60.0, checks=0, sockets=sockets)
    seconds = []
    async with Runner(plan, on_second=seconds.append) as runner:
        running = asyncio.ensure_future(runner.run_share())
        await eventually(lambda: sum(s.tally.received for s in seconds) > 6 * 30)
        ours = own_sockets()
        found = media_addresses(plan.ports)
        assert sum(len(each & ours) for each in found.values()) == open_ports
        assert seconds[-1].up == 6
        runner.stop_run()
        await running


async def test_media_may_run_in_a_process_of_its_own(lab, plan_for):
    plan = plan_for(lab, "echo", calls=4, duration=2.0, placement="worker")
    seconds, ours, others = [], set(), set()

    def look(second):
        seconds.append(second)
        there = set().union(*media_addresses(plan.ports).values())
        ours.update(there & own_sockets())
        others.update(there - own_sockets())

    async with Runner(plan, on_second=look) as runner:
        await runner.run_share()
    total = Tally()
    for second in seconds:
        total.merge(second.tally)
    assert ours == set()
    assert len(others) >= 8
    assert (total.answered, total.dropped.total()) == (4, 0)
    assert total.received > 4 * 20
    # As above: which frames a check hears late depends on the machine.
    assert total.heard > 0.5 * total.checked > 0
    # The worker may send one more packet of each call before it hears that the call is over.
    assert 0 <= total.lateness_ms.total - total.sent <= 4


async def test_a_trace_is_followed_to_its_end(tmp_path, lab, plan_for):
    file = tmp_path / "trace"
    file.write_text("0\n0.1\n0.6\n")
    plan = plan_for(lab, "echo", calls=10, duration=0.5, checks=0, arrival=f"trace:{file}")
    total, seconds, _ = await run(plan)
    assert total.attempted == total.answered == 3
    assert seconds[-1].at > 1.0


async def test_a_share_of_a_schedule_is_every_other_call(lab, plan_for):
    plan = plan_for(lab, "echo", calls=6, rate=10.0, duration=0.1, checks=0)
    for share, wanted in zip(plan.shares(2), ([0, 2, 4], [1, 3, 5]), strict=True):
        numbers = []

        async def note(turn, numbers=numbers):
            numbers.append(turn.number)
            await turn.pause(60.0)

        async with Runner(share, on_second=lambda second: None) as runner:
            runner.scenario = Scenario("note", note)
            await runner.run_share()
        assert numbers == wanted


async def test_calls_that_are_not_answered_have_causes(lab, plan_for):
    total, _, _ = await run(plan_for(lab, "echo", target="nobody", duration=0.3, checks=0))
    assert (total.attempted, total.answered) == (4, 0)
    assert total.failed == {"404 Not Found": 4}


async def test_it_can_be_stopped_and_hangs_up(lab, plan_for):
    plan, seconds = plan_for(lab, "echo", duration=60.0, checks=0), []
    async with Runner(plan, on_second=seconds.append) as runner:
        running = asyncio.ensure_future(runner.run_share())
        await eventually(lambda: any(second.up == 4 for second in seconds))
        runner.stop_run()
        async with asyncio.timeout(PATIENCE):
            await running
    assert sum(second.tally.ended["local"] for second in seconds) == 4
    assert lab.registered == {}


async def test_nothing_is_left_behind(lab, plan_for):
    tasks, descriptors = len(asyncio.all_tasks()), len(os.listdir("/dev/fd"))
    await run(plan_for(lab, "echo", duration=0.5))
    assert len(asyncio.all_tasks()) == tasks
    await eventually(lambda: len(os.listdir("/dev/fd")) <= descriptors)


async def test_a_run_is_invalid_when_its_ports_run_out(lab, plan_for):
    """A scenario of one's own may need more ports than were counted."""
    first = 51000 + os.getpid() % 1000 * 10
    plan = plan_for(lab, "echo", calls=2, duration=0.4, checks=0, ports=(first, first + 3))

    async def two_at_once(turn):
        async with turn.dial(), turn.dial():
            await turn.pause(0.3)

    runner = Runner(plan, on_second=lambda second: None)
    runner.scenario = Scenario("two", two_at_once)
    async with runner:
        outcome = await runner.run_share()
    assert any("ran out of media ports" in reason for reason in outcome.invalid_because)


async def test_a_run_is_invalid_when_its_calls_begin_late(lab, plan_for):
    """As if the machine had stood still for two seconds."""
    plan = plan_for(lab, "echo", calls=4, rate=20.0, duration=0.2, checks=0)
    gone = [0.0]

    async def stand_still(turn):
        gone[0] = 2.0
        await turn.pause(60.0)

    def clock():
        return time.monotonic() + gone[0]

    async with Runner(plan, on_second=lambda second: None, clock=clock) as runner:
        runner.scenario = Scenario("mine", stand_still)
        outcome = await runner.run_share()
    (reason,) = (each for each in outcome.invalid_because if "after their time" in each)
    assert "calls began up to 1.9 s" in reason or "calls began up to 2.0 s" in reason


async def test_if_nobody_can_register_there_is_no_run(lab, plan_for):
    plan = plan_for(lab, "echo")
    with pytest.raises(RegistrationError, match="credentials"):
        async with Runner(
            replace(plan, users=users_with_faults(plan.users, FaultSpec(wrong_password=1.0))),
            on_second=lambda second: None,
        ):
            raise AssertionError("nobody has registered")


async def test_progress_of_registrations_is_told(lab, plan_for):
    told = []
    plan = plan_for(lab, "echo", register_rate=100.0)
    async with Runner(plan, on_second=lambda second: None, on_progress=lambda *of: told.append(of)):
        assert told == [(number, 8) for number in range(1, 9)]
        assert len(lab.registered) == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scenario": "pair", "target": None, "users": 3}, "pairs of users"),
        ({"scenario": "pair", "target": None, "base": {"registers": False}}, "register"),
        ({"scenario": "nothing"}, "unknown"),
        ({"ports": (50000, 50001)}, "media ports"),
        ({"hold": "for ever"}, "hold"),
        ({"arrival": "never"}, "arrival"),
        ({"play": "none.wav"}, "no file"),
    ],
)
async def test_what_cannot_be_run_is_said_before_anything_is_sent(lab, plan_for, changes, message):
    changes = dict(changes)
    plan = plan_for(lab, changes.pop("scenario", "echo"), **changes)
    with pytest.raises(ConfigurationError, match=message):
        async with Runner(plan, on_second=lambda second: None):
            raise AssertionError("it has begun")
    assert lab.registered == {}


async def test_users_that_only_call_do_not_register(lab, plan_for):
    """With digest in each INVITE: the server is the outbound proxy."""
    plan = plan_for(lab, "echo", users=2, calls=2, duration=0.4, checks=0)
    plan = replace(plan, base=replace(plan.base, registers=False))
    async with Runner(plan, on_second=lambda second: None) as runner:
        assert lab.registered == {}
        await runner.run_share()


async def test_a_storm_of_registrations_comes_in_as_fast_as_the_registrar_lets_it(
    tmp_path, plan_for
):
    """Who was turned away comes back when it was told to, and most often is let in then."""
    settings = {"registration_rate": 6.0, "registration_burst": 2}
    async with many_users(tmp_path / "lab", 12, **settings) as lab:
        plan = plan_for(lab, "echo", users=12, calls=1, duration=0.1, checks=0, register_rate=200.0)
        total, _, _ = await run(plan)
    assert total.registered == 12
    turned_away = total.registrations_failed["503 Service Unavailable"]
    assert total.registrations_failed.total() == turned_away
    assert 1 <= turned_away <= 24


def test_a_plan_for_one_direct_call_needs_no_account():
    plan = LoadPlan(
        "echo",
        "sip:600@127.0.0.1",
        BaseSpec(server="sip:127.0.0.1", registers=False),
        (UserSpec("sip:me@127.0.0.1"),),
    )
    assert Runner(plan, on_second=lambda second: None).scenario.name == "echo"
