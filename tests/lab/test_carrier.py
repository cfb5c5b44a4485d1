"""Each rule of a carrier, played by the lab: who keeps it is served, who breaks it is refused."""

from __future__ import annotations

import asyncio
from dataclasses import fields, replace

import pytest

from softphone.config import load_account
from softphone.config.presets import PRESETS, RuleKind
from softphone.errors import (
    CallError,
    ConfigurationError,
    LocalProtocolError,
    RegistrationError,
    TransportError,
)
from softphone.events import CallState, TrunkState
from softphone.lab import LabConfig, LabServer
from softphone.lab.carrier import (
    CARRIERS,
    MOST_REMEMBERED,
    CarrierJudge,
    CarrierRules,
    carrier_named,
)
from softphone.phone import Phone
from softphone.sans_io import Flow, Transport
from softphone.security import CryptoSuite, SrtpPolicy
from softphone.sip import Request, SipUri
from softphone.sip.message import Body
from tests.support.virtual_loop import run_virtually
from tests.support.waiting import PATIENCE, until

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


def trunk_of(lab, user="dave", transport=Transport.TLS, **values):
    """The account of a user that registers nowhere: the lab is its carrier."""
    file = load_account(lab.accounts[user]).config
    secret = file.credentials and replace(file.credentials, realms=("ccmsipline",))
    host, port = lab.addresses[transport]
    scheme, more = ("sips", "") if transport is Transport.TLS else ("sip", ";transport=udp")
    return replace(file, registrar=None, nodes=(), credentials=secret,
                   outbound_proxy=f"{scheme}:{host}:{port}{more}", **values)  # fmt: skip


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
    rules = carrier_named(name)
    rules = replace(rules, rings_for=min(rules.rings_for, 0.1))
    async with LabServer(tmp_path / "lab", LabConfig(carrier=rules)) as lab:
        if name == "teams":
            config = trunk_of(lab, "alice", contact_host="sbc1.example.test")
        else:
            config = trunk_of(lab) if rules.options_within else config_of(lab)
        account = await phone.register(config.with_preset(name))
        assert account.config.contradictions == ()
        assert account.trunk is (TrunkState.READY if rules.options_within else None)
        made = await account.dial("600").answered(timeout=PATIENCE)
        assert made.state is CallState.CONFIRMED
        assert made.security.media[0].suite is not None


async def test_who_shows_no_certificate_where_both_ends_are_verified_has_no_trunk(phone, tmp_path):
    rules = CarrierRules(client_certificate=True)
    async with LabServer(tmp_path / "lab", LabConfig(carrier=rules)) as lab:
        with pytest.raises(TransportError, match="certificate"):
            await phone.register(trunk_of(lab, options_interval=60))
        account = await phone.register(trunk_of(lab, "alice", options_interval=60))
        assert account.trunk is TrunkState.READY
        assert (await account.dial("600").answered(timeout=PATIENCE)).state is CallState.CONFIRMED


async def test_who_gives_no_digest_is_not_served_whatever_its_certificate(phone, tmp_path):
    async with LabServer(tmp_path / "lab", LabConfig(carrier=CarrierRules(digest=True))) as lab:
        with pytest.raises(RegistrationError, match="did not accept our credentials"):
            await phone.register(config_of(lab, "alice"))
        assert (await call(phone, config_of(lab))).state is CallState.CONFIRMED


def loop_time():
    return asyncio.get_running_loop().time()


def play(folder, rules, scene, **values):
    """Play `scene(account)` on virtual time, with a trunk to a lab of these rules, over UDP."""

    async def run():
        config = LabConfig(carrier=rules)
        async with (
            LabServer(folder, config, clock=loop_time) as lab,
            Phone(clock=loop_time) as phone,
        ):
            trunk = trunk_of(lab, "carol", Transport.UDP, **values)
            return await scene(await phone.register(trunk))

    return run_virtually(run())


async def status_after(account, seconds):
    """What a call after some time of silence gets: 200, or the status that refuses it."""
    await asyncio.sleep(seconds)
    try:
        made = await account.dial("600").answered(timeout=PATIENCE)
    except CallError as error:
        return error.status
    made.hangup()
    return 200


