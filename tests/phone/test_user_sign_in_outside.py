"""A user signs in outside, at the lab's edge: every service goes through it."""

from __future__ import annotations

import logging
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from unittest.mock import Mock

import pytest

from softphone import Phone
from softphone.account import TrustContext
from softphone.config import AccountConfig
from softphone.contacts import LdapConfig, open_directories
from softphone.discovery import DiscoveryConfig, ServicePath, UserDevice
from softphone.errors import (
    ConfigurationError,
    EdgeRefused,
    LocalProtocolError,
    RegistrationRefused,
    RegistrationTimeout,
)
from softphone.lab import LabConfig, LabServer
from softphone.lab.im_presence import IM_PRESENCE_DOMAIN
from softphone.messaging import EncryptionScope
from softphone.net.dns import DnsResolver, ResolverConfig
from softphone.phone.user_sign_in import (
    ServiceOutcome,
    UserService,
    UserSignInCallbacks,
    UserSignInConfig,
    sign_in,
)
from softphone.security import KeyMaterial
from softphone.trust.fips import random_bytes
from tests.support.im_presence import Given, forms
from tests.support.user_sign_in import discovery_of, password_of
from tests.support.waiting import PATIENCE

LAB = LabConfig(files=True, directory=True, dns=True, voicemail=True, im_presence=True, edge=True)
IN = ServiceOutcome.SIGNED_IN


def outside(lab):
    servers = ResolverConfig(nameservers=(lab.outside_dns.address,), hosts_file="/nonexistent")
    return DnsResolver(servers, entropy=random_bytes)


