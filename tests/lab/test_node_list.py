"""Several servers beside one another: each may end and come back."""

from __future__ import annotations

import pytest

from softphone.errors import TransportError
from softphone.lab import LabConfig, LabServer
from softphone.net import Driver
from softphone.sans_io import Target, Transport
from softphone.trust import TlsSettings, TrustStore
from tests.support.calling import eventually
from tests.support.recorder import Recorder


async def test_a_node_that_ends_cuts_its_own_connections_and_comes_back(tmp_path):
    async with LabServer(tmp_path, LabConfig(nodes=3)) as lab:
        assert len(set(lab.nodes.addresses)) == 3
        tls = TlsSettings(store=TrustStore.from_sources(str(lab.files.ca)))
        async with Driver(Recorder(), on_event=lambda event: None, tls={"": tls}) as near:
            places = [Target(Transport.TLS, *address) for address in lab.nodes.addresses]
            flows = [await near.open_flow(place) for place in places]
            await lab.nodes.stop_node(1)
            await eventually(lambda: flows[1] not in near.flows)
            assert {flows[0], flows[2]} <= set(near.flows)
            with pytest.raises(TransportError):
                await near.open_flow(places[1])
            await lab.nodes.restart_node(1)
            assert (await near.open_flow(places[1])).remote == lab.nodes.addresses[1]
