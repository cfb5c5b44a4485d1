"""What the page of a user who signs in takes, from the options of `softphone ui`."""

from __future__ import annotations

from dataclasses import dataclass

from softphone.cli.console.output import CommandOutput
from softphone.cli.discovery.discovery_config import default_cache, make_resolver
from softphone.cli.discovery.sign_in import make_callbacks, make_user_config
from softphone.cli.ui.options import UiOptions
from softphone.discovery import DiscoveryCache
from softphone.net import DnsResolver
from softphone.phone.user_sign_in import UserSignInCallbacks, UserSignInConfig
from softphone.trust import TrustStore


@dataclass(frozen=True, slots=True)
class PageUser:
    """A user who signs in, and what the phone of the page is made with for that."""

    config: UserSignInConfig
    callbacks: UserSignInCallbacks
    resolver: DnsResolver

    @property
    def trust(self) -> TrustStore:
        """The certificates that every server of the user is verified with."""
        return self.config.discovery.tls.store

    @property
    def asks_nobody(self) -> bool:
        """Whether stored settings of the site forbid questions about unknown certificates."""
        return self.config.discovery.tls.unknown is None


async def make_page_user(output: CommandOutput, options: UiOptions) -> PageUser:
    """Make the user of `options.account`.  Raises ConfigurationError before anything is sent."""
    cache = DiscoveryCache(options.cache or default_cache())
    config = await make_user_config(output, options, cache)
    return PageUser(config, make_callbacks(output, options, cache), make_resolver(options))
