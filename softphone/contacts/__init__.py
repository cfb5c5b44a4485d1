"""Directories, LDAP over TLS and CUCM's UDS, searched as one; the name that belongs to a number.

It only reads.  Connections are made and verified in `softphone.net`, directory tables of
configuration files are read by `softphone.config`; which call is shown with a name is up to
`softphone.phone` and `softphone.call`.  `ldap` and `uds` are imported from their own modules, when
such a directory is opened: LDAP needs bonsai (the extra `directory`), UDS needs httpcore.

RFC 4511 and RFC 4513 (LDAP), RFC 4515 (filters), RFC 2696 (pages), RFC 7617 (Basic); Cisco's User
Data Services.
"""

from __future__ import annotations

from collections.abc import Iterable

from softphone.contacts.config import (
    ATTRIBUTES,
    DirectoryConfig,
    DirectoryLimits,
    LdapConfig,
    UdsConfig,
)
from softphone.contacts.contact import Contact, ContactNumber, normalize_number
from softphone.contacts.directories import CacheLimits, Contacts, Directory, DirectorySearchResult
from softphone.net.stream import Fetcher

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


def open_directories(configs: Iterable[DirectoryConfig], fetcher: Fetcher) -> tuple[Directory, ...]:
    """The directories of these configurations; `fetcher` brings CRLs and OCSP answers.

    Raises ConfigurationError when what one needs is not installed.
    """
    return tuple(_opened(config, fetcher) for config in configs)


def _opened(config: DirectoryConfig, fetcher: Fetcher) -> Directory:
    if isinstance(config, LdapConfig):
        from softphone.contacts.ldap import LdapDirectory
        from softphone.net.verified.connector import ConnectorConfig

        return LdapDirectory(config, ConnectorConfig(fetcher))
    from softphone.contacts.uds import UdsDirectory
    from softphone.net.http import HttpsEnvironment

    return UdsDirectory(config, HttpsEnvironment(fetcher=fetcher))
