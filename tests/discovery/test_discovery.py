"""A discovery against servers over TLS on loopback: order, failover, files, cache, reasons."""

from __future__ import annotations

import pytest

from softphone.discovery import (
    ExcludedService,
    ServicePath,
    ServiceRecord,
    ServiceTarget,
)
from softphone.errors import (
    CertificateUntrusted,
    DiscoveryError,
    DiscoveryRefused,
    IdentityMismatch,
    TransportError,
)
from softphone.lab import CertificateNames
from softphone.lab.cucm.file_service import FilePorts, FileService
from softphone.lab.uds_directory import DirectoryUser
from softphone.security import KeyMaterial
from softphone.sip.transport import SrvRecord
from softphone.trust import Service, TlsSettings
from tests.support.certificates import authority, foreign, store
from tests.support.discovery import (
    ALICE,
    CUP,
    DOMAIN,
    EDGE,
    NODE,
    UDS,
    SilentDns,
    running_site,
    self_serving,
)

PROFILE = b"""<serviceProfile><Voicemail><Primary><Address>unity.example.test</Address></Primary>
</Voicemail></serviceProfile>"""
STRICT = b"<config><Policies><Disable_IM_History>true</Disable_IM_History></Policies></config>"


@pytest.fixture
async def site(tmp_path):
    async with running_site(tmp_path) as running:
        yield running


async def inside(site, host=NODE, **more):
    """A site whose users are inside, at one server."""
    lab = await site.uds(host, **more)
    site.name(UDS, (host, lab.address[1]))
    return lab


async def with_files(site, tmp_path, lab):
    """Serve files over HTTP and HTTPS on the server's host; returns the service and its files."""
    issued = authority().server(NODE, CertificateNames(dns=(NODE,)))
    held: dict[str, bytes] = {}
    service = FileService(held.get, issued.write(tmp_path, "files"), FilePorts())
    await site._stack.enter_async_context(service)
    lab.profile_uri = f"http://{NODE}:{service.addresses['http'][1]}/SPDefault.cnf.xml"
    return service, held


async def test_a_user_inside_is_found_with_devices(site):
    lab = await inside(site)
    found = await site.discovery().discover()
    home = ServiceTarget(NODE, lab.address[1])
    assert (found.path, found.home, found.nodes) == (ServicePath.UDS, home, (home,))
    assert (found.user.user_id, found.user.number) == ("alice", "1001")
    assert [each.name for each in found.devices] == ["CSFALICE"]
    assert lab.asked == [
        ("clusterUser", "email=alice@example.test", None),
        ("servers", "", None),
        ("user/alice", "", "alice"),
        ("user/alice/devices", "", "alice"),
    ]
    assert [each.name for each in site.steps] == [
        "domain",
        f"{UDS}.{DOMAIN}",
        f"{CUP}.{DOMAIN}",
        f"{EDGE}.{DOMAIN}",
        "decision",
        "home cluster",
        "servers",
        "user",
        "devices",
        "service profile",
        "jabber-config.xml",
    ]
    (user,) = (each for each in site.steps if each.name == "user")
    assert f"{NODE} is in {DOMAIN}" in user.why


async def test_without_a_password_nothing_is_asked_that_needs_one(site):
    lab = await inside(site)
    found = await site.discovery(password=None).discover()
    assert (found.user, found.devices) == (None, ())
    assert [what for what, _, _ in lab.asked] == ["clusterUser", "servers"]
    assert site.told("user") == [("left out", "alice")]


async def test_a_mail_address_that_no_user_has_is_followed_by_the_user_name(site):
    lab = await inside(site, people=(DirectoryUser("alice", "Alice", "Adler", "1"),))
    assert (await site.discovery().discover()).user.user_id == "alice"
    assert [query for _, query, _ in lab.asked[:2]] == [
        "email=alice@example.test",
        "username=alice",
    ]


