"""`softphone mcp`: serves the calls of an account to MCP clients."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from softphone._version import __version__
from softphone.account import Account
from softphone.cli.call.call_options import load_checked, srtp_policy
from softphone.cli.call.monitoring import GuardedAccess, check_monitoring, serve_monitoring
from softphone.cli.call.ready import register_within, show_ready
from softphone.cli.call.register import print_account_events
from softphone.cli.console.certificate_prompt import certificate_prompt, open_trust_store
from softphone.cli.console.fips_mode import enter_mode, show_mode
from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import checked_seconds, on_termination
from softphone.cli.mcp.options import HttpOptions, McpOptions, SpeechOptions
from softphone.config import AccountConfig
from softphone.diagnostics import combine_taps
from softphone.errors import ConfigurationError
from softphone.extras import require_module
from softphone.mcp import PhoneTools, SpeechConfig
from softphone.monitoring import PageAccess
from softphone.phone import Phone
from softphone.trust.disk import readable_by_others


async def serve_mcp(output: CommandOutput, options: McpOptions) -> int:
    """Serve until the client closes its end, the registration is lost, or a signal comes."""
    mode = enter_mode()
    require_module("mcp", "mcp", "a server of MCP tools needs the package mcp")
    speech, access = speech_config(options.speech), http_access(options.http)
    config = await load_checked(output, options.account, options.trust)
    if options.srtp is not None:
        config = config.with_media(srtp=srtp_policy(options.srtp))
    wire = None
    if access is None:
        from softphone.mcp import take_standard_streams  # here, since it needs the SDK

        wire = take_standard_streams()
    show_mode(output, mode)
    _warn_of_readers(output, options)
    async with _line(output, options, config) as line, PhoneTools(line, speech) as phone:
        reason = await _serve_until_the_end(output, line, phone, access, wire)
    return output.done(
        f"{reason}: {phone.placed_total} calls placed, {phone.taken_total} answered",
        status=200,
        reason=reason,
        placed=phone.placed_total,
        answered=phone.taken_total,
    )


def speech_config(options: SpeechOptions) -> SpeechConfig:
    """Return what may be said.  Raises ConfigurationError."""
    try:
        command = tuple(shlex.split(options.speech_command or ""))
    except ValueError as error:
        raise ConfigurationError(f"--speech-command: {error}") from error
    if options.speech_command is not None and not command:
        raise ConfigurationError("--speech-command: it names no program")
    return SpeechConfig(options.sounds, command, options.speech_rate)


def http_access(options: HttpOptions) -> PageAccess | None:
    """Return where clients are served over HTTP, None without `--http`.

    Raises ConfigurationError.
    """
    given = (options.http, options.http_certificate, options.http_key, options.http_token)
    access = GuardedAccess(*given).checked("--http")
    if access is not None and access.token is None:
        raise ConfigurationError("--http needs --http-token FILE, with its clients' token")
    return access


def _warn_of_readers(output: CommandOutput, options: McpOptions) -> None:
    path = options.http.http_token
    if path is not None and (said := readable_by_others(path)):
        output.warn(said)


@asynccontextmanager
async def _line(
    output: CommandOutput, options: McpOptions, config: AccountConfig
) -> AsyncIterator[Account]:
    """Run a phone with the account registered, or listening."""
    within = checked_seconds("--timeout", options.timeout, above_zero=True)
    monitoring = check_monitoring(options.monitoring)
    ask, trust = certificate_prompt(output, options.trust), open_trust_store(options.trust.store)
    tap = combine_taps(output.ladder, monitoring.hep)
    async with (
        Phone(tap=tap, trust=trust, unknown_certificate=ask) as phone,
        serve_monitoring(output, phone, monitoring),
    ):
        yield await register_within(output, phone, config, within)


async def _serve_until_the_end(
    output: CommandOutput,
    line: Account,
    phone: PhoneTools,
    access: PageAccess | None,
    wire: tuple[int, int] | None,
) -> str:
    """Serve clients; return why that has ended.  Raises RegistrationRefused."""
    terminated = asyncio.Event()

    def terminate() -> bool:
        terminated.set()
        return True

    show_ready(output, line)
    served: Coroutine[Any, Any, None] = (
        _serve_http(output, phone, access)
        if access is not None
        else _serve_wire(output, phone, wire)
    )
    serving = asyncio.ensure_future(served)
    reporting = asyncio.ensure_future(print_account_events(output, line, registered=True))
    ended = asyncio.ensure_future(terminated.wait())
    tasks: set[asyncio.Future[Any]] = {serving, reporting, ended}
    try:
        with on_termination(terminate):
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return "told to leave" if terminated.is_set() else "the client has left"


async def _serve_wire(
    output: CommandOutput, phone: PhoneTools, wire: tuple[int, int] | None
) -> None:
    from softphone.mcp import make_server, serve_stdio

    assert wire is not None
    output.event("mcp", "serving a client on standard input and output", url="")
    await serve_stdio(make_server(phone, version=__version__), wire)


async def _serve_http(output: CommandOutput, phone: PhoneTools, access: PageAccess) -> None:
    from softphone.mcp import McpHttpServer, make_server

    async with McpHttpServer(make_server(phone, version=__version__), access) as server:
        output.event("mcp", f"tools for clients at {server.url}", url=server.url)
        await asyncio.get_running_loop().create_future()
