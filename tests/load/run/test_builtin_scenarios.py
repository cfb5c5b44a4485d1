"""Each scenario that is ready by name does what it is called, against the lab."""

from __future__ import annotations

import asyncio
import wave
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from softphone.lab import Validity
from softphone.load import BUILTIN_SCENARIOS, FaultSpec, Runner, ScenarioRun, Tally
from softphone.load.run import parse_fault, users_with_faults
from softphone.sans_io import Transport
from tests.load.conftest import eventually, many_users
from tests.support.certificates import authority


async def run(plan):
    total, most = Tally(), [0]

    def second(told):
        total.merge(told.tally)
        most[0] = max(most[0], told.peak)

    async with Runner(plan, on_second=second) as runner:
        await runner.run_share()
    return total, most[0]


async def run_in_time(plan, checked, heard):
    """Runs a plan; again, at most five times, while the sound is judged otherwise and was late.

    What a busy machine delays is made up at the far end, and correlates with nothing that was said.
    """
    for _ in range(5):
        total, most = await run(plan)
        if (total.checked, total.heard) == (checked, heard) or not total.late:
            break
    return total, most


def test_the_names_are_those_of_the_manual():
    assert list(BUILTIN_SCENARIOS) == ["echo", "pair", "register-storm", "reinvite", "churn"]


@pytest.mark.own_machine
async def test_echo_hears_itself(lab, plan_for):
    plan = plan_for(lab, "echo", calls=4, duration=2.0)
    total, most = await run_in_time(plan, 4, 4)
    assert (total.attempted, total.answered, most) == (4, 4, 4)
    assert total.suites == {"AEAD_AES_256_GCM": 4}
    assert total.checked == total.heard > 0
    assert total.received > 80


@pytest.mark.own_machine
@pytest.mark.parametrize("file", [False, True])
@pytest.mark.parametrize(("target", "comes_back"), [("600", True), ("601", False)])
async def test_what_comes_back_is_listened_to(tmp_path, lab, plan_for, file, target, comes_back):
    """600 is an echo, 601 says a tone of its own."""
    path = tmp_path / "speech.wav"
    with wave.open(str(path), "wb") as speech:
        speech.setparams((1, 2, 8000, 0, "NONE", ""))
        noise = np.random.default_rng(7).normal(0, 3000, 16000)
        speech.writeframes(noise.astype(np.int16).tobytes())
    play = str(path) if file else None
    plan = plan_for(lab, "echo", target=target, calls=3, duration=2.5, play=play)
    heard = 3 if comes_back else 0
    total, _ = await run_in_time(plan, 3, heard)
    assert (total.checked, total.heard) == (3, heard)


@pytest.mark.own_machine
async def test_a_pair_has_both_ends_here(lab, plan_for):
    total, most = await run_in_time(plan_for(lab, "pair", calls=6, duration=2.5), 8, 8)
    assert (total.attempted, total.answered, most) == (6, 6, 6)
    assert total.mos.total == 12, "both ends of each call are judged"
    assert total.registered == 8
    assert total.checked == total.heard == 8, "each end hears what the other says"


@pytest.mark.own_machine
async def test_a_pair_that_hears_itself_is_not_one(lab, plan_for, monkeypatch):
    """As a server would have it that sends media back to where it comes from."""
    wanted = property(lambda turn: "600", lambda turn, value: None)
    monkeypatch.setattr(ScenarioRun, "partner", wanted, raising=False)
    total, _ = await run_in_time(plan_for(lab, "pair", calls=2, duration=2.5), 2, 0)
    assert (total.answered, total.checked, total.heard) == (2, 2, 0)


async def test_a_storm_registers_everybody_once(lab, plan_for):
    total, _ = await run(plan_for(lab, "register-storm", calls=8, duration=0.5, rate=40.0))
    assert (total.registrations, total.registered, total.attempted) == (8, 8, 0)
    assert total.registration_ms.total == 8


async def test_who_is_turned_away_from_a_storm_comes_back_while_the_run_goes_on(tmp_path, plan_for):
    settings = {"registration_rate": 4.0, "registration_burst": 4}
    async with many_users(tmp_path / "lab", 8, **settings) as lab:
        storm = plan_for(lab, "register-storm", calls=8, duration=4.0, rate=500.0)
        total, _ = await run(storm)
    assert total.registered == 8
    turned_away = {"503 Service Unavailable": total.registrations - 8}
    assert total.registrations_failed == turned_away
    assert 1 <= total.registrations - 8 <= 12


