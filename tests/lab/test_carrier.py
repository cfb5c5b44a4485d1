"""Each rule of a carrier, played by the lab: who keeps it is served, who breaks it is refused."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from softphone.config import load_account
from softphone.config.presets import PRESETS
from softphone.errors import CallError, ConfigurationError, LocalProtocolError, RegistrationError
from softphone.events import CallState
from softphone.lab import LabConfig, LabServer
from softphone.lab.carrier import CARRIERS, CarrierRules, carrier_named
from softphone.phone import Phone
from softphone.sans_io import Flow, Transport
from softphone.security import CryptoSuite, SrtpPolicy
from softphone.sip import Request, SipUri
from softphone.sip.message import Body
from tests.support.waiting import PATIENCE

SHA1_80, GCM = CryptoSuite.AES_CM_128_HMAC_SHA1_80, CryptoSuite.AEAD_AES_256_GCM
SUITES, CODECS = (SHA1_80.value,), ("PCMU", "PCMA")


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


def config_of(lab, user="dave", **values):
    """The account of a user over TLS with a digest; the values may be those of [media]."""
    config = load_account(lab.accounts[user]).config
    media = {key: values.pop(key) for key in ("srtp", "suites", "codecs", "comfort_noise")
             if key in values}  # fmt: skip
    return replace(config, **values).with_media(**media)


async def call(phone, config, number="600"):
    account = await phone.register(config)
    return await account.dial(number).answered(timeout=PATIENCE)


BREAKS = [
    ("srtp_only", CarrierRules(srtp_only=True), {"srtp": SrtpPolicy.OFF}, 488),
    ("suites", CarrierRules(suites=SUITES), {"suites": (GCM,)}, 488),
    ("codecs", CarrierRules(codecs=CODECS), {"codecs": ("G722",)}, 488),
    (
        "refuses_comfort_noise",
        CarrierRules(refuses_comfort_noise=True),
        {"comfort_noise": True},
        488,
    ),
    ("named_contact", CarrierRules(named_contact=True), {"contact_host": None}, 403),
]
KEEPS = {"suites": (SHA1_80,), "codecs": ("PCMU",), "contact_host": "sbc1.example.test"}


@pytest.mark.parametrize(("rules", "breaking", "status"), [each[1:] for each in BREAKS],
                         ids=[each[0] for each in BREAKS])  # fmt: skip
async def test_a_call_is_served_by_a_rule_that_it_keeps_only(
    phone, tmp_path, rules, breaking, status
):
    async with LabServer(tmp_path / "lab", LabConfig(carrier=rules)) as lab:
        kept = await call(phone, config_of(lab, **KEEPS))
        assert kept.state is CallState.CONFIRMED
        kept.hangup()
        with pytest.raises(CallError) as caught:
            await call(phone, config_of(lab, "alice", **{**KEEPS, **breaking}))
        assert caught.value.status == status


async def test_signaling_in_clear_is_refused(phone, tmp_path):
    async with LabServer(tmp_path / "lab", LabConfig(carrier=CarrierRules(tls_only=True))) as lab:
        with pytest.raises(RegistrationError, match="TLS only"):
            await phone.register(config_of(lab, "carol"))
        assert (await call(phone, config_of(lab))).state is CallState.CONFIRMED


async def test_a_re_invite_is_refused_and_none_is_sent_where_the_account_says_so(phone, tmp_path):
    rules = CarrierRules(refuses_reinvite=True)
    async with LabServer(tmp_path / "lab", LabConfig(carrier=rules)) as lab:
        with pytest.raises(CallError):
            await (await call(phone, config_of(lab, "alice"))).hold()
        kept = await call(phone, config_of(lab, reinvite=False))
        with pytest.raises(LocalProtocolError, match="take no re-INVITE"):
            await kept.hold()
        assert kept.state is CallState.CONFIRMED
        assert kept._leg.usage.session_timer.ours is False


async def test_media_security_is_agreed_at_the_registration_and_asked_for_in_offers(
    phone, tmp_path
):
    """Security-Client, the server's answer in the 401, and Security-Verify from then on."""
    rules = CarrierRules(mediasec=True)
    async with LabServer(tmp_path / "lab", LabConfig(carrier=rules)) as lab:
        kept = await call(phone, config_of(lab, mediasec=True))
        assert kept.state is CallState.CONFIRMED
    async with LabServer(tmp_path / "other", LabConfig(carrier=rules)) as lab:
        with pytest.raises(RegistrationError, match="494"):
            await phone.register(config_of(lab))


