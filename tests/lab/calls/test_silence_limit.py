"""A carrier that hangs up after 20 s without media, and what keeps a call up there.

On virtual time, over UDP: the rule counts packets, whatever protects them.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import numpy as np
import pytest

from softphone.config import load_account
from softphone.config.presets import PRESETS
from softphone.events import CallState, EndedBy
from softphone.lab import LabConfig, LabServer
from softphone.lab.carrier import CARRIERS, CarrierRules
from softphone.phone import Phone
from tests.support.virtual_loop import run_virtually

LIMIT = CARRIERS["whatsapp"].silence_limit
QUIET = 45
"""Seconds in which nobody says anything: more than twice the limit."""
RULES = {rule.key: rule.value for rule in PRESETS["whatsapp"].rules}


def loop_time():
    return asyncio.get_running_loop().time()


class Wordless:
    """A source that has no samples yet, as an agent that is still thinking."""

    clock_rate_hz = 8000
    ended = False

    def read(self, samples):
        return np.zeros(0, np.int16)


def in_a_call(folder, scene, *, comfort_noise, limit=LIMIT):
    """Play `scene(call)` in a call in which nobody makes a sound, and return what it gives."""

    async def play():
        config = LabConfig(carrier=CarrierRules(silence_limit=limit))
        async with (
            LabServer(folder, config, clock=loop_time) as lab,
            Phone(clock=loop_time) as phone,
        ):
            carol = load_account(lab.accounts["carol"]).config
            account = await phone.register(carol.with_media(comfort_noise=comfort_noise))
            call = await account.dial("603").answered(timeout=10)
            call.audio.play(Wordless())
            return await scene(call)

    return run_virtually(play())


async def quiet(call):
    """Say nothing for a while: the state of the call, how long it lasted, the packets of it."""
    began = loop_time()
    with suppress(TimeoutError):
        async with asyncio.timeout(QUIET):
            await call.ended()
    return call.state, loop_time() - began, call.statistics.packets_sent


def test_the_limit_is_that_of_the_preset():
    why = next(r.why for r in PRESETS["whatsapp"].rules if r.key == "media.comfort_noise")
    assert f"after {LIMIT:g} s without media" in why


def test_a_phone_that_sends_comfort_noise_only_is_hung_up(tmp_path):
    state, lasted, _ = in_a_call(tmp_path, quiet, comfort_noise=True)
    assert state is CallState.TERMINATED
    assert LIMIT <= lasted <= LIMIT + 3


def test_the_presets_rule_keeps_the_call_up_since_silence_is_sent_as_sound(tmp_path):
    rule = RULES["media.comfort_noise"]
    state, lasted, sent = in_a_call(tmp_path, quiet, comfort_noise=rule)
    assert state is CallState.CONFIRMED
    assert lasted >= QUIET
    assert sent == pytest.approx(50 * QUIET, rel=0.02)


def test_a_call_on_hold_goes_on_as_well(tmp_path):
    async def scene(call):
        await call.hold()
        return await quiet(call)

    state, _, _ = in_a_call(tmp_path, scene, comfort_noise=RULES["media.comfort_noise"])
    assert state is CallState.CONFIRMED


def test_without_a_limit_nobody_is_hung_up(tmp_path):
    state, _, _ = in_a_call(tmp_path, quiet, comfort_noise=True, limit=0.0)
    assert state is CallState.CONFIRMED


def test_a_call_that_ends_before_is_left_alone(tmp_path):
    async def scene(call):
        call.hangup()
        ended = await call.ended()
        await asyncio.sleep(2 * LIMIT)
        return ended.by

    assert in_a_call(tmp_path, scene, comfort_noise=True) is EndedBy.LOCAL
