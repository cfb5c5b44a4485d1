"""What an account is made with, beside its configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from softphone.account.service_control import OnService
from softphone.account.stack_settings import NO_TRUST_CONTEXT, TrustContext
from softphone.call.leg import NameLookup, no_name_lookup
from softphone.media import MediaBackend
from softphone.net import DnsResolver
from softphone.openssl_provider import fips_in_force
from softphone.sans_io import Entropy, Tap
from softphone.security import SecurityPolicy

__all__ = ["AccountDependencies"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDependencies:
    """What an account needs of its phone.

    `on_service` is asked when the server wants the device to start anew or to compare versions,
    once no call is up; True says that it has seen to everything.  `names` tells
    who a call's other end is, once that is known.  `source` is the local address that the account's
    connections, and with them its media, are bound to; None leaves it to the system.
    """

    media: MediaBackend
    resolver: DnsResolver
    entropy: Entropy
    tap: Tap | None = None
    fips: bool = field(default_factory=fips_in_force)
    clock: Callable[[], float] | None = None
    policy: SecurityPolicy | None = None
    trust_context: TrustContext = NO_TRUST_CONTEXT
    on_service: OnService | None = None
    names: NameLookup = no_name_lookup
    source: str | None = None
