"""Who has written a message is shown whole, and what others choose begins no line of its own."""

from __future__ import annotations

from datetime import UTC, datetime

from softphone.cli.console.output import CommandOutput
from softphone.cli.messaging.im import show_message
from softphone.errors import MessageUndelivered
from softphone.messaging.delivery.sender import Sender
from softphone.messaging.message import EncryptionScope, Message, MessageDirection, MessageSecurity

LOCK = "\N{LOCK}"
FORGED = f"gone\n{LOCK} 12:00 bob@good.test: pay"
OTHERS = f"\r{LOCK} a\x85{LOCK} b\u2028{LOCK} c\x1b[2J{LOCK} d"


def shown(capsys, sender, body="hello", peer=None, *, room=False):
    security = MessageSecurity(EncryptionScope.CLIENT_TO_SERVER, None)
    at = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
    direction = MessageDirection.RECEIVED
    message = Message("1", peer or sender, sender, body, at, direction, security, room=room)
    show_message(CommandOutput(json=False), message)
    return capsys.readouterr().out


def test_a_namesake_of_another_domain_is_told_from_the_one_that_is_meant(capsys):
    assert "bob@good.test: hello" in shown(capsys, "bob@good.test")
    assert "bob@evil.test: hello" in shown(capsys, "bob@evil.test")


def test_a_nick_in_a_room_is_no_address(capsys):
    said = shown(capsys, "bob@good.test", peer="room@conference.test", room=True)
    assert "bob@good.test in room@conference.test: hello" in said
    private = "room@conference.test/bob"
    assert f"{private}: hello" in shown(capsys, private)


def test_no_line_of_a_message_looks_like_another_message(capsys):
    lines = shown(capsys, "eve@evil.test", FORGED + OTHERS).splitlines()
    assert [line for line in lines[1:] if not line.startswith("    ")] == []
    assert len(lines) == 2


def test_an_error_of_a_peer_is_one_line():
    class Stanza(dict):
        pass

    sender = Sender.__new__(Sender)
    failed = []

    class Outbox:
        def failed(self, key, error):
            failed.append(error)

    sender._outbox, sender._receipts = Outbox(), {}
    error = {"condition": "gone", "text": FORGED + OTHERS}
    peer = type("Jid", (), {"bare": "bob@good.test"})()
    sender._returned(Stanza({"error": error, "id": "1", "from": peer}))
    (raised,) = failed
    assert isinstance(raised, MessageUndelivered)
    assert len(str(raised).splitlines()) == 1
