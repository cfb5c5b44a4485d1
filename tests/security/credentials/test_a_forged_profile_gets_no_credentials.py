"""A sign-in sends nothing to a server outside of the user's domain, whatever profile names it.

The servers have valid certificates of their own, and record every octet.  What carries the
password, what asks for the one-time password, and the boot with an unpinned trust list obey the
one rule; what the user confirms once is kept for all services and later sign-ins.
"""

from __future__ import annotations

import pytest

from softphone import Phone
from softphone.discovery import DiscoveryConfig
from softphone.errors import CredentialsWithheld
from softphone.lab import CertificateNames
from softphone.lab.cucm.file_service import FilePorts, FileService
from softphone.net.dns import DnsResolver, ResolverConfig
from softphone.phone.user_sign_in import (
    ServiceOutcome,
    UserService,
    UserSignInCallbacks,
    UserSignInConfig,
)
from softphone.trust import Service, TlsSettings
from tests.support.certificates import authority, store
from tests.support.discovery import DOMAIN, NODE, PASSWORD, UDS, running_site

EVIL = "login.evil.test"
PROFILE = """<serviceProfile>
<Voicemail><Primary><Address>{host}</Address><Port>{port}</Port></Primary></Voicemail>
<ImPresence><Primary><Address>{host}</Address><Port>{port}</Port></Primary></ImPresence>
</serviceProfile>"""
UNREAD = b'<Messages total="0"/>'


@pytest.fixture
async def site(tmp_path):
    """UDS in the user's domain, whose service profile and device name a server of another one."""
    async with running_site(tmp_path) as running:
        running.evil = await running.web(EVIL)
        lab = running.lab = await running.uds(im_and_presence=True)
        running.name(UDS, (NODE, lab.address[1]))
        issued = authority().server(NODE, CertificateNames(dns=(NODE,)))
        profile = PROFILE.format(host=EVIL, port=running.evil.port).encode()
        served = {"SPDefault.cnf.xml": profile}
        files = FileService(served.get, issued.write(tmp_path, "files"), FilePorts())
        await running._stack.enter_async_context(files)
        lab.profile_uri = f"https://{NODE}:{files.addresses['https'][1]}/SPDefault.cnf.xml"
        lab.files_uri = f"https://{EVIL}:{running.evil.port}"
        yield running


async def sign_in(site, tmp_path, confirm=None):
    """Sign alice in; returns the states by service."""
    tls = TlsSettings(store=store(), service=Service.HTTPS)
    config = UserSignInConfig(
        DiscoveryConfig(f"alice@{DOMAIN}", PASSWORD, tls=tls), tmp_path / "device"
    )
    own = ResolverConfig(nameservers=(site.dns.address,), hosts_file="/nonexistent")
    callbacks = UserSignInCallbacks(confirm, cache=site.cache)
    async with Phone(resolver=DnsResolver(own, entropy=bytes)) as phone:
        user = await phone.sign_in_user(config, callbacks=callbacks)
    return {each.service: each for each in user.services}


async def test_servers_outside_of_the_domain_get_no_octet(site, tmp_path):
    states = await sign_in(site, tmp_path)
    for service in (UserService.PHONE, UserService.CHAT, UserService.VOICEMAIL):
        state = states[service]
        assert state.outcome is ServiceOutcome.FAILED
        assert isinstance(state.error, CredentialsWithheld), state
        assert EVIL in state.why
        assert not state.lock
    # Its handshakes have ended; nothing followed.
    assert site.evil.requests == []
    assert states[UserService.DIRECTORY].outcome is ServiceOutcome.SIGNED_IN


async def test_a_user_who_refuses_is_asked_and_nothing_is_sent(site, tmp_path):
    asked = []

    async def refuse(question):
        asked.append(str(question.target))
        return False

    states = await sign_in(site, tmp_path, refuse)
    assert set(asked) == {f"{EVIL}:{site.evil.port}"}
    assert site.evil.requests == []
    assert states[UserService.VOICEMAIL].outcome is ServiceOutcome.FAILED


async def test_what_is_confirmed_once_counts_for_every_service_and_is_kept(site, tmp_path):
    asked = []

    async def agree(question):
        asked.append(question)
        return True

    await sign_in(site, tmp_path, agree)
    assert len(asked) == 1
    assert any(b"Authorization: Basic" in each for each in site.evil.requests)
    site.evil.requests.clear()
    await sign_in(site, tmp_path)
    assert any(b"Authorization: Basic" in each for each in site.evil.requests)


@pytest.mark.parametrize("named", [True, False])
async def test_a_certificate_that_names_the_domain_is_enough(site, tmp_path, named):
    """The same server, with a certificate that also names the user's domain."""
    host = "unity.hoster.test"
    names = (host, DOMAIN) if named else (host, f"other.{DOMAIN}")
    web = await site.web(host, authority().server(host, CertificateNames(dns=names)))
    web.answers["/vmrest"] = UNREAD
    profile = PROFILE.format(host=host, port=web.port).encode()
    issued = authority().server(NODE, CertificateNames(dns=(NODE,)))
    files = FileService(lambda name: profile, issued.write(tmp_path, "other"), FilePorts())
    await site._stack.enter_async_context(files)
    site.lab.profile_uri = f"https://{NODE}:{files.addresses['https'][1]}/SPDefault.cnf.xml"
    states = await sign_in(site, tmp_path)
    assert isinstance(states[UserService.VOICEMAIL].error, CredentialsWithheld) is not named
    assert (web.requests != []) is named