async def test_the_agreement_is_met_where_the_server_demands_it_before_the_digest(phone, tmp_path):
    """RFC 3329 section 2.3.1: 494 with Security-Server, and the request again with it."""
    rules = CarrierRules(mediasec=True, agrees_first=True)
    async with LabServer(tmp_path / "lab", LabConfig(carrier=rules)) as lab:
        kept = await call(phone, config_of(lab, mediasec=True))
        assert kept.state is CallState.CONFIRMED
        assert kept.security.media[0].suite is not None
        with pytest.raises(RegistrationError, match="494"):
            await phone.register(config_of(lab, "alice"))


@pytest.mark.parametrize("name", PRESETS)
async def test_the_preset_of_a_carrier_is_served_by_the_carrier(phone, tmp_path, name):
    async with LabServer(tmp_path / "lab", LabConfig(carrier=carrier_named(name))) as lab:
        config = config_of(lab, contact_host="sbc1.example.test" if name == "teams" else None)
        made = await call(phone, config.with_preset(name))
        assert made.state is CallState.CONFIRMED
        assert made.security.media[0].suite is not None


def test_every_rule_is_off_unless_it_is_switched_on():
    judged = CarrierRules().judge(invite("m=audio 9 RTP/AVP 0\r\n"), flow(Transport.UDP), 0.0)
    assert judged is None


def test_every_rule_has_a_carrier_that_demands_it():
    # No page says in which order a carrier agrees and challenges: `agrees_first` is RFC 3329's own.
    for each in fields(CarrierRules):
        if each.name == "agrees_first":
            continue
        assert any(getattr(rules, each.name) for rules in CARRIERS.values()), each.name


def invite(offer=""):
    values = [
        ("Via", "SIP/2.0/TLS 192.0.2.9;branch=z9hG4bK1"),
        ("From", "<sip:a@b.test>;tag=1"),
        ("To", "<sip:c@b.test>"),
        ("Call-ID", "1"),
        ("CSeq", "1 INVITE"),
        ("Contact", "<sip:a@192.0.2.9:5061>"),
    ]
    body = Body("application/sdp", offer.encode()) if offer else None
    return Request.build("INVITE", SipUri.parse("sip:c@b.test"), values, body)


def flow(transport=Transport.TLS):
    return Flow(1, transport, ("192.0.2.1", 5061), ("192.0.2.9", 5061))


@pytest.mark.parametrize(
    ("key", "status"),
    [
        ("inline:abc", None),
        ("inline:abc|2^20", None),
        ("inline:abc|1:4", 488),
        ("inline:abc|2^20|1:4", 488),
    ],
)
def test_a_master_key_identifier_is_refused(key, status):
    offer = f"m=audio 9 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {key}\r\n"
    refusal = CarrierRules(refuses_mki=True).judge(invite(offer), flow(), 0.0)
    assert (None if refusal is None else refusal.status) == status


@pytest.mark.parametrize("offer", ["a=crypto:1\r\n", "a=crypto:1 A\r\n", "a=rtpmap:0\r\n", "\xff"])
def test_nonsense_is_judged_too(offer):
    rules = replace(CARRIERS["telekom"], mediasec=False)
    assert rules.judge(invite(offer), flow(), 0.0).status in (400, 488)


def test_an_unknown_carrier_is_refused():
    with pytest.raises(ConfigurationError, match="known are whatsapp"):
        carrier_named("acme")
