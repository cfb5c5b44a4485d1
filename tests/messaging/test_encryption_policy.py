"""The policy matrix, cell by cell, against the specification's table."""

from __future__ import annotations

import itertools

import pytest

from softphone.errors import ConfigurationError
from softphone.messaging.encryption_policy import MATRIX, EncryptionPolicy, SendMode

TO_CLIENT, TO_SERVER, REFUSED = (
    SendMode.CLIENT_TO_CLIENT,
    SendMode.CLIENT_TO_SERVER,
    SendMode.REFUSED,
)
TABLE = [
    # support AES, support no encoding, remote AES: sends, takes encrypted, takes clear
    (False, True, True, TO_SERVER, False, True),
    (False, True, False, TO_SERVER, False, True),
    (True, True, True, TO_CLIENT, True, True),
    (True, True, False, TO_SERVER, True, True),
    (True, False, True, TO_CLIENT, True, False),
    (True, False, False, REFUSED, True, False),
]


@pytest.mark.parametrize(("aes", "clear", "remote", "sends", "encrypted", "plain"), TABLE)
def test_every_cell_is_the_specification_s(aes, clear, remote, sends, encrypted, plain):
    policy = EncryptionPolicy(aes, clear)
    row = policy.row(remote_aes=remote)
    assert (row.sends, row.takes_encrypted, row.takes_clear) == (sends, encrypted, plain)
    assert policy.accepts(encrypted=True) is encrypted
    assert policy.accepts(encrypted=False) is plain
    assert policy.negotiates is aes


def test_there_is_a_cell_for_every_setting_but_both_false():
    settings = [each for each in itertools.product((False, True), repeat=3) if any(each[:2])]
    assert sorted(MATRIX) == sorted(settings)


def test_both_false_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="both false"):
        EncryptionPolicy(False, False)


@pytest.mark.parametrize(("clear", "sends"), [(True, TO_SERVER), (False, REFUSED)])
def test_a_group_chat_is_never_encrypted_client_to_client(clear, sends):
    assert EncryptionPolicy(True, clear).to_group() is sends
