"""Opens a phone's directories with its trust settings, and looks up the names of callers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from softphone.account.stack_settings import TrustContext
from softphone.contacts import (
    Contact,
    Contacts,
    DirectoryConfig,
    normalize_number,
    open_directories,
)
from softphone.errors import ConfigurationError
from softphone.net import DnsResolver
from softphone.sip import NameAddr, SipUri
from softphone.value_types import check_config


def open_contacts(
    configs: Iterable[DirectoryConfig],
    trust_context: TrustContext,
    resolver: DnsResolver,
    *,
    fips: bool,
) -> Contacts:
    """Open the directories of these configurations; no connection is made yet.

    A directory that names no authority of its own uses the phone's trust.  Raises
    ConfigurationError when there is no directory, or a library that one needs is not installed.
    """
    if trust_context.fetcher is None:
        raise ConfigurationError("the phone has nobody who fetches CRLs")
    taker, reader = "Phone.open_directories", "load_directories(path).directories"
    check_config(configs, Iterable, taker=taker, reader=reader)
    mine = []
    for config in configs:
        check_config(config, DirectoryConfig, taker=taker, reader=reader)
        mine.append(replace(config, tls=trust_context.complete_tls(config.tls, fips=fips)))
    if not mine:
        raise ConfigurationError("there is no directory to open")
    return Contacts(
        open_directories(
            mine,
            trust_context.fetcher,
            resolve=resolver.resolve,
            admit=trust_context.admit,
            tunnel=trust_context.tunnel,
        )
    )


def look_up_name(contacts: Contacts, peer: NameAddr, on_found: Callable[[Contact], None]) -> None:
    """Look up a call's peer; call `on_found` once it is known.  Does not wait."""
    key = directory_key(peer)
    if key is not None:
        contacts.call_when_known(key, on_found)


def directory_key(peer: NameAddr) -> str | None:
    """Return the key to look a peer up by: a number or an address; None without either.

    A peer that wants to stay anonymous is not looked up (RFC 3323 section 4.1.1.3).
    """
    uri = peer.uri
    if not isinstance(uri, SipUri):
        return uri.rest.partition(";")[0] if uri.scheme == "tel" else None
    if uri.user is None or uri.host.lower() == "anonymous.invalid":
        return None
    # Beside a number, the host is only that of a call server.
    return normalize_number(uri.user) or f"{uri.user}@{uri.host}"
