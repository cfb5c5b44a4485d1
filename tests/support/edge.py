"""A user outside: an edge server over TLS on loopback, and a UDS server behind it."""

from __future__ import annotations

from contextlib import asynccontextmanager

from softphone.discovery import DiscoveryConfig, ServiceTarget
from softphone.edge import EdgeOptions, EdgeSession
from softphone.lab import CertificateNames
from softphone.lab.edge import LabEdgeWeb
from softphone.net.http import HttpsEnvironment
from softphone.trust import Service, TlsSettings
from tests.support.certificates import authority, store
from tests.support.discovery import DOMAIN, NODE, PASSWORD, Site, running_site

EDGE_HOST = f"edge1.{DOMAIN}"
ROUTE = "<sip:192.0.2.100:5061;transport=tls;zone-id=3;directed;lr>"


def edge_certificate(host: str = EDGE_HOST, *names: str, by=None, domain: bool = True):
    """A certificate of an edge: its host, and the domain unless `domain` is False."""
    named = (host, *names, *((DOMAIN,) if domain else ()))
    return (by or authority()).server(host, CertificateNames(dns=named))


class EdgeSite:
    """An edge server, and a UDS server that only the edge reaches: the user's DNS has no name."""

    def __init__(self, site: Site, folder) -> None:
        self.site, self.folder = site, folder
        self.edges: list[LabEdgeWeb] = []

    async def start(self) -> None:
        self.uds = await self.site.uds()
        del self.site.zone[NODE, "A"]

    async def edge(self, host: str = EDGE_HOST, issued=None, **more) -> LabEdgeWeb:
        """Start an edge; `issued` is its certificate."""
        values = {
            "host": host,
            "domain": DOMAIN,
            "passwords": {"alice": PASSWORD},
            "credential": (issued or edge_certificate(host)).write(self.folder, host),
            "inside": {(NODE, self.uds.address[1]): self.uds.address},
            "anchors": store(),
            "uds": (NODE, self.uds.address[1]),
            "sip": ("127.0.0.1", 5061),
            "route": ROUTE,
            "files": (NODE,),
            **more,
        }
        edge = await self.site._stack.enter_async_context(LabEdgeWeb(**values))
        self.edges.append(edge)
        return edge

    def config(self, **more) -> DiscoveryConfig:
        tls = TlsSettings(store=store(), service=Service.HTTPS)
        return DiscoveryConfig(f"alice@{DOMAIN}", **{"password": PASSWORD, "tls": tls, **more})

    def session(self, *targets, options: EdgeOptions | None = None, times=(), **config):
        """A session at these edges, by default at all that run."""
        targets = targets or tuple(ServiceTarget(each.host, each.address[1]) for each in self.edges)

        async def resolve(_: str) -> list[str]:
            return ["127.0.0.1"]

        environment = HttpsEnvironment(resolve)
        return EdgeSession(self.config(**config), targets, environment, options, **dict(times))

    def inside(self, path: str) -> str:
        return f"https://{NODE}:{self.uds.address[1]}{path}"


@asynccontextmanager
async def running_edge_site(folder):
    """A site with a UDS server; edges are started by the test."""
    async with running_site(folder) as site:
        edges = EdgeSite(site, folder)
        await edges.start()
        yield edges
