"""DNS against a small server on loopback, made with dnspython."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from softphone.errors import HostNotFound, TransportError, TransportTimeout
from softphone.net.dns import DnsResolver, ResolverConfig
from softphone.sans_io import Target, Transport
from softphone.sip.message import SipUri
from softphone.sip.transport import (
    AddressRecord,
    DnsQuestion,
    LookupPolicy,
    NaptrRecord,
    RecordType,
    SrvRecord,
)

A, AAAA, SRV, NAPTR = RecordType.A, RecordType.AAAA, RecordType.SRV, RecordType.NAPTR
ZONE = {
    ("example.test.", "NAPTR"): ['10 50 "s" "SIPS+D2T" "" _sips._tcp.example.test.'],
    ("_sips._tcp.example.test.", "SRV"): ["0 1 5061 one.example.test."],
    ("one.example.test.", "A"): ["192.0.2.1"],
    ("one.example.test.", "AAAA"): ["2001:db8::1"],
    ("plain.test.", "A"): ["192.0.2.9"],
    ("alias.test.", "CNAME"): ["plain.test."],
}


class Server(asyncio.DatagramProtocol):
    """Answers from ZONE; silent for some names, SERVFAIL for some types."""

    def __init__(self):
        self.zone = dict(ZONE)
        self.asked = []
        self.silent = False
        self.failing = set()
        self.ttl = 60

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if self.silent:
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if kind in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        else:
            self.fill(response, name, kind)
        self.transport.sendto(response.to_wire(), address)

    def fill(self, response, name, kind):
        records = self.zone.get((name, kind))
        alias = self.zone.get((name, "CNAME"))
        if records is None and alias is not None:
            response.answer.append(dns.rrset.from_text(name, self.ttl, "IN", "CNAME", *alias))
            name, records = alias[0], self.zone.get((alias[0], kind))
        if records is not None:
            response.answer.append(dns.rrset.from_text(name, self.ttl, "IN", kind, *records))
        elif not any(known == name for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)


class Desk:
    """The server, a resolver that asks it, and the resolver's clock."""

    def __init__(self, server, address, entropy, hosts):
        self.server = server
        self.hosts = hosts
        self.now = 0.0
        self.config = {"nameservers": (address,), "timeout": 5.0, "lifetime": 10.0}
        self.entropy = entropy
        self.resolver = self.make()

    def make(self, **more):
        config = ResolverConfig(**{**self.config, "hosts_file": self.hosts, **more})
        return DnsResolver(config, entropy=self.entropy, clock=lambda: self.now)

    async def ask(self, name, kind):
        return await self.resolver.query(DnsQuestion(name, kind))

    async def locate(self, uri, **more):
        return await self.resolver.locate(SipUri.parse(uri), **more)


@asynccontextmanager
async def running():
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(Server, ("127.0.0.1", 0))
    try:
        yield server, transport.get_extra_info("sockname")
    finally:
        transport.close()


