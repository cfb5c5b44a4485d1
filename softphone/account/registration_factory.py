"""How an account registers: with one registrar, or along a list of nodes (RFC 3261 section 10)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from softphone.account.first_hop import FirstHopLocator
from softphone.account.signaling import AnyRegistration
from softphone.account.stack_settings import instance_id, registration_config
from softphone.config import AccountConfig, parse_sip_uri
from softphone.errors import TransportError
from softphone.personas import StandardPersona
from softphone.sans_io import Entropy
from softphone.sip import Endpoint, Registration
from softphone.sip.auth import Authenticator
from softphone.sip.registration import INITIALIZED, Node, NodeRegistration, NodeSetup

__all__ = ["RegistrationFactory"]

logger = logging.getLogger("softphone.account")

ApplyTargets: TypeAlias = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationFactory:
    """Makes the registration of an account; `idle` says that no call is up."""

    config: AccountConfig
    persona: StandardPersona
    endpoint: Endpoint
    entropy: Entropy
    credentials: Authenticator | None
    idle: Callable[[], bool]

    async def make_registration(
        self, locator: FirstHopLocator, *, ask: bool
    ) -> AnyRegistration | None:
        """None for an account without a server.  Raises TransportError when none can be found."""
        if self.config.nodes:
            return await self._along_nodes(locator, ask=ask)
        server = self.config.server_uri
        if self.config.registrar is None or server is None:
            return None
        style = self.persona.registration_style(self.config.persona_line)
        registration = registration_config(
            self.config,
            instance=self._instance(),
            style=style,
            alarm=style.alarm(INITIALIZED),
        )
        return Registration(
            self.endpoint,
            registration,
            targets=await locator.locate_and_verify(server, ask=ask),
            entropy=self.entropy,
            credentials=self.credentials,
        )

    async def _along_nodes(self, locator: FirstHopLocator, *, ask: bool) -> NodeRegistration:
        """Nodes that DNS does not know now are left out; without any the first cause is raised."""
        style, instance = (
            self.persona.registration_style(self.config.persona_line),
            self._instance(),
        )
        nodes: list[Node] = []
        failure: TransportError | None = None
        for text in self.config.nodes:
            uri = parse_sip_uri(text, what="nodes")
            try:
                targets = await locator.locate_and_verify(uri, ask=ask)
            except TransportError as error:
                logger.info("%s: node %s is left out: %s", self.config.aor, text, error)
                failure = failure or error
                continue
            config = registration_config(self.config, instance=instance, style=style, registrar=uri)
            nodes.append(Node(config, targets, uri))
        if not nodes:
            raise failure or TransportError("there is no node to register with")
        setup = NodeSetup(idle=self.idle, alarm=style.alarm)
        return NodeRegistration(
            self.endpoint,
            nodes,
            entropy=self.entropy,
            credentials=self.credentials,
            setup=setup,
        )

    def _instance(self) -> str:
        own = self.persona.instance(self.config.persona_line, self.entropy)
        return self.config.instance or own or instance_id(self.entropy)

    async def locate_again(
        self, registration: AnyRegistration, locator: FirstHopLocator
    ) -> ApplyTargets:
        """Where the servers are now, as a command to be given to the registration."""
        if isinstance(registration, NodeRegistration):
            found = [await locator.locate_again(place) for place in registration.lookup_uris]

            def command(now: float) -> None:
                for index, targets in enumerate(found):
                    registration.set_node_targets(index, targets)

            return command
        targets = await locator.locate_again(self.config.server_uri)

        def command_one(now: float) -> None:
            if targets:
                registration.set_targets(targets, now=now)

        return command_one
