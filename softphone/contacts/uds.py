"""CUCM's User Data Services as a directory: HTTPS at 8443, with authenticated search.

The server is verified before the first request.  User and password (RFC 7617) are sent at once if
so configured, or after a 401; they go only to the configured servers, whatever a response names.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from urllib.parse import urlencode

from softphone.contacts.config import UdsConfig, parse_host_port
from softphone.contacts.contact import Contact, normalize_address, normalize_number
from softphone.contacts.uds_document import HomeCluster, parse_home_cluster, parse_users
from softphone.errors import DirectoryError, DirectoryRefused
from softphone.net import run_by_size
from softphone.net.http import (
    HttpsClient,
    HttpsEnvironment,
    HttpsLimits,
    HttpsRequest,
    basic_authorization,
    bearer_authorization,
)
from softphone.net.http.client import HttpsResponse
from softphone.sip.auth import FetchBearer

logger = logging.getLogger("softphone.contacts")

_LARGEST = 4 << 20
_MOST_PAGES = 20


class UdsDirectory:
    """A `Directory` over CUCM's User Data Services."""

    def __init__(self, config: UdsConfig, environment: HttpsEnvironment | None = None) -> None:
        self._config = config
        limits = HttpsLimits(_LARGEST, config.bounds.within)
        self._client = HttpsClient(config.tls, limits, environment)
        self._show = config.authenticated
        self._home_address: tuple[str, int] | None = None

    @property
    def name(self) -> str:
        """The name of the directory in the configuration."""
        return self._config.name

    async def search(self, word: str, limit: int) -> Sequence[Contact]:
        """Return users whose name begins with `word`, or who have it as number or mail address.

        Raises DirectoryError or a subclass, TransportError, CertificateError.
        """
        word = word.strip()
        if not word:
            return ()
        most = min(limit, self._config.bounds.most)
        found = await self._users("name", word, most)
        number = normalize_number(word)
        if number is not None and len(found) < most:
            found += await self._users("number", number, most - len(found))
        if normalize_address(word) is not None and len(found) < most:
            found += await self._users("email", word, most - len(found))
        return tuple(dict.fromkeys(found))

    async def by_number(self, number: str) -> Contact | None:
        """Return the contact with this (dialed) number, or None.  Raises as `search` does."""
        found = await self._users("number", number, self._config.bounds.page)
        return next((each for each in found if each.has_number(number)), None)

    async def by_address(self, address: str) -> Contact | None:
        """Return the contact with this SIP or mail address, or None.  Raises as `search` does.

        Users are searched by mail address, then by the user part as user name, for those whose SIP
        address differs from their mail address.
        """
        user = address.partition("@")[0]
        for field, value in (("email", address), ("username", user)):
            found = await self._users(field, value, self._config.bounds.page)
            owner = next((each for each in found if each.has_address(address)), None)
            if owner is not None:
                return owner
        return None

    async def home_cluster(self, username: str) -> HomeCluster:
        """Return the home cluster of a user.  Raises as `search` does."""
        query = {"username": username}
        body = await self._get(self._config.address, "clusterUser", query, show=False)
        return await run_by_size(len(body), parse_home_cluster, body)

    async def close(self) -> None:
        """Do nothing: no connection is kept open."""

    async def _users(self, field: str, value: str, most: int) -> list[Contact]:
        place = await self._home()
        found: list[Contact] = []
        start = 0
        for _ in range(_MOST_PAGES):
            query = {field: value, "start": str(start), "max": str(most - len(found))}
            body = await self._get(place, "users", query)
            answer = await run_by_size(len(body), parse_users, body, self.name)
            found += answer.contacts
            start += answer.given
            if not answer.given or len(found) >= most or start >= answer.total:
                break
        return found[:most]

    async def _home(self) -> tuple[str, int]:
        """Return host and port to search: our user's home cluster, if it may get the password."""
        if self._home_address is not None:
            return self._home_address
        config, place = self._config, self._config.address
        if config.user is not None and config.clusters:
            home = await self.home_cluster(config.user)
            known = {
                host.lower(): (host, port) for host, port in map(_parse_address, config.clusters)
            }
            known[place[0].lower()] = place
            if home.host is not None:
                chosen = known.get(home.host.lower())
                if chosen is None:
                    logger.warning(
                        "the home cluster of %s is %s, which is not among the configured ones:"
                        " it is not asked",
                        config.user,
                        home.host,
                    )
                place = chosen or place
        self._home_address = place
        return place

    async def _get(
        self, place: tuple[str, int], path: str, query: dict[str, str], *, show: bool = True
    ) -> bytes:
        host = f"[{place[0]}]" if ":" in place[0] else place[0]
        url = f"https://{host}:{place[1]}/cucm-uds/{path}?{urlencode(query)}"
        config = self._config
        if show and config.token is not None:
            answer = await self._send_with_token(url, config.token)
            return self._checked(place, answer, "another token")
        credential = None
        if show and config.user is not None and config.password is not None:
            credential = basic_authorization(config.user, config.password)
        shown = self._show and credential is not None
        answer = await self._client.send_request(
            HttpsRequest(url, headers=_headers(credential if shown else None))
        )
        if answer.status == 401 and credential is not None and not shown:
            self._require_basic(answer.headers.get("www-authenticate", ""))
            answer = await self._client.send_request(
                HttpsRequest(url, headers=_headers(credential))
            )
            if answer.status != 401:
                self._show = True
        wants = "user and password" if credential is None else "another user or password"
        return self._checked(place, answer, wants)

    async def _send_with_token(self, url: str, fetch: FetchBearer) -> HttpsResponse:
        """Send a request with a token; once more with another where it is not accepted."""
        for refused in (False, True):
            credential = bearer_authorization(await fetch(refused))
            answer = await self._client.send_request(
                HttpsRequest(url, headers=_headers(credential))
            )
            if answer.status != 401:
                break
        return answer

    @staticmethod
    def _checked(place: tuple[str, int], answer: HttpsResponse, wants: str) -> bytes:
        if answer.status in (401, 403):
            raise DirectoryRefused(f"{place[0]} answered {answer.status}: it wants {wants}")
        if answer.status != 200:
            raise DirectoryError(f"{place[0]} answered {answer.status} to a UDS request")
        return answer.body

    def _require_basic(self, challenge: str) -> None:
        if challenge and not challenge.lower().lstrip().startswith("basic"):
            raise DirectoryRefused(
                f"{self._config.address[0]} wants another authentication than Basic"
            )


def _parse_address(text: str) -> tuple[str, int]:
    return parse_host_port(text, 8443)


def _headers(credential: tuple[str, str] | None) -> tuple[tuple[str, str], ...]:
    accept = ("Accept", "application/xml")
    return (accept,) if credential is None else (accept, credential)
