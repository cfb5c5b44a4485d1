"""What a sign-in of a user takes, and what it returns."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from softphone.discovery import AskConfirmation, DiscoveryCache, DiscoveryConfig, DiscoveryResult
from softphone.discovery.records import parse_domain
from softphone.errors import ConfigurationError, SoftphoneError
from softphone.messaging.server_location import TlsMode
from softphone.sans_io import PeerIdentity
from softphone.security import KeyMaterial
from softphone.trust import Bootstrap

AskAuthenticationString: TypeAlias = Callable[[str], Awaitable[KeyMaterial | None]]
"""`await ask(device)`: the authentication string that the device enrolls with, None for none."""


class UserService(StrEnum):
    """A service that a user signs in to; the value is its name for people."""

    PHONE = "phone"
    CHAT = "chat"
    DIRECTORY = "directory"
    VOICEMAIL = "voicemail"


class ServiceOutcome(StrEnum):
    """How the sign-in to a service has ended."""

    SIGNED_IN = "signed in"
    LEFT_OUT = "left out"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One service after the sign-in.

    `server` is where it is, `detail` who or what was found there, `why` the reason of the outcome:
    how the server was verified and why it may have the credentials, or what is in the way.
    `identity` is that of the server, as verified.  With `by_edge` this is an edge server, which
    decrypts, and the service is behind it.  `error` is what failed.
    """

    service: UserService
    outcome: ServiceOutcome
    server: str = ""
    detail: str = ""
    why: str = ""
    identity: PeerIdentity | None = None
    error: SoftphoneError | None = None
    by_edge: bool = False

    @property
    def lock(self) -> bool:
        """Whether the connection to the server is encrypted, and the server verified.

        Never behind an edge server: only the way to the edge is known to be encrypted.
        """
        signed_in = self.outcome is ServiceOutcome.SIGNED_IN
        return signed_in and self.identity is not None and not self.by_edge


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """A user whose services were found, and the state of each in the order of `UserService`."""

    discovery: DiscoveryResult
    services: tuple[ServiceState, ...]

    @property
    def account(self) -> str:
        """The user's mail address."""
        return self.discovery.account

    def state(self, service: UserService) -> ServiceState:
        """Return the state of a service."""
        return next(each for each in self.services if each.service is service)

    @property
    def failures(self) -> tuple[ServiceState, ...]:
        """The services whose sign-in failed."""
        return tuple(each for each in self.services if each.outcome is ServiceOutcome.FAILED)


@dataclass(frozen=True, slots=True)
class UserSignInConfig:
    """The user who signs in, and how.  Raises ConfigurationError."""

    discovery: DiscoveryConfig
    """The user, the password or the source of tokens, and how the services are found and
    verified."""
    device_store: str | os.PathLike[str]
    """The folder of the device's trust lists, identity and configuration: one for each cluster."""
    services: frozenset[UserService] = frozenset(UserService)
    """The services to sign in to."""
    device: str | None = None
    """The device to register; by default the user's soft phone (CSF)."""
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    """How the first trust list is accepted; by default it has to come over HTTPS, from a server
    that the trust store verifies and that may have the user's credentials."""
    authentication_string: KeyMaterial | None = None
    """The string that the device enrolls with, where it has to."""
    passphrase: KeyMaterial | None = None
    """The passphrase of the device's key."""
    take_over: bool = False
    """Whether to end the registration of the device by another client."""
    voicemail_password: KeyMaterial | None = None
    """The password of the mailbox; by default the user's."""
    presence_domain: str | None = None
    """The domain of the user's chat address; by default the IM and Presence node tells it, and with
    tokens, for which it tells nothing, it is that of the mail address."""
    inside: tuple[str, ...] = ()
    """Outside: further domains, hosts or IP addresses that may be reached behind the edge."""
    xmpp_port: int = 5222
    """The port of XMPP at every IM and Presence node."""
    edge_xmpp: TlsMode = TlsMode.STARTTLS
    """Outside: how TLS begins at the XMPP port of the edge servers."""

    def __post_init__(self) -> None:
        if not self.discovery.has_credentials:
            raise ConfigurationError("a user's password, or a source of tokens, is needed")
        if self.presence_domain is not None:
            parse_domain(self.presence_domain)
        if not 0 < self.xmpp_port < 65536:
            raise ConfigurationError("xmpp_port: expected a port, 1 to 65535")


@dataclass(frozen=True, slots=True)
class UserSignInCallbacks:
    """Who is asked during a sign-in, and what a discovery stores; each may be left out.

    `confirm` is asked about a server that may not get the credentials by `CredentialRule`;
    `authentication_string` for what a device enrolls with.
    """

    confirm: AskConfirmation | None = None
    authentication_string: AskAuthenticationString | None = None
    cache: DiscoveryCache | None = None
