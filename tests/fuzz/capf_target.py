"""Fuzz targets of CAPF: what a server or a client says in place of one message of a dialogue."""

from __future__ import annotations

from softphone.security import KeyMaterial
from softphone.trust.capf.message import CapfReader, MalformedCapf
from softphone.trust.capf.server import CertificateCommitted
from tests.support.capf import (
    FLOW,
    events_of,
    install,
    lab_authority,
    new_client,
    new_server,
    transcript,
)

DIALOGUES = ("capf-01-password-install-rsa2048", "capf-07-fetch", "capf-08-delete")
CORPUS = [data for stem in DIALOGUES for _, data in transcript(stem)]
_SERVERS_SIDE = [data for who, data in transcript(DIALOGUES[0]) if who == "S"]


def check_message(data: bytes) -> None:
    """As octets in two pieces: messages, or MalformedCapf; what was read can be written again."""
    reader = CapfReader()
    try:
        for piece in (data[:7], data[7:]):
            reader.feed(piece)
            while (message := reader.next_message()) is not None:
                assert message.encode()[:1] == data[:1]
    except MalformedCapf:
        return


def check_client(data: bytes) -> None:
    """A server that begins as it should and then says anything: at most one verdict comes of it."""
    client = new_client()
    client.receive(_SERVERS_SIDE[0], flow=FLOW, now=0.0)
    client.receive(data, flow=FLOW, now=0.0)
    client.transmits()
    client.disconnected(flow=FLOW, reason=None, now=1.0)
    ends = [event for event in events_of(client) if hasattr(event, "error")]
    assert len(ends) <= 1
    assert client.next_timer() is None


def check_server(data: bytes) -> None:
    """A client that says anything gets no certificate: it has neither string nor key."""
    server = new_server(install(string=KeyMaterial(b"4711")), authority=lab_authority())
    server.connected(flow=FLOW, now=0.0)
    server.receive(data, flow=FLOW, now=0.0)
    server.transmits()
    server.disconnected(flow=FLOW, reason=None, now=0.0)
    assert not any(isinstance(event, CertificateCommitted) for event in events_of(server))
