"""The command `softphone bot-test`: its options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from softphone.cli.console.options import (
    AccountOption,
    CommandOptions,
    JsonOption,
    option,
    option_dataclass,
)

EXIT_CODES = (
    "Exit codes: 0 valid and as expected, 1 a verdict was not met, 2 wrong usage and nothing sent, "
    "3 we refused (security, or a rule of yours), 4 the run was invalid: this machine was too busy "
    "to measure, 130 interrupted."
)


@option_dataclass
class BotTestOptions(CommandOptions):
    """Call a bot as simulated callers do, measure it, and judge.

    SCRIPT is a TOML file of steps: what a caller says, waits for and expects.  Calls take the
    scripts in turn.  Every call has to run its script to the end, unless --expect says how many.
    """

    carried_out_by = "softphone.cli.bot_test.bot_test:run_bot_test"
    examples: ClassVar[tuple[str, ...]] = (
        "softphone bot-test order.toml --account lab/alice.toml --target bob --calls 20 "
        "--at-once 4 --expect 'response_p95<800ms' --junit bot.xml",
    )
    epilog = EXIT_CODES

    scripts: Annotated[list[Path], typer.Argument(metavar="SCRIPT...", help="The scripts (TOML).")]
    account: AccountOption
    target: Annotated[str, option("--target", "The bot: a SIP URI, or a user.", "URI")]
    calls: Annotated[int, option("--calls", "How many calls are made.", "N")] = 1
    at_once: Annotated[int, option("--at-once", "The most calls at a time.", "N")] = 1
    rate: Annotated[float, option("--rate", "Calls that begin in a second, at most.", "N")] = 10.0
    seed: Annotated[int, option("--seed", "Of noise and losses.", "N")] = 1
    expect: Annotated[
        list[str] | None,
        option(
            "--expect",
            "first_sound_p95<1s, response_p95<800ms, barge_in_p95<300ms, talk_over_p95<200ms, "
            "dead_air_p95<3s, digits>=100%, ended>=99%, word_errors<10%, completed>=99%, or what "
            "`load run` takes; repeatable.",
            "VERDICT",
        ),
    ] = None
    tts_command: Annotated[
        str | None,
        option(
            "--tts-command",
            "Speaks the texts of scripts: gets one on standard input, prints a WAV file.",
            "COMMAND",
        ),
    ] = None
    transcriber: Annotated[
        str | None,
        option(
            "--transcriber",
            "Prints what the bot says: of the WAV file {file}, or of standard input.",
            "COMMAND",
        ),
    ] = None
    answer_timeout: Annotated[
        float, option("--answer-timeout", "Wait so long for an answer.", "SECONDS")
    ] = 32.0
    tolerate_late: Annotated[
        float,
        option(
            "--tolerate-late",
            "So many of our packets may be late before the run is invalid.",
            "PERCENT",
        ),
    ] = 1.0
    ports: Annotated[str, option("--ports", "Media ports, two a call.", "FIRST-LAST")] = (
        "40000-49999"
    )
    host: Annotated[
        str | None,
        option("--host", "Our own address; else the one that leads to the server.", "ADDRESS"),
    ] = None
    report: Annotated[Path | None, option("--report", "Write a page to this file.", "HTML")] = None
    junit: Annotated[
        Path | None, option("--junit", "Write the verdicts as JUnit XML to this file.", "FILE")
    ] = None
    annotations: Annotated[
        str | None, option("--annotations", "github, gitlab, or auto: annotations for CI.", "KIND")
    ] = None
    json: JsonOption = False

    def blank_summary(self) -> Mapping[str, Any]:
        """The fields of its summary, when it came to no result."""
        blank: dict[str, Any] = {"valid": False, "invalid_because": [], "plan": None, "bot": None}
        return {**blank, "failed": {}, "suites": {}, "verdicts": []}
