"""Searches contact directories, LDAP over TLS and CUCM's UDS, and finds names for numbers.

The package only reads directories.  `softphone.net` opens and verifies connections,
`softphone.config` reads the directory tables of configuration files, and `softphone.phone` and
`softphone.call` show names with calls.  `ldap` and `uds` are imported only when such a directory is
opened: LDAP needs bonsai (the extra `directory`), UDS needs httpcore.

RFC 4511 and RFC 4513 (LDAP), RFC 4515 (filters), RFC 2696 (pages), RFC 7617 (Basic); Cisco's User
Data Services.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from softphone.contacts.config import (
    ATTRIBUTES,
    DirectoryConfig,
    DirectoryLimits,
    LdapConfig,
    UdsConfig,
)
from softphone.contacts.contact import Contact, ContactNumber, normalize_number
from softphone.contacts.directories import CacheLimits, Contacts, Directory, DirectorySearchResult
from softphone.errors import ConfigurationError
from softphone.net.stream import Fetcher, HostResolver, system_addresses
from softphone.sans_io import PeerIdentity, Target

if TYPE_CHECKING:
    from softphone.net.http import HttpsTunnel

__all__ = [
    "ATTRIBUTES",
    "CacheLimits",
    "Contact",
    "ContactNumber",
    "Contacts",
    "Directory",
    "DirectoryConfig",
    "DirectoryLimits",
    "DirectorySearchResult",
    "LdapConfig",
    "UdsConfig",
    "normalize_number",
    "open_directories",
]


def open_directories(
    configs: Iterable[DirectoryConfig],
    fetcher: Fetcher,
    *,
    resolve: HostResolver = system_addresses,
    admit: Callable[[Target, PeerIdentity], None] | None = None,
    tunnel: HttpsTunnel | None = None,
) -> tuple[Directory, ...]:
    """Make the directories of these configurations; `fetcher` fetches CRLs and OCSP responses.

    `resolve` gives the addresses of a server, and `admit`, if given, judges it once it is verified,
    before anything is sent.  A `tunnel` carries the requests of UDS, and LDAP is refused with one.
    Raises ConfigurationError, also when a library that one needs is not installed.
    """
    return tuple(_opened(config, fetcher, resolve, admit, tunnel) for config in configs)


def _opened(
    config: DirectoryConfig,
    fetcher: Fetcher,
    resolve: HostResolver,
    admit: Callable[[Target, PeerIdentity], None] | None,
    tunnel: HttpsTunnel | None,
) -> Directory:
    if isinstance(config, LdapConfig):
        if tunnel is not None:
            raise ConfigurationError(f"{config.name}: LDAP does not go through an edge server")
        from softphone.contacts.ldap import LdapDirectory
        from softphone.net.verified.connector import ConnectorConfig

        return LdapDirectory(config, ConnectorConfig(fetcher, resolve, admit=admit))
    from softphone.contacts.uds import UdsDirectory
    from softphone.net.http import HttpsEnvironment

    environment = HttpsEnvironment(resolve, fetcher=fetcher, tunnel=tunnel, admit=admit)
    return UdsDirectory(config, environment)
