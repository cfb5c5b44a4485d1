"""Scenarios of one's own: loaded from a file, and able to do what a phone does."""

from __future__ import annotations

import pytest

from softphone.call import Call
from softphone.errors import ConfigurationError
from softphone.load import Runner, Scenario, Tally
from softphone.load.run import BUILTIN_SCENARIOS, load_scenario

OWN = """
from softphone.load import Scenario, ScenarioRun

async def steps(turn: ScenarioRun):
    async with turn.dial("600") as call:
        await turn.talk(call, 0.1)
        await turn.digits(call, "1")
        await turn.hold(call)
        assert call.held
        await turn.resume(call)
        turn.hang_up(call)
    async with turn.dial() as call:
        await turn.talk(call, 0.1)

async def broken(turn: ScenarioRun):
    async with turn.dial() as call:
        1 / 0

async def early(turn: ScenarioRun):
    async with turn.dial() as call:
        await turn.talk(call, 0.1)

hasty = Scenario("hasty", early, registers=False)
whole = Scenario("whole", steps, hold="2")
number = 5
"""


@pytest.fixture
def own(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(OWN)
    return file


def test_a_scenario_is_found_by_name_or_in_a_file(own):
    assert load_scenario("echo", BUILTIN_SCENARIOS) is BUILTIN_SCENARIOS["echo"]
    assert load_scenario(f"{own}:whole", BUILTIN_SCENARIOS).hold == "2"
    assert isinstance(load_scenario(f"{own}:steps", BUILTIN_SCENARIOS), Scenario)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "ready are echo, pair"),
        ("none.py:x", "no file"),
        ("{own}:missing", "no Scenario"),
        ("{own}:number", "no Scenario"),
        ("{own}", "ready are"),
    ],
)
def test_what_is_not_there_is_said_to_be(own, text, message):
    with pytest.raises(ConfigurationError, match=message):
        load_scenario(text.format(own=own), BUILTIN_SCENARIOS)


def test_a_file_that_fails_is_named(tmp_path):
    file = tmp_path / "bad.py"
    file.write_text("import nothing_of_that_name\n")
    with pytest.raises(ConfigurationError, match=r"bad\.py cannot be loaded.*nothing_of_that"):
        load_scenario(f"{file}:x", BUILTIN_SCENARIOS)


async def judged(plan):
    total = Tally()
    async with Runner(plan, on_second=lambda second: total.merge(second.tally)) as runner:
        outcome = await runner.run_share()
    return total, outcome.invalid_because


async def run(plan):
    total, _ = await judged(plan)
    return total


async def test_a_user_dials_talks_sends_digits_holds_and_hangs_up(own, lab, plan_for):
    total = await run(plan_for(lab, f"{own}:steps", calls=2))
    assert (total.attempted, total.answered) == (4, 4)
    assert (total.failed.total(), total.dropped.total()) == (0, 0)
    assert total.ended == {"local": 4}


async def test_a_scenario_with_a_bug_ends_its_calls_and_is_counted(own, lab, plan_for, caplog):
    total, reasons = await judged(plan_for(lab, f"{own}:broken", calls=2))
    assert any("broken is to be mended: ZeroDivisionError" in reason for reason in reasons)
    assert total.answered == 2
    assert total.dropped == {"scenario: ZeroDivisionError": 2}
    assert total.ended == {"local": 2}
    assert [record.message for record in caplog.records].count(
        "the scenario broken has failed"
    ) == 1


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [({}, "before `run.register()`"), ({"target": None}, "give --target")],
)
async def test_a_scenario_that_cannot_call_is_not_passed_over(own, lab, plan_for, changes, mistake):
    """It would be a run without a call, and nothing said."""
    total, reasons = await judged(plan_for(lab, f"{own}:hasty", calls=2, **changes))
    assert any(mistake in reason for reason in reasons)
    assert total.attempted == 0


async def test_what_a_far_end_refuses_in_a_call_is_counted_and_the_call_ended(
    tmp_path, lab, plan_for
):
    file = tmp_path / "move.py"
    file.write_text(
        "from softphone.errors import Declined\n"
        "async def move(turn):\n"
        "    async with turn.dial() as call:\n"
        "        raise Declined('no transfer', status=603)\n"
    )
    total = await run(plan_for(lab, f"{file}:move", calls=1))
    assert total.answered == 1
    assert total.ended == {"local": 1}
    assert total.dropped == {"in the call: 603 Decline": 1}


async def test_a_transfer_ends_our_call_as_wanted(tmp_path, lab, plan_for, monkeypatch):
    async def transfer(call, target):
        assert target == "sip:601@127.0.0.1"
        call.hangup()

    monkeypatch.setattr(Call, "transfer", transfer)
    file = tmp_path / "move.py"
    file.write_text(
        "async def move(turn):\n"
        "    async with turn.dial() as call:\n"
        "        await turn.transfer(call, 'sip:601@127.0.0.1')\n"
    )
    total = await run(plan_for(lab, f"{file}:move", calls=1))
    assert (total.answered, total.dropped.total()) == (1, 0)
