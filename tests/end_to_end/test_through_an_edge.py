"""A user outside: sign-in, registration and calls through the lab's edge, over real sockets.

One lab serves all of it: what a lab costs is paid once.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from softphone.config import EdgeAccess, TlsConfig, load_account
from softphone.device import edge_accounts
from softphone.discovery import (
    DiscoveryConfig,
    DiscoveryEnvironment,
    ServiceDiscovery,
    ServicePath,
)
from softphone.edge import EdgeOptions, sign_in_at_edge
from softphone.errors import EdgeRefused, IdentityMismatch, RegistrationRefused
from softphone.events import EndedBy, RegistrationState
from softphone.lab import LabConfig, LabServer
from softphone.media.audio import PcmRing, ToneSource, tone_level
from softphone.net import DnsResolver
from softphone.net.dns import ResolverConfig
from softphone.phone import Phone
from softphone.security import (
    KeyMaterial,
    Scope,
    SecurityLevel,
    SecurityPolicy,
    SecurityShortfall,
    ShortfallCode,
    SrtpPolicy,
)
from softphone.trust import Service, TlsSettings, TrustStore
from softphone.voicemail import VoicemailClient, VoicemailConfig
from tests.support.waiting import PATIENCE

AUDIBLE_DBM0 = -30.0


class Outside:
    """A user who knows a mail address, a password and the DNS outside."""

    def __init__(self, lab, folder) -> None:
        self.lab, self.folder = lab, folder
        self.steps = []
        self.resolver = DnsResolver(
            ResolverConfig(nameservers=(lab.outside_dns.address,), hosts_file="/nonexistent"),
            entropy=bytes,
        )
        self.environment = DiscoveryEnvironment(self.resolver, on_step=self.steps.append)
        tls = TlsSettings(store=TrustStore.from_sources(lab.files.ca), service=Service.HTTPS)
        secret = (folder / "carol.secret").read_bytes().strip()
        self.config = DiscoveryConfig("carol@example.test", KeyMaterial(secret), tls=tls)

    @asynccontextmanager
    async def signed_in(self, options: EdgeOptions | None = None):
        found = await ServiceDiscovery(self.config, self.environment).discover()
        assert found.path is ServicePath.EDGE
        async with sign_in_at_edge(found, self.config, self.environment, options) as edge:
            yield edge

    async def account(self, edge):
        """The account of carol's device, by its configuration through the edge."""
        document = await edge.device_configuration("CSFCAROL")
        ca = TlsConfig(ca=(self.lab.files.ca,))
        (account,) = edge_accounts(edge, "CSFCAROL", document, tls=ca)
        return account


async def hears(call, frequency):
    """Whether a tone comes, in one of 20 pieces of a fifth of a second: it may begin late."""
    ring = PcmRing(8000, seconds=1.0)
    call.audio.record(ring)
    levels = [tone_level(await ring.read_exactly(1600), frequency, 8000)]
    while max(levels) < AUDIBLE_DBM0 and len(levels) < 20:
        levels.append(tone_level(await ring.read_exactly(1600), frequency, 8000))
    call.audio.record(None)
    return max(levels) > AUDIBLE_DBM0


async def answer_one(account):
    async for incoming in account.incoming():
        return await incoming.answer()
    raise AssertionError("nobody called")


async def test_a_user_outside(tmp_path):
    config = LabConfig(files=True, directory=True, dns=True, voicemail=True, edge=True)
    async with LabServer(tmp_path, config) as lab:
        outside = Outside(lab, tmp_path)
        async with outside.signed_in() as edge:
            found = edge.found
            assert [each.name for each in found.devices] == ["CSFCAROL"]
            assert found.config is not None
            assert found.profile is not None
            assert lab.dns.asked == []
            await voicemail(lab, edge)
            account = await outside.account(edge)
            assert (account.registrar, account.edge.route) == ("sip:127.0.0.1", lab.edge.web.route)
            async with Phone(resolver=outside.resolver) as phone:
                carol = await phone.register(account)
                assert carol.registration is RegistrationState.REGISTERED
                await calls(lab, phone, carol)
            await refusals(lab, outside, account)
        await without_a_device_route(lab, outside)