async def test_reinvite_holds_and_takes_back(lab, plan_for, monkeypatch):
    monkeypatch.setattr("softphone.load.run.builtin_scenarios.REINVITE_EVERY", 0.1)
    done = []
    for name in ("hold", "resume"):
        before = getattr(ScenarioRun, name)

        async def noted(turn, call, name=name, before=before):
            await before(turn, call)
            done.append(name)

        monkeypatch.setattr(ScenarioRun, name, noted)
    total, _ = await run(plan_for(lab, "reinvite", calls=2, duration=1.0, checks=0))
    assert (total.answered, total.dropped.total()) == (2, 0)
    assert total.ended == {"local": 2}
    assert done.count("hold") == done.count("resume") >= 3


async def test_churn_replaces_calls_that_end(lab, plan_for):
    total, most = await run(
        plan_for(lab, "churn", calls=3, hold="0.2", rate=50.0, duration=1.0, checks=0)
    )
    assert total.attempted > 5
    assert total.held_back > 0.3, "fifty a second are not to be had of three calls of 0.2 s"
    assert total.answered == total.attempted
    assert most <= 3


async def test_users_with_a_wrong_password_are_counted_and_the_others_call(lab, plan_for):
    plan = plan_for(lab, "echo", calls=4, duration=0.5, checks=0)
    users = users_with_faults(plan.users, FaultSpec(wrong_password=0.5))
    total, _ = await run(replace(plan, users=users))
    assert total.registered == 4
    assert total.injected == {"user with a wrong password": 4}
    assert total.registrations_failed == {"401 Unauthorized": 4}
    assert total.answered == 4


async def test_users_with_an_expired_certificate_are_counted_and_the_others_call(
    tmp_path, lab, plan_for
):
    old = authority().client("sip:load@127.0.0.1", validity=Validity.expired())
    shown = old.write(tmp_path, "old")
    fault = parse_fault(f"certificate=25%:{shown.certificate}:{shown.key}", FaultSpec())
    plan = plan_for(lab, "echo", calls=4, duration=0.5, checks=0, faults=fault)
    total, _ = await run(replace(plan, users=users_with_faults(plan.users, fault)))
    assert total.registered == 6
    assert total.registrations_failed == {"own certificate out of date": 2}
    assert total.injected == {"user with another certificate": 2}
    assert total.answered == 4


async def test_connections_that_are_cut_are_made_again_and_calls_go_on(lab, plan_for):
    plan = plan_for(lab, "echo", calls=8, duration=600.0, checks=0, faults=FaultSpec(cut_every=0.3))
    total, ports = Tally(), defaultdict(set)

    def again():
        for name, binding in lab.registered.items():
            ports[name].add(binding.flow.remote[1])
        return sum(len(each) > 1 for each in ports.values()) >= 2

    async with Runner(plan, on_second=lambda second: total.merge(second.tally)) as runner:
        running = asyncio.ensure_future(runner.run_share())
        await eventually(lambda: again() and total.answered == 8)
        runner.stop_run()
        await running
    assert total.injected["connection cut"] >= 2
    assert total.ended["local"] == 8
    assert total.dropped.total() == 0


async def test_loss_on_the_wire_is_seen_in_the_figures(lab, plan_for):
    plan = plan_for(lab, "echo", calls=4, duration=2.0, checks=0, faults=FaultSpec(loss=0.1))
    total, _ = await run(plan)
    assert total.injected.keys() == {"packet lost"}
    assert total.injected["packet lost"] > 0.05 * total.sent
    # An echo is lost on the way there or back; what is lost there is a gap that the lab fills.
    assert 4.0 < total.loss_percent < 20.0
    assert total.mos.quantile(0.5) < 4.3


async def test_over_udp_in_clear(tmp_path, plan_for):
    async with many_users(tmp_path / "lab", 2, Transport.UDP) as lab:
        total, _ = await run(plan_for(lab, "echo", users=2, calls=2, duration=1.0, checks=0))
    assert total.suites == {"clear": 2}
    assert total.answered == 2


async def test_a_storm_gets_503_and_calls_that_are_up_do_not_notice(tmp_path, plan_for):
    """Half the users call; the other half registers at once, which is more than is let in."""
    settings = {"registration_rate": 1.0, "registration_burst": 6}
    async with many_users(tmp_path / "lab", 24, **settings) as lab:
        calm = plan_for(lab, "echo", users=4, calls=4, duration=2.0, checks=0)
        heard = Tally()
        async with Runner(calm, on_second=lambda s: heard.merge(s.tally)) as calling:
            running = asyncio.ensure_future(calling.run_share())
            await _storm(lab, plan_for)
            await running
    assert heard.answered == 4
    assert heard.loss_percent < 1.0
    assert heard.dropped.total() == 0


async def _storm(lab, plan_for):
    storm = plan_for(lab, "register-storm", users=24, calls=24, rate=500.0, duration=0.5)
    total = Tally()
    async with Runner(storm, on_second=lambda s: total.merge(s.tally)) as runner:
        await runner.run_share()
    assert total.registrations == 24
    assert 2 <= total.registered <= 12
    assert total.registrations_failed == {"503 Service Unavailable": 24 - total.registered}
