"""The rooms of a configuration go by that configuration, and share what does not change."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

from softphone.account.components import Workshop
from softphone.account.server_agreements import Standing
from softphone.account.signaling import AccountMachine
from softphone.call.leg import no_name_lookup
from softphone.config import AccountConfig
from softphone.net import DnsResolver
from softphone.personas import persona_named
from softphone.sans_io import Side
from softphone.sip import Endpoint
from tests.support.clock import seeded_entropy
from tests.support.media_port import RecordingPort


def workshop():
    entropy = seeded_entropy(1)
    endpoint = Endpoint(side=Side.CLIENT, entropy=entropy)
    persona = persona_named("standard")
    driver = SimpleNamespace(change=nullcontext, open=None, look=None, now=7.0, tap=None)
    return Workshop(
        machine=AccountMachine(endpoint, lambda flow, response: None),
        driver=driver,
        persona=persona,
        standing=Standing(persona, lambda: None),
        media=RecordingPort(),
        resolver=DnsResolver(entropy=entropy),
        entropy=entropy,
        policy=None,
        fips=False,
        idle=lambda: True,
        adopt=lambda owner, handler: None,
        tell=lambda event: None,
        names=no_name_lookup,
        spawn=lambda work: work.close(),
    )


def test_every_room_has_the_configuration_and_the_next_ones_have_the_next():
    shop = workshop()
    made = [
        shop.furnish(
            AccountConfig(aor=f"sip:{name}@example.test", registrar="sip:example.test"), None
        )
        for name in ("alice", "bob")
    ]
    for rooms, name in zip(made, ("alice", "bob"), strict=True):
        configs = (rooms.registrar.config, rooms.route.config, rooms.legs.config, rooms.desk.config)
        assert {config.aor for config in configs} == {f"sip:{name}@example.test"}
        assert rooms.config is rooms.registrar.config is rooms.reporter.config
        assert rooms.reporter.publisher is shop.machine.publisher
    assert made[0].legs.machine is made[1].legs.machine is shop.machine
    assert made[0].route.clock() == 7.0
