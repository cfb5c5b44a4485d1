"""A forged SRV record leads to a server with a valid certificate of its own: it gets no password.

Measured at that server, in octets of every request that it was sent.
"""

from __future__ import annotations

import base64

import pytest

from softphone import Phone
from softphone.discovery import ServiceTarget
from softphone.errors import CertificateError, CredentialsWithheld, IdentityMismatch
from softphone.lab import CertificateNames
from softphone.lab.authority import Authority
from softphone.net.dns import DnsResolver, ResolverConfig
from softphone.phone.user_sign_in import UserSignInConfig
from softphone.trust import Service, TlsSettings, TrustStore
from tests.support.certificates import authority
from tests.support.discovery import (
    DOMAIN,
    EDGE,
    NODE,
    PASSWORD,
    UDS,
    running_site,
    self_serving,
)
from tests.support.edge import running_edge_site

EVIL = "login.evil.test"
SHOWN = (PASSWORD.reveal(), base64.b64encode(b"alice:" + PASSWORD.reveal()))


@pytest.fixture
async def site(tmp_path):
    async with running_site(tmp_path) as running:
        yield running


async def forged(site, host=EVIL, *names, named_by=authority, address=("127.0.0.1", 0)):
    """A server that answers everything as a home cluster would, and the record that names it."""
    issued = named_by().server(host, CertificateNames(dns=(host, *names)))
    web = await site.web(host, issued, address)
    web.answers = self_serving(host, web.port)
    site.name(UDS, (host, web.port))
    return web


def credentials_in(*servers):
    """The octets of credentials that these servers were sent."""
    sent = b"".join(request for each in servers for request in each.requests)
    lines = [line for line in sent.split(b"\r\n") if line.lower().startswith(b"authorization")]
    return sum(map(len, lines)) + sum(sent.count(each) for each in SHOWN)


async def test_a_valid_certificate_of_its_own_gets_0_octets(site):
    web = await forged(site)
    with pytest.raises(CredentialsWithheld, match=r"login\.evil\.test.*no credentials were sent"):
        await site.discovery().discover()
    assert [each.split()[1] for each in web.requests] == [
        b"/cucm-uds/clusterUser?email=alice@example.test",
        b"/cucm-uds/servers",
    ]
    assert credentials_in(web) == 0


@pytest.mark.parametrize(
    "name", [f"cucm.{DOMAIN}", f"*.{DOMAIN}", f"{DOMAIN}.evil.test", f"evil{DOMAIN}"]
)
async def test_names_that_look_like_the_domain_get_0_octets(site, name):
    web = await forged(site, EVIL, name)
    with pytest.raises(CredentialsWithheld):
        await site.discovery().discover()
    assert credentials_in(web) == 0


@pytest.mark.parametrize("host", [f"evil{DOMAIN}", f"{DOMAIN}.evil.test"])
async def test_a_host_that_looks_like_the_domain_gets_0_octets(site, host):
    web = await forged(site, host)
    with pytest.raises(CredentialsWithheld):
        await site.discovery().discover()
    assert credentials_in(web) == 0


async def test_a_host_in_the_domain_with_another_certificate_gets_0_octets(site):
    web = await site.web(NODE, authority().server(EVIL))
    web.answers = self_serving(NODE, web.port)
    site.name(UDS, (NODE, web.port))
    with pytest.raises(CertificateError):
        await site.discovery().discover()
    assert web.requests == []


async def test_a_server_that_names_a_real_home_cluster_gets_0_octets(site):
    lab = await site.uds()
    web = await forged(site)
    web.answers = self_serving(NODE, lab.address[1])
    found = await site.discovery().discover()
    assert found.home == ServiceTarget(NODE, lab.address[1])
    assert [user for _, _, user in lab.asked if user] == ["alice", "alice"]
    assert credentials_in(web) == 0


