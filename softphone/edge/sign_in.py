"""Signs a user in at the edge that a discovery has found, and discovers what is behind it.

Home cluster, user, devices, service profile and `jabber-config.xml` are asked for as inside,
through the tunnel.  Device configurations come the same way: over TLS to the edge, which the
certificate gate judges, and signed where the cluster's trust lists are held.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from softphone.discovery import (
    DiscoveryConfig,
    DiscoveryEnvironment,
    DiscoveryResult,
    DiscoveryStep,
    ServiceDiscovery,
    ServiceRecord,
    StepOutcome,
)
from softphone.edge.session import EdgeOptions, EdgeSession
from softphone.edge.tunnel_url import InsideServer, inside_server
from softphone.errors import EdgeError, TransportError
from softphone.net.http import HttpsEnvironment
from softphone.provisioning import (
    ConfigDocument,
    HttpFiles,
    HttpsTrust,
    fetch_unenrolled_config,
)


@dataclass(frozen=True, slots=True)
class EdgeSignIn:
    """A user who is signed in at an edge: the session, and what was discovered through it."""

    session: EdgeSession
    found: DiscoveryResult
    config: DiscoveryConfig

    def file_servers(self) -> Sequence[HttpFiles]:
        """Return clients of the cluster's file services, that of the service profile first.

        They fetch through the edge, which makes the connection inside: over HTTPS, and over HTTP
        only with `DiscoveryConfig.clear_files`.  Raises EdgeError when there is none.
        """
        ports, environment = self.config.file_ports, self.session.environment
        places: list[InsideServer] = []
        user = self.found.user
        if user is not None and user.service_profile:
            profile = inside_server(user.service_profile)
            secure = ports.get(profile.port) if profile.scheme == "http" else profile.port
            if secure is not None:
                places.append(InsideServer("https", profile.host, secure))
        hosts = (*self.session.configuration.file_servers, *(n.host for n in self.found.nodes))
        places += [InsideServer("https", host, port) for port in ports.values() for host in hosts]
        if self.config.clear_files:
            places += [InsideServer("http", host, port) for port in ports for host in hosts]
        found = [
            HttpFiles(
                each.host,
                each.port,
                HttpsTrust() if each.scheme == "https" else None,
                environment=environment,
            )
            for each in dict.fromkeys(places)
            if self.session.may_reach(each.host)
        ]
        if not found:
            raise EdgeError("the edge names no file server that may be reached")
        return found

    async def device_configuration(
        self, device: str, *, store: str | os.PathLike[str] | None = None
    ) -> ConfigDocument:
        """Fetch the configuration of a device through the edge; nothing is enrolled.

        `store` is the folder of an earlier boot inside: trust lists that are held there must have
        signed the file, and its certificate may open an encrypted one.  Raises FileMissing,
        FileRefused, EdgeError, TransportError.
        """
        return await fetch_unenrolled_config(device, self.file_servers(), store)


@asynccontextmanager
async def sign_in_at_edge(
    found: DiscoveryResult,
    config: DiscoveryConfig,
    environment: DiscoveryEnvironment,
    options: EdgeOptions | None = None,
) -> AsyncIterator[EdgeSignIn]:
    """Sign in at the edge of a discovery; the session is kept until the context is left.

    `config` has user, password or token, domains and trust.  Raises what `EdgeSession.__aenter__`
    and `ServiceDiscovery.discover` raise.
    """
    edges = found.records.get(ServiceRecord.COLLAB_EDGE, ())
    if found.edge is not None:
        edges = tuple(dict.fromkeys((found.edge, *edges)))
    https = HttpsEnvironment(environment.resolver.resolve, fetcher=environment.fetcher)
    session = EdgeSession(config, edges, https, options, wall=environment.wall)
    if session.options.ask_single_sign_on:
        environment.on_step(await _single_sign_on(session))
    async with session:
        _tell(session, environment)
        inside = replace(environment, tunnel=session)
        discovery = ServiceDiscovery(config, inside)
        result = await discovery.discover_inside(found, session.inside_uds())
        yield EdgeSignIn(session, result, config)


async def _single_sign_on(session: EdgeSession) -> DiscoveryStep:
    """Ask for single sign-on; what the edge answers is shown as it is."""
    name, why = "single sign-on", "what an edge answers was not seen: the user signs in as without"
    try:
        answer = await session.ask_single_sign_on()
    except TransportError as error:
        return DiscoveryStep(name, StepOutcome.FAILED, "", str(error))
    found = answer.status == 200
    return DiscoveryStep(
        name, StepOutcome.FOUND if found else StepOutcome.NOTHING, str(answer), why
    )


def _tell(session: EdgeSession, environment: DiscoveryEnvironment) -> None:
    """Report the sign-in, and what the edge names outside of the user's domains."""
    named = session.configuration.inside_hosts
    why = "its certificate names it, and the domain; the ticket is kept in memory"
    environment.on_step(DiscoveryStep("edge", StepOutcome.FOUND, str(session.edge), why))
    for host in named:
        if not session.may_reach(host):
            why = "it is outside of the user's domains and not listed: nothing goes there"
            environment.on_step(DiscoveryStep("inside", StepOutcome.LEFT_OUT, host, why))
