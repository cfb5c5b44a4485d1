"""Phones known by a bearer token (SIP OAuth) and by their digest user (AS-SIP), and the lab."""

from __future__ import annotations

import json
import logging
import sys
import time
from dataclasses import replace

import pytest

from softphone.config import OAuthConfig, TlsConfig, load_account
from softphone.config.oauth_table import account_keeper
from softphone.diagnostics import Ladder
from softphone.errors import (
    AuthenticationFailed,
    CallFailed,
    ConfigurationError,
    RegistrationRefused,
)
from softphone.events import RegistrationChanged, RegistrationState
from softphone.lab import LabConfig, LabServer, LabUser, Login
from softphone.oauth import Token
from softphone.phone import Phone
from softphone.sans_io import Transport
from softphone.security import KeyMaterial, SrtpPolicy
from tests.support.authorization_server import StoredToken, authorization_server
from tests.support.calling import account_of, connect, eventually, until
from tests.support.certificates import authority
from tests.support.waiting import PATIENCE

USERS = (
    LabUser("alice", Login(Transport.TLS, certificate=True), "cisco_phone"),
    LabUser("erin", Login(Transport.TLS, token=True), "oauth"),
    LabUser("dave", Login(Transport.TLS), "as_sip"),
    LabUser("frank", Login(Transport.TLS), "cisco_phone"),
)


@pytest.fixture
async def lab(tmp_path):
    async with LabServer(tmp_path / "lab", LabConfig(users=USERS, oauth=True)) as server:
        yield server


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


def config_of(lab, name, **changes):
    return replace(load_account(lab.accounts[name]).config, **changes)


async def test_a_token_registers_and_calls_with_the_lock(lab, phone):
    erin, alice = [await account_of(lab, phone, name) for name in ("erin", "alice")]
    contact = lab.registered["erin"].contact
    assert contact.parameter("+u.sip!devicename.ccm.cisco.com") == "CSFERIN"
    call, other = await connect(erin, alice, "alice")
    for each in (call, other):
        await until(each, lambda state: state.lock)
    call.hangup()
    await other.ended()
    back, _ = await connect(alice, erin, "erin")
    await until(back, lambda state: state.lock)


async def test_a_command_and_a_callback_give_it(lab, phone):
    token = lab.tokens["erin"]

    async def fetch():
        return token

    command = (sys.executable, "-c", f"print('{token}')")
    for source in (OAuthConfig(command=command), OAuthConfig(fetch=fetch)):
        erin = await phone.register(config_of(lab, "erin", oauth=source))
        assert erin.registration is RegistrationState.REGISTERED
        await phone.close(erin)


async def test_the_stored_token_of_a_sign_on_is_refreshed_on_the_407(lab, phone, tmp_path):
    """Authlib's server replaces the stored token, which the registrar has not accepted."""
    authority().write(tmp_path)
    async with authorization_server(tmp_path) as served:
        served.site.tokens.append(StoredToken({"refresh_token": "refresh-0"}))
        lab.tokens["erin"] = "access-1-7Yk2"
        source = OAuthConfig(
            client_id="softphone",
            issuer=served.issuer,
            store=tmp_path / "tokens" / "erin.json",
            tls=TlsConfig(ca=(tmp_path / "ca.crt",)),
        )
        config = config_of(lab, "erin", oauth=source)
        first = (KeyMaterial(b"access-0"), KeyMaterial(b"refresh-0"))
        await account_keeper(config).store(
            Token(*first, time.time(), 600.0, "", served.issuer, "softphone")
        )
        erin = await phone.register(config)
        assert erin.registration is RegistrationState.REGISTERED
        assert [form["refresh_token"] for _, form in served.site.asked if form] == ["refresh-0"]
    kept = json.loads((tmp_path / "tokens" / "erin.json").read_text())
    assert (kept["access_token"], kept["refresh_token"]) == ("access-1-7Yk2", "refresh-1-9Qp4")