async def test_a_forged_server_does_not_choose_whose_name_goes_with_the_password(site):
    lab = await site.uds()
    web = await forged(site)
    web.answers = {
        path: body.replace(b"user/alice", b"user/mallory")
        for path, body in self_serving(NODE, lab.address[1]).items()
    }
    await site.discovery().discover()
    assert [what for what, _, user in lab.asked if user] == ["user/alice", "user/alice/devices"]


async def test_the_list_of_a_cluster_leads_nowhere_else(site):
    """A home server of the domain that lists a server of another one, and does not answer."""
    home = await site.web(NODE)
    # The servers of a cluster are at one port: here at another address of loopback.
    web = await forged(site, address=("127.0.0.2", home.port))
    home.answers = self_serving(NODE, home.port)
    servers = f"<servers><server>{NODE}</server><server>{EVIL}</server></servers>"
    home.answers["/cucm-uds/servers"] = servers.encode()

    def busy():
        home.status = "503 Busy"
        return b""

    home.answers["/cucm-uds/user/alice"] = busy
    site.name(UDS, (NODE, home.port))
    with pytest.raises(CredentialsWithheld, match=EVIL):
        await site.discovery().discover()
    assert web.requests == []
    assert credentials_in(home) > 0


async def test_a_certificate_accepted_by_hand_may_claim_any_name_and_gets_0_octets(site):
    own = Authority("evil CA")
    web = await forged(site, EVIL, DOMAIN, named_by=lambda: own)

    async def accept(question):
        return True

    tls = TlsSettings(store=TrustStore(), service=Service.HTTPS, unknown=accept)
    with pytest.raises(CredentialsWithheld):
        await site.discovery(tls=tls).discover()
    assert web.requests
    assert credentials_in(web) == 0


async def test_a_certificate_that_names_the_domain_is_tied_to_it(site):
    await forged(site, "uds.hosting.test", DOMAIN)
    found = await site.discovery().discover()
    assert found.user.user_id == "alice"


@pytest.mark.parametrize("answer", [True, False])
async def test_a_server_is_confirmed_once_and_for_its_port_only(site, answer):
    web = await forged(site)
    asked = []

    async def confirm(question):
        asked.append(question)
        return answer

    if not answer:
        with pytest.raises(CredentialsWithheld):
            await site.discovery(confirm=confirm).discover()
        assert credentials_in(web) == 0
        assert site.cache.load(f"alice@{DOMAIN}").confirmed == ()
        return
    await site.discovery(confirm=confirm).discover()
    (question,) = asked
    assert (question.target, question.domains) == (ServiceTarget(EVIL, web.port), (DOMAIN,))
    site.wall += 10 * 86_400
    await site.discovery().discover()
    assert credentials_in(web) > 0
    other = await forged(site)
    with pytest.raises(CredentialsWithheld):
        await site.discovery().discover()
    assert credentials_in(other) == 0


@pytest.mark.parametrize("names", [(), (f"edge.{DOMAIN}",), (f"*.{DOMAIN}",), (f"evil{DOMAIN}",)])
@pytest.mark.parametrize("real", [True, False])
async def test_a_forged_edge_gets_0_octets(tmp_path, names, real):
    """Alone, and after the real edge has failed: a user who signs in sends it no byte."""
    async with running_edge_site(tmp_path) as edges:
        site = edges.site
        web = await site.web(EVIL, authority().server(EVIL, CertificateNames(dns=(EVIL, *names))))
        places = [(EVIL, web.port)]
        if real:
            edge = await edges.edge()
            edge.faults.status = 500
            site.zone[edge.host, "A"] = ("127.0.0.1",)
            places.insert(0, (edge.host, edge.address[1]))
        site.name(EDGE, *places)
        own = ResolverConfig(nameservers=(site.dns.address,), hosts_file="/nonexistent")
        async with Phone(resolver=DnsResolver(own, entropy=bytes)) as phone:
            with pytest.raises(IdentityMismatch, match=r"does not name example\.test"):
                await phone.sign_in_user(UserSignInConfig(edges.config(), tmp_path / "device"))
        assert web.requests == []
        assert [user for each in edges.edges for _, user in each.asked] == ["alice"] * real
