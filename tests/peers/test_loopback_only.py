"""Every peer listens on 127.0.0.1 and nowhere else."""

from __future__ import annotations

import pytest

from tests.peers.process import beyond_loopback, descendants, sockets_of


@pytest.mark.parametrize("name", ["asterisk", "kamailio", "prosody", "rtpengine"])
def test_a_shared_peer_listens_on_loopback_only(shared_peers, request, name):
    request.getfixturevalue(name)
    pids = [one for pid in shared_peers.pids[name] for one in descendants(pid)]
    sockets = sockets_of(pids)
    assert [one for one in sockets if one[1] == "127.0.0.1"]
    assert beyond_loopback(sockets) == []


def test_sipp_listens_on_loopback_only(sipp):
    with sipp.run("uas_answer") as run:
        assert {address for _, address, _ in run.process.listening()} == {"127.0.0.1"}


def test_baresip_listens_on_loopback_only(baresip):
    phone = baresip()
    sockets = phone.process.listening()
    assert {phone.udp[1], phone.tls[1]} <= {port for _, _, port in sockets}
    assert beyond_loopback(sockets) == []


def test_the_check_finds_what_is_open_to_others():
    assert beyond_loopback([("tcp", "0.0.0.0", 5060)]) == [("tcp", "0.0.0.0", 5060)]
    two = [("udp", "0.0.0.0", 40_000), ("udp", "0.0.0.0", 40_001)]
    assert beyond_loopback(two) == two
    assert beyond_loopback([("udp", "192.0.2.1", 21_000)]) == [("udp", "192.0.2.1", 21_000)]
