"""Asterisk as a trunk that calls our TLS listener without a certificate of a client."""

from __future__ import annotations

import asyncio

import pytest

from softphone.config import (
    AccountConfig,
    CallerConfig,
    ChallengeConfig,
    MediaPreferences,
    RouteConfig,
    TlsConfig,
)
from softphone.phone import Phone
from softphone.security import ClientCertificates, KeyMaterial, SecurityLevel, SrtpPolicy
from tests.support.waiting import PATIENCE
from tests.support.waiting import until as eventually

pytestmark = [pytest.mark.peer("asterisk"), pytest.mark.feature("trunk that calls a listener")]


def listener(authority, **values):
    certificate, key = authority.server
    return AccountConfig(
        aor="sip:us@127.0.0.1",
        listen="tls:127.0.0.1:0",
        client_certificates=ClientCertificates.NONE,
        tls=TlsConfig(ca=(authority.certificate,), server_certificate=certificate, server_key=key),
        media=MediaPreferences(srtp=SrtpPolicy.REQUIRED),
        **values,
    )


def challenge(password, algorithm="SHA-256"):
    users = (CallerConfig("trunk", KeyMaterial(password)),)
    return ChallengeConfig(users, realm="pbx.example.test", algorithms=(algorithm,))


async def originate(asterisk, line, number="us"):
    """Have Asterisk call a number of the listener."""
    _, host, port = line.listening
    uri = f"trunk/sip:{number}@{host}:{port};transport=tls"
    await asyncio.to_thread(asterisk.originate, uri)


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
async def test_its_digest_lets_it_in_and_the_call_is_encrypted(asterisk, authority, algorithm):
    async with Phone() as phone:
        config = listener(authority, challenge=challenge(b"secret", algorithm))
        line = await phone.register(config)
        await originate(asterisk, line)
        async with asyncio.timeout(PATIENCE):
            call = await (await anext(line.incoming())).answer()
        assert call.security.signaling.verdict == "digest"
        assert call.security.hop_level is SecurityLevel.ENCRYPTED
        await eventually(lambda: call.audio.statistics.packets_received > 5)
        call.hangup()


async def test_another_password_keeps_it_out(asterisk, authority):
    async with Phone() as phone:
        line = await phone.register(listener(authority, challenge=challenge(b"another")))
        await originate(asterisk, line)
        await eventually(lambda: line._driver.counters["accepted"] >= 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await anext(line.incoming())
        assert not line.call_states


async def test_its_address_lets_it_in_and_its_number_finds_the_account(asterisk, authority):
    routes = (RouteConfig("_+4930X.", account="sip:sales@127.0.0.1"),)
    async with Phone() as phone:
        line = await phone.register(listener(authority, accept_from=("127.0.0.1",), routes=routes))
        sales = await phone.register(
            AccountConfig(aor="sip:sales@127.0.0.1", listen="udp:127.0.0.1:0")
        )
        await originate(asterisk, line, "+49301234")
        async with asyncio.timeout(PATIENCE):
            call = await (await anext(sales.incoming())).answer()
        assert call.security.signaling.verdict == "address"
        assert call.security.hop_level is SecurityLevel.ENCRYPTED
        call.hangup()