@pytest.fixture
async def desk(entropy, tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text(
        "# comment\n192.0.2.77 pbx.test PBX2.test # ours\n2001:db8::77\tpbx.test\nbad line\n"
    )
    async with running() as (server, address):
        yield Desk(server, address, entropy, hosts)


async def test_every_record_type_is_read(desk):
    assert await desk.ask("one.example.test", A) == (AddressRecord("192.0.2.1"),)
    assert await desk.ask("one.example.test", AAAA) == (AddressRecord("2001:db8::1"),)
    assert await desk.ask("_sips._tcp.example.test", SRV) == (
        SrvRecord(0, 1, 5061, "one.example.test"),
    )
    assert await desk.ask("example.test", NAPTR) == (
        NaptrRecord(10, 50, "s", "SIPS+D2T", "_sips._tcp.example.test"),
    )


async def test_an_alias_is_followed(desk):
    assert await desk.resolver.resolve("alias.test") == ["192.0.2.9"]


async def test_a_whole_location_by_naptr_srv_and_addresses(desk):
    assert await desk.locate("sip:alice@Example.test") == (
        Target(Transport.TLS, "192.0.2.1", 5061, "example.test"),
        Target(Transport.TLS, "2001:db8::1", 5061, "example.test"),
    )


async def test_a_plain_host_is_found_when_there_is_no_naptr_and_no_srv(desk):
    assert await desk.locate("sip:alice@plain.test") == (Target(Transport.UDP, "192.0.2.9", 5060),)
    kinds = [kind for _, kind in desk.server.asked]
    assert sorted(kinds) == ["A", "AAAA", "NAPTR", "SRV", "SRV", "SRV"]


async def test_numeric_hosts_are_never_asked_for(desk):
    assert await desk.resolver.resolve("192.0.2.5") == ("192.0.2.5",)
    assert await desk.resolver.resolve("2001:db8::5") == ("2001:db8::5",)
    (target,) = await desk.locate("sips:192.0.2.5")
    assert target.server_name == "192.0.2.5"
    assert desk.server.asked == []


async def test_answers_are_kept_for_their_time_and_no_longer(desk):
    for _ in range(3):
        await desk.ask("plain.test", A)
    assert len(desk.server.asked) == 1
    desk.now = 61.0
    await desk.ask("plain.test", A)
    assert len(desk.server.asked) == 2


async def test_a_time_to_live_is_kept_within_bounds(desk):
    desk.server.ttl = 0
    await desk.ask("plain.test", A)
    await desk.ask("plain.test", A)
    desk.server.ttl = 1_000_000
    desk.now = 2.0
    await desk.ask("plain.test", A)
    assert len(desk.server.asked) == 2
    desk.now = 3603.0
    await desk.ask("plain.test", A)
    assert len(desk.server.asked) == 3


async def test_that_there_is_nothing_is_kept_too(desk):
    for kind in (A, AAAA):  # no such name; name without such data
        name = "nowhere.test" if kind is A else "plain.test"
        assert await desk.ask(name, kind) == ()
        assert await desk.ask(name, kind) == ()
    assert len(desk.server.asked) == 2
    desk.now = 31.0
    await desk.ask("nowhere.test", A)
    assert len(desk.server.asked) == 3


async def test_the_memory_is_bounded(desk):
    resolver = desk.make(capacity=3)
    for number in range(6):
        await resolver.query(DnsQuestion(f"n{number}.test", A))
    assert len(resolver._kept) == 3


async def test_a_route_is_kept_until_its_first_answer_expires(desk):
    desk.server.zone["one.example.test.", "A"] = ["192.0.2.1"]
    desk.now = 1.0
    await desk.ask("one.example.test", A)  # expires at 61, the others at 71
    desk.now = 11.0
    first = await desk.locate("sip:alice@example.test")
    asked = len(desk.server.asked)
    desk.server.zone["one.example.test.", "A"] = ["192.0.2.2"]
    desk.now = 60.0
    assert await desk.locate("sip:bob:word@example.test") is first
    assert len(desk.server.asked) == asked
    desk.now = 61.5
    assert [target.host for target in await desk.locate("sip:alice@example.test")] == [
        "192.0.2.2",
        "2001:db8::1",
    ]


async def test_routes_differ_by_all_that_a_look_up_depends_on(desk):
    uris = (
        "sip:plain.test;transport=tcp",
        "sip:plain.test:5070;transport=tcp",
        "sip:plain.test;transport=udp",
        "sips:plain.test",
        "sip:plain.test;transport=tcp;maddr=one.example.test",
        "sip:one.example.test;transport=tcp",
    )
    policies = (None, LookupPolicy(server_name="pbx.test"), LookupPolicy(families=(AAAA, A)))
    for _ in range(2):
        found = []
        for policy in policies:
            resolver, desk.resolver = desk.resolver, desk.make()
            fresh = [await desk.locate(uri, policy=policy) for uri in uris]
            desk.resolver = resolver
            kept = [await desk.locate(uri, policy=policy) for uri in uris]
            assert kept == fresh
            found += kept
        assert len({*found[:4], found[5]}) == 5
        assert found[4] == found[5]  # in clear, maddr is only another host


async def test_several_servers_are_drawn_anew_for_each_request(desk):
    desk.server.zone["_sips._tcp.example.test.", "SRV"] = [
        "0 1 5061 one.example.test.",
        "0 1 5062 one.example.test.",
    ]
    ports = {(await desk.locate("sip:alice@example.test"))[0].port for _ in range(40)}
    assert ports == {5061, 5062}
    assert len(desk.server.asked) == 4


async def test_a_route_that_lacks_an_answer_is_looked_up_again(desk):
    desk.server.failing = {"AAAA"}
    assert len(await desk.locate("sip:alice@example.test")) == 1
    desk.server.failing = set()
    assert len(await desk.locate("sip:alice@example.test")) == 2


async def test_a_kept_route_gives_way_to_a_changed_hosts_file(desk):
    (target,) = await desk.locate("sip:pbx2.test;transport=tcp")
    assert await desk.locate("sip:pbx2.test;transport=tcp") == (target,)
    desk.hosts.write_text("192.0.2.100 pbx2.test\n192.0.2.101 plain.test\n")
    assert [each.host for each in await desk.locate("sip:pbx2.test;transport=tcp")] == [
        "192.0.2.100"
    ]
    assert (await desk.locate("sip:plain.test;transport=tcp"))[0].host == "192.0.2.101"
    desk.hosts.unlink()
    assert (await desk.locate("sip:plain.test;transport=tcp"))[0].host == "192.0.2.9"


async def test_the_routes_that_are_kept_are_bounded(desk):
    resolver = desk.make(capacity=3)
    for number in range(6):
        await resolver.locate(SipUri.parse(f"sip:192.0.2.{number}"))
    assert len(resolver._routes) == 3


async def test_a_host_without_addresses_is_a_clear_error(desk):
    with pytest.raises(HostNotFound, match=r"nowhere\.test"):
        await desk.resolver.resolve("nowhere.test")
    with pytest.raises(HostNotFound, match=r"nowhere\.test cannot be located"):
        await desk.locate("sip:alice@nowhere.test")


async def test_what_the_policy_forbids_is_a_clear_error(desk):
    with pytest.raises(TransportError, match="udp"):
        await desk.locate("sip:a@x.test;transport=udp", policy=LookupPolicy((Transport.TLS,)))


async def test_a_silent_server_is_a_timeout_that_is_not_kept(desk):
    resolver = desk.make(timeout=0.5, lifetime=1.0)
    desk.server.silent = True
    with pytest.raises(TransportTimeout, match=r"plain\.test"):
        await resolver.resolve("plain.test")
    desk.server.silent = False
    assert await resolver.resolve("plain.test") == ["192.0.2.9"]


async def test_a_failing_server_is_an_error_that_is_not_kept(desk):
    desk.server.failing = {"A", "AAAA"}
    with pytest.raises(TransportError, match="no DNS server"):
        await desk.resolver.resolve("plain.test")
    desk.server.failing = set()
    assert await desk.resolver.resolve("plain.test") == ["192.0.2.9"]


async def test_a_server_that_fails_for_naptr_or_for_one_family_is_still_of_use(desk):
    desk.server.failing = {"NAPTR", "AAAA"}
    (target,) = await desk.locate("sip:alice@example.test")
    assert (target.transport, target.host) == (Transport.TLS, "192.0.2.1")


async def test_a_failure_of_srv_is_no_reason_to_go_on_in_clear(desk):
    desk.server.failing = {"SRV"}
    with pytest.raises(TransportError):
        await desk.locate("sip:alice@plain.test")


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".test", ".".join(["abcdefgh"] * 40)])
async def test_what_is_no_name_is_a_clear_error(desk, host):
    with pytest.raises(TransportError):
        await desk.resolver.resolve(host)


