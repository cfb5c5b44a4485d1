"""Every peer listens on 127.0.0.1 and nowhere else."""

from __future__ import annotations

import pytest

from tests.peers.process import descendants, sockets_of


@pytest.mark.parametrize("name", ["asterisk", "kamailio", "rtpengine"])
def test_a_shared_peer_listens_on_loopback_only(shared_peers, request, name):
    request.getfixturevalue(name)
    pids = [one for pid in shared_peers.pids[name] for one in descendants(pid)]
    sockets = sockets_of(pids)
    assert sockets
    assert {address for _, address, _ in sockets} == {"127.0.0.1"}


def test_sipp_listens_on_loopback_only(sipp):
    with sipp.run("uas_answer") as run:
        assert {address for _, address, _ in run.process.listening()} == {"127.0.0.1"}


def test_baresip_listens_on_loopback_only_beside_its_dns_client(baresip):
    phone = baresip()
    sockets = phone.process.listening()
    elsewhere = [one for one in sockets if one[1] != "127.0.0.1"]
    # Its DNS client opens one UDP socket per address family on any address, which no setting
    # changes; it asks nothing here, and takes no SIP and no media there.
    assert sorted(protocol for protocol, _, _ in elsewhere) in (["udp"], ["udp", "udp6"])
    assert {phone.udp[1], phone.tls[1]}.isdisjoint(port for _, _, port in elsewhere)