async def test_from_an_address_through_the_edge_and_out_again(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    steps = []
    async with LabServer(tmp_path / "lab", LAB) as lab:
        given = lab.im_presence.entropy = Given(lab.im_presence.entropy)
        config = UserSignInConfig(discovery_of(lab, "carol"), tmp_path / "device")
        async with Phone(resolver=outside(lab)) as phone:
            user = await phone.sign_in_user(config, tell=steps.append)
            assert user.discovery.path is ServicePath.EDGE
            assert {each.outcome for each in user.services} == {IN}, user.services
            # The edge is verified and decrypts: nobody gets a lock.
            for each in user.services:
                assert (each.lock, each.by_edge) == (False, True)
                assert each.identity.verdict == "chain"
                assert "the edge server decrypts" in each.why
            await a_message(lab, user, phone.messages)
            assert [each.name for each in await phone.contacts.search("alice")] == ["Alice Example"]
            assert (await phone.voicemail.count()).new > 0
            (line,) = phone.accounts
            assert set(lab.registered) == {"carol"}
            async with line.dial("600") as outgoing:
                call = await outgoing.answered(timeout=PATIENCE)
                assert not call.security.lock
            mailbox = phone.voicemail
        # Signed out: unregistered, and the session at the edge is over.
        assert set(lab.registered) == set()
        with pytest.raises(LocalProtocolError, match="over"):
            await mailbox.count()
        assert lab.dns.asked == []
        # Session keys, to find the domain and to sign in, and the one-time password, by the tunnel.
        assert len(given.made) >= 3
        assert [each for each in steps if not each.why] == []
        await refused(lab, tmp_path)

        await without_a_password_of_the_phone(lab, tmp_path)
        said = "".join(map(repr, (*steps, *user.services))) + caplog.text
        assert {"httpcore", "slixmpp"} <= {each.name.partition(".")[0] for each in caplog.records}
        passwords = [password_of(lab, each).reveal().decode() for each in ("carol", "alice")]
        secrets = (*passwords, *given.made, *lab.edge.web.tickets)
        assert [each for each in secrets for form in forms(each) if form in said] == []


async def a_message(lab, user, messages):
    """Chat goes through the edge, which decrypts: what comes and goes by it has no lock."""
    assert user.state(UserService.CHAT).server == f"edge.example.test:{lab.edge.xmpp.address[1]}"
    assert (messages.jid, messages.mechanism) == (f"carol@{IM_PRESENCE_DOMAIN}", "CISCO-VTG-TOKEN")
    sent = await messages.send(messages.jid, "to myself")
    heard = await anext(aiter(messages))
    assert (heard.sender, heard.body) == (messages.jid, "to myself")
    for each in (sent.message, heard):
        assert (each.security.scope, each.security.sign) == (
            EncryptionScope.CLIENT_TO_EDGE,
            "lock-open",
        )
        assert "decrypts: beyond it, nothing is known" in str(each.security)
    assert lab.edge.xmpp.streams == 1
    # The login and the one-time password came by the tunnel, which is signed in to.
    soap = [what for what, _ in lab.edge.web.asked if "/EPASSoap/service" in what]
    assert len(soap) == len(lab.im_presence.asked) > 2


async def without_a_password_of_the_phone(lab, folder):
    """A user whose phone shows a certificate has a password for everything else, as inside."""
    wanted = frozenset({UserService.DIRECTORY, UserService.VOICEMAIL})
    config = UserSignInConfig(discovery_of(lab, "alice"), folder / "alice", wanted)
    async with Phone(resolver=outside(lab)) as phone:
        user = await phone.sign_in_user(config)
        assert {each.service for each in user.services if each.outcome is IN} == wanted


async def refused(lab, folder):
    """What is refused at the edge ends the sign-in; a lost registration hides no other service."""
    wrong = replace(discovery_of(lab, "carol"), password=KeyMaterial(b"guessed"))
    async with Phone(resolver=outside(lab)) as phone:
        with pytest.raises(EdgeRefused, match="401"):
            await phone.sign_in_user(UserSignInConfig(wrong, folder / "other"))
    # Without the route of SIP the registration is refused, and the mailbox's password is wrong.
    lab.edge.web.route = ""
    lab.edge.web.xmpp = None
    config = UserSignInConfig(
        discovery_of(lab, "carol"), folder / "device", voicemail_password=KeyMaterial(b"guessed")
    )
    async with Phone(resolver=outside(lab)) as phone:
        user = await phone.sign_in_user(config)
        assert [each.service for each in user.failures] == [
            UserService.PHONE,
            UserService.VOICEMAIL,
        ], user.services
        assert isinstance(user.state(UserService.PHONE).error, RegistrationRefused)
        assert user.state(UserService.DIRECTORY).outcome is IN
        chat = user.state(UserService.CHAT)
        assert (chat.outcome, chat.lock) == (ServiceOutcome.LEFT_OUT, False)
        assert "xmppEdgeServer" in chat.why
        assert phone.accounts == ()


async def test_a_line_that_is_refused_leaves_none_registered(tmp_path, monkeypatch):
    """The second of two lines is refused: the first one is closed."""
    registered, closed = [], []

    async def register(line, context):
        if registered:
            raise RegistrationTimeout("nobody answered")
        registered.append(line)
        return line

    async def close(account):
        closed.append(account)

    async def fetch(*args, **more):
        return None

    monkeypatch.setattr(sign_in, "fetch_unenrolled_config", fetch)
    monkeypatch.setattr(sign_in, "edge_accounts", lambda *args, **more: ["first", "second"])
    user = sign_in.UserSignIn(
        UserSignInConfig(DiscoveryConfig("alice@x.test", KeyMaterial(b"x")), tmp_path),
        UserSignInCallbacks(),
        sign_in.SignInEnvironment(TrustContext(), DnsResolver(entropy=bytes), random_bytes, False),
        sign_in.SignInActions(None, register, close, None, None, None, None, None, None),
        lambda step: None,
    )
    with pytest.raises(RegistrationTimeout):
        await user._phone_outside(Mock(), UserDevice("CSFALICE"))
    assert closed == registered == ["first"]


async def test_a_phone_that_was_left_meanwhile_leaves_the_edge(tmp_path):
    left = []

    @asynccontextmanager
    async def edge():
        yield None
        left.append(True)

    async with Phone() as phone:
        pass
    with pytest.raises(LocalProtocolError):
        await phone._enter(edge())
    assert left == [True]


def test_ldap_does_not_go_around_the_tunnel():
    with pytest.raises(ConfigurationError, match="LDAP does not go through"):
        open_directories(
            [LdapConfig("people", "ldap.example.test", base="dc=x")], object(), tunnel=object()
        )


async def test_a_registrar_that_is_silent_over_udp_is_waited_for_as_long_as_for_any_request():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        registrar = f"sip:127.0.0.1:{silent.getsockname()[1]};transport=udp"
        config = AccountConfig(aor="sip:alice@127.0.0.1", registrar=registrar)
        async with Phone() as phone:
            with pytest.raises(RegistrationTimeout, match=r"was not reached within 0\.3 s"):
                await phone._register_within(0.3, config, TrustContext())
            assert not phone.accounts
        silent.settimeout(10)
        assert silent.recv(4096).startswith(b"REGISTER ")
