"""A registration that moves along nodes, and its scripted servers, on virtual time.

    world = NodeWorld(count=3)
    world.registration.register(now=world.now)
    world.run(1.0)

Each target of `registrar_world.World` is a node of its own: `world.down(0)` and `world.back(0)`
end and restart one.
"""

from __future__ import annotations

from dataclasses import replace

from softphone.sip.message import SipUri
from softphone.sip.registration import Node, NodeRegistration, NodeSetup
from tests.support.clock import seeded_entropy
from tests.support.registrar_world import CONFIG, World


class NodeWorld(World):
    """`grants` seconds are given; `leave` is the status of a REFER that asks to come back."""

    def __init__(self, *, count: int = 2, setup: NodeSetup | None = None, **changes) -> None:
        super().__init__(count=count)
        self.grants = 120
        self.leave = 202
        config = replace(
            CONFIG,
            **{
                "outbound": False,
                "gruu": False,
                "option_tags": (),
                "refresh_early": 5.0,
                **changes,
            },
        )
        nodes = [
            Node(replace(config, registrar=SipUri.parse(f"sip:{target.host}")), (target,))
            for target in self.targets
        ]
        self.registration = NodeRegistration(
            self.endpoint, nodes, entropy=seeded_entropy(9), setup=setup
        )

    def answer(self, request):
        """REFER by `leave`, REGISTER by the script or `grants`."""
        if request.method == "REFER":
            return self.leave, []
        if request.method == "REGISTER" and self.script and request.expires:
            step = self.script.pop(0)
            return step(request) if callable(step) else step
        return self.granting(request, self.grants)

    def host(self, index: int) -> str:
        """The address of a node."""
        return self.targets[index].host

    def down(self, index: int) -> None:
        """A node ends, and its connections with it."""
        server = self.servers[self.host(index)]
        server.up = False
        for flow in [flow for flow, at in self.flows.items() if at is server]:
            del self.flows[flow]
            self.endpoint.disconnected(flow=flow, reason="reset", now=self.now)
        self.drain()

    def back(self, index: int) -> None:
        """It is there again."""
        self.servers[self.host(index)].up = True

    def sent(self, index: int, method: str = "REGISTER") -> list:
        """What a node was sent."""
        host = self.host(index)
        return [(at, r) for at, to, r in self.requests if to == host and r.method == method]

    def bound(self, index: int) -> list:
        """The REGISTER requests to a node that asked for a binding."""
        return [(at, request) for at, request in self.sent(index) if request.expires]

    def watched(self, index: int) -> list:
        """The keep-alives that a node was sent."""
        return [
            (at, request)
            for at, request in self.sent(index)
            if request.contacts and request.contacts[0].parameter("cisco-keep-alive") is not None
        ]
