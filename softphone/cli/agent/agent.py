"""`softphone agent serve` and `agent call`: calls that a bot behind a WebSocket talks in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from softphone._version import __version__
from softphone.agents import (
    AgentReport,
    AgentServer,
    BotConfig,
    BotFile,
    StreamDialect,
    VoiceConfig,
    WebhookConfig,
    WebhookSender,
    load_bots,
    parse_webhook_secret,
)
from softphone.agents.bot_config import check_bots
from softphone.cli.agent.line import (
    PreparedLine,
    member_of,
    open_line,
    prepare_line,
    print_report,
    serve_until_end,
    show_ended,
    sound_coding,
    status_line,
)
from softphone.cli.agent.options import (
    AgentCallOptions,
    AgentServeOptions,
    BotAgentOptions,
    BotOptions,
    RestOptions,
    VoiceOptions,
    WebhookOptions,
)
from softphone.cli.call.monitoring import GuardedAccess
from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import checked_seconds
from softphone.config.toml_reader import read_text
from softphone.errors import ConfigurationError
from softphone.media.audio import WavSource
from softphone.monitoring import PageAccess
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsCredential, TlsSettings, TrustStore, check_credential
from softphone.trust.disk import readable_by_others


async def _prepare(
    output: CommandOutput, options: BotAgentOptions
) -> tuple[PreparedLine, BotConfig]:
    """Check everything before anything is sent.  Raises ConfigurationError."""
    prepared = await prepare_line(output, options)
    bot = bot_config(options.bot)
    _warn_of_readers(output, options.bot.bot_token)
    return prepared, bot


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
            dialect=member_of(StreamDialect, "--dialect", options.dialect),
            coding=sound_coding(options.sound),
            sample_rate=options.sample_rate,
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


async def serve_agent(output: CommandOutput, options: AgentServeOptions) -> int:
    """Serve until `--duration` is over, the registration is lost, or a signal has drained us."""
    duration = checked_seconds("--duration", options.duration)
    prepared, bot = await _prepare(output, options)
    others = BotFile(()) if options.bots is None else load_bots(options.bots)
    check_bots((bot, *others.bots))
    for warning in others.warnings:
        output.warn(warning)
    voice, rest = voice_config(options.voice), rest_access(options.rest)
    webhook = webhook_config(options.webhook)
    secrets = options.voice.voice_token, options.rest.rest_token, options.webhook.webhook_secret
    for path in secrets:
        _warn_of_readers(output, path)
    servers: list[AgentServer] = []
    async with (
        _webhooks(webhook) as post,
        open_line(output, options, prepared, servers) as (phone, line),
    ):
        with output.waiting(status_line(bot.place, None, 0, 0)) as show:

            def report(made: AgentReport) -> None:
                print_report(output, made)
                post(made)
                show(status_line(bot.place, server, server.joined_total, server.failures_total))

            server = AgentServer(line, bot, *others.bots, voice=voice, report=report)
            servers.append(server)
            async with _serve_rest(output, server, rest):
                drained = await serve_until_end(output, phone, line, server, duration)
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


async def call_by_agent(output: CommandOutput, options: AgentCallOptions) -> int:
    """Reach the bot, call, and tell how it ended."""
    timeout = checked_seconds("--timeout", options.timeout, above_zero=True)
    duration = checked_seconds("--duration", options.duration)
    prepared, bot = await _prepare(output, options)
    prepared.config.target_uri(options.target)
    servers: list[AgentServer] = []
    async with open_line(output, options, prepared, servers, within=timeout) as (_, line):
        server = AgentServer(line, bot, report=lambda made: print_report(output, made))
        servers.append(server)
        output.event("calling", f"calling {options.target}", target=options.target)
        with output.waiting("in the call"):
            ended = await server.call(options.target, timeout=timeout, duration=duration)
    return show_ended(output, ended)
