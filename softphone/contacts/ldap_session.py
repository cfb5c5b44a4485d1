"""One bonsai connection over a given socket: bind, search by pages, unbind.

RFC 4511, RFC 2696.  This is the only module that uses bonsai; importing it needs the extra
`directory`.  Referrals are never followed: they would lead to an unverified server.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from bonsai import LDAPClient, LDAPSearchScope
from bonsai.errors import (
    AuthenticationError,
    ConnectionError,  # noqa: A004
    InsufficientAccess,
    InvalidDN,
    LDAPError,
    NoSuchObjectError,
    SizeLimitError,
    TimeoutError,  # noqa: A004
)
from bonsai.ldapconnection import BaseLDAPConnection

from softphone.errors import ConfigurationError, DirectoryError, DirectoryRefused, TransportTimeout
from softphone.security import KeyMaterial

Entry: TypeAlias = "Mapping[str, tuple[str, ...]]"
"""The values of an entry, by the attribute's name in lower case."""

_TICK = 0.02
_STEPS = 8


@dataclass(frozen=True, slots=True)
class Query:
    """A search: the entries below `base` that match a filter, and the attributes to read.

    At most `most` entries are returned, `page` of them per request (RFC 2696).
    """

    base: str
    filter: str
    attributes: tuple[str, ...]
    most: int
    page: int


class _BonsaiConnection(BaseLDAPConnection):
    """A bonsai connection in this event loop.

    bonsai's own asyncio adapter waits for writability, which is always given, and so spins while it
    waits for a server.  This class waits for readability, and polls every 20 ms for the library's
    internal steps.
    """

    def __init__(self, client: LDAPClient) -> None:
        super().__init__(client, is_async=True)
        self._asked = -1

    def _evaluate(self, msg_id: int, timeout: float | None = None) -> Any:
        return self.result(msg_id, timeout)

    async def result(self, msg_id: int, within: float | None) -> Any:
        """Wait at most `within` seconds for the answer to a request, and return it."""
        self._asked = msg_id
        async with asyncio.timeout(within):
            while True:
                result = super().get_result(msg_id)
                if result is not None:
                    return result
                await self._readable()

    def abandon(self) -> None:
        """End a connection that is still opening: `close` alone would leave its socket open."""
        handle = self.fileno()
        if handle >= 0:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(handle)) as end:
                end.shutdown(socket.SHUT_RDWR)
        for _ in range(_STEPS):
            try:
                if super().get_result(self._asked) is not None:
                    break
            except LDAPError:
                break
        self.close()

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        handle = self.fileno()
        if handle < 0:
            await asyncio.sleep(_TICK)
            return
        came = asyncio.Event()
        loop.add_reader(handle, came.set)
        try:
            async with asyncio.timeout(_TICK):
                await came.wait()
        except builtins.TimeoutError:
            return
        finally:
            loop.remove_reader(handle)


class LdapSession:
    """A bound connection.

    Methods raise DirectoryError or a subclass, TransportTimeout, and ConfigurationError for an
    invalid filter.
    """

    def __init__(self, connection: _BonsaiConnection) -> None:
        self._connection = connection

    @classmethod
    async def open(
        cls,
        path: Path,
        user: str | None,
        password: KeyMaterial | None,
        *,
        attributes: Sequence[str] = (),
        external: bool = False,
    ) -> LdapSession:
        """Connect to the socket and bind; without a user, anonymously.

        `attributes` are those to read as octets: bonsai would convert "007" to a number and "TRUE"
        to a boolean.  With `external` the server authenticates us by our TLS client certificate.
        """
        client = LDAPClient(f"ldapi://{quote(str(path), safe='')}")
        client.set_raw_attributes(list({name.lower(): name for name in attributes}.values()))
        client.set_server_chase_referrals(False)
        client.set_ignore_referrals(True)
        if user is not None and password is not None:
            client.set_credentials("SIMPLE", user=user, password=password.reveal().decode())
        elif external:
            client.set_credentials("EXTERNAL")
        connection = _BonsaiConnection(client)
        try:
            await connection.open()
        except LDAPError as exc:
            raise _translated(exc) from exc
        except BaseException:
            connection.abandon()
            raise
        return cls(connection)

    async def search(self, query: Query, within: float) -> list[Entry]:
        """Return at most `query.most` entries; `within` limits each page, in seconds."""
        entries: list[Entry] = []
        arguments: dict[str, Any] = {
            "attrlist": list(query.attributes),
            "timeout": within,
            "page_size": min(query.page, query.most),
        }
        try:
            page = await self._connection.paged_search(
                query.base, LDAPSearchScope.SUBTREE, query.filter, **arguments
            )
            while True:
                entries += [_entry(each) for each in page]
                following = None if len(entries) >= query.most else page.acquire_next_page()
                if following is None:
                    return entries[: query.most]
                page = await self._connection.result(following, within)
        except SizeLimitError:
            # RFC 4511 section 4.5.1.4: the entries received so far are valid.
            return entries[: query.most]
        except LDAPError as exc:
            raise _translated(exc) from exc

    def close(self) -> None:
        """Unbind."""
        self._connection.close()


def _entry(found: Any) -> Entry:
    """Convert an entry; values that are not valid UTF-8 (RFC 4517 section 3.3.6) are left out."""
    return {
        str(name).lower(): tuple(text for value in values if (text := _text(value)) is not None)
        for name, values in found.items()
        if str(name) != "dn"
    }


def _text(value: object) -> str | None:
    if not isinstance(value, bytes):
        return value if isinstance(value, str) else None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


_SENTENCES: Sequence[tuple[type[Exception], type[DirectoryError], str]] = (
    (AuthenticationError, DirectoryRefused, "it does not accept user and password"),
    (InsufficientAccess, DirectoryRefused, "it does not let us search; does it need a user?"),
    (NoSuchObjectError, DirectoryError, "it has no such base"),
    (InvalidDN, DirectoryError, "a DN cannot be read; look at base and user"),
    (ConnectionError, DirectoryError, "the connection was lost"),
)


def _translated(exc: LDAPError) -> Exception:
    if isinstance(exc, TimeoutError):
        return TransportTimeout("it did not answer in time")
    for kind, ours, sentence in _SENTENCES:
        if isinstance(exc, kind):
            return ours(sentence)
    if "filter" in str(exc).lower():
        return ConfigurationError(f"the filter cannot be read: {exc}")
    return DirectoryError(f"it answered with an error: {exc}")
