"""Each server that a sign-in asks over HTTPS gets 0 octets unless its certificate is right.

Measured at the peer, within TLS.  The edge server has a test of its own.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from softphone.contacts import UdsConfig
from softphone.contacts.uds import UdsDirectory
from softphone.errors import CertificateError
from softphone.messaging.im_presence import ClientConfigurationService, ImPresenceConfig
from softphone.net.http import HttpsClient, HttpsEnvironment
from softphone.oauth.cluster import query_single_sign_on
from softphone.provisioning import HttpFiles, HttpsTrust
from softphone.trust import Service, TlsSettings
from softphone.voicemail import VoicemailClient, VoicemailConfig
from tests.support.certificates import authority, foreign, raw_server_context, store
from tests.support.discovery import DOMAIN, NODE, PASSWORD, UDS, running_site
from tests.support.waiting import until

HOST = f"inside.{DOMAIN}"
TLS = TlsSettings(store=store(), service=Service.HTTPS)
WRONG = {
    "of an unknown authority": lambda: foreign().server(HOST),
    "of another host": lambda: authority().server(f"other.{DOMAIN}"),
}


class Peer:
    """A server that counts connections, and the octets that come within TLS."""

    def __init__(self, credential) -> None:
        self.context = raw_server_context(credential)
        self.connections = self.octets = 0

    async def serve(self, reader, writer) -> None:
        self.connections += 1
        with suppress(OSError):
            await writer.start_tls(self.context)
            while data := await reader.read(4096):
                self.octets += len(data)
        writer.close()


async def resolve(_):
    return ["127.0.0.1"]


ENVIRONMENT = HttpsEnvironment(resolve)


async def uds(site, port):
    site.zone[HOST, "A"] = ("127.0.0.1",)
    site.name(UDS, (HOST, port))
    await site.discovery().discover()


async def profile_and_settings(site, port):
    """The service profile, and `jabber-config.xml`, which lies beside it."""
    site.zone[HOST, "A"] = ("127.0.0.1",)
    lab = await site.uds()
    lab.profile_uri = f"https://{HOST}:{port}/SPDefault.cnf.xml"
    site.name(UDS, (NODE, lab.address[1]))
    await site.discovery().discover()


async def device_file(site, port):
    await HttpFiles(HOST, port, HttpsTrust(store()), environment=ENVIRONMENT).fetch_file("x.xml")


async def soap(site, port):
    config = ImPresenceConfig((f"{HOST}:{port}",), tls=TLS)
    address = f"alice@{DOMAIN}"
    await ClientConfigurationService(config, address, PASSWORD, ENVIRONMENT).presence_domain()


async def directory(site, port):
    config = UdsConfig("uds", f"{HOST}:{port}", "alice", PASSWORD, True, tls=TLS)
    await UdsDirectory(config, ENVIRONMENT).search("alice", 5)


async def voicemail(site, port):
    config = VoicemailConfig(f"{HOST}:{port}", "alice", PASSWORD, tls=TLS)
    await VoicemailClient(config, ENVIRONMENT).count()


async def single_sign_on(site, port):
    await query_single_sign_on(HttpsClient(TLS, environment=ENVIRONMENT), HOST, port)


STEPS = (uds, profile_and_settings, device_file, soap, directory, voicemail, single_sign_on)


@pytest.mark.parametrize("wrong", WRONG)
async def test_no_step_sends_an_octet(tmp_path, wrong):
    async with running_site(tmp_path) as site:
        for step in STEPS:
            peer = Peer(WRONG[wrong]().write(tmp_path, "wrong"))
            async with await asyncio.start_server(peer.serve, "127.0.0.1", 0) as server:
                with pytest.raises(CertificateError):
                    await step(site, server.sockets[0].getsockname()[1])
            assert (step.__name__, peer.connections > 0, peer.octets) == (step.__name__, True, 0)


async def test_the_same_peer_gets_octets_by_a_right_certificate(tmp_path):
    """What would be measured otherwise."""
    peer = Peer(authority().server(HOST).write(tmp_path, "right"))
    async with (
        running_site(tmp_path) as site,
        await asyncio.start_server(peer.serve, "127.0.0.1", 0) as server,
    ):
        asking = asyncio.ensure_future(device_file(site, server.sockets[0].getsockname()[1]))
        await until(lambda: peer.octets)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert peer.octets > 0
