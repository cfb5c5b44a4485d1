"""`softphone agent run`: calls that a realtime speech service talks in."""

from __future__ import annotations

import os
from pathlib import Path

from softphone.agents import AgentReport
from softphone.agents.realtime import (
    RealtimeAgent,
    RealtimeConfig,
    RealtimeEvent,
    RealtimeService,
    Tool,
    ToolUsed,
)
from softphone.agents.realtime.realtime_config import KINDS
from softphone.agents.realtime.tools import DEFAULT_TOOLS, check_tools
from softphone.cli.agent.line import (
    open_line,
    prepare_line,
    print_report,
    serve_until_end,
    show_ended,
    sound_coding,
    status_line,
)
from softphone.cli.agent.options import AgentRunOptions, ServiceOptions
from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import checked_seconds
from softphone.config.toml_reader import read_text
from softphone.errors import ConfigurationError
from softphone.media.audio import WavSource
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings, TrustStore
from softphone.trust.disk import readable_by_others

NO_TOOL = "none"


def realtime_config(options: ServiceOptions) -> RealtimeConfig:
    """Return the service that the options name.  Raises ConfigurationError."""
    service = _service(options.realtime)
    if options.announcement is not None:
        WavSource(options.announcement).close()
    instructions = ""
    if options.instructions is not None:
        instructions = read_text(options.instructions, "file of instructions")
    store = TrustStore.from_sources(*(options.service_ca or ["system"]))
    key = _key(service, options.key_file)
    try:
        return RealtimeConfig(
            service=service,
            key=key,
            instructions=instructions,
            greeting=options.greeting or "",
            model=options.model or "",
            voice=options.voice or "",
            url=options.service_url or "",
            hosts=tuple(options.service_host or ()),
            tls=TlsSettings(store=store, service=Service.HTTPS),
            tools=_tools(options.tool),
            coding=sound_coding(options.sound),
            transcript=options.transcript,
            patience=options.service_timeout,
            announcement=options.announcement,
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"--realtime {service.value}: {error}") from error


def _service(name: str) -> RealtimeService:
    try:
        return RealtimeService(name)
    except ValueError:
        known = ", ".join(each.value for each in RealtimeService)
        raise ConfigurationError(f"--realtime {name}: known are {known}") from None


def _key(service: RealtimeService, path: Path | None) -> KeyMaterial:
    """Read the key from a file that nobody else can read, or from the environment."""
    if path is not None:
        text = read_text(path, "key file")
        if readable_by_others(path):
            raise ConfigurationError(f"{path} can be read by others: chmod 600 {path}")
    else:
        variable = KINDS[service].key_variable
        text = os.environ.get(variable, "")
        if not text:
            raise ConfigurationError(
                f"there is no key: set {variable}, or give --key-file FILE (0600)"
            )
    return KeyMaterial(text.strip().encode())


def _tools(names: list[str] | None) -> tuple[Tool, ...]:
    if not names:
        return DEFAULT_TOOLS
    if names == [NO_TOOL]:
        return ()
    for name in names:
        if name not in set(Tool):
            known = ", ".join(each.value for each in Tool)
            raise ConfigurationError(f"--tool {name}: known are {known}, or {NO_TOOL} alone")
    return tuple(each for each in Tool if each.value in names)


async def run_realtime(output: CommandOutput, options: AgentRunOptions) -> int:
    """Serve calls, or place one, and tell how that ended."""
    timeout = checked_seconds("--timeout", options.timeout, above_zero=True)
    duration = checked_seconds("--duration", options.duration)
    prepared = await prepare_line(output, options)
    config = realtime_config(options.service)
    try:
        check_tools(config.tools, prepared.config)
    except ConfigurationError as error:
        raise ConfigurationError(f"--tool transfer: {error} ([dial_policy])") from error
    target = options.target
    if target is not None:
        prepared.config.target_uri(target)
    agents: list[RealtimeAgent] = []
    within = None if target is None else timeout
    async with open_line(output, options, prepared, agents, within=within) as (phone, line):
        with output.waiting(status_line(config.place, None, 0, 0)) as show:

            def report(made: AgentReport | RealtimeEvent) -> None:
                _print(output, made)
                show(status_line(config.place, agent, agent.joined_total, agent.failures_total))

            agent = RealtimeAgent(line, config, report=report)
            agents.append(agent)
            if target is not None:
                output.event("calling", f"calling {target}", target=target)
                ended = await agent.call(target, timeout=timeout, duration=duration)
                return show_ended(output, ended)
            drained = await serve_until_end(output, phone, line, agent, duration)
        said = "drained: every call is over" if drained else "done"
    joined, failures = agent.joined_total, agent.failures_total
    return output.done(
        f"{said}; the service has talked in {joined} calls, and failed {failures}",
        status=200,
        reason=said,
        calls=joined,
        bot_failures=failures,
    )


def _print(output: CommandOutput, made: AgentReport | RealtimeEvent) -> None:
    if isinstance(made, AgentReport):
        print_report(output, made)
    elif isinstance(made, ToolUsed):
        output.event(
            "agent_tool",
            f"the bot: {made.tool}: {made.result}",
            call_id=made.call_id,
            tool=made.tool,
            done=made.done,
            result=made.result,
        )
    else:
        output.event(
            "agent_said",
            f"{made.speaker}: {made.text}",
            call_id=made.call_id,
            speaker=made.speaker,
            text=made.text,
        )
