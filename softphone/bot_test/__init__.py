"""Bots tested like software: simulated callers with scripts, and verdicts on what was measured.

    plan = BotTestPlan(path, config, "600", (read_script(Path("order.toml")),), calls=20, at_once=4)
    async with BotTestRunner(plan) as runner:
        result = await runner.run()
    verdict = parse_bot_expectation("response_p95<800ms").judge(result.tally, result.load.total)

A script is a file of steps (`script`).  A caller runs it in a call over the account's TLS and SRTP,
and both tracks are measured by media time (`analysis`): time to first sound, response, stop after
barge-in, talk-over, dead air.  Calls are paced, counted and judged as those of `softphone.load`;
no model judges anything.  `scripted_bot` is a bot of known delays, to calibrate with.  The command
is `softphone.cli.bot_test`.

Implements no standard: the definitions of the figures are those of `analysis.measure_call`.
"""

from __future__ import annotations

from softphone.bot_test.analysis import CallMeasures, find_sounds, frame_levels, measure_call
from softphone.bot_test.bot_tally import (
    BotExpectation,
    BotTally,
    parse_bot_expectation,
    tally_fields,
    tally_figures,
    with_completed,
)
from softphone.bot_test.runner import BotTestPlan, BotTestResult, BotTestRunner
from softphone.bot_test.script import CallerScript, CallerStep, EndedBySide, read_script
from softphone.bot_test.scripted_bot import BotTimes, ScriptedBot, syllables
from softphone.bot_test.simulated_caller import CallReport
from softphone.bot_test.speech_command import split_command
from softphone.bot_test.word_errors import word_errors

__all__ = [
    "BotExpectation",
    "BotTally",
    "BotTestPlan",
    "BotTestResult",
    "BotTestRunner",
    "BotTimes",
    "CallMeasures",
    "CallReport",
    "CallerScript",
    "CallerStep",
    "EndedBySide",
    "ScriptedBot",
    "find_sounds",
    "frame_levels",
    "measure_call",
    "parse_bot_expectation",
    "read_script",
    "split_command",
    "syllables",
    "tally_fields",
    "tally_figures",
    "with_completed",
    "word_errors",
]
