"""The directories of a phone: opened with whom it believes, asked for the names of its calls."""

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
from softphone.sip import NameAddr, SipUri


def open_contacts(
    configs: Iterable[DirectoryConfig], trust_context: TrustContext, *, fips: bool
) -> Contacts:
    """The directories of these configurations; no connection is made yet.

    Where one names no authority of its own, those count that the phone believes.  Raises
    ConfigurationError when there is no directory, or what one needs is not installed.
    """
    if trust_context.fetcher is None:
        raise ConfigurationError("the phone has nobody who fetches CRLs")
    mine = [
        replace(config, tls=trust_context.complete_tls(config.tls, fips=fips)) for config in configs
    ]
    if not mine:
        raise ConfigurationError("there is no directory to open")
    return Contacts(open_directories(mine, trust_context.fetcher))


def look_up_name(contacts: Contacts, peer: NameAddr, on_found: Callable[[Contact], None]) -> None:
    """Have the name of a call's peer told once it is known."""
    key = directory_key(peer)
    if key is not None:
        contacts.call_when_known(key, on_found)


def directory_key(peer: NameAddr) -> str | None:
    """What a directory may know a peer by: a number, or the address of a person."""
    uri = peer.uri
    if not isinstance(uri, SipUri):
        return uri.rest.partition(";")[0] if uri.scheme == "tel" else None
    if uri.user is None:
        return None
    # The host beside a number is that of some call server.
    return normalize_number(uri.user) or f"{uri.user}@{uri.host}"