async def test_the_users_id_comes_from_a_server_of_the_domain(site):
    lab = await inside(site, people=(DirectoryUser("alice", "A", "A", "1", f"alias@{DOMAIN}"),))
    found = await site.discovery(account=f"alias@{DOMAIN}").discover()
    assert found.user.user_id == "alice"
    assert lab.asked[-1] == ("user/alice/devices", "", "alice")


async def test_a_user_whom_nobody_knows_is_refused_without_credentials(site):
    lab = await inside(site, people=())
    with pytest.raises(DiscoveryRefused, match="no cluster knows"):
        await site.discovery().discover()
    assert [user for _, _, user in lab.asked] == [None, None]


async def test_a_wrong_password_is_sent_once(site):
    first = await inside(site, servers=(NODE, f"cucm2.{DOMAIN}"))
    with pytest.raises(DiscoveryRefused, match="401"):
        await site.discovery(password=KeyMaterial(b"guessed")).discover()
    assert [what for what, _, _ in first.asked].count("user/alice") == 1


async def test_the_home_cluster_may_be_another_server(site):
    home = await site.uds(f"cucm9.{DOMAIN}")
    web = await site.web(NODE)
    answers = self_serving(f"cucm9.{DOMAIN}", home.address[1])
    web.answers = {path: body for path, body in answers.items() if "clusterUser" in path}
    site.name(UDS, (NODE, web.port))
    found = await site.discovery().discover()
    assert found.home == ServiceTarget(f"cucm9.{DOMAIN}", home.address[1])
    assert [user for _, _, user in home.asked] == [None, "alice", "alice"]
    assert b"Authorization" not in b"".join(web.requests)


async def test_servers_that_do_not_answer_or_are_busy_give_way_to_the_next(site):
    busy = await site.web(f"busy.{DOMAIN}")
    busy.status = "503 Busy"
    lab = await site.uds()
    port = lab.address[1]
    dead = site.nobody(f"dead.{DOMAIN}")
    site.name(UDS, (dead, port), (f"busy.{DOMAIN}", busy.port), (NODE, port))
    assert (await site.discovery().discover()).user.user_id == "alice"
    assert [detail for _, detail in site.told("server")] == [
        f"{dead}:{port}",
        f"busy.{DOMAIN}:{busy.port}",
    ]


async def test_the_next_server_of_the_cluster_is_asked_when_one_is_busy(site):
    """The home server tells the cluster's servers, and is busy with everything else."""
    web = await site.web(NODE)
    # The servers of a cluster are at one port; here on two addresses of loopback.
    second = await site.uds(f"cucm2.{DOMAIN}", address=("127.0.0.2", web.port))
    answers = self_serving(NODE, web.port)
    servers = f"<servers><server>{NODE}</server><server>cucm2.{DOMAIN}</server></servers>"
    answers["/cucm-uds/servers"] = servers.encode()
    web.answers = answers

    def busy():
        web.status = "503 Busy"
        return b""

    web.answers["/cucm-uds/user/alice"] = busy
    site.name(UDS, (NODE, web.port))
    found = await site.discovery().discover()
    assert [each.host for each in found.nodes] == [NODE, f"cucm2.{DOMAIN}"]
    assert second.asked == [
        ("user/alice", "", "alice"),
        ("user/alice/devices", "", "alice"),
    ]


