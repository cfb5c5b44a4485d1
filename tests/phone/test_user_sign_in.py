"""A user signs in to the lab's cluster from a mail address: every service, and their failures."""

from __future__ import annotations

import logging
from dataclasses import replace
from unittest.mock import Mock

import pytest

from softphone import Phone
from softphone.discovery import DiscoveryConfig, JabberConfig, ServicePath
from softphone.discovery.jabber_config import ConfigSetting
from softphone.errors import ConfigurationError, DiscoveryRefused, LocalProtocolError
from softphone.lab import LabServer
from softphone.lab.cucm.user_files import CONFIG_NAME, PROFILE_NAME
from softphone.lab.dns_server import DISCOVERY_DOMAIN, DISCOVERY_NODE, LabDns
from softphone.lab.im_presence import IM_PRESENCE_DOMAIN, ImPresenceFault
from softphone.lab.unity_connection import VoicemailFault
from softphone.phone.user_sign_in import (
    ServiceOutcome,
    UserService,
    UserSignInCallbacks,
    UserSignInConfig,
    sign_in,
)
from softphone.provisioning import AuthenticationStringNeeded, StepKind
from softphone.security import KeyMaterial
from softphone.trust import TrustBasis, TrustListStore
from tests.support.user_sign_in import (
    EVERYTHING,
    callbacks_of,
    config_of,
    password_of,
    resolver_of,
)

IN, OUT, FAILED = ServiceOutcome.SIGNED_IN, ServiceOutcome.LEFT_OUT, ServiceOutcome.FAILED
CONFIG = '<config version="1.0"><Policies>{}</Policies></config>'


def outcomes(user):
    return {each.service: each.outcome for each in user.services}


async def test_from_an_address_to_every_service_and_out_again(tmp_path, caplog):
    """CAPF, registration, chat, directory, voicemail; secrets stand in no step or log."""
    asked, steps = [], []
    caplog.set_level(logging.DEBUG, "softphone")
    async with LabServer(tmp_path / "lab", EVERYTHING) as lab:
        config = config_of(lab, tmp_path)
        callbacks = callbacks_of(lab, tmp_path, asked)
        async with Phone(resolver=resolver_of(lab)) as phone:
            user = await phone.sign_in_user(config, callbacks=callbacks, tell=steps.append)
            assert set(outcomes(user).values()) == {IN}, user.services
            assert all(each.lock and each.identity is not None for each in user.services)
            assert asked == ["CSFALICE"]
            assert set(lab.registered) == {"alice"}
            assert phone.messages.jid == f"alice@{IM_PRESENCE_DOMAIN}"
            assert phone.messages.mechanism == "CISCO-VTG-TOKEN"
            assert [each.name for each in await phone.contacts.search("carol")] == ["Carol Example"]
            assert (await phone.voicemail.count()).new == 2
            with pytest.raises(LocalProtocolError, match="already"):
                await phone.sign_in(config)
        assert set(lab.registered) == set()
        # Once more, with what is stored: nobody is asked, and no first list is accepted.
        async with Phone(resolver=resolver_of(lab)) as phone:
            again = await phone.sign_in_user(
                config, callbacks=UserSignInCallbacks(cache=callbacks.cache), tell=steps.append
            )
            assert set(outcomes(again).values()) == {IN}, again.services
        lists = TrustListStore(config.device_store).accepted()
        assert [each.basis for each in lists] == [TrustBasis.SERVER, TrustBasis.CTL]
        said = "".join(map(repr, (*steps, *user.services))) + caplog.text
        for secret in (password_of(lab, "alice").reveal().decode(), *lab.capf.strings.values()):
            assert secret not in said
    phone_step = user.state(UserService.PHONE)
    assert "trust-list" in phone_step.why
    assert user.state(UserService.CHAT).server.startswith("cucm.example.test:")
    names = {each.name for each in steps}
    assert {"trust list", "boot", "presence domain", *UserService} <= names
    assert [each for each in steps if not each.why] == []
    # The file forbids history, which makes the client stricter.
    assert "no history" in user.state(UserService.CHAT).detail


