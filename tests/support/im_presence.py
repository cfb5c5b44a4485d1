"""An IM and Presence cluster on loopback: nodes of the lab, and clients of its users."""

from __future__ import annotations

import base64
import itertools
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from softphone.errors import TransportError
from softphone.lab import CertificateNames
from softphone.lab.edge import EdgeXmpp
from softphone.lab.im_presence import LabImPresence
from softphone.messaging.client import MessagingClient, MessagingEnvironment
from softphone.messaging.config import MessagingConfig
from softphone.messaging.im_presence import ImPresenceConfig, XmppEdge
from softphone.messaging.server_location import TlsMode
from softphone.messaging.xmpp.connection import ConnectionTimers
from softphone.net.http import (
    HttpsClient,
    HttpsEnvironment,
    RevocationFetcher,
    https_target,
)
from softphone.net.verified.connector import ConnectorConfig
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings
from tests.support.certificates import authority, store
from tests.support.chat import DOMAIN

HOME, BACKUP = f"imp1.{DOMAIN}", f"imp2.{DOMAIN}"
PASSWORD = "the secret <of> alice & co"
PASSWORDS = {"alice": KeyMaterial(PASSWORD.encode()), "bob": KeyMaterial(b"bob's own secret")}
TOKEN = "a-bearer-token-of-alice"


class Given:
    """An entropy that keeps what the node makes of it: session keys and one-time passwords."""

    def __init__(self, entropy):
        self.entropy = entropy
        self.made = set()

    def __call__(self, count):
        data = self.entropy(count)
        if count == 16:
            text = data.hex()
            self.made.add("-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])))
        return data


def forms(secret):
    """How a secret may stand in a text: itself, and in Base64 at each offset."""
    data = secret.encode()
    yield secret
    for pad in range(3):
        yield base64.b64encode(b"\0" * pad + data).decode()[4:-4]


class NoDns:
    """A resolver of records that nobody may ask: the nodes are configured."""

    async def query(self, question):
        raise AssertionError(f"{question} was asked")


class Site:
    """The nodes of a test, by host; all have the ports of the first."""

    def __init__(self, folder, entropy, stack: AsyncExitStack) -> None:
        self._folder = folder
        self.entropy = entropy
        self._stack = stack
        self.addresses: dict[str, str] = {}
        self.nodes: dict[str, LabImPresence] = {}
        self._numbers = itertools.count(1)

    def node(self, host: str = HOME, *, web=None, chat=None, **more) -> LabImPresence:
        """Make a node at an address of its own; `web` and `chat` replace its certificates."""
        first = next(iter(self.nodes.values()), None)
        address = f"127.0.0.{next(self._numbers)}"
        self.addresses[host] = address
        names = CertificateNames(dns=(host, DOMAIN), xmpp=(DOMAIN,))
        web = web or authority().server(host, CertificateNames(dns=(host,)))
        chat = chat or authority().server(DOMAIN, names)
        lab = LabImPresence(
            DOMAIN,
            PASSWORDS,
            web.write(self._folder, f"{host}-web"),
            chat.write(self._folder, f"{host}-chat"),
            self.entropy,
            address,
            0 if first is None else first.address[1],
            0 if first is None else first.xmpp_address[1],
            **more,
        )
        self.nodes[host] = lab
        return lab

    async def start(self, host: str = HOME, **more) -> LabImPresence:
        """Start a node."""
        return await self._stack.enter_async_context(self.node(host, **more))

    async def resolve(self, host):
        address = self.addresses.get(host)
        if address is None:
            raise TransportError(f"{host} has no address")
        return [address]

    @property
    def environment(self) -> MessagingEnvironment:
        connector = ConnectorConfig(RevocationFetcher(), resolve=self.resolve)
        return MessagingEnvironment(
            connector, NoDns(), self.entropy, timers=ConnectionTimers(first=0.01, longest=0.02)
        )

    def config(self, user: str = "alice", *, account=None, **more) -> MessagingConfig:
        """An account of a user; `account` are fields of it, `more` those of `im_presence`."""
        soap = next(iter(self.nodes.values())).address[1]
        nodes = ImPresenceConfig(
            **{
                "servers": tuple(f"{host}:{soap}" for host in self.nodes),
                "xmpp_port": next(iter(self.nodes.values())).xmpp_address[1],
                "tls": TlsSettings(store=store(), service=Service.HTTPS),
                **more,
            }
        )
        values = {
            "password": PASSWORDS[user],
            "tls": TlsSettings(store=store(), service=Service.XMPP),
            "im_presence": nodes,
            "resource": "desk",
            "timeout": 10.0,
        }
        return MessagingConfig(f"{user}@{DOMAIN}", **{**values, **(account or {})})

    def client(self, user: str = "alice", **more) -> MessagingClient:
        return MessagingClient(self.config(user, **more), self.environment)


@asynccontextmanager
async def running_site(folder, entropy):
    """A site without nodes."""
    async with AsyncExitStack() as stack:
        yield Site(folder, entropy, stack)


class Tunnel:
    """The HTTPS tunnel of an edge server (`HttpsTunnel`): `asked` has the host of each request."""

    def __init__(self, site: Site) -> None:
        tls = TlsSettings(store=store(), service=Service.HTTPS)
        self._client = HttpsClient(tls, environment=HttpsEnvironment(site.resolve))
        self.asked: list[str] = []

    async def send_request(self, request, limits, on_chunk=None):
        self.asked.append(https_target(request.url).host)
        return await self._client.send_request(request, on_chunk)


EDGE_DOMAIN = "outside.test"
EDGE = f"edge1.{EDGE_DOMAIN}"


class Outside:
    """An edge server in front of the nodes of a site; clients have no other way to them."""

    def __init__(self, site: Site, folder) -> None:
        self.site, self.folder = site, folder
        self.tunnel = Tunnel(site)

    async def start(self, node: LabImPresence, issued=None, *, mode=TlsMode.STARTTLS) -> EdgeXmpp:
        """Start an edge that passes streams on to a node; `issued` is its certificate."""
        names = CertificateNames(dns=(EDGE, EDGE_DOMAIN))
        edge = EdgeXmpp(
            DOMAIN,
            node.xmpp_address,
            (issued or authority().server(EDGE, names)).write(self.folder, "edge"),
            store(),
            direct=mode is TlsMode.DIRECT,
        )
        await self.site._stack.enter_async_context(edge)
        self.site.addresses[EDGE] = edge.address[0]
        self.way = XmppEdge(EDGE_DOMAIN, (f"{EDGE}:{edge.address[1]}",), mode)
        return edge

    def client(self, **more) -> MessagingClient:
        """A client of alice's that goes through the edge."""
        environment = replace(self.site.environment, tunnel=self.tunnel)
        return MessagingClient(self.site.config(edge=self.way, **more), environment)