@pytest.mark.parametrize("same_cluster", [True, False])
async def test_while_the_home_server_is_down_its_cluster_is_told_by_another_of_it(
    site, same_cluster
):
    """The server of the record names a home server that does not answer."""
    web = await site.web(f"cucm2.{DOMAIN}")
    site.nobody(NODE)
    answers = self_serving(NODE, web.port)
    other = NODE if same_cluster else f"cucm3.{DOMAIN}"
    servers = f"<servers><server>{other}</server><server>cucm2.{DOMAIN}</server></servers>"
    answers["/cucm-uds/servers"] = servers.encode()
    web.answers = answers
    site.name(UDS, (f"cucm2.{DOMAIN}", web.port))
    if same_cluster:
        assert (await site.discovery().discover()).user.user_id == "alice"
        return
    with pytest.raises(TransportError):
        await site.discovery().discover()
    assert [outcome for outcome, _ in site.told("servers")] == ["failed"]
    assert b"Authorization" not in b"".join(web.requests)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("403 No", DiscoveryRefused),
        ("404 No", DiscoveryRefused),
        ("500 No", DiscoveryError),
        ("302 Elsewhere\r\nLocation: https://evil.test/", DiscoveryError),
    ],
)
async def test_a_server_that_refuses_or_sends_us_elsewhere_ends_it(site, status, error):
    web = await site.web(NODE)
    web.answers = self_serving(NODE, web.port)
    web.answers["/cucm-uds/user/alice"] = lambda: setattr(web, "status", status) or b""
    site.name(UDS, (NODE, web.port))
    with pytest.raises(error, match=f"answered {status[:3]}"):
        await site.discovery().discover()
    assert web.requests[-1].startswith(b"GET /cucm-uds/user/alice HTTP")


async def test_a_record_that_is_not_answered_counts_as_none(site):
    class PartlySilent(SilentDns):
        async def query(self, question):
            if question.name.startswith("_collab-edge"):
                raise TransportError("no answer")
            return () if question.name.startswith("_cup") else site_records

    lab = await inside(site)
    site_records = (SrvRecord(0, 0, lab.address[1], NODE),)
    assert (await site.discovery(resolver=PartlySilent()).discover()).path is ServicePath.UDS
    assert site.told(f"{EDGE}.{DOMAIN}") == [("failed", "no answer")]


async def test_a_refused_certificate_ends_it_whatever_other_servers_there_are(site):
    stranger = await site.web(f"first.{DOMAIN}", foreign().server(f"first.{DOMAIN}"))
    lab = await site.uds()
    site.name(UDS, (f"first.{DOMAIN}", stranger.port), (NODE, lab.address[1]))
    with pytest.raises(CertificateUntrusted):
        await site.discovery().discover()
    assert (stranger.requests, lab.asked) == ([], [])


async def test_a_certificate_of_another_host_is_refused(site):
    web = await site.web(NODE, authority().server(f"other.{DOMAIN}"))
    site.name(UDS, (NODE, web.port))
    with pytest.raises(IdentityMismatch):
        await site.discovery().discover()
    assert web.requests == []


@pytest.mark.parametrize("next_record", [True, False])
async def test_the_next_record_counts_once_no_server_of_one_is_reached(site, next_record):
    edge = await edge_of(site)
    site.name(UDS, (site.nobody(NODE), edge.port))
    discovery = site.discovery(next_record=next_record)
    if not next_record:
        with pytest.raises(TransportError):
            await discovery.discover()
        return
    found = await discovery.discover()
    assert (found.path, found.edge) == (
        ServicePath.EDGE,
        ServiceTarget(f"edge.{DOMAIN}", edge.port),
    )


async def edge_of(site, *names, before=()):
    host = f"edge.{DOMAIN}"
    issued = authority().server(host, CertificateNames(dns=(host, *(names or (DOMAIN,)))))
    web = await site.web(host, issued)
    site.name(EDGE, *((each, web.port) for each in before), (host, web.port))
    return web


async def test_outside_the_edge_is_verified_and_sent_nothing(site):
    web = await edge_of(site)
    found = await site.discovery().discover()
    assert (found.path, found.edge) == (ServicePath.EDGE, ServiceTarget(f"edge.{DOMAIN}", web.port))
    assert web.requests == []