@pytest.mark.parametrize(("interval", "status"), [(60, 200), (300, 403)])
def test_a_trunk_that_asks_too_seldom_is_down(tmp_path, interval, status):
    """The lab's clock is that of the loop: five minutes take a moment."""
    rules = CarrierRules(options_within=CARRIERS["teams"].options_within)

    async def scene(account):
        assert await status_after(account, 1) == 200
        return await status_after(account, 200)

    assert play(tmp_path, rules, scene, options_interval=interval) == status
    rule = next(each for each in PRESETS["teams"].rules if each.key == "options_interval")
    assert (interval <= rule.value) is (status == 200)


@pytest.mark.parametrize(("timer_c", "up"), [(60, True), (0, True), (30, False)])
def test_a_carrier_that_rings_for_a_minute_is_waited_for(tmp_path, timer_c, up):
    rules = CarrierRules(rings_for=CARRIERS["openai"].rings_for)

    async def scene(account):
        began = loop_time()
        try:
            await account.dial("600").answered(timeout=600)
        except CallError:
            return False, loop_time() - began
        return True, loop_time() - began

    answered, took = play(tmp_path, rules, scene, timer_c=timer_c)
    assert answered is up
    assert took == pytest.approx(rules.rings_for if up else timer_c, abs=2)
    rule = next(each for each in PRESETS["openai"].rules if each.key == "timer_c")
    assert rule.value > rules.rings_for


async def test_a_call_that_is_given_up_while_it_rings_leaves_nothing(phone, tmp_path):
    async with LabServer(tmp_path / "lab", LabConfig(carrier=CarrierRules(rings_for=60))) as lab:
        outgoing = (await phone.register(config_of(lab))).dial("600")
        await outgoing.start()
        await until(lambda: lab.calls == 1)
        outgoing.cancel()
        await until(lambda: lab.calls == 0)


SWITCHES = {
    "registrar": "tls_only",
    "media.srtp": "srtp_only",
    "media.suites": "suites",
    "media.codecs": "codecs",
    "media.comfort_noise": "silence_limit",
    "reinvite": "refuses_reinvite",
    "options_interval": "options_within",
    "contact_host": "named_contact",
    "tls.certificate": "client_certificate",
    "mediasec": "mediasec",
    "credentials": "digest",
    "timer_c": "rings_for",
}
"""The switch of the lab for each rule.

`challenge` is for calls of a carrier to us, which the lab does not make: who lacks its password is
refused by tests/security/test_a_listener_lets_in_who_has_shown_something.py.
"""


@pytest.mark.parametrize("name", PRESETS)
def test_every_rule_of_a_preset_is_demanded_by_the_carrier_of_the_lab(name):
    carrier = CARRIERS[name]
    for rule in PRESETS[name].rules:
        if rule.kind is RuleKind.DEFAULT or rule.key == "challenge":
            continue
        demanded = getattr(carrier, SWITCHES[rule.key])
        assert demanded, rule.key
        if rule.kind is RuleKind.WITHIN:
            allowed = {str(getattr(each, "value", each)).upper() for each in rule.value}
            assert {each.upper() for each in demanded} == allowed


def test_every_rule_is_off_unless_it_is_switched_on():
    judged = CarrierRules().judge(invite("m=audio 9 RTP/AVP 0\r\n"), flow(Transport.UDP))
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
    refusal = CarrierRules(refuses_mki=True).judge(invite(offer), flow())
    assert (None if refusal is None else refusal.status) == status


def test_of_the_connections_that_ask_by_options_the_last_are_remembered():
    judge = CarrierJudge(CarrierRules(options_within=60.0))
    asked = Request.build("OPTIONS", SipUri.parse("sip:b.test"), list(invite().headers))
    flows = [replace(flow(), id=number) for number in range(MOST_REMEMBERED + 1)]
    for each in flows:
        assert judge.judge(asked, each, 100.0) is None
    assert judge.judge(invite(), flows[0], 100.0).status == 403
    assert judge.judge(invite(), flows[1], 160.0) is None
    assert judge.judge(invite(), flows[1], 160.1).status == 403


@pytest.mark.parametrize("offer", ["a=crypto:1\r\n", "a=crypto:1 A\r\n", "a=rtpmap:0\r\n", "\xff"])
def test_nonsense_is_judged_too(offer):
    rules = replace(CARRIERS["telekom"], mediasec=False)
    assert rules.judge(invite(offer), flow()).status in (400, 488)


def test_an_unknown_carrier_is_refused():
    with pytest.raises(ConfigurationError, match="known are whatsapp"):
        carrier_named("acme")
