"""What a configuration means for TLS, digest and REGISTER."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from softphone.account import TrustContext, tls_settings
from softphone.account.stack_settings import (
    digest_session,
    driver_config,
    endpoint_config,
    instance_id,
    registration_config,
)
from softphone.config import AccountConfig, CredentialConfig, LimitsConfig, PolicyConfig, TlsConfig
from softphone.errors import ConfigurationError
from softphone.net import TransportLimits
from softphone.net.stream import system_addresses
from softphone.personas import DeviceIdentity, RegistrationStyle, StandardPersona, persona_named
from softphone.security import (
    ClientCertificates,
    KeyMaterial,
    Relaxation,
    RevocationMode,
    SecurityPolicy,
    TlsVersion,
)
from softphone.sip import SipUri
from softphone.trust import (
    Bootstrap,
    IdentityStore,
    ListKind,
    Pin,
    Service,
    TrustListStore,
    TrustStore,
)
from tests.support.certificates import alice, authority, foreign
from tests.support.challenges import own_server_everywhere
from tests.support.cluster import trust_list
from tests.support.listed import lists

STANDARD = StandardPersona()
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


def test_a_persona_s_style_is_registered():
    style = RegistrationStyle(
        user="guid", option_tags=("a",), outbound=False, gruu=False, refresh_early=5.0, probes=False
    )
    alarm = (("Reason", "SIP;cause=200"),)
    made = registration_config(config(), instance=INSTANCE, style=style, alarm=alarm)
    assert (made.user, made.option_tags, made.outbound, made.gruu) == ("guid", ("a",), False, False)
    assert made.refresh_early == 5.0
    assert made.first_headers == alarm
    assert made.keepalive.options_interval == made.keepalive.datagram_interval == 0.0


def test_a_node_is_the_host_of_the_address_of_record_too():
    node = SipUri.parse("sips:cucm-2.test:5061")
    made = registration_config(config(), instance=INSTANCE, registrar=node)
    assert str(made.registrar) == "sip:cucm-2.test:5061;transport=tls"
    assert str(made.aor.uri) == "sip:alice@cucm-2.test"


def test_the_instance_is_a_urn_of_a_random_uuid():
    one, other = instance_id(ENTROPY), instance_id(ENTROPY)
    assert one != other
    assert one.startswith("urn:uuid:")
    assert one[23] == "4"


def test_only_the_algorithms_that_were_allowed_are_answered():
    password = KeyMaterial(b"secret")
    assert digest_session(config(), entropy=ENTROPY, policy=own_server_everywhere()) is None
    given = CredentialConfig("alice", password, algorithms=("SHA-256",))
    session = digest_session(
        config(credentials=given), entropy=ENTROPY, policy=own_server_everywhere()
    )
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


def test_the_trust_lists_of_a_booted_device_s_store_are_those_of_its_account(tmp_path):
    booted = DeviceIdentity("CSFALICE", store=tmp_path)
    made = config(device=booted)
    assert made.tls.certificate == IdentityStore(tmp_path).path("CSFALICE")
    made = config(device=booted, tls=TlsConfig(certificate="a.crt", key="a.key"))
    assert made.tls.certificate == "a.crt"
    with pytest.raises(ConfigurationError, match="no trust list: boot CSFALICE into it first"):
        tls_settings(made)
    wall, first_use = datetime.now(UTC), Bootstrap(first_use=True)
    TrustListStore(tmp_path).accept_list(
        ListKind.CTL, trust_list(ListKind.CTL), wall=wall, bootstrap=first_use
    )
    held = tls_settings(made).lists
    assert held == TrustListStore(tmp_path).held()
    assert held.ctl is not None
    # Those of a phone that has booted come first; in clear there is nobody to verify.
    other = lists()
    assert tls_settings(made, TrustContext(lists=other)).lists == other
    assert not tls_settings(config("sip:pbx.test;transport=tcp", device=booted)).lists


def test_a_missing_anchor_is_an_error_before_anything_is_sent(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.crt"):
        tls_settings(config(tls=TlsConfig(ca=(tmp_path / "nowhere.crt",))))


def test_the_user_agent_says_who_it_is():
    assert endpoint_config(config(), STANDARD).user_agent.startswith("softphone/")


def test_the_endpoint_says_what_the_persona_supports():
    device = config(persona="cisco_phone", device=DeviceIdentity("CSFALICE"))
    can = endpoint_config(device, persona_named("cisco_phone"))
    assert can.user_agent.startswith("Cisco-CSF softphone/")
    assert "X-cisco-callinfo" in can.supported
    assert "norefersub" in can.supported
    assert "kpml" in can.events


def test_how_long_a_call_may_ring_unheard_is_the_account_s():
    assert endpoint_config(config(), STANDARD).timer_c == 180.0
    assert endpoint_config(config(timer_c=60), STANDARD).timer_c == 60.0


def test_an_account_may_be_told_to_serve_its_own_user_only():
    assert endpoint_config(config(), STANDARD).users == ()
    assert endpoint_config(config(own_user_only=True), STANDARD).users == ("alice",)
    device = DeviceIdentity("CSFALICE", contact="11111111-2222-4333-8444-555555555555")
    phone = config(persona="cisco_phone", device=device, own_user_only=True)
    served = endpoint_config(phone, persona_named("cisco_phone")).users
    assert served == ("alice", "11111111-2222-4333-8444-555555555555")


async def nobody(question):
    return False


def test_the_phone_s_beliefs_are_the_account_s_where_it_has_none(tmp_path):
    trust = TrustStore((authority().certificate,))
    settings = tls_settings(config(), TrustContext(trust, nobody))
    assert settings.store is trust
    assert settings.unknown is nobody


def test_what_an_account_accepts_goes_to_its_own_store_or_the_phone_s(tmp_path):
    trust = TrustStore((foreign().certificate,))
    ca = (authority().write(tmp_path),)
    pin = Pin(Service.SIP, "pbx.test", 5061, b"leaf")
    settings = tls_settings(config(tls=TlsConfig(ca=ca)), TrustContext(trust))
    assert settings.store.anchors == (authority().certificate,)
    settings.store.add_pin(pin)
    assert trust.pins(*pin.place) == (b"leaf",)
    kept = tmp_path / "kept"
    settings = tls_settings(config(tls=TlsConfig(ca=ca, store=kept)), TrustContext(trust))
    assert not kept.exists()
    settings.store.add_pin(Pin(Service.SIP, "other.test", 5061, b"leaf"))
    assert [each.host for each in TrustStore.open(kept).all_pins] == ["other.test"]
    assert len(trust.all_pins) == 1


def test_a_policy_takes_the_place_of_the_account_s_demands_on_certificates():
    allow = frozenset({Relaxation.SHA1})
    mild = PolicyConfig(revocation=RevocationMode.OFF, allow=allow)
    settings = tls_settings(config(policy=mild))
    assert (settings.revocation, settings.allowed) == (RevocationMode.OFF, allow)
    settings = tls_settings(config(policy=mild), policy=SecurityPolicy.strict())
    assert (settings.revocation, settings.allowed) == (RevocationMode.SOFT, frozenset())
    lax = SecurityPolicy(revocation=RevocationMode.HARD, allow=allow)
    settings = tls_settings(config(), policy=lax)
    assert (settings.revocation, settings.allowed) == (RevocationMode.HARD, allow)
    strict = tls_settings(config(), policy=replace(lax, fips=True))
    assert strict.fips
    assert strict.allowed == frozenset(), "nothing is let pass in FIPS mode"


def test_an_encrypted_key_is_opened_with_the_passphrase(tmp_path):
    own = alice().write(tmp_path, "alice")
    secret = KeyMaterial(b"open sesame")
    tls = TlsConfig(certificate=own.certificate, key=own.key, passphrase=secret)
    assert tls_settings(config(tls=tls)).credential.password is secret


async def test_all_accounts_share_what_was_fetched():
    async def fetcher(wanted, within):
        return {}

    made = driver_config(TrustContext(fetcher=fetcher), None, system_addresses)
    assert made.fetcher is fetcher
    assert made.source is None
    assert driver_config(TrustContext(), None, system_addresses, "192.0.2.7").source == "192.0.2.7"


def test_the_drivers_limits_are_the_accounts():
    assert driver_config(TrustContext(), None, system_addresses).limits == TransportLimits()
    own = LimitsConfig(9, 8, 7, ("192.0.2.0/24",))
    limits = driver_config(TrustContext(), None, system_addresses, None, own).limits
    assert (limits.connections, limits.connections_per_source) == (9, 8)
    assert limits.handshakes_per_source == 7
    assert limits.trusts("192.0.2.7")
    assert not limits.trusts("198.51.100.1")
