"""The lab's directory: the part of CUCM's User Data Services (HTTPS) that a search needs.

Serves `/users` by name, number, mail or user, `/clusterUser` and `/version`.  With `authenticated`
a search requires Basic credentials (RFC 7617), as CUCM does when its administrator enables that.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from xml.sax.saxutils import escape, quoteattr

from softphone.lab.http_server import basic_user, serve_http
from softphone.sans_io import Address
from softphone.security import ClientCertificates, KeyMaterial
from softphone.trust import TlsCredential, TlsSettings, server_context

if TYPE_CHECKING:
    from aiohttp import web

logger = logging.getLogger("softphone.lab")

_CAP = 64
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'


@dataclass(frozen=True, slots=True)
class DirectoryUser:
    """One user of the directory; `home` is the host of its cluster, None for this one."""

    username: str
    first: str
    last: str
    number: str
    email: str = ""
    uri: str = ""
    home: str | None = None


def lab_people(numbers: Mapping[str, str]) -> tuple[DirectoryUser, ...]:
    """The directory's entries for the lab's users, by name with their numbers, and its echo."""
    echo = DirectoryUser("echo", "Echo", "Service", "600")
    users = (
        DirectoryUser(name, name.capitalize(), "Example", number, f"{name}@example.test")
        for name, number in numbers.items()
    )
    return (*users, echo)


@dataclass(slots=True)
class LabDirectory:
    """An async context; `address` is where it listens once it is entered.

    `passwords` are those of the users who may search.  `asked` records each request: path, query,
    and the user whose password was correct, else None.
    """

    people: Sequence[DirectoryUser]
    passwords: Mapping[str, KeyMaterial]
    credential: TlsCredential
    host: str = "127.0.0.1"
    port: int = 0
    authenticated: bool = True
    cap: int = _CAP
    address: Address = ("", 0)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        """Raises TransportError when the port is taken, ConfigurationError without aiohttp."""
        settings = TlsSettings(
            credential=self.credential, client_certificates=ClientCertificates.NONE
        )
        self.address = await serve_http(
            self._stack,
            "/cucm-uds/{what:.*}",
            self._answer,
            (self.host, self.port),
            server_context(settings),
            what="the lab's directory",
        )
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def _answer(self, request: web.Request) -> web.Response:
        from aiohttp import web

        what, query = request.match_info["what"], dict(request.query)
        user = basic_user(request.headers.get("Authorization", ""), self.passwords)
        self.asked.append((what, request.query_string, user))
        del self.asked[:-1000]
        if what == "users" and self.authenticated and user is None:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="UDS"'})
        makers = {"users": self._users, "clusterUser": self._cluster_user}
        make = makers.get(what)
        if make is None:
            return web.Response(status=404)
        return web.Response(text=_HEAD + make(query), content_type="application/xml")

    def _users(self, query: Mapping[str, str]) -> str:
        found = [each for each in self.people if _matches(each, query)]
        start, most = _number(query, "start", 0), _number(query, "max", self.cap)
        shown = found[start : start + min(most, self.cap)]
        base = f"https://{self.address[0]}:{self.address[1]}/cucm-uds"
        numbers = f'start="{start}" requestedCount="{most}" returnedCount="{len(shown)}"'
        users = "".join(_xml(each, base) for each in shown)
        return (
            f'<users uri="{base}/users" version="12.5.1" {numbers} totalCount="{len(found)}">'
            f"{users}</users>"
        )

    def _cluster_user(self, query: Mapping[str, str]) -> str:
        wanted = (query.get("username", ""), query.get("email", ""))
        keys = ((each, (each.username, each.email)) for each in self.people)
        found = next(
            (each for each, (name, mail) in keys if wanted in ((name, ""), ("", mail))), None
        )
        if found is None:
            return '<clusterUser><result found="false"/></clusterUser>'
        host = escape(found.home or self.address[0])
        return f'<clusterUser><result found="true"/><homeCluster>{host}</homeCluster></clusterUser>'


def _number(query: Mapping[str, str], key: str, default: int) -> int:
    text = query.get(key, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else default


def _matches(person: DirectoryUser, query: Mapping[str, str]) -> bool:
    names = (person.first, person.last, person.username, f"{person.first} {person.last}")
    begins = {"name": names, "username": (person.username,), "email": (person.email,)}
    asked = [key for key in query if key in begins or key == "number"]
    for key in asked:
        value = query[key].lower()
        if key == "number":
            if value.lstrip("+") not in person.number:
                return False
        elif not any(each.lower().startswith(value) for each in begins[key]):
            return False
    return bool(asked)


def _xml(person: DirectoryUser, base: str) -> str:
    fields = {
        "id": person.username,
        "userName": person.username,
        "firstName": person.first,
        "lastName": person.last,
        "displayName": f"{person.first} {person.last}",
        "phoneNumber": person.number,
        "email": person.email,
        "directoryUri": person.uri,
    }
    inner = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in fields.items() if value)
    return f"<user uri={quoteattr(f'{base}/user/{person.username}')}>{inner}</user>"
