"""`softphone agent serve` and `agent call`: calls that a bot behind a WebSocket talks in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softphone._version import __version__
from softphone.account import Account
from softphone.agents import (
    AgentReport,
    AgentServer,
    BotConfig,
    ReportKind,
    VoiceConfig,
    WebhookConfig,
    WebhookSender,
    parse_webhook_secret,
)
from softphone.cli.agent.options import (
    AgentCallOptions,
    AgentOptions,
    AgentServeOptions,
    BotOptions,
    RestOptions,
    VoiceOptions,
    WebhookOptions,
)
from softphone.cli.call.call_options import load_checked, srtp_policy
from softphone.cli.call.monitoring import (
    GuardedAccess,
    MonitoringAccess,
    check_monitoring,
    serve_monitoring,
)
from softphone.cli.call.ready import register_within, show_ready
from softphone.cli.call.register import print_account_events
from softphone.cli.call.summary import CallOutcome
from softphone.cli.console.certificate_prompt import certificate_prompt, open_trust_store
from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import checked_seconds, on_termination
from softphone.config import AccountConfig
from softphone.config.toml_reader import read_text
from softphone.diagnostics import combine_taps
from softphone.errors import ConfigurationError
from softphone.media.audio import WavSource
from softphone.monitoring import PageAccess
from softphone.phone import Phone
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsCredential, TlsSettings, TrustStore, check_credential
from softphone.trust.disk import readable_by_others

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


@dataclass(frozen=True, slots=True)
class PreparedAgent:
    """What was asked for, checked."""

    config: AccountConfig
    bot: BotConfig
    monitoring: MonitoringAccess


async def _prepare(output: CommandOutput, options: AgentOptions) -> PreparedAgent:
    """Check everything before anything is sent.  Raises ConfigurationError."""
    config = await load_checked(output, options.account, options.trust)
    if options.srtp is not None:
        config = config.with_media(srtp=srtp_policy(options.srtp))
    bot = bot_config(options.bot)
    _warn_of_readers(output, options.bot.bot_token)
    return PreparedAgent(config, bot, check_monitoring(options.monitoring))


def _warn_of_readers(output: CommandOutput, path: Path | None) -> None:
    """Warn of a file with a secret that others can read."""
    if path is not None and (said := readable_by_others(path)):
        output.warn(said)


def bot_config(options: BotOptions) -> BotConfig:
    """Return the bot that the options name.  Raises ConfigurationError."""
    if options.announcement is not None:
        WavSource(options.announcement).close()
    try:
        return BotConfig(
            url=options.bot,
            token=_token(options.bot_token),
            tls=_tls(options),
            parameters=_parameters(options.parameter or ()),
            account_id=options.account_sid or "",
            patience=options.bot_timeout,
            reconnects=options.reconnects,
            announcement=options.announcement,
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"--bot: {error}") from error


def _token(path: Path | None) -> KeyMaterial | None:
    if path is None:
        return None
    return KeyMaterial(read_text(path, "token file").strip().encode())


def voice_config(options: VoiceOptions) -> VoiceConfig | None:
    """Return the voice URL's settings, None without `--voice-url`.  Raises ConfigurationError."""
    if options.voice_url is None:
        if options.voice_token or options.voice_ca:
            raise ConfigurationError("--voice-… goes with --voice-url URL")
        return None
    token = _token(options.voice_token)
    if token is None:
        raise ConfigurationError("--voice-url needs --voice-token FILE, which signs its requests")
    store = TrustStore.from_sources(*(options.voice_ca or ["system"]))
    try:
        return VoiceConfig(
            url=options.voice_url,
            token=token,
            tls=TlsSettings(store=store, service=Service.HTTPS),
            timeout=options.voice_timeout,
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"--voice-url: {error}") from error


def webhook_config(options: WebhookOptions) -> WebhookConfig | None:
    """Return the webhook's settings, None without `--webhook`.  Raises ConfigurationError."""
    if options.webhook is None:
        if options.webhook_secret or options.webhook_ca:
            raise ConfigurationError("--webhook-… goes with --webhook URL")
        return None
    if options.webhook_secret is None:
        raise ConfigurationError("--webhook needs --webhook-secret FILE, which signs its events")
    store = TrustStore.from_sources(*(options.webhook_ca or ["system"]))
    try:
        return WebhookConfig(
            url=options.webhook,
            secret=parse_webhook_secret(read_text(options.webhook_secret, "secret file")),
            tls=TlsSettings(store=store, service=Service.HTTPS),
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"--webhook: {error}") from error


def rest_access(options: RestOptions) -> PageAccess | None:
    """Return where the Calls resource is served, None without `--rest`.

    Raises ConfigurationError.
    """
    given = (options.rest, options.rest_certificate, options.rest_key, options.rest_token)
    access = GuardedAccess(*given).checked("--rest")
    if access is not None and access.token is None:
        raise ConfigurationError("--rest needs --rest-token FILE, with its clients' password")
    return access


