"""Fuzz targets of TVS: a message or a MalformedTvsMessage, and machines that nothing shakes."""

from __future__ import annotations

from softphone.sans_io import Flow, PeerIdentity, Target, Transport
from softphone.trust import Role, TvsAnswer, TvsAnswered, TvsClient, TvsServer
from softphone.trust.tvs import MalformedTvsMessage, TvsFramer, read_answer
from softphone.trust.tvs.message import TvsQuestion, read_question

SESSION = 7
KNOWN = b"certificate of a call server"
QUESTION = TvsQuestion("CP-8845-SEP001122334455", KNOWN).message(SESSION).encode()
ANSWER = TvsAnswer(True, (Role.CCM, Role.TFTP), 3600).message(SESSION).encode()
CORPUS = [QUESTION, ANSWER]

TRUSTED = "ab" * 32
IDENTITY = PeerIdentity("CN=tvs", (), TRUSTED, "TLSv1.3", "TLS_AES_128_GCM_SHA256")
FLOW = Flow(1, Transport.TLS, ("192.0.2.1", 4000), ("192.0.2.2", 2445), IDENTITY)
PLACE = Target(Transport.TLS, "192.0.2.2", 2445)


def check_message(data: bytes) -> None:
    """As a question and as an answer, whole and in pieces of any size."""
    try:
        message = TvsFramer().feed(data)
        if message is not None:
            assert message.encode()[:3] == data[:3]
            read_question(message) if message.command == 1 else read_answer(message)
    except MalformedTvsMessage:
        return


def check_server(data: bytes) -> None:
    """A client that says anything: one answer at most, and only about what was asked."""
    server = TvsServer(lambda der: TvsAnswer(True, (1,), 60) if der == KNOWN else None)
    server.connected(flow=FLOW, now=0.0)
    for piece in (data[:11], data[11:]):
        server.receive(piece, flow=FLOW, now=0.0)
    sent = b"".join(each.data for each in server.transmits())
    assert len(sent) <= len(TvsAnswer(True, (1,), 60).message(SESSION).encode())
    server.disconnected(flow=FLOW, reason=None, now=0.0)
    server.handle_timer(now=100.0)
    assert server.next_timer() is None


def check_client(data: bytes) -> None:
    """A server that says anything: one event, and a yes only in the words of a yes."""
    client = TvsClient(
        [PLACE],
        trusted=[TRUSTED],
        device_name="CP-8845-SEP001122334455",
        entropy=lambda count: SESSION.to_bytes(count, "big"),
    )
    client.query_certificate(KNOWN, now=0.0)
    client.connected(flow=FLOW, now=0.0, target=PLACE)
    for piece in (data[:11], data[11:]):
        client.receive(piece, flow=FLOW, now=0.0)
    client.disconnected(flow=FLOW, reason=None, now=1.0)
    event = client.next_event()
    assert event is not None
    assert client.next_event() is None
    assert client.next_timer() is None
    if isinstance(event, TvsAnswered) and event.answer.valid:
        assert data[:3] == ANSWER[:3]
        assert data[4:8] == ANSWER[4:8]