async def test_the_hosts_file_comes_first_and_is_read_again_when_it_changes(desk):
    assert await desk.resolver.resolve("PBX.test.") == ["192.0.2.77", "2001:db8::77"]
    assert await desk.resolver.resolve("pbx2.test") == ["192.0.2.77"]
    assert await desk.locate("sip:a@pbx.test;transport=tcp") == (
        Target(Transport.TCP, "192.0.2.77", 5060),
        Target(Transport.TCP, "2001:db8::77", 5060),
    )
    assert [kind for _, kind in desk.server.asked if kind != "SRV"] == []
    desk.hosts.write_text("192.0.2.78 pbx.test and more\n")
    assert await desk.resolver.resolve("pbx.test") == ["192.0.2.78"]
    desk.hosts.unlink()
    with pytest.raises(TransportError):
        await desk.resolver.resolve("pbx.test")


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "phone.localhost"])
async def test_localhost_is_this_host_whatever_dns_says(desk, name):
    assert list(await desk.resolver.resolve(name)) == ["127.0.0.1", "::1"]
    (target, _) = await desk.locate(f"sip:a@{name}")
    assert target == Target(Transport.UDP, "127.0.0.1", 5060)
    assert desk.server.asked == []


async def test_the_hosts_file_may_say_what_localhost_is(desk):
    desk.hosts.write_text("127.0.0.1 localhost\n")
    assert await desk.resolver.resolve("localhost") == ["127.0.0.1"]


async def test_without_any_server_the_error_says_so(desk):
    resolver = desk.make(nameservers=())
    with pytest.raises(TransportError, match="no DNS server"):
        await resolver.resolve("plain.test")


async def test_a_canceled_look_up_leaves_no_task_behind(desk):
    desk.server.silent = True
    task = asyncio.ensure_future(desk.resolver.resolve("plain.test"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_the_system_is_asked_when_nothing_is_configured(entropy, monkeypatch):
    import dns.asyncresolver

    made = []
    real = dns.asyncresolver.Resolver
    monkeypatch.setattr(
        dns.asyncresolver,
        "Resolver",
        lambda configure: made.append(configure) or real(configure=False),
    )
    resolver = DnsResolver(ResolverConfig(hosts_file=Path("/nonexistent")), entropy=entropy)
    with pytest.raises(TransportError):
        asyncio.run(resolver.resolve("plain.test"))
    assert made
    assert all(made)
