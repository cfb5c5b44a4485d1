"""A directory over LDAPS: we open and verify TLS, bonsai speaks LDAP over a private local socket.

RFC 4511, RFC 4513.  TLS begins with the first byte (port 636, or 3269 for a global catalogue);
LDAP in clear and StartTLS are never used.  The server is verified before the first byte of LDAP.
One connection is kept open, with one search at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from softphone.contacts.config import LdapConfig
from softphone.contacts.contact import Contact, ContactNumber
from softphone.contacts.ldap_filter import address_filter, number_filter, word_filter
from softphone.errors import ConfigurationError, DirectoryError, TransportTimeout
from softphone.extras import install_command
from softphone.net.stream import ConnectionOwner, StreamConnection
from softphone.net.verified.connector import Connector, ConnectorConfig
from softphone.net.verified.local_relay import LocalRelay
from softphone.sans_io import Target, Transport

if TYPE_CHECKING:
    from softphone.contacts.ldap_session import Entry, LdapSession

_KINDS = ("work", "mobile", "home", "other")
_MISSING = "LDAP needs bonsai: apt-get install libldap-dev libsasl2-dev gcc python3-dev, then "


def _load_session_module() -> ModuleType:
    try:
        from softphone.contacts import ldap_session
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] != "bonsai":
            raise
        raise ConfigurationError(_MISSING + install_command("directory")) from exc
    return ldap_session


@dataclass(slots=True)
class _OpenSession:
    """An open LDAP session, its relay, and the stack that closes both."""

    session: LdapSession
    relay: LocalRelay
    stack: AsyncExitStack


class LdapDirectory:
    """A `Directory` over LDAPS.  Raises ConfigurationError if bonsai is not installed."""

    def __init__(self, config: LdapConfig, connector: ConnectorConfig) -> None:
        self._config = config
        self._session_module = _load_session_module()
        self._connector = Connector(config.tls, connector)
        self._held: _OpenSession | None = None
        self._turn = asyncio.Lock()

    @property
    def name(self) -> str:
        """The name of the directory in the configuration."""
        return self._config.name

    async def search(self, word: str, limit: int) -> Sequence[Contact]:
        """Return the contacts where each word begins one of the `search` attributes.

        If `word` is a number, contacts with this number are returned, too.

        Raises DirectoryError or a subclass, TransportError, CertificateError.
        """
        config = self._config
        if not word.strip():
            return ()
        wanted = word_filter(word, config.search, config.number_attributes, config.filter)
        found = [self._contact(each) for each in await self._entries(wanted, limit)]
        return [each for each in found if each is not None]

    async def by_number(self, number: str) -> Contact | None:
        """Return the contact with this (dialed) number, or None.  Raises as `search` does."""
        config = self._config
        if not config.number_attributes:
            return None
        wanted = number_filter(number, config.number_attributes, config.filter)
        found = (self._contact(each) for each in await self._entries(wanted, config.bounds.most))
        return next((each for each in found if each is not None and each.has_number(number)), None)

    async def by_address(self, address: str) -> Contact | None:
        """Return the contact with this SIP or mail address, or None.  Raises as `search` does."""
        config = self._config
        uris, mails = (config.attributes.get(kind, ()) for kind in ("uri", "email"))
        if not uris and not mails:
            return None
        wanted = address_filter(address, uris, mails, config.filter)
        found = (self._contact(each) for each in await self._entries(wanted, config.bounds.most))
        return next((one for one in found if one is not None and one.has_address(address)), None)

    async def close(self) -> None:
        """Close the connection, after a search that runs has ended."""
        async with self._turn:
            await self._drop()

    async def _entries(self, wanted: str, limit: int) -> list[Entry]:
        """Search; if the kept connection has been lost, reconnect and search once more."""
        bounds = self._config.bounds
        most = min(limit, bounds.most)
        query = self._session_module.Query(
            self._config.base, wanted, self._config.wanted, most, min(bounds.page, most)
        )
        async with self._turn:
            reused = self._held is not None
            try:
                return await self._searched(query)
            except TransportTimeout:
                raise
            except DirectoryError:
                if not (reused and self._held is None):
                    raise
            return await self._searched(query)

    async def _searched(self, query: object) -> list[Entry]:
        within = self._config.bounds.within
        try:
            async with asyncio.timeout(within):
                held = self._held or await self._open()
                self._held = held
                entries: list[Entry] = await held.session.search(query, within)  # type: ignore[arg-type]
                return entries
        except TimeoutError as exc:
            await self._drop()
            raise TransportTimeout(
                f"{self._address_text} did not answer within {within:g} s"
            ) from exc
        except DirectoryError as exc:
            await self._drop()
            raise type(exc)(f"{self._address_text}: {exc}") from exc
        except BaseException:
            await self._drop()
            raise

    async def _open(self) -> _OpenSession:
        host, port = self._config.address
        target = Target(Transport.TLS, host, port, self._config.server_name)

        async def verified(owner: ConnectionOwner) -> StreamConnection:
            return await self._connector.open_connection(target, owner)

        async with AsyncExitStack() as stack:
            relay = await stack.enter_async_context(LocalRelay(verified))
            config = self._config
            try:
                session = await self._session_module.LdapSession.open(
                    relay.path,
                    config.user,
                    config.password,
                    attributes=config.wanted,
                    external=config.external,
                )
            except DirectoryError as exc:
                raise relay.failure or exc from exc
            stack.callback(session.close)
            return _OpenSession(session, relay, stack.pop_all())

    async def _drop(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            await held.stack.aclose()

    @property
    def _address_text(self) -> str:
        host, port = self._config.address
        return f"{host} port {port}"

    def _contact(self, entry: Entry) -> Contact | None:
        return contact_of(entry, self._config.attributes, self.name)


def contact_of(
    entry: Mapping[str, Sequence[str]], attributes: Mapping[str, Sequence[str]], source: str
) -> Contact | None:
    """Convert an LDAP entry to a contact; return None for an entry without a name."""

    def values(kind: str) -> Sequence[str]:
        names = (name.lower() for name in attributes.get(kind, ()))
        return next((entry[name] for name in names if entry.get(name)), ())

    def first(kind: str) -> str:
        return _line(next(iter(values(kind)), ""))

    name = first("name")
    if not name:
        return None
    numbers = [ContactNumber(kind, _line(each)) for kind in _KINDS for each in values(kind)]
    return Contact(
        name,
        tuple(each for each in numbers if each.dialed is not None),
        email=first("email"),
        uri=first("uri"),
        username=first("username"),
        department=first("department"),
        title=first("title"),
        sources=(source,),
    )


def _line(text: str) -> str:
    """Return at most 256 characters of `text`, with unprintable ones replaced by spaces."""
    return "".join(each if each.isprintable() else " " for each in text[:256]).strip()
