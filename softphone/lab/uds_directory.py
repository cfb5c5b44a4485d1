"""The lab's directory: the part of CUCM's User Data Services (HTTPS) that phones ask.

Serves `/users` by name, number, mail or user, and for service discovery `/clusterUser`, `/servers`,
`/user/ID` and `/user/ID/devices`.  With `authenticated` a search requires Basic credentials
(RFC 7617), as CUCM does when its administrator enables that; a user's own data always do.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from xml.sax.saxutils import escape, quoteattr

from softphone.lab.http_server import TokenUser, challenge, no_token, serve_http, signed_in_user
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

    `passwords` are those of the users who may search, `token_user` names the user of a token.
    `asked` records each request: path, query, and the user whose password or token was good, else
    None.  `node` is the full name of this server, `servers` are those of the cluster; `devices` are
    the names of each user's devices, and `profile_uri` is the address of the service profile,
    `files_uri` that of the files of devices.
    """

    people: Sequence[DirectoryUser]
    passwords: Mapping[str, KeyMaterial]
    credential: TlsCredential
    host: str = "127.0.0.1"
    port: int = 0
    authenticated: bool = True
    cap: int = _CAP
    node: str = ""
    servers: Sequence[str] = ()
    devices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    profile_uri: str = ""
    files_uri: str = ""
    im_and_presence: bool = False
    token_user: TokenUser = no_token
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
        header = request.headers.get("Authorization", "")
        user = signed_in_user(header, self.passwords, self.token_user)
        self.asked.append((what, request.query_string, user))
        del self.asked[:-1000]
        if what == "users" and self.authenticated and user is None:
            return web.Response(status=401, headers=self._challenge(header))
        makers = {
            "users": self._users,
            "clusterUser": self._cluster_user,
            "servers": self._server_list,
        }
        make = makers.get(what)
        if make is not None:
            return web.Response(text=_HEAD + make(query), content_type="application/xml")
        if what.startswith("user/"):
            return self._own_data(what.removeprefix("user/"), user, header)
        return web.Response(status=404)

    def _challenge(self, header: str) -> dict[str, str]:
        return {"WWW-Authenticate": challenge(header, 'Basic realm="UDS"', self.token_user)}

    def _own_data(self, path: str, user: str | None, header: str) -> web.Response:
        """Answer `/user/ID` and `/user/ID/devices`: to that user only."""
        from aiohttp import web

        name, _, below = path.partition("/")
        if user is None:
            return web.Response(status=401, headers=self._challenge(header))
        if user != name:
            return web.Response(status=403)
        person = next((each for each in self.people if each.username == name), None)
        makers = {"": self._user, "devices": self._device_list}
        make = makers.get(below)
        if person is None or make is None:
            return web.Response(status=404)
        return web.Response(text=_HEAD + make(person), content_type="application/xml")

    @property
    def _base(self) -> str:
        return f"https://{self.node or self.address[0]}:{self.address[1]}/cucm-uds"

    def _user(self, person: DirectoryUser) -> str:
        profile = f"<serviceProfile><uri>{escape(self.profile_uri)}</uri></serviceProfile>"
        home = escape(person.home or self.node or self.address[0])
        rest = (
            f'<homeCluster enableImAndPresence="{str(self.im_and_presence).lower()}">{home}'
            "</homeCluster>"
            f"<devices uri={quoteattr(f'{self._base}/user/{person.username}/devices')}/>"
            f"{profile if self.profile_uri else ''}"
        )
        return _xml(person, self._base).replace("</user>", f"{rest}</user>")

    def _device_list(self, person: DirectoryUser) -> str:
        devices = "".join(
            f"<device><id>{escape(name.lower())}</id><name>{escape(name)}</name>"
            f"<model>Cisco Unified Client Services Framework</model>{self._provision(name)}"
            "</device>"
            for name in self.devices.get(person.username, ())
        )
        return f'<devices version="12.5.1">{devices}</devices>'

    def _provision(self, device: str) -> str:
        if not self.files_uri:
            return ""
        return f"<provision><uri>{escape(f'{self.files_uri}/{device}.cnf.xml')}</uri></provision>"

    def _server_list(self, _: Mapping[str, str]) -> str:
        named = self.servers or (self.node or self.address[0],)
        servers = "".join(f"<server>{escape(each)}</server>" for each in named)
        uri = quoteattr(f"{self._base}/servers")
        return f'<servers version="12.5.1" uri={uri}>{servers}</servers>'

    def _users(self, query: Mapping[str, str]) -> str:
        found = [each for each in self.people if _matches(each, query)]
        start, most = _number(query, "start", 0), _number(query, "max", self.cap)
        shown = found[start : start + min(most, self.cap)]
        base = self._base
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
        home = found.home or self.node or self.address[0]
        # The port of another cluster's server is unknown: the default one is assumed.
        base = self._base if found.home is None else f"https://{home}:8443/cucm-uds"
        return (
            f'<clusterUser><result found="true" uri={quoteattr(f"{base}/user/{found.username}")}/>'
            f"<homeCluster serversUri={quoteattr(f'{base}/servers')}>{escape(home)}</homeCluster>"
            "</clusterUser>"
        )


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