async def test_a_token_that_has_ended_is_replaced_on_the_407(lab, phone):
    erin = await account_of(lab, phone, "erin")
    lab.tokens["erin"] = "another-token"
    (lab.files.folder / "erin.secret").write_text("another-token")
    registers = lab.devices.keep_alives
    with erin.change() as now:
        erin._context.machine.registration.refresh(now=now)
    await eventually(lambda: erin._token.session._token.reveal() == b"another-token")
    await eventually(lambda: erin.registration is RegistrationState.REGISTERED)
    states = [e.state for e in erin._events._events if isinstance(e, RegistrationChanged)]
    assert RegistrationState.FAILED not in states
    assert lab.devices.keep_alives == registers


async def test_a_call_refused_for_its_token_goes_through_with_the_next_one(lab, caplog):
    caplog.set_level(logging.DEBUG)
    ladder = Ladder()
    async with Phone(tap=ladder) as phone:
        erin, alice = [await account_of(lab, phone, name) for name in ("erin", "alice")]
        old, new = lab.tokens["erin"], "the-next-token"
        lab.tokens["erin"] = new
        (lab.files.folder / "erin.secret").write_text(new)
        call, other = await connect(erin, alice, "alice")
        await until(call, lambda state: state.lock)
        call.hangup()
        await other.ended()
    shown = ladder.transcript()
    assert shown.count("407 Proxy Authentication Required") >= 2
    assert all(token not in shown + caplog.text for token in (old, new))


async def test_a_call_that_no_token_helps_fails_once_and_says_so(lab, phone):
    erin, _ = [await account_of(lab, phone, name) for name in ("erin", "alice")]
    lab.tokens["erin"] = "something-else"
    with pytest.raises(CallFailed, match="407") as caught:
        await erin.dial("alice").answered(timeout=PATIENCE)
    assert caught.value.status == 407
    assert not erin._token.session.has_waiting_requests


async def test_a_token_that_nobody_accepts_is_said(lab, phone):
    lab.tokens["erin"] = "something-else"
    with pytest.raises(AuthenticationFailed, match="did not accept the token"):
        await phone.register(config_of(lab, "erin"))


async def test_nobody_sees_the_token(lab, caplog):
    caplog.set_level(logging.DEBUG)
    ladder = Ladder()
    token = lab.tokens["erin"]
    async with Phone(tap=ladder) as phone:
        config = config_of(lab, "erin")
        erin = await phone.register(config)
        assert token not in repr(config)
        assert token not in repr(erin._token.session)
    shown = ladder.transcript()
    assert "Proxy-Authorization: Bearer ***" in shown
    assert token not in shown
    assert token not in caplog.text


async def test_a_token_has_its_own_port(lab, phone):
    host, port = lab.nodes.addresses[0]
    nodes = (f"sips:{host}:{port}",)
    with pytest.raises(RegistrationRefused, match=r"port Mismatch.*5090") as caught:
        await phone.register(config_of(lab, "erin", nodes=nodes, registrar=None))
    assert caught.value.status == 403


async def test_a_device_whose_profile_wants_digest_answers_the_401(lab):
    ladder = Ladder()
    async with Phone(tap=ladder) as phone:
        await account_of(lab, phone, "frank")
        contact = lab.registered["frank"].contact
        assert contact.parameter("+u.sip!devicename.ccm.cisco.com") == "CSFFRANK"
        config = config_of(lab, "frank")
    shown = ladder.transcript()
    assert "SIP/2.0 401" in shown
    assert "ccmsipline" in shown
    wrong = replace(config.credentials, password=KeyMaterial(b"wrong"))
    async with Phone() as phone:
        with pytest.raises(AuthenticationFailed):
            await phone.register(replace(config, credentials=wrong))


async def test_a_digest_user_over_tls_has_srtp_and_needs_both(lab, phone):
    dave, alice = [await account_of(lab, phone, name) for name in ("dave", "alice")]
    assert "reg-id" not in str(lab.registered["dave"].contact)
    call, other = await connect(dave, alice, "alice")
    await until(other, lambda state: state.lock)
    assert call.audio.security.suite is not None
    config = config_of(lab, "dave")
    for changed, key in (
        (replace(config, credentials=None), "credentials"),
        (config.with_media(srtp=SrtpPolicy.OFF), r"media\.srtp"),
        (replace(config, registrar="sip:127.0.0.1:5060;transport=tcp"), "registrar"),
    ):
        with pytest.raises(ConfigurationError, match=f"^{key}"):
            await phone.register(changed)