async def test_an_edge_that_does_not_answer_gives_way_to_the_next(site):
    dead = site.nobody(f"edge0.{DOMAIN}")
    web = await edge_of(site, before=(dead,))
    assert (await site.discovery().discover()).edge == ServiceTarget(f"edge.{DOMAIN}", web.port)
    assert site.told("server")[0] == ("failed", f"{dead}:{web.port}")
    site.nobody(f"edge.{DOMAIN}")
    with pytest.raises(TransportError):
        await site.discovery().discover()


async def test_nobody_is_asked_about_the_certificate_of_an_edge(site):
    asked = []

    async def accept(question):
        asked.append(question)
        return True

    host = f"edge.{DOMAIN}"
    web = await site.web(host, foreign().server(host, CertificateNames(dns=(host, DOMAIN))))
    site.name(EDGE, (host, web.port))
    tls = TlsSettings(store=store(), service=Service.HTTPS, unknown=accept)
    with pytest.raises(CertificateUntrusted):
        await site.discovery(tls=tls).discover()
    assert asked == []


async def test_an_edge_whose_certificate_does_not_name_the_domain_is_refused(site):
    await edge_of(site, f"other.{DOMAIN}")
    with pytest.raises(IdentityMismatch, match=r"_collab-edge\._tls\.example\.test"):
        await site.discovery().discover()


async def test_a_server_of_im_and_presence_is_verified_and_sent_nothing(site):
    web = await site.web(NODE)
    site.name(CUP, (NODE, web.port))
    found = await site.discovery().discover()
    assert found.path is ServicePath.IM_AND_PRESENCE
    assert (found.nodes, found.edge) == ((ServiceTarget(NODE, web.port),), None)
    assert web.requests == []


async def test_inside_wins_over_the_edge_and_what_is_excluded_is_not_asked(site):
    await inside(site)
    await edge_of(site)
    assert (await site.discovery().discover()).path is ServicePath.UDS
    site.dns.asked.clear()
    found = await site.discovery(excluded=frozenset({ExcludedService.CUCM})).discover()
    assert found.path is ServicePath.EDGE
    assert (f"{UDS}.{DOMAIN}", "SRV") not in site.dns.asked
    site.dns.asked.clear()
    with pytest.raises(DiscoveryError, match="excluded"):
        await site.discovery(excluded=frozenset(ExcludedService)).discover()
    assert site.dns.asked == []


async def test_a_voice_domain_is_asked_for_every_record(site):
    lab = await site.uds("cucm.voice.test")
    site.name(UDS, ("cucm.voice.test", lab.address[1]), domain="voice.test")
    found = await site.discovery(voice_domain="voice.test").discover()
    assert found.user.user_id == "alice"
    assert {name for name, kind in site.dns.asked if kind == "SRV"} == {
        f"{each}.voice.test" for each in (UDS, CUP, EDGE)
    }


async def test_a_domain_without_records_names_no_server(site):
    with pytest.raises(DiscoveryError, match="names no server"):
        await site.discovery().discover()


async def test_servers_by_address_are_left_out(site):
    site.name(UDS, ("192.0.2.7", 8443))
    with pytest.raises(DiscoveryError):
        await site.discovery().discover()
    assert site.told(f"{UDS}.{DOMAIN}") == [("left out", "192.0.2.7:8443"), ("nothing", "")]


async def test_while_dns_is_silent_the_servers_of_a_day_are_asked(site):
    await inside(site)
    await site.discovery().discover()
    found = await site.discovery(resolver=SilentDns()).discover()
    assert found.user.user_id == "alice"
    assert [outcome for outcome, _ in site.told("cache")] == ["found"]
    site.wall += 86_400
    with pytest.raises(TransportError, match="silent"):
        await site.discovery(resolver=SilentDns()).discover()


