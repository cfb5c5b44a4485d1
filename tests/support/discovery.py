"""A domain with service discovery: a DNS of its own, and UDS servers over TLS on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from softphone.discovery import (
    DiscoveryCache,
    DiscoveryConfig,
    DiscoveryEnvironment,
    DiscoveryStep,
    ServiceDiscovery,
)
from softphone.errors import TransportError
from softphone.lab import CertificateNames
from softphone.lab.dns_server import LabDns
from softphone.lab.uds_directory import DirectoryUser, LabDirectory
from softphone.net.dns import DnsResolver, ResolverConfig
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings
from tests.support.certificates import authority, raw_server_context, store
from tests.support.http import WebServer

DOMAIN = "example.test"
NODE = f"cucm1.{DOMAIN}"
PASSWORD = KeyMaterial(b"the password of alice")
ALICE = DirectoryUser("alice", "Alice", "Adler", "1001", f"alice@{DOMAIN}")
WALL = 1_800_000_000.0
UDS, CUP, EDGE = "_cisco-uds._tcp", "_cuplogin._tcp", "_collab-edge._tls"


class Site:
    """The servers of a test; `zone` may be changed while it runs."""

    def __init__(self, tmp_path, stack: AsyncExitStack) -> None:
        self._folder = tmp_path
        self._stack = stack
        self.zone: dict[tuple[str, str], tuple[str, ...]] = {}
        self.steps: list[DiscoveryStep] = []
        self.wall = WALL
        self.cache = DiscoveryCache(tmp_path / "found")

    async def start(self) -> None:
        self.dns = await self._stack.enter_async_context(LabDns(self.zone))

    def name(self, record: str, *servers: tuple[str, int], domain: str = DOMAIN) -> None:
        """Have a record name these servers, the first with the best priority."""
        self.zone[f"{record}.{domain}", "SRV"] = tuple(
            f"{rank} 0 {port} {host}." for rank, (host, port) in enumerate(servers)
        )

    async def uds(
        self,
        host: str = NODE,
        *,
        names: tuple[str, ...] = (),
        address: tuple[str, int] = ("127.0.0.1", 0),
        **more,
    ) -> LabDirectory:
        """Start a UDS server at a host, whose certificate has these names beside the host's."""
        issued = authority().server(host, CertificateNames(dns=(host, *names)))
        settings = {"node": host, "devices": {"alice": ("CSFALICE",)}, **more}
        people = settings.pop("people", (ALICE,))
        credential = issued.write(self._folder, host)
        lab = LabDirectory(people, {"alice": PASSWORD}, credential, **settings)
        lab.host, lab.port = address
        self.zone[host, "A"] = (lab.host,)
        return await self._stack.enter_async_context(lab)

    def nobody(self, host: str) -> str:
        """Name a host where nobody listens: the servers are at another address of loopback."""
        self.zone[host, "A"] = ("127.0.0.9",)
        return host

    async def web(self, host: str, issued=None, address=("127.0.0.1", 0)) -> WebServer:
        """Start a server over TLS that records every octet of its requests."""
        web = WebServer()
        credential = (issued or authority().server(host)).write(self._folder, host)
        web.server = await asyncio.start_server(
            web._serve, *address, ssl=raw_server_context(credential)
        )
        web.port = web.server.sockets[0].getsockname()[1]
        await self._stack.enter_async_context(web.server)
        self.zone[host, "A"] = (address[0],)
        return web

    def discovery(self, *, confirm=None, resolver=None, **config) -> ServiceDiscovery:
        """Make a discovery of alice's services."""
        tls = TlsSettings(store=store(), service=Service.HTTPS)
        values = {"account": f"alice@{DOMAIN}", "password": PASSWORD, "tls": tls, **config}
        own = DnsResolver(
            ResolverConfig(nameservers=(self.dns.address,), hosts_file="/nonexistent"),
            entropy=bytes,
        )
        environment = DiscoveryEnvironment(
            resolver or own,
            cache=self.cache,
            confirm=confirm,
            on_step=self.steps.append,
            entropy=bytes,
            wall=lambda: self.wall,
        )
        return ServiceDiscovery(DiscoveryConfig(**values), environment)

    def told(self, name: str) -> list[tuple[str, str]]:
        """The outcome and the detail of each step of a name."""
        return [(each.outcome.value, each.detail) for each in self.steps if each.name == name]


class SilentDns:
    """A resolver that tells addresses, all of this host, and no record."""

    async def query(self, question):
        raise TransportError("DNS is silent")

    async def resolve(self, host):
        return ["127.0.0.1"]


@asynccontextmanager
async def running_site(tmp_path) -> AsyncIterator[Site]:
    """A site without servers: only its DNS runs.  At the end each step has to have said why."""
    async with AsyncExitStack() as stack:
        site = Site(tmp_path, stack)
        await site.start()
        yield site
        assert [each for each in site.steps if not each.why] == []


def self_serving(host: str, port: int) -> dict[str, bytes]:
    """The answers of a server that calls itself everybody's home cluster."""
    base = f"https://{host}:{port}/cucm-uds"
    home = (
        f'<clusterUser><result found="true" uri="{base}/user/alice"/>'
        f'<homeCluster serversUri="{base}/servers">{host}</homeCluster></clusterUser>'
    )
    user = "<user><userName>alice</userName></user>"
    return {
        "/cucm-uds/clusterUser?email=alice@example.test": home.encode(),
        "/cucm-uds/servers": f"<servers><server>{host}</server></servers>".encode(),
        "/cucm-uds/user/alice": user.encode(),
        "/cucm-uds/user/alice/devices": b"<devices/>",
    }
