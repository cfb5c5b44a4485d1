"""What a configuration means for TLS, digest and REGISTER."""

from __future__ import annotations

import random

import pytest

from softphone.account import AccountConfig, CredentialConfig, TlsConfig
from softphone.account.connection import (
    digest_session,
    endpoint_config,
    instance_id,
    registration_config,
    tls_settings,
)
from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial, TlsVersion
from softphone.trust import ClientCertificates
from tests.support.certificates import alice, authority

ENTROPY = random.Random(1).randbytes
INSTANCE = "urn:uuid:00000000-0000-4000-8000-000000000000"


def config(registrar="sips:pbx.example.test", aor="sip:alice@example.test", **more):
    return AccountConfig(aor=aor, registrar=registrar, **more)


@pytest.mark.parametrize(
    ("registrar", "aor", "uri"),
    [
        ("sips:pbx.test", "sip:a@pbx.test", "sip:pbx.test;transport=tls"),
        ("sips:pbx.test:5099", "sip:a@pbx.test", "sip:pbx.test:5099;transport=tls"),
        ("sips:pbx.test", "sips:a@pbx.test", "sips:pbx.test"),
        ("sip:pbx.test;transport=tcp", "sip:a@pbx.test", "sip:pbx.test;transport=tcp"),
        ("sip:pbx.test", "sip:a@pbx.test", "sip:pbx.test"),
    ],
)
def test_a_sips_registrar_only_selects_tls(registrar, aor, uri):
    made = registration_config(config(registrar, aor), instance=INSTANCE)
    assert str(made.registrar) == uri
    assert made.secure_contact is aor.startswith("sips:")
    assert made.route_set == ()


def test_an_outbound_proxy_is_a_loose_route():
    made = registration_config(config(outbound_proxy="sips:edge.test"), instance=INSTANCE)
    assert [str(route.uri) for route in made.route_set] == ["sips:edge.test;lr"]


def test_without_a_registrar_nothing_is_registered():
    made = AccountConfig(aor="sip:a@127.0.0.1", listen="udp:127.0.0.1:0")
    assert registration_config(made, instance=INSTANCE) is None


def test_the_instance_is_a_urn_of_a_random_uuid():
    one, other = instance_id(ENTROPY), instance_id(ENTROPY)
    assert one != other
    assert one.startswith("urn:uuid:")
    assert one[23] == "4"


def test_only_the_algorithms_that_were_allowed_are_answered():
    password = KeyMaterial(b"secret")
    assert digest_session(config(), entropy=ENTROPY) is None
    given = CredentialConfig("alice", password, algorithms=("SHA-256",))
    session = digest_session(config(credentials=given), entropy=ENTROPY)
    assert session is not None
    assert "secret" not in repr(session)


def test_tls_settings_carry_anchors_credential_and_floor(tmp_path):
    own = alice().write(tmp_path, "alice")
    tls = TlsConfig(
        ca=(authority().write(tmp_path),),
        certificate=own.certificate,
        key=own.key,
        minimum=TlsVersion.TLS_1_3,
    )
    settings = tls_settings(config(tls=tls))
    assert settings.credential == own
    assert settings.minimum is TlsVersion.TLS_1_3
    assert settings.client_certificates is ClientCertificates.REQUIRED


def test_a_missing_anchor_is_an_error_before_anything_is_sent(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.crt"):
        tls_settings(config(tls=TlsConfig(ca=(tmp_path / "nowhere.crt",))))


def test_the_user_agent_says_who_it_is():
    assert endpoint_config(config()).user_agent.startswith("softphone/")


def test_how_long_a_call_may_ring_unheard_is_the_account_s():
    assert endpoint_config(config()).timer_c == 180.0
    assert endpoint_config(config(timer_c=60)).timer_c == 60.0