def _tls(options: BotOptions) -> TlsSettings:
    certificate, key = options.bot_certificate, options.bot_key
    if (certificate is None) != (key is None):
        raise ConfigurationError("--bot-certificate and --bot-key go together")
    credential = None
    if certificate is not None and key is not None:
        credential = TlsCredential(certificate, key)
        check_credential(credential)
    store = TrustStore.from_sources(*(options.bot_ca or ["system"]))
    return TlsSettings(store=store, credential=credential, service=Service.HTTPS)


def _parameters(texts: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for name, equals, _ in pairs:
        if not equals:
            raise ConfigurationError(f"--parameter {name}: expected NAME=VALUE")
    return {name: value for name, _, value in pairs}


@asynccontextmanager
async def _line(
    output: CommandOutput,
    options: AgentOptions,
    prepared: PreparedAgent,
    servers: Sequence[AgentServer],
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


async def serve_agent(output: CommandOutput, options: AgentServeOptions) -> int:
    """Serve until `--duration` is over, the registration is lost, or a signal has drained us."""
    duration = checked_seconds("--duration", options.duration)
    prepared = await _prepare(output, options)
    voice, rest = voice_config(options.voice), rest_access(options.rest)
    webhook = webhook_config(options.webhook)
    secrets = options.voice.voice_token, options.rest.rest_token, options.webhook.webhook_secret
    for path in secrets:
        _warn_of_readers(output, path)
    servers: list[AgentServer] = []
    async with (
        _webhooks(webhook) as post,
        _line(output, options, prepared, servers) as (phone, line),
    ):
        with output.waiting(_status(None, prepared)) as show:

            def report(made: AgentReport) -> None:
                _print_report(output, made)
                post(made)
                show(_status(server, prepared))

            server = AgentServer(line, prepared.bot, voice=voice, report=report)
            servers.append(server)
            async with _serve_rest(output, server, rest):
                drained = await _serve(output, phone, line, server, duration)
        said = "drained: every call is over" if drained else "done"
        joined, failures = server.joined_total, server.failures_total
    return output.done(
        f"{said}; {joined} calls were joined with the bot, and it failed {failures}",
        status=200,
        reason=said,
        calls=joined,
        bot_failures=failures,
    )


@asynccontextmanager
async def _webhooks(config: WebhookConfig | None) -> AsyncIterator[Callable[[AgentReport], None]]:
    """Yield the function that queues reports for the webhook; open it around all calls."""
    if config is None:
        yield lambda _: None
        return
    async with WebhookSender(config) as sender:
        yield sender.offer


@asynccontextmanager
async def _serve_rest(
    output: CommandOutput, server: AgentServer, access: PageAccess | None
) -> AsyncIterator[None]:
    """Serve the Calls resource, if the user asks for that."""
    if access is None:
        yield
        return
    from softphone.agents import RestServer  # here, since it needs aiohttp

    async with RestServer(server, access, version=__version__) as rest:
        sentence = f"calls for {server.account_sid} at {rest.url}"
        output.event("rest", sentence, url=rest.url, account_sid=server.account_sid)
        yield


async def _serve(
    output: CommandOutput, phone: Phone, line: Account, server: AgentServer, duration: float | None
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
    ends: set[asyncio.Future[Any]] = {
        serving,
        asyncio.ensure_future(print_account_events(output, line, registered=True)),
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
                # The end of the account is that of serving, after the last words to the bots.
                await phone.close(line)
                await asyncio.wait({serving}, timeout=LAST_WORDS)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return drained.is_set()


async def call_by_agent(output: CommandOutput, options: AgentCallOptions) -> int:
    """Reach the bot, call, and tell how it ended."""
    timeout = checked_seconds("--timeout", options.timeout, above_zero=True)
    duration = checked_seconds("--duration", options.duration)
    prepared = await _prepare(output, options)
    prepared.config.target_uri(options.target)
    servers: list[AgentServer] = []
    async with _line(output, options, prepared, servers, within=timeout) as (_, line):
        server = AgentServer(line, prepared.bot, report=lambda made: _print_report(output, made))
        servers.append(server)
        output.event("calling", f"calling {options.target}", target=options.target)
        with output.waiting("in the call"):
            ended = await server.call(options.target, timeout=timeout, duration=duration)
    ending = CallOutcome.of_call(ended, (), "")
    output.summary(
        f"{ending.result}: {ending.reason}",
        result=ending.result,
        status=ending.status,
        reason=ending.reason,
    )
    return ending.code


def _print_report(output: CommandOutput, made: AgentReport) -> None:
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


def _status(server: AgentServer | None, prepared: PreparedAgent) -> str:
    """Return the line that stands below while calls are served."""
    now, so_far = (0, 0) if server is None else (server.streams, server.joined_total)
    failed = (
        "" if server is None or not server.failures_total else f", {server.failures_total} failed"
    )
    return f"{now} calls talk with {prepared.bot.place}, {so_far} so far{failed}; Ctrl-C ends it"
