"""What the user sees of a message: its sign, and nothing of its text by accident."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from softphone.messaging.message import EncryptionScope, Message, MessageDirection, MessageSecurity
from tests.support.chat import SERVER


@pytest.mark.parametrize(
    ("reach", "sign"),
    [(EncryptionScope.CLIENT_TO_SERVER, "lock"), (EncryptionScope.CLIENT_TO_CLIENT, "key")],
)
def test_the_sign_is_a_lock_to_the_server_and_a_key_to_the_client(reach, sign):
    security = MessageSecurity(reach, SERVER)
    assert security.sign == sign
    assert str(security) == f"encrypted {reach.value.replace('-', ' ')} (TLSv1.2, AES256)"


def test_what_goes_through_an_edge_has_no_lock():
    security = MessageSecurity(EncryptionScope.CLIENT_TO_EDGE, SERVER)
    assert security.sign == "lock-open"
    said = "encrypted client to edge (TLSv1.2, AES256), which decrypts: beyond it, nothing is known"
    assert str(security) == f"{said} to be encrypted"


def test_security_cannot_be_set():
    with pytest.raises(AttributeError):
        MessageSecurity(EncryptionScope.CLIENT_TO_SERVER).scope = EncryptionScope.CLIENT_TO_CLIENT


def test_a_message_does_not_show_its_text():
    security = MessageSecurity(EncryptionScope.CLIENT_TO_SERVER)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    message = Message("1", "a@b", "a@b", "the secret", at, MessageDirection.SENT, security)
    assert "the secret" not in repr(message)
