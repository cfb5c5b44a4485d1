"""The lab's edge as a whole: HTTPS, SIP, XMPP and media, with one certificate."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Self

from softphone.lab.edge.proxy import EdgeProxy, ProxyRefusal
from softphone.lab.edge.relay import CallRelay
from softphone.lab.edge.web import EdgeFaults, LabEdgeWeb
from softphone.lab.edge.xmpp import EdgeXmpp
from softphone.lab.http_server import TokenUser, no_token
from softphone.net import LOOPBACK, Driver, DriverConfig, TransportLimits
from softphone.sans_io import Address, Entropy, Target, Transport
from softphone.security import ClientCertificates, KeyMaterial
from softphone.sip import SipUri
from softphone.trust import TlsCredential, TlsSettings, TrustStore

ROUTE = "<sip:192.0.2.100:5061;transport=tls;zone-id=3;directed;lr>"
"""The Route that phones must send: the inner half of an edge, at an address that leads nowhere."""


class LabEdge:
    """The lab's edge, an async context; `web` is the HTTPS side, `proxy` SIP, `xmpp` XMPP.

    `xmpp` is None without a `chat` node inside, of which domain and XMPP address are given.
    `sip_address` is the address of the SIP side.  `registrar` is where the lab's registrar takes
    TCP.  `inside` are the servers that may be reached, by name and port, with their addresses;
    `uds` is one of them.  `anchors` vouch for their certificates, `passwords` are those of the
    users who may sign in, and `token_user` names the user of a token.
    """

    def __init__(
        self,
        host: str,
        domain: str,
        credential: TlsCredential,
        *,
        at: tuple[str, int, int],
        registrar: Address,
        inside: Mapping[tuple[str, int], Address],
        uds: tuple[str, int],
        anchors: TrustStore,
        passwords: Mapping[str, KeyMaterial],
        entropy: Entropy,
        chat: tuple[str, Address] | None = None,
        token_user: TokenUser = no_token,
    ) -> None:
        """`at` is the address of loopback, and the ports of HTTPS and SIP, 0 for free ones."""
        self._host, self._at = host, at
        self.faults = EdgeFaults()
        self.relays: list[CallRelay] = []
        """The relays of all calls."""

        def relay() -> CallRelay:
            made = CallRelay(at[0], entropy, clear_answer=self.faults.clear_answer)
            self.relays.append(made)
            del self.relays[:-256]
            return made

        self.proxy = EdgeProxy(Target(Transport.TCP, *registrar), ROUTE, relay)
        self.refused: list[ProxyRefusal] = []
        self._tls = TlsSettings(credential=credential, client_certificates=ClientCertificates.NONE)
        self._driver: Driver[ProxyRefusal] | None = None
        self._stack = AsyncExitStack()
        self.sip_address: Address = ("", 0)
        self.xmpp = None if chat is None else EdgeXmpp(chat[0], chat[1], credential, anchors, at[0])
        self.web = LabEdgeWeb(
            host,
            domain,
            passwords,
            credential,
            inside,
            anchors,
            uds,
            files=tuple(dict.fromkeys(name for name, _ in inside)),
            route=ROUTE,
            at=(at[0], at[1]),
            faults=self.faults,
            entropy=entropy,
            token_user=token_user,
        )

    async def __aenter__(self) -> Self:
        """Raises TransportError when a port is taken."""
        try:
            driver = self._driver = Driver(
                self.proxy,
                on_event=self.refused.append,
                config=DriverConfig(limits=TransportLimits(trusted_sources=LOOPBACK)),
            )
            await self._stack.enter_async_context(driver)
            self._stack.callback(self.proxy.close)
            host, _, port = self._at
            self.sip_address = await driver.listen(Transport.TLS, host, port, tls=self._tls)
            self.proxy.edge = SipUri.parse(f"sip:{self._host}:{self.sip_address[1]};transport=tls")
            self.web.sip = self.sip_address
            if self.xmpp is not None:
                await self._stack.enter_async_context(self.xmpp)
                self.web.xmpp = self.xmpp.address
            await self._stack.enter_async_context(self.web)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()
