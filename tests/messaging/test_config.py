"""The configuration of a messaging account: checked before anything is sent."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.messaging.config import HistoryConfig, MessagingConfig
from softphone.messaging.encryption_policy import EncryptionPolicy
from softphone.messaging.server_location import TlsMode
from softphone.security import KeyMaterial
from softphone.trust import TlsSettings
from tests.support.certificates import authority
from tests.support.chat import ALICE, NO_TLS, config, user


def test_without_a_certificate_nothing_is_negotiated(tmp_path):
    assert config(tmp_path).policy == EncryptionPolicy(False, True)
    assert config(tmp_path).domain == "chat.example.test"


def test_with_one_everything_is_encrypted_that_can_be(tmp_path):
    assert config(tmp_path, user(authority(), ALICE)).policy == EncryptionPolicy(True, True)


def test_a_server_may_be_named():
    named = MessagingConfig(
        ALICE, KeyMaterial(b"x"), tls=NO_TLS, server="h:1", mode=TlsMode.STARTTLS
    )
    assert named.named_server.target.server_name == "chat.example.test"
    assert MessagingConfig(ALICE, KeyMaterial(b"x"), tls=NO_TLS).named_server is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"jid": "nobody"}, "user@domain"),
        ({"jid": "a@b/c"}, "user@domain"),
        ({"password": None}, "password or a client certificate"),
        ({"resource": "a b"}, "no name of a client"),
        ({"server": "h:x"}, "im.server"),
        ({"tls": TlsSettings()}, "another service"),
        ({"encryption": EncryptionPolicy(True, True)}, "certificate of ours"),
    ],
)
def test_what_is_wrong_is_named(changes, words):
    given = {"jid": ALICE, "password": KeyMaterial(b"x"), "tls": NO_TLS} | changes
    with pytest.raises(ConfigurationError, match=words):
        MessagingConfig(**given)


@pytest.mark.parametrize("wrong", [{"archive_key": "k"}, {"archive_client_to_client": True}])
def test_settings_of_an_archive_need_an_archive(wrong):
    with pytest.raises(ConfigurationError, match="archive"):
        HistoryConfig(**wrong)