async def test_the_failure_of_a_service_hides_no_other(tmp_path):
    async with LabServer(tmp_path / "lab", EVERYTHING) as lab:
        lab.im_presence.faults.add(ImPresenceFault.UNAVAILABLE)
        lab.voicemail.faults.add(VoicemailFault.UNAVAILABLE)
        async with Phone(resolver=resolver_of(lab)) as phone:
            user = await phone.sign_in_user(config_of(lab, tmp_path))
            assert outcomes(user) == {
                UserService.PHONE: FAILED,
                UserService.CHAT: FAILED,
                UserService.DIRECTORY: IN,
                UserService.VOICEMAIL: FAILED,
            }
            assert user.failures == tuple(each for each in user.services if each.error)
            assert isinstance(user.state(UserService.PHONE).error, AuthenticationStringNeeded)
            assert "503" in user.state(UserService.VOICEMAIL).why
            assert not any(each.lock for each in user.failures)
            with pytest.raises(LocalProtocolError):
                _ = phone.messages
        # An insecure device: registered, and no lock.  What is not wanted is not asked.
        lab.voicemail.asked.clear()
        wanted = frozenset({UserService.PHONE})
        async with Phone(resolver=resolver_of(lab)) as phone:
            user = await phone.sign_in_user(config_of(lab, tmp_path, "carol", services=wanted))
            assert outcomes(user)[UserService.PHONE] is IN, user.services
            assert not user.state(UserService.PHONE).lock
            assert "in clear" in user.state(UserService.PHONE).why
            assert set(outcomes(user).values()) == {IN, OUT}
        assert lab.voicemail.asked == []
        # A wrong password ends it at the first server, and is sent once.
        lab.directory.asked.clear()
        wrong = config_of(lab, tmp_path, password=KeyMaterial(b"guessed"))
        async with Phone(resolver=resolver_of(lab)) as phone:
            with pytest.raises(DiscoveryRefused, match="401"):
                await phone.sign_in_user(wrong)
        assert [what for what, _, _ in lab.directory.asked].count("user/alice") == 1
        # The mailbox has another password than the user: it is refused once, and closed.
        lab.voicemail.faults.clear()
        config = config_of(
            lab,
            tmp_path,
            services=frozenset({UserService.VOICEMAIL}),
            voicemail_password=KeyMaterial(b"another"),
        )
        async with Phone(resolver=resolver_of(lab)) as phone:
            user = await phone.sign_in_user(config)
            assert outcomes(user)[UserService.VOICEMAIL] is FAILED
            with pytest.raises(LocalProtocolError):
                _ = phone.voicemail
        assert len(lab.voicemail.asked) == 1


async def test_settings_of_the_site_turn_services_off(tmp_path):
    async with LabServer(tmp_path / "lab", replace(EVERYTHING, im_presence=True)) as lab:
        settings = (
            "<Telephony_Enabled>false</Telephony_Enabled>"
            "<Voicemail_Enabled>false</Voicemail_Enabled>"
            "<support_no_encoding>FALSE</support_no_encoding>"
            "<InvalidCertificateBehavior>Trust</InvalidCertificateBehavior>"
        )
        lab.cluster.documents[CONFIG_NAME] = CONFIG.format(settings).encode()
        async with Phone(resolver=resolver_of(lab)) as phone:
            user = await phone.sign_in_user(config_of(lab, tmp_path, presence_domain="x.test"))
        assert outcomes(user) == {
            UserService.PHONE: OUT,
            UserService.CHAT: OUT,
            UserService.DIRECTORY: IN,
            UserService.VOICEMAIL: OUT,
        }
        decisions = {each.setting.key: each for each in user.discovery.config.decisions()}
        assert "'Trust' is not known" in decisions["InvalidCertificateBehavior"].why
        # A user who is not enabled for chat, without a device, and a profile without voicemail.
        lab.cluster.documents[CONFIG_NAME] = CONFIG.format("").encode()
        lab.cluster.documents[PROFILE_NAME] = b"<serviceProfile/>"
        lab.directory.im_and_presence = False
        async with Phone(resolver=resolver_of(lab)) as phone:
            user = await phone.sign_in_user(config_of(lab, tmp_path, "dave"))
        whys = {each.service: each.why for each in user.services}
        assert "no soft phone" in whys[UserService.PHONE]
        assert "not enabled" in whys[UserService.CHAT]
        assert "names no voicemail" in whys[UserService.VOICEMAIL]
        assert user.account == "dave@example.test"


