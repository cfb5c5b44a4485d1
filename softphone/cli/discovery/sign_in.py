"""`softphone sign-in`: one command from a mail address to phone, chat, directory and voicemail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from softphone.account import Account
from softphone.cli.call.register import decline_calls, print_account_events
from softphone.cli.console.output import LOCK, CommandOutput
from softphone.cli.console.passphrase import passphrase_if_given
from softphone.cli.console.runner import DONE, FAILED, USAGE, exit_code, hint_of, result_of
from softphone.cli.console.state_folder import state_folder
from softphone.cli.console.terminal import ask_line, is_attended
from softphone.cli.discovery.discovery_config import (
    default_cache,
    make_confirmation,
    make_discovery_config,
    make_resolver,
    read_password,
)
from softphone.cli.discovery.options import SignInOptions, UserSignInOptions
from softphone.cli.sso.sso import open_sign_on, require_token
from softphone.discovery import DiscoveryCache, DiscoveryStep, JabberConfig, StepOutcome
from softphone.errors import ConfigurationError, SoftphoneError
from softphone.messaging.server_location import TlsMode
from softphone.oauth import TokenKeeper
from softphone.phone import Phone
from softphone.phone.user_sign_in import (
    AskAuthenticationString,
    ServiceOutcome,
    ServiceState,
    SignedInUser,
    UserService,
    UserSignInCallbacks,
    UserSignInConfig,
)
from softphone.security import KeyMaterial
from softphone.trust import bootstrap_of

_SIGN = {
    ServiceOutcome.SIGNED_IN: "",
    ServiceOutcome.LEFT_OUT: "-",
    ServiceOutcome.FAILED: "failed",
}


async def sign_in_user(output: CommandOutput, options: SignInOptions) -> int:
    """Sign in, print each step and the state of each service, and stay until interrupted.

    Returns 0 when no service has failed, else the exit code of a failure, that of a refusal on
    security grounds first.  Raises what `Phone.sign_in_user` raises.
    """
    cache = DiscoveryCache(options.cache or default_cache())
    config = await make_user_config(output, options, cache)
    tls = config.discovery.tls
    callbacks = make_callbacks(output, options, cache)
    try:
        async with Phone(
            tap=output.ladder,
            trust=tls.store,
            unknown_certificate=tls.unknown,
            resolver=make_resolver(options),
        ) as phone:
            with output.waiting(f"signing in {config.discovery.address}") as update:
                steps = _StepPrinter(output, update)
                user = await phone.sign_in_user(config, callbacks=callbacks, tell=steps.print_step)
            _show_user(output, user, trusted=config.discovery.trust_remote_config)
            if not options.once and len(user.failures) < len(user.services):
                await _stay(output, phone, user)
                return output.failed("no service is left", FAILED, result="failed")
    except asyncio.CancelledError:
        output.summary("", result="completed", status=200, reason="interrupted")
        raise
    return _end(output, user)


def _end(output: CommandOutput, user: SignedInUser) -> int:
    # Other services may be up: what is wrong with the configuration of one is no usage error.
    codes = [exit_code(each.error) for each in user.failures if each.error is not None]
    code = max((FAILED if each == USAGE else each for each in codes), default=DONE)
    failed = ", ".join(each.service for each in user.failures)
    sentence = f"not signed in to: {failed}" if failed else f"{user.account} was signed in"
    output.summary(
        sentence,
        result=result_of(code),
        status=0,
        reason=sentence,
        account=user.account,
        services={each.service.value: _fields(each) for each in user.services},
    )
    return code


async def make_user_config(
    output: CommandOutput, options: UserSignInOptions, cache: DiscoveryCache
) -> UserSignInConfig:
    """Make the configuration.  Raises ConfigurationError before anything is sent."""
    try:
        only = frozenset(UserService(each) for each in options.only or UserService)
    except ValueError as exc:
        known = ", ".join(UserService)
        raise ConfigurationError(f"--only: {exc}; expected one of {known}") from exc
    if options.edge_xmpp not in set(TlsMode):
        raise ConfigurationError(
            f"--edge-xmpp {options.edge_xmpp}: expected one of {', '.join(TlsMode)}"
        )
    bootstrap = bootstrap_of(options.pin or (), first_use=options.first_use)
    string = options.auth_string
    keeper = _token_keeper(output, options)
    token = None if keeper is None else keeper.bearer
    discovery = await make_discovery_config(output, options, cache, token)
    if not discovery.has_credentials:
        raise ConfigurationError(
            "no password was given: name its file (--password-file), sign in with tokens"
            " (--sign-on), or run this in a terminal"
        )
    other = options.voicemail_password_file
    config = UserSignInConfig(
        discovery,
        options.device_store or _default_device_store(discovery.address),
        only,
        device=options.device,
        bootstrap=bootstrap,
        authentication_string=None if string is None else KeyMaterial(string.encode()),
        passphrase=await passphrase_if_given(options.passphrase, "the device's key"),
        take_over=options.take_over,
        voicemail_password=(
            None if other is None else read_password(output, other, "--voicemail-password-file")
        ),
        presence_domain=options.presence_domain,
        inside=tuple(options.inside or ()),
        xmpp_port=options.xmpp_port,
        edge_xmpp=TlsMode(options.edge_xmpp),
    )
    if keeper is not None:
        await require_token(
            output, keeper, device_code=options.device_code, attended=not options.trust.no_prompt
        )
    return config


def _token_keeper(output: CommandOutput, options: UserSignInOptions) -> TokenKeeper | None:
    """Return the keeper of the tokens of --sign-on; None without it.

    Raises ConfigurationError.
    """
    if options.sign_on is None:
        if options.device_code:
            raise ConfigurationError("--device-code goes with --sign-on FILE")
        return None
    if options.password_file is not None:
        raise ConfigurationError("--sign-on: tokens take the place of --password-file")
    return open_sign_on(output, options.sign_on).keeper


def _default_device_store(address: str) -> Path:
    return state_folder() / "users" / quote(address, safe="@")


def make_callbacks(
    output: CommandOutput, options: UserSignInOptions, cache: DiscoveryCache
) -> UserSignInCallbacks:
    """Make the questions of a sign-in, which are asked on the terminal, if there is one."""
    return UserSignInCallbacks(
        make_confirmation(output, options), _string_prompt(output, options), cache
    )


def _string_prompt(
    output: CommandOutput, options: UserSignInOptions
) -> AskAuthenticationString | None:
    """Return the function that asks for an authentication string; None without a user."""
    if options.trust.no_prompt or output.json or not is_attended():
        return None

    async def ask(device: str) -> KeyMaterial | None:
        with output.asking():
            text = await ask_line(
                f"Authentication string of {device}, from the administrator: ", secret=True
            )
        return KeyMaterial(text.strip().encode()) if text.strip() else None

    return ask


class _StepPrinter:
    """Prints one line per step."""

    def __init__(self, output: CommandOutput, update: Callable[[str], None]) -> None:
        self._output = output
        self._update = update

    def print_step(self, step: DiscoveryStep) -> None:
        """Print a step; the state of a service is in the table that follows."""
        self._update(f"{step.name}: {step.detail or step.outcome}")
        shown = step.detail or step.outcome.value
        sentence = f"{step.name}: {shown}{f' ({step.why})' if step.why else ''}"
        if step.name in set(UserService) or step.outcome is StepOutcome.NOTHING:
            sentence = ""
        self._output.event(
            "step",
            sentence,
            name=step.name,
            outcome=step.outcome,
            detail=step.detail,
            why=step.why,
        )


def _show_user(output: CommandOutput, user: SignedInUser, *, trusted: bool) -> None:
    found = user.discovery
    if found.profile is not None:
        for warning in found.profile.warnings:
            output.warn(warning)
    if found.config is not None:
        _show_settings(output, found.config, trusted=trusted)
    for each in user.services:
        output.event("service_state", name=each.service, **_fields(each))
    rows = [_row(each) for each in user.services]
    output.table(user.account, ("", "service", "what", "why"), rows)
    for each in user.failures:
        if each.error is not None:
            sentence = f"{each.service}: {each.why}"
            output.error(sentence, exit_code(each.error), hint=hint_of(each.error))


def _show_settings(output: CommandOutput, config: JabberConfig, *, trusted: bool) -> None:
    for each in config.decisions(trusted=trusted):
        setting = each.setting
        verdict = "applies" if each.applies else "does not apply"
        output.event(
            "setting",
            f"{setting.key}: {setting.value} {verdict} ({each.meaning}: {each.why})",
            group=setting.group,
            key=setting.key,
            value=setting.value,
            meaning=each.meaning,
            applies=each.applies,
            why=each.why,
        )


def _row(state: ServiceState) -> tuple[str, str, str, str]:
    sign = _SIGN[state.outcome] or LOCK[state.lock]
    what = "\n".join(filter(None, (state.detail or state.outcome.value, state.server)))
    return sign, state.service, what, state.why


def _fields(state: ServiceState) -> dict[str, Any]:
    identity = state.identity
    return {
        "outcome": state.outcome,
        "lock": state.lock,
        "by_edge": state.by_edge,
        "server": state.server,
        "detail": state.detail,
        "why": state.why,
        "verdict": None if identity is None else identity.verdict,
        "protocol": None if identity is None else identity.protocol,
    }


async def _stay(output: CommandOutput, phone: Phone, user: SignedInUser) -> None:
    """Print what happens at each service, until none is left, or interrupted; then unregister."""
    lines = phone.accounts
    watches = [
        asyncio.ensure_future(_watched(output, service, watch))
        for service, watch in _watches(output, phone, user)
    ]
    declining = [
        asyncio.ensure_future(decline_calls(output, each, "this only signs in")) for each in lines
    ]
    try:
        with output.waiting("signed in; Ctrl-C signs out"):
            if watches:
                done, _ = await asyncio.wait(watches, return_when=asyncio.FIRST_EXCEPTION)
                for each in done:
                    each.result()
            else:  # only the directory, which keeps no connection
                await asyncio.Event().wait()
    finally:
        for line in lines:
            await phone.close(line)
        for each in (*watches[len(lines) :], *declining):
            each.cancel()
        # The lines' own end with their accounts, once they have printed that.
        await asyncio.gather(*watches, *declining, return_exceptions=True)


def _watches(
    output: CommandOutput, phone: Phone, user: SignedInUser
) -> Iterator[tuple[UserService, Coroutine[Any, Any, None]]]:
    """Yield a watch of each service: those of the phone's lines first."""
    up = {each.service for each in user.services if each.outcome is ServiceOutcome.SIGNED_IN}
    for line in phone.accounts:
        yield UserService.PHONE, _print_line(output, line)
    if UserService.CHAT in up:
        yield UserService.CHAT, _print_messages(output, phone)
    if UserService.VOICEMAIL in up:
        yield UserService.VOICEMAIL, _print_mailbox(output, phone)


async def _watched(output: CommandOutput, service: UserService, watch: Awaitable[None]) -> None:
    """Print how a service is lost for good; the others go on."""
    try:
        await watch
        why, hint = "the server has signed us out", ""
    except SoftphoneError as error:
        why, hint = str(error), hint_of(error)
    output.event("service_lost", name=service, why=why, hint=hint)
    output.warn(f"{service}: {why}{f'; {hint}' if hint else ''}")


async def _print_line(output: CommandOutput, line: Account) -> None:
    await print_account_events(output, line, registered=True)


async def _print_messages(output: CommandOutput, phone: Phone) -> None:
    from softphone.cli.messaging.im import show_message

    messages = phone.messages
    async for message in messages:
        show_message(output, message)
    if messages.error is not None:
        raise messages.error


async def _print_mailbox(output: CommandOutput, phone: Phone) -> None:
    first = True
    async for counts in phone.voicemail.changes():
        sentence = "" if first else f"voicemail: {counts.new} new, {counts.old} old messages"
        first = False
        output.event("mailbox", sentence, new=counts.new, old=counts.old, urgent=counts.urgent)
