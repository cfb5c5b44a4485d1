"""`softphone register`: register and stay registered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from softphone.account import Account
from softphone.cli.call.call_options import load_checked
from softphone.cli.call.options import RegisterOptions
from softphone.cli.call.ready import register_within
from softphone.cli.console.certificate_prompt import certificate_prompt, open_trust_store
from softphone.cli.console.digest_warning import digest_text, digest_warnings
from softphone.cli.console.key_log import with_key_log
from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import checked_seconds
from softphone.cli.console.trunk_text import print_trunk_change, settled_trunk
from softphone.diagnostics.refusal_text import explain_no_answer
from softphone.errors import ConfigurationError, LocalProtocolError, RegistrationRefused
from softphone.events import (
    AccountEvent,
    CallRefused,
    CertificateExpiryNeared,
    CertificateKept,
    CertificateRenewed,
    ConfigurationFetched,
    FlowLost,
    FlowRestored,
    MessageReceived,
    MessageWaiting,
    NodeChanged,
    RegistrationChanged,
    RegistrationState,
    RemoteControlRequested,
    ServiceRequested,
    TrunkChanged,
)
from softphone.phone import Phone


async def stay_registered(output: CommandOutput, options: RegisterOptions) -> int:
    """Register, print every change, and unregister after `--duration` or when interrupted.

    The servers of a trunk are asked by OPTIONS instead.
    """
    account = options.account
    duration = checked_seconds("--duration", 0.0 if options.once else options.duration)
    timeout = checked_seconds("--timeout", options.timeout, above_zero=True)
    config = await load_checked(output, account, options.trust)
    config = with_key_log(output, config, options.tls_key_log)
    if config.registrar is None and not config.watches_trunk:
        message = f"{account}: there is no registrar to register with"
        if config.outbound_proxy is not None:
            message += "; with options_interval the trunk's server is asked by OPTIONS"
        raise ConfigurationError(message)
    try:
        ask, trust = (
            certificate_prompt(output, options.trust),
            open_trust_store(options.trust.store),
        )
        async with Phone(tap=output.ladder, trust=trust, unknown_certificate=ask) as phone:
            doing = "asking" if config.watches_trunk else "registering with"
            with output.waiting(f"{doing} {config.server_uri}"):
                line = await register_within(output, phone, config, timeout)
            for warning in digest_warnings(line):
                output.warn(warning)
            await run_until_stopped(output, phone, [line], duration)
    except asyncio.CancelledError:
        output.summary("", result="completed", status=200, reason="interrupted")
        raise
    return output.done("done", status=200, reason="done")


async def run_until_stopped(
    output: CommandOutput, phone: Phone, lines: Sequence[Account], duration: float | None
) -> None:
    """Stay registered for `duration` or until interrupted, print every change, and close the lines.

    Raises RegistrationRefused when a registration has failed for good.
    """
    talks = [asyncio.ensure_future(print_account_events(output, line)) for line in lines]
    declining = [asyncio.ensure_future(decline_calls(output, line)) for line in lines]
    try:
        await _wait(output, lines, talks, duration)
    finally:
        for line in lines:
            await phone.close(line)
        for each in declining:
            each.cancel()
        await asyncio.wait(talks)


async def _wait(
    output: CommandOutput,
    lines: Sequence[Account],
    talks: Sequence[asyncio.Task[None]],
    duration: float | None,
) -> None:
    trunks = [line for line in lines if line.trunk is not None]
    if duration == 0:
        for line in trunks:
            await settled_trunk(line)
        return
    doing = "asking the trunk's server" if trunks else "registered"
    with output.waiting(f"{doing}; Ctrl-C ends it"):
        done, _ = await asyncio.wait(talks, timeout=duration, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def decline_calls(
    output: CommandOutput, line: Account, why: str = "this only registers"
) -> None:
    """Refuse incoming calls with 480: this command answers none."""
    async for incoming in line.incoming():
        peer = str(incoming.peer.uri)
        try:
            incoming.reject(480)
        except LocalProtocolError:
            # The caller gave up first.
            continue
        output.event("declined", f"declined a call of {peer}: {why}", peer=peer)


async def print_account_events(
    output: CommandOutput, line: Account, *, registered: bool = False
) -> None:
    """Tell of every change, until the account is closed.

    With `registered` the first registration has been printed already, by `show_ready`.  Raises
    RegistrationRefused when the registration is lost for good.
    """
    async for event in line.events():
        if registered and isinstance(event, RegistrationChanged):
            registered = event.state is RegistrationState.REGISTERING
            if event.state in (RegistrationState.REGISTERING, RegistrationState.REGISTERED):
                continue
        if isinstance(event, TrunkChanged):
            print_trunk_change(output, event)
        else:
            _print_event(output, line, event)
        if isinstance(event, RegistrationChanged) and event.state is RegistrationState.FAILED:
            message = f"the registration was lost: {event.status} {event.reason}".rstrip()
            raise RegistrationRefused(message, status=event.status, reason=event.reason)


def _print_event(output: CommandOutput, line: Account, event: AccountEvent) -> None:
    if isinstance(event, RegistrationChanged):
        output.event(
            "registration",
            _registration(line, event),
            state=event.state,
            status=event.status,
            reason=event.reason,
            expires=event.expires,
            unanswered=event.unanswered,
            digest=dict(line.digest_algorithms),
        )
    elif isinstance(event, FlowLost):
        sentence = f"connection lost ({event.reason}); trying again in {event.retry_in:.1f} s"
        output.event("flow_lost", sentence, reason=event.reason, retry_in=event.retry_in)
    elif isinstance(event, FlowRestored):
        output.event("flow_restored", "connected again")
    elif isinstance(event, MessageWaiting):
        output.event("messages", f"{event.new} new messages", new=event.new, old=event.old)
    elif isinstance(event, CallRefused):
        sentence = f"refused a call of {event.peer}: {event.explanation}"
        output.event("refused", sentence, peer=event.peer, status=event.status)
    elif isinstance(event, NodeChanged):
        sentence = f"moved from {event.before} to {event.node}"
        output.event("node", sentence, node=event.node, before=event.before)
    elif isinstance(event, ServiceRequested):
        sentence = f"the server asks for {event.action}, between calls"
        output.event("service", sentence, action=event.action)
    elif isinstance(event, RemoteControlRequested):
        sentence = f"the server asks for {event.request}: that is the application's to do"
        output.event("remote_control", sentence, request=event.request, allowed=event.allowed)
    elif isinstance(event, MessageReceived):
        output.event("message", f"a message of {event.sender}", sender=event.sender)
    else:
        _tell_of_device(output, event)


def _tell_of_device(output: CommandOutput, event: AccountEvent) -> None:
    if isinstance(event, CertificateExpiryNeared):
        sentence = f"the certificate of {event.device} ends at {event.expires}"
        output.event("certificate_expiring", device=event.device, expires=event.expires)
        output.warn(sentence)
    elif isinstance(event, CertificateRenewed):
        sentence = f"{event.device} has registered with a new certificate, until {event.expires}"
        output.event("certificate_renewed", sentence, device=event.device, expires=event.expires)
    elif isinstance(event, CertificateKept):
        output.event("certificate_kept", device=event.device, reason=event.reason)
        output.warn(f"{event.device} goes on with the certificate that it has: {event.reason}")
    elif isinstance(event, ConfigurationFetched):
        what = event.problem or ("it has changed" if event.changed else "it is as it was")
        sentence = f"the configuration of {event.device} was fetched again: {what}"
        output.event(
            "configuration",
            sentence,
            device=event.device,
            changed=event.changed,
            problem=event.problem,
        )


def _registration(line: Account, event: RegistrationChanged) -> str:
    sentence = f"{line.aor}: {event.state.value}"
    if event.status:
        answer = f"{event.status} {event.reason}".rstrip()
        sentence += f" ({explain_no_answer(event.reason) if event.unanswered else answer})"
    if event.expires:
        sentence += f", for {event.expires:.0f} s"
    if event.state is RegistrationState.REGISTERED and (shown := digest_text(line)):
        sentence += f", {shown}"
    return sentence