async def test_with_im_and_presence_alone_there_is_chat_and_no_file_is_asked_for(tmp_path):
    """The file that forbids a history is there, but nobody names its server."""
    steps = []
    async with LabServer(tmp_path / "lab", replace(EVERYTHING, tvs=False)) as lab:
        lab.cluster.documents = Mock(wraps=lab.cluster.documents)
        zone = {
            (f"_cuplogin._tcp.{DISCOVERY_DOMAIN}", "SRV"): (
                f"0 0 {lab.im_presence.address[1]} {DISCOVERY_NODE}.",
            ),
            (DISCOVERY_NODE, "A"): ("127.0.0.1",),
        }
        async with LabDns(zone) as dns, Phone(resolver=resolver_of(lab, dns)) as phone:
            user = await phone.sign_in_user(config_of(lab, tmp_path), tell=steps.append)
            assert user.discovery.path is ServicePath.IM_AND_PRESENCE
            assert outcomes(user) == {
                UserService.PHONE: OUT,
                UserService.CHAT: IN,
                UserService.DIRECTORY: OUT,
                UserService.VOICEMAIL: OUT,
            }
            whys = [each.why for each in user.services if each.outcome is OUT]
            assert all(why.startswith("only IM and Presence was found: ") for why in whys)
            chat = user.state(UserService.CHAT)
            assert chat.lock
            assert chat.detail == f"alice@{IM_PRESENCE_DOMAIN} by CISCO-VTG-TOKEN"
            messages = phone.messages
            await messages.send(messages.jid, "to myself")
            assert (await anext(aiter(messages))).body == "to myself"
            messages.close_conversation(messages.jid)
            assert {each.body for each in messages.history(messages.jid)} == {"to myself"}
        assert (user.discovery.config, lab.cluster.documents.get.mock_calls) == (None, [])
        assert lab.directory.asked == lab.voicemail.asked == []
    assert [each for each in steps if not each.why] == []


def test_each_step_of_a_boot_that_is_told_has_a_reason():
    quiet = {StepKind.ENROLLMENT_PROGRESS, StepKind.LIST_UNCHANGED}
    assert set(sign_in._BOOT_REASONS) == set(StepKind) - quiet


async def test_a_closed_phone_and_another_configuration_are_refused(tmp_path):
    config = UserSignInConfig(
        DiscoveryConfig("alice@example.test", KeyMaterial(b"x")), tmp_path / "device"
    )
    with pytest.raises(LocalProtocolError, match="not open"):
        await Phone().sign_in_user(config)
    async with Phone() as phone:
        with pytest.raises(ConfigurationError, match="UserSignInConfig"):
            await phone.sign_in_user(config.discovery)


@pytest.mark.parametrize(
    "wrong",
    [
        {"discovery": DiscoveryConfig("alice@example.test")},
        {"presence_domain": "no domain"},
        {"xmpp_port": 0},
    ],
)
def test_what_cannot_be_meant_is_refused(wrong, tmp_path):
    values = {"discovery": DiscoveryConfig("alice@example.test", KeyMaterial(b"x")), **wrong}
    with pytest.raises(ConfigurationError):
        UserSignInConfig(device_store=tmp_path, **values)


def test_settings_are_those_of_the_strictest_value():
    from softphone.discovery import ClientSettings

    def settings(*pairs, **more):
        made = (ConfigSetting("Policies", key, value) for key, value in pairs)
        return ClientSettings.of(JabberConfig(tuple(made), **more), trusted=True)

    assert ClientSettings.of(None) == ClientSettings()
    found = settings(("Disable_IM_History", "false"), ("disable_im_history", "TRUE"))
    assert found.disable_history
    named = (("VoicemailPrimaryServer", "unity.example.test"), ("VoicemailBackup1Server", "a b"))
    assert settings(*named).voicemail_servers == ()
    assert settings(*named, verified=True).voicemail_servers == ("unity.example.test",)
    assert settings(("InvalidCertificateBehavior", "RejectAndNotify")).refuse_unknown_certificates
    assert settings(("InvalidCertificateBehavior", "PromptPerSession")).keep_no_certificates
