"""What the commands of `softphone agent` share: their line, serving, and what they print."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from softphone.account import Account
from softphone.agents import AgentReport, ReportKind, SoundCoding
from softphone.cli.agent.options import AgentOptions
from softphone.cli.call.call_options import load_checked, srtp_policy
from softphone.cli.call.monitoring import MonitoringAccess, check_monitoring, serve_monitoring
from softphone.cli.call.ready import register_within, show_ready
from softphone.cli.call.register import print_account_events
from softphone.cli.call.summary import CallOutcome
from softphone.cli.console.certificate_prompt import certificate_prompt, open_trust_store
from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import on_termination
from softphone.config import AccountConfig
from softphone.diagnostics import combine_taps
from softphone.errors import ConfigurationError
from softphone.events import CallEnded
from softphone.phone import Phone

LAST_WORDS = 5.0
"""Seconds for what is still said to bots when the last call is over."""

_SENTENCES = {
    ReportKind.JOINED: "{peer} talks with the bot",
    ReportKind.RECONNECTED: "{peer} talks with the bot again",
    ReportKind.BOT_FAILED: "the bot failed {peer}: {reason}",
    ReportKind.UNSUPPORTED: "the document for {peer} has {reason}, which is not carried out",
    ReportKind.REFUSED: "{peer} was refused: {reason}",
    ReportKind.FAILED: "the call of {peer} came to nothing: {reason}",
    ReportKind.ENDED: "the call of {peer} is over",
}


Choice = TypeVar("Choice", bound=StrEnum)


def member_of(kind: type[Choice], option: str, name: str) -> Choice:
    """Return what an option names.  Raises ConfigurationError."""
    try:
        return kind(name)
    except ValueError:
        known = ", ".join(each.value for each in kind)
        raise ConfigurationError(f"{option} {name}: known are {known}") from None


def sound_coding(name: str | None) -> SoundCoding | None:
    """Return the coding of `--sound`; None without it.  Raises ConfigurationError."""
    return None if name is None else member_of(SoundCoding, "--sound", name)


class CallServer(Protocol):
    """Serves the calls of an account: an `AgentServer` or a `RealtimeAgent`."""

    async def serve(self) -> None:
        """Serve calls until canceled."""

    def append_figures(self, lines: list[str]) -> None:
        """Append its figures for Prometheus."""

    @property
    def streams(self) -> int:
        """Calls that talk with a bot or service."""


@dataclass(frozen=True, slots=True)
class PreparedLine:
    """The account and its monitoring, checked."""

    config: AccountConfig
    monitoring: MonitoringAccess


async def prepare_line(output: CommandOutput, options: AgentOptions) -> PreparedLine:
    """Check the options of the account before anything is sent.  Raises ConfigurationError."""
    config = await load_checked(output, options.account, options.trust)
    if options.srtp is not None:
        config = config.with_media(srtp=srtp_policy(options.srtp))
    return PreparedLine(config, check_monitoring(options.monitoring))


@asynccontextmanager
async def open_line(
    output: CommandOutput,
    options: AgentOptions,
    prepared: PreparedLine,
    servers: Sequence[CallServer],
    *,
    within: float | None = None,
) -> AsyncIterator[tuple[Phone, Account]]:
    """Run a phone and its registered or listening account; `servers` add to its metrics.

    Raises RegistrationTimeout when it takes longer than `within` seconds to register.
    """

    def append_figures(lines: list[str]) -> None:
        for each in servers:
            each.append_figures(lines)

    ask, trust = certificate_prompt(output, options.trust), open_trust_store(options.trust.store)
    tap = combine_taps(output.ladder, prepared.monitoring.hep)
    async with (
        Phone(tap=tap, trust=trust, unknown_certificate=ask) as phone,
        serve_monitoring(output, phone, prepared.monitoring, append_figures),
    ):
        server = prepared.config.server_uri
        with output.waiting("opening the listener" if server is None else f"reaching {server}"):
            line = await register_within(output, phone, prepared.config, within)
        show_ready(output, line)
        yield phone, line


async def serve_until_end(
    output: CommandOutput, phone: Phone, line: Account, server: CallServer, duration: float | None
) -> bool:
    """Serve until it is time to leave; whether that is since we were drained."""
    drained = asyncio.Event()
    tasks: set[asyncio.Future[Any]] = set()

    def drain() -> bool:
        seconds = line.config.drain.timeout
        sentence = f"told to leave: no more calls, and those that are up have {seconds:g} s to end"
        output.event("draining", sentence, timeout=seconds, calls=len(line.calls))
        draining = asyncio.ensure_future(phone.drain())
        draining.add_done_callback(lambda _: drained.set())
        tasks.add(draining)
        return True

    serving = asyncio.ensure_future(server.serve())
    telling = asyncio.ensure_future(print_account_events(output, line, registered=True))
    ends: set[asyncio.Future[Any]] = {
        serving,
        telling,
        asyncio.ensure_future(drained.wait()),
    }
    tasks |= ends
    try:
        with on_termination(drain):
            done, _ = await asyncio.wait(
                ends, timeout=duration, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
            if drained.is_set():
                # The end of the account is that of serving, after the last words to the bots, and
                # of its events, the last of which says that it is registered no more.
                await phone.close(line)
                await asyncio.wait({serving, telling}, timeout=LAST_WORDS)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return drained.is_set()


def show_ended(output: CommandOutput, ended: CallEnded) -> int:
    """Print how a call that was placed has ended; return the exit code."""
    ending = CallOutcome.of_call(ended, (), "")
    output.summary(
        f"{ending.result}: {ending.reason}",
        result=ending.result,
        status=ending.status,
        reason=ending.reason,
    )
    return ending.code


def print_report(output: CommandOutput, made: AgentReport) -> None:
    """Print what became of a call."""
    sentence = _SENTENCES[made.kind].format(peer=made.peer, reason=made.reason)
    output.event(
        "agent_call",
        sentence,
        kind=made.kind,
        call_id=made.call_id,
        call_sid=made.call_sid,
        peer=made.peer,
        stream_id=made.stream_id,
        reason=made.reason,
    )


def status_line(place: str, server: CallServer | None, so_far: int, failed: int) -> str:
    """Return the line that stands below while calls are served."""
    now = 0 if server is None else server.streams
    failures = f", {failed} failed" if failed else ""
    return f"{now} calls talk with {place}, {so_far} so far{failures}; Ctrl-C ends it"
