"""`softphone discover`: finds a user's services from a mail address, and shows each step."""

from __future__ import annotations

from typing import Any

from softphone.cli.console.output import CommandOutput
from softphone.cli.discovery.discovery_config import (
    default_cache,
    make_confirmation,
    make_discovery_config,
    make_resolver,
)
from softphone.cli.discovery.options import DiscoverOptions
from softphone.discovery import (
    DiscoveryCache,
    DiscoveryConfig,
    DiscoveryEnvironment,
    DiscoveryResult,
    DiscoveryStep,
    JabberConfig,
    ServiceDiscovery,
    ServicePath,
    ServiceProfile,
)
from softphone.errors import ConfigurationError
from softphone.net.driver import LazyFetcher
from softphone.trust.fips import random_bytes


async def discover_services(output: CommandOutput, options: DiscoverOptions) -> int:
    """Discover; print each step as an event as it ends, or all as a table, then what was found.

    Returns the exit code.  Raises what `ServiceDiscovery.discover` does, and ConfigurationError.
    """
    cache = DiscoveryCache(options.cache or default_cache())
    config = await make_discovery_config(output, options, cache)
    resolver = make_resolver(options)
    steps: list[DiscoveryStep] = []

    def show(step: DiscoveryStep) -> None:
        steps.append(step)
        output.event(
            "step",
            name=step.name,
            outcome=step.outcome,
            detail=step.detail,
            why=step.why,
        )

    environment = DiscoveryEnvironment(
        resolver,
        LazyFetcher(resolver.resolve),
        cache,
        make_confirmation(output, options),
        show,
    )
    try:
        with output.waiting(f"looking for the services of {config.address}"):
            found = await ServiceDiscovery(config, environment).discover()
            signed_in = found.path is ServicePath.EDGE and config.password is not None
            if signed_in:
                found = await _discover_through_edge(found, config, environment, options)
            elif options.account_file is not None:
                raise ConfigurationError(
                    "--account-file: one is written outside only, with a password; inside, boot the"
                    " device (softphone boot)"
                )
    finally:
        rows = [(each.name, each.outcome.value, each.detail, each.why) for each in steps]
        output.table("", ("step", "", "what", "why"), rows)
    _show_found(output, found, trusted=config.trust_remote_config)
    sentence = _sentence(found)
    if options.account_file is not None:
        sentence += f"; the account file is {options.account_file}"
    return output.done(sentence, reason=found.path.value, **_summary(found))


async def _discover_through_edge(
    found: DiscoveryResult,
    config: DiscoveryConfig,
    environment: DiscoveryEnvironment,
    options: DiscoverOptions,
) -> DiscoveryResult:
    """Sign in at the edge, discover what is behind it, and write the account file if wanted."""
    # Imported here because a discovery inside needs no accounts.
    from softphone.device import edge_accounts, write_edge_account
    from softphone.edge import EdgeOptions, sign_in_at_edge

    outside = EdgeOptions(
        inside=tuple(options.inside or ()), ask_single_sign_on=options.ask_edge_sso
    )
    async with sign_in_at_edge(found, config, environment, outside) as edge:
        if options.account_file is not None:
            device = options.device or _soft_phone(edge.found)
            document = await edge.device_configuration(device)
            installation = random_bytes(6).hex().upper()
            account, *_ = edge_accounts(edge, device, document, installation=installation)
            write_edge_account(options.account_file, account, options.ca or ())
        return edge.found


def _soft_phone(found: DiscoveryResult) -> str:
    """Return the name of the user's soft phone on a computer.  Raises ConfigurationError."""
    for device in found.devices:
        if device.name.upper().startswith("CSF"):
            return device.name
    raise ConfigurationError("--account-file: the user has no soft phone (CSF): give --device")


def _show_found(output: CommandOutput, found: DiscoveryResult, *, trusted: bool) -> None:
    for device in found.devices:
        output.event(
            "device",
            name=device.name,
            model=device.model,
            description=device.description,
            configurations=device.configurations,
        )
    rows = [(each.name, each.model or each.kind, each.description) for each in found.devices]
    if rows:
        output.table("Devices", ("name", "model", "description"), rows)
    if found.profile is not None:
        _show_profile(output, found.profile)
    if found.config is not None:
        _show_settings(output, found.config, trusted=trusted)


def _show_profile(output: CommandOutput, profile: ServiceProfile) -> None:
    for each in profile.servers:
        output.event(
            "service",
            service=each.service,
            rank=each.rank,
            address=each.address,
            port=each.port,
            protocol=each.protocol,
        )
    rows = [
        (each.service, each.rank, f"{each.address}:{each.port or ''}".rstrip(":"), each.protocol)
        for each in profile.servers
    ]
    if rows:
        output.table("Service profile", ("service", "", "server", "protocol"), rows)
    for warning in profile.warnings:
        output.warn(warning)


def _show_settings(output: CommandOutput, config: JabberConfig, *, trusted: bool) -> None:
    decisions = config.decisions(trusted=trusted)
    for each in decisions:
        output.event(
            "setting",
            group=each.setting.group,
            key=each.setting.key,
            value=each.setting.value,
            meaning=each.meaning,
            applies=each.applies,
            why=each.why,
        )
    rows = [
        (
            each.setting.key,
            each.setting.value,
            "applies" if each.applies else "does not apply",
            f"{each.meaning}: {each.why}",
        )
        for each in decisions
    ]
    if rows:
        output.table("Settings of security", ("key", "value", "", "why"), rows)


def _sentence(found: DiscoveryResult) -> str:
    if found.path is ServicePath.EDGE:
        if found.home is None:
            return f"outside: the edge is {found.edge}; without a password nothing was sent"
        return f"outside, through {found.edge}: {_inside_text(found)}"
    if found.path is ServicePath.IM_AND_PRESENCE:
        return "inside, with IM and Presence only: a sign-in has chat, and no phone"
    return f"inside: {_inside_text(found)}"


def _inside_text(found: DiscoveryResult) -> str:
    devices = ", ".join(each.name for each in found.devices)
    return f"the home cluster is {found.home}; devices: {devices or 'none known'}"


def _summary(found: DiscoveryResult) -> dict[str, Any]:
    user = found.user
    return {
        "account": found.account,
        "home": None if found.home is None else str(found.home),
        "nodes": [str(each) for each in found.nodes],
        "edge": None if found.edge is None else str(found.edge),
        "user": None if user is None else user.user_id,
        "number": None if user is None else user.number,
        "devices": [each.name for each in found.devices],
    }