async def voicemail(lab, edge):
    """The mailbox, which only the edge reaches; its own authority does not count."""
    (server,) = (each for each in edge.found.profile.servers if each.service == "Voicemail")
    password = KeyMaterial((lab.files.folder / "carol.secret").read_bytes().strip())
    config = VoicemailConfig(f"{server.address}:{server.port}", "carol", password)
    mailbox = VoicemailClient(config, edge.session.environment)
    counts = await mailbox.count()
    new = [each async for each in mailbox.messages() if not each.read]
    assert counts.new == len(new) > 0
    await mailbox.mark_read(new[0].id)
    assert (await mailbox.count()).new == counts.new - 1


async def calls(lab, phone, carol):
    """Calls both ways, heard both ways, never with a lock."""
    for demand in (None, SrtpPolicy.OPTIONAL, SrtpPolicy.OFF):
        async with carol.dial("600", srtp=demand) as outgoing:
            call = await outgoing.answered(timeout=PATIENCE)
            state = call.security
            assert state.hop_level is SecurityLevel.ENCRYPTED
            assert (state.lock, state.scope, state.by_edge) == (False, Scope.HOP, True)
            if demand is None:
                call.audio.play(ToneSource(440.0))
                assert await hears(call, 440.0)
    heard = lab.edge.relays[0]
    assert min(heard.counts) > 0
    assert heard.refused == 0
    alice = await phone.register(
        load_account(lab.accounts["alice"]).config.with_media(srtp=SrtpPolicy.OPTIONAL)
    )
    answering = asyncio.create_task(answer_one(carol))
    call = await alice.dial("carol").answered(timeout=PATIENCE)
    other = await asyncio.wait_for(answering, PATIENCE)
    assert other.security.hop_level is SecurityLevel.ENCRYPTED
    assert not other.security.lock
    assert call.security.level is SecurityLevel.NOT_SECURE
    call.audio.play(ToneSource(660.0))
    assert await hears(other, 660.0)
    call.hangup()
    assert (await other.ended()).by is EndedBy.REMOTE
    lab.edge.faults.clear_answer = True
    with pytest.raises(SecurityShortfall) as caught:
        await carol.dial("600", srtp=SrtpPolicy.OFF).answered(timeout=PATIENCE)
    lab.edge.faults.clear_answer = False
    assert ShortfallCode.SRTP_REQUIRED in {each.code for each in caught.value.shortfalls}
    # Whatever was asked for, no call came to the edge without keys.
    assert lab.edge.refused == []


async def refusals(lab, outside, account):
    """A policy of the phone lowers nothing, and a wrong name ends it."""
    async with Phone(resolver=outside.resolver, policy=SecurityPolicy.clear()) as phone:
        carol = await phone.register(account)
        assert carol.call_policy.srtp is SrtpPolicy.REQUIRED
        await phone.close(carol)
        access = account.edge
        with pytest.raises(RegistrationRefused, match="Route"):
            await phone.register(replace(account, edge=EdgeAccess(access.domain, access.servers)))
        other = EdgeAccess("other.test", access.servers, access.route)
        before = len(lab.edge.proxy.methods)
        with pytest.raises(IdentityMismatch, match=r"other\.test"):
            await phone.register(replace(account, edge=other))
        assert len(lab.edge.proxy.methods) == before
        lost = EdgeAccess(access.domain, ("lost.example.test", *access.servers), access.route)
        assert (await phone.register(replace(account, edge=lost))).flow is not None


async def without_a_device_route(lab, outside):
    """What is switched off stays off, and a refused user learns it."""
    async with outside.signed_in(EdgeOptions(send_route=False)) as edge:
        assert (await outside.account(edge)).edge.route == ""
    lab.edge.faults.status = 401
    with pytest.raises(EdgeRefused):
        async with outside.signed_in():
            raise AssertionError("the edge refused")
