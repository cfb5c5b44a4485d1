"""Makes a chat client with a phone's trust settings, resolver and FIPS mode.

While one of the phone's accounts has a call, our presence is "On the phone".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from softphone.account.stack_settings import TrustContext
from softphone.errors import ConfigurationError
from softphone.messaging import Availability, MessagingClient, MessagingConfig, MessagingEnvironment
from softphone.messaging.compliance import MessageHook
from softphone.net import DnsResolver
from softphone.net.verified.connector import ConnectorConfig
from softphone.sans_io import Entropy
from softphone.value_types import check_config

ON_THE_PHONE = "On the phone"
LOOK_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class MessagingSetup:
    """The dependencies that a phone supplies to its chat client."""

    trust_context: TrustContext
    resolver: DnsResolver
    entropy: Entropy
    fips: bool


def make_messaging_client(
    config: MessagingConfig, setup: MessagingSetup, hook: MessageHook | None
) -> MessagingClient:
    """Make the client of a chat account; entering it signs in.

    Raises ConfigurationError for what is no MessagingConfig, and when the extra `im` is not
    installed.
    """
    reader = "load_messaging(path).config"
    check_config(config, MessagingConfig, taker="Phone.sign_in", reader=reader)
    trust_context = setup.trust_context
    if trust_context.fetcher is None:
        raise ConfigurationError("the phone has nobody who fetches CRLs")
    if (config.edge is None) is not (trust_context.tunnel is None):
        raise ConfigurationError(
            "im_presence.edge: chat goes through an edge server together with a session there:"
            " Phone.sign_in_user signs in to both"
        )
    mine = replace(config, tls=trust_context.complete_tls(config.tls, fips=setup.fips))
    if config.compliance is not None:
        own = trust_context.complete_tls(config.compliance.tls, fips=setup.fips)
        # No person is asked about the compliance server's certificate: accepting it is not the
        # user's decision.
        own = replace(own, unknown=None)
        mine = replace(mine, compliance=replace(config.compliance, tls=own))
    if config.im_presence is not None:
        own = trust_context.complete_tls(config.im_presence.tls, fips=setup.fips)
        mine = replace(mine, im_presence=replace(config.im_presence, tls=own))
    connector = ConnectorConfig(
        trust_context.fetcher, resolve=setup.resolver.resolve, admit=trust_context.admit
    )
    environment = MessagingEnvironment(
        connector, setup.resolver, setup.entropy, hook, tunnel=trust_context.tunnel
    )
    return MessagingClient(mine, environment)


async def show_calls_as_presence(messages: MessagingClient, busy: Callable[[], bool]) -> None:
    """Show presence `ON_THE_PHONE` while there is a call; runs until canceled."""
    shown = False
    while True:
        if busy() is not shown:
            shown = not shown
            messages.set_presence(
                Availability.DND, ON_THE_PHONE
            ) if shown else messages.set_presence(Availability.AVAILABLE)
        await asyncio.sleep(LOOK_EVERY)
