"""The command `softphone campaign`: its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from softphone.cli.agent.options import BotOptions
from softphone.cli.call.options import MonitoringOptions
from softphone.cli.console.options import (
    AccountOption,
    CommandOptions,
    JsonOption,
    LadderOption,
    OptionGroup,
    TrustOptions,
    option,
    option_dataclass,
)


@option_dataclass
class CampaignBotOptions(BotOptions):
    """The bot of `--on OUTCOME=bot`."""

    bot: Annotated[
        str,
        option(
            "--bot",
            "The bot's WebSocket: wss://HOST/PATH, or ws:// at a numeric loopback address.",
            "URL",
        ),
    ] = ""


@option_dataclass
class PaceOptions(OptionGroup):
    """When and how fast numbers are called."""

    hours: Annotated[
        str,
        option(
            "--hours",
            'When people are called, by the clock of their zone: "mon-fri 09:00-20:00, sat '
            '10:00-16:00"; or any.',
            "HOURS",
        ),
    ]
    zone: Annotated[
        str | None,
        option("--zone", "The zone of rows that name none, such as Europe/Berlin.", "ZONE"),
    ] = None
    calls: Annotated[int, option("--calls", "The most calls at a time.", "N")] = 1
    rate: Annotated[
        float, option("--rate", "Begin so many calls a second at most; 0: no limit.", "N")
    ] = 1.0
    timeout: Annotated[
        float,
        option("--timeout", "Let a number ring, and registering take, so long at most.", "SECONDS"),
    ] = 30.0
    agents: Annotated[
        int,
        option(
            "--agents",
            "How many people who answered are served at once, by any action, play: too; 0: all.",
            "N",
        ),
    ] = 0
    abandoned: Annotated[
        float,
        option(
            "--abandoned",
            "The most abandoned calls, of 100 that people answer: with more calls than agents, "
            "calls wait for that.",
            "PERCENT",
        ),
    ] = 3.0
    retry: Annotated[
        list[str] | None,
        option(
            "--retry",
            "Call again after this outcome: busy=3x15m, three times, 15 minutes later; repeatable.",
            "OUTCOME=NxDELAY",
        ),
    ] = None
    retry_unknown: Annotated[
        bool,
        option("--retry-unknown", "Call those again whose call was cut off when we were killed."),
    ] = False


@option_dataclass
class CampaignOptions(CommandOptions):
    """Call the numbers of a list, some at a time, and do something after each outcome.

    LIST is CSV; its columns are number, name, zone, header:NAME for header fields of the INVITE,
    and any others, for functions and bots.  What becomes of each number is in the file of --results
    as it happens: the same command goes on from there, after a kill, too, and calls nobody twice.
    On SIGTERM no more calls begin, and those that are up have the account's time to end.
    """

    carried_out_by = "softphone.cli.campaign.campaign:run_campaign"
    examples: ClassVar[tuple[str, ...]] = (
        "softphone campaign list.csv --account lab/alice.toml --results results.jsonl --hours any "
        "--on human=play:message.wav",
    )
    numbers: Annotated[
        Path, typer.Argument(metavar="LIST", help="The numbers, as CSV with a header line.")
    ]
    account: AccountOption
    results: Annotated[
        Path, option("--results", "Write each attempt to this file, as JSON lines.", "FILE")
    ]
    pace: PaceOptions
    on: Annotated[
        list[str],
        option(
            "--on",
            "After human, machine, fax, silence, abandoned, busy, ...: hangup, play:FILE.wav, "
            "transfer:TARGET, bot, FILE.py:FUNCTION or MODULE:FUNCTION; repeatable.",
            "OUTCOME=ACTION",
        ),
    ]
    csv: Annotated[Path | None, option("--csv", "Write the attempts as CSV, too.", "FILE")] = None
    do_not_call: Annotated[
        list[Path] | None,
        option(
            "--do-not-call",
            "Call no number that is in this file; it is read again before each call; repeatable.",
            "FILE",
        ),
    ] = None
    no_amd: Annotated[
        bool,
        option("--no-amd", "Do not find out who answers: the outcome is `answered`."),
    ] = False
    bot: CampaignBotOptions = field(default_factory=CampaignBotOptions)
    srtp: Annotated[
        str | None, option("--srtp", "required, optional or off, for these calls.", "MODE")
    ] = None
    trust: TrustOptions = field(default_factory=TrustOptions)
    json: JsonOption = False
    ladder: LadderOption = False
    monitoring: MonitoringOptions = field(default_factory=MonitoringOptions)

    def blank_summary(self) -> Mapping[str, Any]:
        """The fields of its summary, when it calls nobody."""
        return {"numbers": 0, "waiting": 0, "live": 0, "abandoned": 0, "outcomes": {}}
