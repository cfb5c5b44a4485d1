"""TLS inside another protocol: nothing is read or written before the gate has agreed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.errors import (
    CertificateUntrusted,
    CipherRefused,
    IdentityMismatch,
    LocalProtocolError,
    ServerClosed,
    TransportError,
)
from softphone.net.http import RevocationFetcher
from softphone.net.stream.inner_tls import InnerTls
from softphone.net.verified.connector import Connector, ConnectorConfig
from softphone.sans_io import Side
from softphone.security import TlsVersion
from softphone.trust import Service
from tests.support.certificates import authority, foreign, settings
from tests.support.chat import ALICE, BOB, user


def ends(folder, *, bob=None, peer=BOB, **more):
    """Alice, who begins, and bob."""
    ours = {"service": Service.XMPP_USER, "aes_256": True, **more}
    alice = settings(folder, user(authority(), ALICE), "alice", **ours)
    bob = settings(folder, bob or user(authority(), BOB), "bob", **ours)
    return InnerTls(alice, Side.CLIENT, peer), InnerTls(bob, Side.SERVER, ALICE)


def shake(alice, bob):
    alice.continue_handshake()
    while (said := alice.outgoing_bytes()) or (answered := bob.outgoing_bytes()):
        if said:
            bob.receive_bytes(said)
            answered = bob.outgoing_bytes()
        if answered:
            alice.receive_bytes(answered)


def gate(tls):
    return Connector(tls, ConnectorConfig(RevocationFetcher())).gate


@pytest.mark.parametrize("version", [TlsVersion.TLS_1_2, TlsVersion.TLS_1_3])
async def test_two_clients_prove_who_they_are_and_talk_with_aes_256(tmp_path, version):
    alice, bob = ends(tmp_path, minimum=version, maximum=version)
    judge = gate(settings(tmp_path, None))
    shake(alice, bob)
    assert alice.handshake_done
    assert bob.handshake_done
    for end, name in ((alice, BOB), (bob, ALICE)):
        with pytest.raises(LocalProtocolError):
            end.read()
        with pytest.raises(LocalProtocolError):
            end.write(b"early")
        identity = await end.judge_peer(judge)
        assert f"xmpp:{name}" in identity.names
        assert "256" in identity.cipher
    alice.write(b"the text")
    wire = alice.outgoing_bytes()
    assert b"the text" not in wire
    bob.receive_bytes(wire)
    assert bob.read() == b"the text"
    alice.close()
    bob.receive_bytes(alice.outgoing_bytes())
    assert bob.read() == b""
    assert bob.ended


@pytest.mark.parametrize("names", ["mallory@chat.example.test", "chat.example.test"])
async def test_a_certificate_of_somebody_else_is_refused(tmp_path, names):
    alice, bob = ends(tmp_path, bob=user(authority(), names))
    shake(alice, bob)
    with pytest.raises(IdentityMismatch, match=BOB):
        await alice.judge_peer(gate(settings(tmp_path, None)))
    with pytest.raises(LocalProtocolError):
        alice.write(b"to mallory")


async def test_an_authority_that_nobody_believes_is_refused_on_both_sides(tmp_path):
    alice, bob = ends(tmp_path, bob=user(foreign(), BOB))
    with pytest.raises(CertificateUntrusted):
        shake(alice, bob)
    with pytest.raises(ServerClosed, match="refused our certificate"):
        bob.receive_bytes(alice.outgoing_bytes())


async def test_a_suite_without_aes_256_is_refused(tmp_path):
    _, bob = ends(tmp_path, aes_256=False, maximum=TlsVersion.TLS_1_2)
    alice = alice_with_aes_128(tmp_path)
    shake(alice, bob)
    with pytest.raises(CipherRefused, match="AES 256"):
        await alice.judge_peer(gate(settings(tmp_path, None)))


def alice_with_aes_128(folder):
    """An end that could agree on less, and whose settings demand more."""
    ours = {"service": Service.XMPP_USER, "maximum": TlsVersion.TLS_1_2}
    tls = settings(folder, user(authority(), ALICE), "alice", **ours)
    end = InnerTls(tls, Side.CLIENT, BOB)
    end._session.context.set_ciphers("ECDHE+AESGCM+AES128")
    end._session = end._session.context.wrap_bio(end._incoming, end._outgoing)
    end._settings = replace(tls, aes_256=True)
    return end


async def test_who_was_not_judged_may_send_little(tmp_path):
    alice, bob = ends(tmp_path)
    shake(alice, bob)
    for _ in range(15):
        bob.receive_bytes(b"\x17\x03\x03\x40\x00" + bytes(0x4000))
    with pytest.raises(TransportError, match="more than is taken"):
        bob.receive_bytes(bytes(0x8000))


async def test_what_is_no_tls_ends_it(tmp_path):
    alice, _ = ends(tmp_path)
    alice.continue_handshake()
    with pytest.raises(TransportError):
        alice.receive_bytes(b"<message/>")
