"""The client of the client configuration service: login, configuration, one-time passwords.

Each node is verified before the first request.  The password goes to the configured nodes only, and
to a home node that a verified server names; no redirect is followed.  A refused login ends the
sign-in, since a few wrong ones lock a user; if a node does not answer, the caller tries the next
one.  Session key and one-time password appear in no log and no exception.
"""

from __future__ import annotations

import asyncio
import logging

from softphone.errors import ConfigurationError, SignInRefused, TransportError
from softphone.messaging.im_presence.config import ImPresenceConfig, PresenceNode
from softphone.messaging.im_presence.document import (
    LARGEST,
    SessionEnded,
    config_request,
    fault_code,
    is_session_end,
    login_request,
    parse_login,
    parse_one_time_password,
    parse_presence_domain,
    password_request,
)
from softphone.net import run_by_size
from softphone.net.http import HttpsClient, HttpsEnvironment, HttpsLimits, HttpsRequest
from softphone.net.http.client import HttpsResponse
from softphone.security import KeyMaterial

logger = logging.getLogger("softphone.messaging")

_PATH = "/EPASSoap/service"
_ACTION = "urn:cisco:epas:soap/EpasSoapServiceInterface"
_WHY = (
    "is the user enabled for IM and Presence, is this the user's node, and does its Cisco Client"
    " Profile Agent run?"
)


class ClientConfigurationService:
    """One user's logins at the nodes of a cluster; the session of the last node is kept.

    Methods raise SignInRefused, TransportError, CertificateError and ConfigurationError.
    """

    def __init__(
        self,
        config: ImPresenceConfig,
        jid: str,
        password: KeyMaterial,
        environment: HttpsEnvironment | None = None,
    ) -> None:
        user, _, self._domain = jid.partition("@")
        self._user = config.user or user
        self._config = config
        self._password = password
        self._https = HttpsClient(config.tls, HttpsLimits(LARGEST, config.timeout), environment)
        self._session: tuple[PresenceNode, KeyMaterial] | None = None
        self._version = ""
        self._presence_domain = ""
        self._turn = asyncio.Lock()

    async def one_time_password(self, node: PresenceNode) -> KeyMaterial:
        """Fetch a one-time password from a node, and log in there before if need be.

        Raises ConfigurationError where the presence domain is not that of the JID.
        """
        async with self._turn:
            session = self._session
            if session is not None and session[0] == node:
                try:
                    return await self._fetch(node, session[1])
                except SessionEnded:
                    logger.info("%s: the session has ended, so that we log in again", node.host)
            self.close()
            key = await self._log_in(node)
            self._session = node, key
            try:
                return await self._fetch(node, key)
            except SessionEnded as error:
                raise TransportError(
                    f"{node.host} does not know the session that it has just begun"
                ) from error

    async def presence_domain(self) -> str:
        """Log in at the first node that answers, and return its presence domain, "" for none.

        The session is kept for `one_time_password`.  Raises SignInRefused at once, and
        TransportError when no node answers.
        """
        failure: TransportError | None = None
        for node in self._config.nodes:
            async with self._turn:
                self.close()
                try:
                    self._session = node, await self._log_in(node)
                except TransportError as error:
                    failure = failure or error
                else:
                    return self._presence_domain
        raise failure or TransportError("there is no node to log in at")

    def close(self) -> None:
        """Forget the session key."""
        session, self._session = self._session, None
        if session is not None:
            session[1].close()

    async def _log_in(self, node: PresenceNode) -> KeyMaterial:
        version = self._config.version
        self._version = "" if version == "none" else version
        request = login_request(
            self._user,
            self._password,
            client_type=self._config.client_type,
            client_version=self._config.client_version,
        )
        answer = await self._post(node, "login", request, "")
        self._check_login(node, answer)
        try:
            key = await run_by_size(len(answer.body), parse_login, answer.body)
        except SignInRefused as error:
            raise SignInRefused(f"{node.host}: {error}") from None
        answer = await self._ask(node, "get_all_config", config_request(key))
        try:
            domain = await run_by_size(len(answer.body), parse_presence_domain, answer.body)
        except SessionEnded as error:
            raise TransportError(
                f"{node.host} does not know the session that it has just begun"
            ) from error
        if self._config.check_domain and domain not in ("", self._domain):
            raise ConfigurationError(
                f"im.jid: the presence domain of {node.host} is {domain}, not {self._domain}:"
                f" your address there is {self._user}@{domain}; where users are addressed by"
                " directory URI, set im_presence.check_domain to false"
            )
        self._presence_domain = domain
        return key

    def _check_login(self, node: PresenceNode, answer: HttpsResponse) -> None:
        """Raise SignInRefused for a refused login, TransportError for a node that cannot answer."""
        code = fault_code(answer.body)
        if code is not None:
            raise SignInRefused(f"{node.host} refused the login with a SOAP fault ({code}): {_WHY}")
        if answer.status == 200:
            return
        if answer.status < 500:
            raise SignInRefused(f"{node.host} answered the login with {answer.status}: {_WHY}")
        raise TransportError(f"{node.host} answered the login with {answer.status}: {_WHY}")

    async def _fetch(self, node: PresenceNode, session: KeyMaterial) -> KeyMaterial:
        answer = await self._ask(node, "get_onetime_password", password_request(session))
        return await run_by_size(len(answer.body), parse_one_time_password, answer.body)

    async def _ask(self, node: PresenceNode, action: str, content: bytes) -> HttpsResponse:
        """Send a request of a session to the path of the configured version; after 404 without one.

        Raises TransportError for any other status than 200, unless the session has ended.
        """
        answer = await self._post(node, action, content, self._version)
        if self._version and answer.status == 404:
            logger.info("%s does not know version %s of the service", node.host, self._version)
            self._version = ""
            answer = await self._post(node, action, content, "")
        if answer.status != 200 and not is_session_end(answer.body):
            raise TransportError(f"{node.host} answered {action} with {answer.status}")
        return answer

    async def _post(
        self, node: PresenceNode, action: str, content: bytes, version: str
    ) -> HttpsResponse:
        path = f"{_PATH}/{version}" if version else _PATH
        headers = (
            ("Content-Type", "application/soap+xml; charset=utf-8"),
            ("SOAPAction", f"{_ACTION}/{action}"),
        )
        return await self._https.send_request(
            HttpsRequest(f"https://{node.address}{path}", "POST", headers=headers, content=content)
        )
