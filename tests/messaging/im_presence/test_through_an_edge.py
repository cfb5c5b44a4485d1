"""Chat through an edge server: the stream of a node, behind a certificate of another name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.account import TrustContext
from softphone.errors import (
    CertificateUntrusted,
    ConfigurationError,
    SignInRefused,
    TransportError,
)
from softphone.lab.im_presence import ImPresenceFault
from softphone.messaging import EncryptionScope, TlsMode
from softphone.messaging.client import _server_settings
from softphone.messaging.im_presence import ImPresenceConfig, XmppEdge
from softphone.net.dns import DnsResolver
from softphone.net.http import RevocationFetcher
from softphone.phone.messaging import MessagingSetup, make_messaging_client
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings, client_context
from tests.support.certificates import authority, store
from tests.support.chat import DOMAIN
from tests.support.im_presence import BACKUP, EDGE, EDGE_DOMAIN, HOME, Outside, running_site
from tests.support.waiting import until

WAY = XmppEdge(EDGE_DOMAIN, (EDGE,))


@pytest.fixture
async def outside(tmp_path, entropy):
    async with running_site(tmp_path, entropy) as site:
        yield Outside(site, tmp_path)


@pytest.mark.parametrize("mode", TlsMode)
async def test_a_user_outside_signs_in_and_stays_at_the_edge(outside, mode):
    """Another home node is named, which cannot be reached from here: nobody moves there."""
    node = await outside.site.start(home=(f"imp9.{DOMAIN}", BACKUP))
    edge = await outside.start(node, mode=mode)
    async with outside.client() as alice:
        assert alice.mechanism == "CISCO-VTG-TOKEN"
        await alice.send(alice.jid, "heard")
        message = await anext(aiter(alice))
        assert message.security.scope is EncryptionScope.CLIENT_TO_EDGE
        assert {f"dns:{EDGE}", f"dns:{EDGE_DOMAIN}"} <= set(message.security.identity.names)
        # The edge ends the stream with the node's, and we come back.
        node.streams.cut()
        await until(lambda: edge.streams == 2 and alice.is_up)
    assert set(outside.tunnel.asked) == {HOME}
    assert len(outside.tunnel.asked) == len(node.asked)
    assert edge.octets > 0


async def test_the_next_node_gives_the_password_where_the_first_does_not(outside):
    first = await outside.site.start(HOME)
    first.faults.add(ImPresenceFault.UNAVAILABLE)
    second = await outside.site.start(BACKUP)
    await outside.start(second)
    async with outside.client():
        assert outside.tunnel.asked == [HOME, BACKUP, BACKUP, BACKUP]
    # The node that XMPP names as the home one is asked first.
    first.faults.clear()
    second.streams.home = (BACKUP,)
    outside.tunnel.asked.clear()
    async with outside.client():
        assert set(outside.tunnel.asked) == {BACKUP}
    second.faults.add(ImPresenceFault.UNAVAILABLE)
    first.faults.add(ImPresenceFault.UNAVAILABLE)
    with pytest.raises(TransportError, match="503"):
        await outside.client().__aenter__()


async def test_a_refused_password_goes_to_one_node(outside):
    await outside.site.start(HOME)
    node = await outside.site.start(BACKUP)
    await outside.start(node)
    with pytest.raises(SignInRefused):
        await outside.client(account={"password": KeyMaterial(b"guessed")}).__aenter__()
    assert outside.tunnel.asked == [HOME]


async def test_a_pinned_certificate_is_none_of_an_edge(outside):
    node = await outside.site.start()
    edge = await outside.start(node)
    pinned = TlsSettings(store=store(), service=Service.XMPP, pin=f"sha256:{'0' * 64}")
    with pytest.raises(CertificateUntrusted):
        await outside.client(account={"tls": pinned}).__aenter__()
    assert (edge.octets, outside.tunnel.asked) == (0, [])


async def test_no_certificate_of_ours_is_shown_and_nobody_is_asked(outside, tmp_path):
    node = await outside.site.start()
    await outside.start(node)

    async def yes(question):
        raise AssertionError("asked")

    own = authority().client(f"alice@{DOMAIN}").write(tmp_path, "alice")
    tls = TlsSettings(store=store(), service=Service.XMPP, credential=own, unknown=yes)
    config = outside.site.config(edge=outside.way, account={"tls": tls})
    settings = _server_settings(config)
    assert (settings.credential, settings.unknown) == (None, None)
    assert settings.edge_domain == EDGE_DOMAIN
    assert client_context(settings).get_ca_certs()
    inside = _server_settings(replace(config, im_presence=replace(config.im_presence, edge=None)))
    assert (inside.credential, inside.unknown, inside.edge_domain) == (own, yes, None)


@pytest.mark.parametrize(("edge", "tunnel"), [(WAY, None), (None, object())])
def test_chat_and_the_tunnel_go_together(edge, tunnel):
    """A login would else go to the nodes directly, or a stream around the edge."""
    from softphone.messaging import MessagingConfig

    config = MessagingConfig(
        f"alice@{DOMAIN}",
        KeyMaterial(b"x"),
        tls=TlsSettings(service=Service.XMPP),
        im_presence=ImPresenceConfig((HOME,), edge=edge),
    )
    trust = TrustContext(fetcher=RevocationFetcher(), tunnel=tunnel)
    setup = MessagingSetup(trust, DnsResolver(entropy=bytes), bytes, False)
    with pytest.raises(ConfigurationError, match="session"):
        make_messaging_client(config, setup, None)


@pytest.mark.parametrize(
    ("domain", "servers"),
    [
        (EDGE_DOMAIN, ()),
        (EDGE_DOMAIN, (EDGE,) * 17),
        (EDGE_DOMAIN, ("",)),
        (EDGE_DOMAIN, (f"{EDGE}:0",)),
        ("no domain", (EDGE,)),
    ],
)
def test_what_is_no_edge_is_refused(domain, servers):
    with pytest.raises(ConfigurationError):
        XmppEdge(domain, servers)


def test_an_edge_has_the_port_of_its_way_to_tls():
    (usual,), (direct,) = WAY.candidates, XmppEdge(EDGE_DOMAIN, (EDGE,), TlsMode.DIRECT).candidates
    assert (usual.target.port, direct.target.port) == (5222, 5223)
    assert usual.target.server_name is None
