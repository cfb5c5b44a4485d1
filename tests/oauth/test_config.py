"""What an authorization server's configuration may say."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.oauth import OAuthServerConfig
from softphone.trust import TlsSettings

ISSUER = "https://login.example.test"


def test_the_server_is_named_by_its_issuer_else_its_token_endpoint():
    assert OAuthServerConfig("phone", issuer=ISSUER, token_endpoint=f"{ISSUER}/t").server == ISSUER
    assert OAuthServerConfig("phone", token_endpoint=f"{ISSUER}/t").server == f"{ISSUER}/t"


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"client_id": ""}, "client_id"),
        ({"client_id": "a\nb"}, "client_id"),
        ({"issuer": None}, "issuer"),
        ({"issuer": "http://login.example.test"}, "issuer"),
        ({"token_endpoint": "https://user:pass@a.test/"}, "token_endpoint"),
        ({"authorization_endpoint": "https://a.test/#b"}, "authorization_endpoint"),
        ({"revocation_endpoint": "https://a.test/a b"}, "revocation_endpoint"),
        ({"redirect_port": 70_000}, "redirect_port"),
        ({"timeout": 0.0}, "timeout"),
        ({"tls": TlsSettings()}, "tls"),
    ],
)
def test_a_wrong_value_names_its_key(change, key):
    with pytest.raises(ConfigurationError, match=f"^{key}:"):
        OAuthServerConfig(**{"client_id": "phone", "issuer": ISSUER, **change})
