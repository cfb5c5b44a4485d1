from __future__ import annotations

import pytest

from softphone.diagnostics import Ladder
from softphone.sans_io import Flow, Transport
from softphone.sip.message import Body, Request, parse_uri

KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
SERVER = Flow(1, Transport.TLS, ("127.0.0.1", 40000), ("192.0.2.1", 5061))
PEER = Flow(2, Transport.UDP, ("127.0.0.1", 5060), ("2001:db8::1", 5060))


def request(method="INVITE", number=1, **changes) -> Request:
    return Request.build(
        method,
        parse_uri(changes.get("uri", "sip:bob:hunter2@example.com")),
        [
            ("Via", "SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK1"),
            ("From", "<sip:alice@example.com>;tag=1"),
            ("To", "<sip:bob@example.com>"),
            ("Call-ID", changes.get("call_id", "1")),
            ("CSeq", f"{number} {method}"),
            ("Authorization", 'Digest username="alice", nonce="n0nce", response="r3sponse"'),
        ],
        changes.get("body"),
    )


SDP = Body("application/sdp", f"v=0\r\na=crypto:1 S inline:{KEY}\r\n".encode())


def recorded() -> Ladder:
    ladder = Ladder(names={SERVER.remote: "server"})
    invite = request(body=SDP)
    ladder.signaling(invite.encode(), flow=SERVER, outgoing=True, now=100.0)
    ladder.signaling(invite.response(100).encode(), flow=SERVER, outgoing=False, now=100.01)
    answer = invite.response(200, to_tag="2", body=SDP).encode()
    ladder.signaling(b"\r\n" + answer[:50], flow=SERVER, outgoing=False, now=100.5)
    ladder.signaling(answer[50:], flow=SERVER, outgoing=False, now=100.6)
    ladder.signaling(request("BYE", 2).encode(), flow=PEER, outgoing=False, now=101.25)
    return ladder


def test_a_ladder_has_one_line_a_message():
    lines = recorded().text().split("\n")
    assert lines[0].split() == ["seconds", "phone", "server", "[2001:db8::1]:5060", "udp"]
    assert len(lines) == 5
    assert lines[1].startswith("   0.000  |")
    assert " INVITE (1) SDP sip:bob:***@exampl" in lines[1]
    assert ">|" in lines[1]
    assert "<" in lines[2]
    assert " 100 Trying (1 INVITE) " in lines[2]
    assert lines[3].startswith("   0.600  |<")
    assert " 200 OK (1 INVITE) SDP " in lines[3]
    assert lines[4].startswith("   1.250  |<")
    assert lines[4].endswith("-|")
    assert len({len(line) for line in lines[1:]}) == 1


def test_no_secret_is_kept():
    ladder = recorded()
    everything = ladder.text() + ladder.transcript() + repr(ladder.entries)
    for secret in (KEY, "hunter2", "n0nce", "r3sponse"):
        assert secret not in everything
    assert 'Digest username="alice", nonce=***, response=***' in ladder.transcript()
    assert "a=crypto:1 S inline:***" in ladder.transcript()


def test_a_long_message_is_cut_at_a_line_and_no_secret_with_it():
    before = "x" * 99 + "\r\n"
    body = Body("text/plain", (before * 155 + f"a=crypto:1 S inline:{KEY}\r\n" * 400).encode())
    ladder = Ladder()
    ladder.signaling(request(body=body).encode(), flow=PEER, outgoing=False, now=0.0)
    (entry,) = ladder.entries
    assert len(entry.text) < 17_000
    assert "more characters)" in entry.text
    assert "inline:***" in entry.text
    assert KEY[:6] not in entry.text
    uri = f"sip:{'u' * 600}:hunter2@h"
    ladder.signaling(request(uri=uri).encode(), flow=PEER, outgoing=False, now=0.0)
    assert ladder.entries[1].label == "INVITE (1) (a long address)"


def test_keep_alives_do_not_show_and_malformed_messages_do():
    ladder = Ladder()
    ladder.signaling(b"\r\n\r\n", flow=PEER, outgoing=False, now=0.0)
    assert ladder.text() == "no SIP message was sent or received"
    ladder.signaling(b"hello", flow=PEER, outgoing=False, now=0.0)
    assert "(malformed: Header section without end)" in ladder.text()


def test_control_characters_do_not_reach_the_terminal():
    ladder = Ladder()
    evil = request().response(200, "a\x1b[2Jb", headers=[("Subject", "\x1b]0;x\x07")])
    ladder.signaling(evil.encode(), flow=PEER, outgoing=True, now=0.0)
    fine = request().response(200, "Gr\u202euße")
    ladder.signaling(fine.encode(), flow=PEER, outgoing=True, now=0.0)
    shown = ladder.text() + ladder.transcript()
    assert shown.replace("\n", "").isprintable()
    assert "Gr?uße" in shown


def test_the_number_of_messages_is_bounded_and_the_loss_is_said():
    ladder = Ladder(limit=3)
    for number in range(1, 6):
        ladder.signaling(request("OPTIONS", number).encode(), flow=PEER, outgoing=True, now=0.0)
    assert [entry.label.split()[1] for entry in ladder.entries] == ["(3)", "(4)", "(5)"]
    assert "(2 earlier messages dropped)" in ladder.text()


def test_the_messages_of_one_call_are_selected():
    ladder = recorded()
    other = request("OPTIONS", 7, call_id="2")
    ladder.signaling(other.encode(), flow=PEER, outgoing=True, now=102.0)
    ladder.signaling(b"hello", flow=PEER, outgoing=False, now=103.0)
    assert len(ladder.text("1").split("\n")) == 5
    (head, line) = ladder.text("2").split("\n")
    assert (head.split()[1], "OPTIONS (7)" in line) == ("phone", True)
    assert ladder.transcript("2").count("--- ") == 1
    assert "BYE" not in ladder.transcript("2")
    assert ladder.text("3") == "no SIP message was sent or received"
    assert [entry.call_id for entry in ladder.entries] == ["1", "1", "1", "1", "2", ""]


def test_participants_are_named():
    ladder = Ladder(local="alice")
    ladder.name(PEER.remote, "bob")
    ladder.signaling(request("OPTIONS").encode(), flow=PEER, outgoing=True, now=0.0)
    assert (ladder.entries[0].sender, ladder.entries[0].receiver) == ("alice", "bob")


def test_a_message_to_itself_is_shown():
    ladder = Ladder(names={PEER.local: "a", PEER.remote: "a"})
    ladder.signaling(request("OPTIONS").encode(), flow=PEER, outgoing=True, now=0.0)
    assert ladder.text().endswith("(to itself)")


def test_our_side_stands_on_the_left():
    ladder = Ladder()
    ladder.signaling(request("OPTIONS").encode(), flow=SERVER, outgoing=False, now=0.0)
    assert ladder.text().split()[1] == "phone"


def test_many_flows_keep_a_bounded_number_of_framers():
    ladder = Ladder(limit=10)
    for number in range(1000):
        flow = Flow(number, Transport.TCP, ("127.0.0.1", 1), ("192.0.2.1", 2))
        ladder.signaling(b"INVITE ", flow=flow, outgoing=False, now=0.0)
    assert len(ladder._framers) <= 256


@pytest.mark.parametrize("outgoing", [True, False])
def test_media_is_no_part_of_it(outgoing):
    ladder = Ladder()
    ladder.datagram(b"x", local=("a", 1), remote=("b", 2), outgoing=outgoing, now=0.0)
    assert ladder.entries == ()