@pytest.mark.parametrize("secure", [True, False])
async def test_files_come_over_tls_or_in_clear_only_where_that_is_allowed(site, tmp_path, secure):
    lab = await inside(site)
    files = {"SPDefault.cnf.xml": PROFILE, "jabber-config.xml": STRICT}
    service, held = await with_files(site, tmp_path, lab)
    held.update(files)
    ports = {service.addresses["http"][1]: service.addresses["https"][1]}
    found = await site.discovery(file_ports=ports if secure else {}).discover()
    if not secure:
        assert (found.profile, found.config) == (None, None)
        assert service.served == []
        found = await site.discovery(file_ports={}, clear_files=True).discover()
    assert [each.address for each in found.profile.servers] == ["unity.example.test"]
    assert found.config.verified is secure
    assert found.config.url.startswith("https:" if secure else "http:")
    assert found.config.in_force("Disable_IM_History") == {"true"}


async def test_a_file_that_fails_over_tls_comes_in_clear_only_where_that_is_allowed(site, tmp_path):
    lab = await inside(site)
    service, held = await with_files(site, tmp_path, lab)
    held["SPDefault.cnf.xml"] = PROFILE
    # Nobody listens at the port for TLS.
    ports = {service.addresses["http"][1]: 1}
    assert (await site.discovery(file_ports=ports).discover()).profile is None
    found = await site.discovery(file_ports=ports, clear_files=True).discover()
    assert found.profile is not None
    # A file that is missing in clear is no word of the cluster's: nothing ends by it.
    assert found.config is None
    assert ("failed", lab.profile_uri.replace("SPDefault.cnf", "jabber-config")) in site.told(
        "jabber-config.xml"
    )


@pytest.mark.parametrize(
    "uri",
    [
        "ftp://cucm.example.test/x",
        "https://user@cucm.example.test/x",
        "http://192.0.2.7:6970/x",
        "http://cucm.example.test:99999/x",
        "//cucm.example.test/x",
        "http://bücher.test/x",
        "http://cucm.example.test/a b",
    ],
)
async def test_what_is_no_address_of_a_file_is_not_asked(site, uri):
    lab = await inside(site, profile_uri=uri)
    assert (await site.discovery(clear_files=True).discover()).profile is None
    assert [outcome for outcome, _ in site.told("service profile")] == ["failed"]
    assert lab.asked[-1][0] == "user/alice/devices"


async def test_settings_that_made_the_client_stricter_stay_while_the_file_is_missing(
    site, tmp_path
):
    lab = await inside(site)
    service, held = await with_files(site, tmp_path, lab)
    held["jabber-config.xml"] = STRICT
    ports = {service.addresses["http"][1]: service.addresses["https"][1]}
    await site.discovery(file_ports=ports).discover()
    kept = (await site.discovery(file_ports={}).discover()).config
    assert kept.kept
    assert kept.in_force("Disable_IM_History") == {"true"}
    held["jabber-config.xml"] = b"<!DOCTYPE config><config/>"
    damaged = (await site.discovery(file_ports=ports).discover()).config
    assert damaged.in_force("Disable_IM_History") == {"true"}
    # Who hides the call servers from us does not make us less strict.
    record = site.zone.pop((f"{UDS}.{DOMAIN}", "SRV"))
    node = f"imp.{DOMAIN}"
    site.name(CUP, (node, (await site.web(node)).port))
    alone = await site.discovery().discover()
    assert alone.path is ServicePath.IM_AND_PRESENCE
    assert alone.config.in_force("Disable_IM_History") == {"true"}
    site.zone[f"{UDS}.{DOMAIN}", "SRV"] = record
    # A verified server that has the file no more ends it.
    del held["jabber-config.xml"]
    assert (await site.discovery(file_ports=ports).discover()).config.settings == ()
    assert (await site.discovery(file_ports={}).discover()).config is None


async def test_what_is_kept_names_no_secret(site):
    await inside(site)
    await site.discovery().discover()
    (path,) = site.cache.folder.iterdir()
    assert "password" not in path.read_text()
    assert ServiceRecord(UDS) in site.cache.load(ALICE.email).records
