"""The rooms of a configuration go by that configuration, and share what does not change."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

from softphone.account.components import ComponentFactory
from softphone.account.server_agreements import ServerAgreements
from softphone.account.signaling import SignalingMachine
from softphone.call.leg import no_name_lookup
from softphone.config import AccountConfig
from softphone.net import DnsResolver
from softphone.personas import persona_named
from softphone.sans_io import Side
from softphone.sip import Endpoint, EventHandlers
from tests.support.clock import seeded_entropy
from tests.support.media_port import RecordingPort


def workshop():
    entropy = seeded_entropy(1)
    endpoint = Endpoint(side=Side.CLIENT, entropy=entropy)
    persona = persona_named("standard")
    driver = SimpleNamespace(
        change=nullcontext, open_flow=None, probe_target=None, now=7.0, tap=None
    )
    return ComponentFactory(
        machine=SignalingMachine(endpoint, lambda flow, response: None),
        driver=driver,
        persona=persona,
        agreements=ServerAgreements(persona, lambda: None),
        media=RecordingPort(),
        resolver=DnsResolver(entropy=entropy),
        entropy=entropy,
        policy=None,
        fips=False,
        idle=lambda: True,
        handlers=EventHandlers(),
        emit_event=lambda event: None,
        names=no_name_lookup,
        spawn=lambda work: work.close(),
    )


def test_every_room_has_the_configuration_and_the_next_ones_have_the_next():
    shop = workshop()
    made = [
        shop.build_components(
            AccountConfig(aor=f"sip:{name}@example.test", registrar="sip:example.test"), None
        )
        for name in ("alice", "bob")
    ]
    for rooms, name in zip(made, ("alice", "bob"), strict=True):
        configs = (
            rooms.registration_factory.config,
            rooms.locator.config,
            rooms.leg_factory.config,
            rooms.out_of_dialog.config,
        )
        assert {config.aor for config in configs} == {f"sip:{name}@example.test"}
        assert rooms.config is rooms.registration_factory.config is rooms.quality_reporter.config
        assert rooms.quality_reporter.publisher is shop.machine.publisher
    assert made[0].leg_factory.machine is made[1].leg_factory.machine is shop.machine
    assert made[0].locator.clock() == 7.0
