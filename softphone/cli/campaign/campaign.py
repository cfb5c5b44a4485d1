"""`softphone campaign`: calls the numbers of a list, and shows and writes what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from softphone.account import Account
from softphone.agents import AgentServer, BotConfig
from softphone.campaign import (
    Action,
    AttemptResult,
    CallingHours,
    Campaign,
    CampaignRules,
    DoNotCallList,
    JoinBot,
    Journal,
    ListedNumber,
    Outcome,
    PlayFile,
    ResultsTable,
    TransferTo,
    append_campaign_figures,
    check_campaign,
    hang_up,
    load_function,
    number_key,
    parse_retry,
    read_call_list,
)
from softphone.cli.agent.agent import bot_config
from softphone.cli.call.call_options import load_checked, srtp_policy
from softphone.cli.call.monitoring import MonitoringAccess, check_monitoring, serve_monitoring
from softphone.cli.call.ready import register_within, show_ready
from softphone.cli.call.register import decline_calls, print_account_events
from softphone.cli.campaign.options import CampaignOptions, PaceOptions
from softphone.cli.campaign.screen import CampaignScreen
from softphone.cli.console.certificate_prompt import certificate_prompt, open_trust_store
from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import FAILED, checked_seconds, on_termination
from softphone.config import AccountConfig
from softphone.diagnostics import combine_taps
from softphone.errors import ConfigurationError
from softphone.phone import Phone

LINE_EVERY = 10
"""Seconds between two lines of progress where there is no terminal."""
BOT = "bot"
"""The action that joins a call with the bot of `--bot`."""


@dataclass(frozen=True, slots=True)
class PreparedCampaign:
    """What was asked for, checked; `to_bot` are the outcomes whose action is the bot."""

    config: AccountConfig
    rules: CampaignRules
    numbers: tuple[ListedNumber, ...]
    actions: Mapping[Outcome, Action]
    to_bot: frozenset[Outcome]
    bot: BotConfig | None
    do_not_call: tuple[DoNotCallList, ...]
    monitoring: MonitoringAccess


async def run_campaign(output: CommandOutput, options: CampaignOptions) -> int:
    """Call until the list is done, a signal has drained us, or nobody may be called any more."""
    prepared = await _prepare(output, options)
    key_of = partial(number_key, prepared.config)
    with Journal(options.results, aor=prepared.config.aor, key_of=key_of) as journal:
        async with AsyncExitStack() as stack:
            table = None
            if options.csv is not None:
                table = stack.enter_context(ResultsTable(options.csv, journal.results))
            return await _run(output, options, prepared, journal, table)


async def _prepare(output: CommandOutput, options: CampaignOptions) -> PreparedCampaign:
    """Check everything before anything is sent.  Raises ConfigurationError."""
    config = await load_checked(output, options.account, options.trust)
    if options.srtp is not None:
        config = config.with_media(srtp=srtp_policy(options.srtp))
    checked_seconds("--timeout", options.pace.timeout, above_zero=True)
    rules = _rules(options.pace)
    actions, to_bot = _actions(options)
    # A bot is checked as hang_up is: both fit any answered call.
    check_campaign(config, rules, actions)
    bot = bot_config(options.bot) if options.bot.bot else None
    if (bot is None) == bool(to_bot):
        raise ConfigurationError("--bot URL and --on OUTCOME=bot go together")
    numbers = read_call_list(
        options.numbers, config, zone=options.pace.zone or "", needs_zone=bool(rules.hours.ranges)
    )
    lists = tuple(DoNotCallList(path, config) for path in options.do_not_call or ())
    monitoring = check_monitoring(options.monitoring)
    return PreparedCampaign(
        config=config,
        rules=rules,
        numbers=numbers,
        actions=actions,
        to_bot=to_bot,
        bot=bot,
        do_not_call=lists,
        monitoring=monitoring,
    )


def _rules(options: PaceOptions) -> CampaignRules:
    retries = dict(map(parse_retry, options.retry or ()))
    return CampaignRules(
        hours=CallingHours.parse(options.hours),
        calls=options.calls,
        rate=options.rate,
        agents=options.agents,
        abandoned_share=options.abandoned / 100,
        retries=retries,
        retry_unknown=options.retry_unknown,
    )


def _actions(options: CampaignOptions) -> tuple[dict[Outcome, Action], frozenset[Outcome]]:
    """Return the action of each outcome, and the outcomes whose action is the bot."""
    actions: dict[Outcome, Action] = {}
    to_bot: set[Outcome] = set()
    for text in options.on:
        name, equals, action = text.partition("=")
        if not equals or name not in set(Outcome):
            known = ", ".join(Outcome)
            raise ConfigurationError(f"--on {text}: expected OUTCOME=ACTION; outcomes are {known}")
        outcome = Outcome(name)
        if outcome in actions or outcome in to_bot:
            raise ConfigurationError(f"--on {text}: {name} has an action already")
        if action == BOT:
            to_bot.add(outcome)
        else:
            actions[outcome] = _action(text, action)
    answered = Outcome.ANSWERED if options.no_amd else Outcome.HUMAN
    if answered not in actions and answered not in to_bot:
        raise ConfigurationError(
            f"--on {answered}=ACTION is missing: say what is done when somebody answers"
        )
    return actions, frozenset(to_bot)


def _action(text: str, action: str) -> Action:
    kind, _, value = action.partition(":")
    try:
        if action == "hangup":
            return hang_up
        if kind == "play" and value:
            return PlayFile(Path(value))
        if kind == "transfer" and value:
            return TransferTo(value)
        return load_function(action)
    except ConfigurationError as error:
        raise ConfigurationError(f"--on {text}: {error}") from error


async def _run(
    output: CommandOutput,
    options: CampaignOptions,
    prepared: PreparedCampaign,
    journal: Journal,
    table: ResultsTable | None,
) -> int:
    made: list[Campaign] = []

    def append_figures(lines: list[str]) -> None:
        for each in made:
            append_campaign_figures(lines, each.scheduler)

    ask, trust = certificate_prompt(output, options.trust), open_trust_store(options.trust.store)
    tap = combine_taps(output.ladder, prepared.monitoring.hep)
    async with (
        Phone(tap=tap, trust=trust, unknown_certificate=ask) as phone,
        serve_monitoring(output, phone, prepared.monitoring, append_figures),
    ):
        server = prepared.config.server_uri
        with output.waiting("opening the listener" if server is None else f"reaching {server}"):
            seconds = None if server is None else options.pace.timeout
            line = await register_within(output, phone, prepared.config, seconds)
        show_ready(output, line)
        campaign = Campaign(
            line,
            prepared.rules,
            prepared.numbers,
            _with_bot(prepared, line),
            journal=journal,
            table=table,
            do_not_call=prepared.do_not_call,
            ring=options.pace.timeout,
            classify=not options.no_amd,
            report=lambda result: _print_result(output, result),
        )
        made.append(campaign)
        _print_start(output, options, prepared, campaign, journal)
        async with _shown(
            output, CampaignScreen(campaign, options.numbers.name, len(prepared.numbers))
        ):
            drained = await _call(output, line, campaign)
    return _end(output, campaign, len(prepared.numbers), drained=drained)


def _with_bot(prepared: PreparedCampaign, line: Account) -> dict[Outcome, Action]:
    actions = dict(prepared.actions)
    if prepared.bot is not None:
        server = AgentServer(line, prepared.bot)
        actions.update(dict.fromkeys(prepared.to_bot, JoinBot(server)))
    return actions


async def _call(output: CommandOutput, line: Account, campaign: Campaign) -> bool:
    """Call until the campaign ends or a signal drains it; return whether it was drained."""
    calling = asyncio.ensure_future(campaign.run())
    drained = False

    def drain() -> bool:
        nonlocal drained
        drained = True
        seconds, calls = line.config.drain.timeout, len(campaign.calls)
        sentence = f"told to leave: no more calls, and those that are up have {seconds:g} s to end"
        output.event("draining", sentence, timeout=seconds, calls=calls)
        campaign.drain()
        asyncio.get_running_loop().call_later(seconds, calling.cancel)
        return True

    others = [
        asyncio.ensure_future(print_account_events(output, line, registered=True)),
        asyncio.ensure_future(decline_calls(output, line, "this is a campaign")),
    ]
    try:
        with on_termination(drain):
            await asyncio.wait({calling, *others}, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            if task.done():
                task.result()
    finally:
        for each in (calling, *others):
            each.cancel()
        ends = await asyncio.gather(calling, *others, return_exceptions=True)
    if isinstance(ends[0], Exception):
        raise ends[0]
    return drained


@asynccontextmanager
async def _shown(output: CommandOutput, screen: CampaignScreen) -> AsyncIterator[None]:
    """Show the live screen, or print lines of progress where there is no terminal."""

    async def refresh() -> None:
        seconds = 0
        while True:
            update(screen.view(output.stdout_console.width))
            await asyncio.sleep(1)
            seconds += 1
            if not output.draws and seconds % LINE_EVERY == 0:
                output.progress(screen.line())

    with output.screen(screen.view(output.stdout_console.width)) as update:
        refreshing = asyncio.ensure_future(refresh())
        try:
            yield
        finally:
            refreshing.cancel()
            await asyncio.gather(refreshing, return_exceptions=True)


def _print_start(
    output: CommandOutput,
    options: CampaignOptions,
    prepared: PreparedCampaign,
    campaign: Campaign,
    journal: Journal,
) -> None:
    numbers, waiting = len(prepared.numbers), campaign.scheduler.waiting
    sentence = f"{numbers:,} numbers, {waiting:,} of them to be called"
    output.event(
        "campaign", sentence, numbers=numbers, waiting=waiting, earlier=len(journal.results)
    )
    listed = {each.key for each in prepared.numbers}
    unknown = [
        each
        for key, each in journal.histories().items()
        if each.last is Outcome.UNKNOWN and key in listed
    ]
    if unknown and not options.pace.retry_unknown:
        output.warn(
            f"{len(unknown)} calls were cut off by a kill, and nobody knows whether they rang:"
            " --retry-unknown calls these numbers again"
        )


def _print_result(output: CommandOutput, result: AttemptResult) -> None:
    said = ": ".join(each for each in (result.detail, result.reason) if each)
    word = result.outcome.value.replace("_", " ")
    sentence = f"{result.number}: {word}{f' ({said})' if said else ''}"
    plain = result.to_plain()
    output.event(
        "attempt",
        # On a terminal the screen has it.
        "" if output.draws else sentence,
        line=result.line,
        number=result.number,
        name=result.name,
        attempt=result.attempt,
        outcome=result.outcome,
        started=plain["started"],
        ended=plain["ended"],
        seconds=plain["seconds"],
        status=result.status,
        reason=result.reason,
        detail=result.detail,
        call_id=result.call_id,
    )


def _end(output: CommandOutput, campaign: Campaign, numbers: int, *, drained: bool) -> int:
    scheduler = campaign.scheduler
    counts = {each.value: scheduler.outcomes[each] for each in Outcome if scheduler.outcomes[each]}
    fields: dict[str, Any] = {
        **{"numbers": numbers, "waiting": scheduler.waiting, "live": scheduler.live},
        **{"abandoned": scheduler.abandoned, "outcomes": counts},
    }
    rows = [(name.replace("_", " "), f"{count:,}") for name, count in counts.items()]
    if rows:
        output.table("", ("outcome", "attempts"), rows)
    left = f"{scheduler.waiting:,} numbers are left, and the same command goes on with them"
    if campaign.stopped_because:
        output.fill_blank(**fields)
        sentence = f"the campaign has stopped: {campaign.stopped_because}"
        return output.failed(sentence, FAILED, result="failed", hint=left)
    said = f"drained: {left}" if drained and scheduler.waiting else "the list is done"
    return output.done(said, status=200, reason=said, **fields)
