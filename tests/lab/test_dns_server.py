"""The lab's DNS by itself: what it answers to anybody's resolver."""

from __future__ import annotations

import asyncio

import dns.message
import dns.rcode
import pytest

from softphone.errors import TransportError
from softphone.lab.dns_server import DISCOVERY_DOMAIN, DISCOVERY_NODE, LabDns, discovery_zone
from softphone.net.dns import DnsResolver, ResolverConfig
from softphone.sip.transport import DnsQuestion, RecordType, SrvRecord


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_it_names_the_labs_server(host):
    async with LabDns(discovery_zone(4711, host)) as lab:
        config = ResolverConfig(nameservers=(lab.address,), hosts_file="/nonexistent")
        resolver = DnsResolver(config, entropy=bytes)
        question = DnsQuestion(f"_cisco-uds._tcp.{DISCOVERY_DOMAIN}", RecordType.SRV)
        assert await resolver.query(question) == (SrvRecord(0, 0, 4711, DISCOVERY_NODE),)
        assert await resolver.resolve(DISCOVERY_NODE) == [host]
        with pytest.raises(TransportError):
            await resolver.resolve("elsewhere.test")
    assert lab.asked[0] == (question.name, "SRV")


async def test_what_is_no_question_gets_no_answer_and_does_no_harm():
    async with LabDns(discovery_zone(1, "127.0.0.1")) as lab:
        answered = asyncio.get_running_loop().create_future()

        class Client(asyncio.DatagramProtocol):
            def datagram_received(self, data, addr):
                answered.set_result(data)

        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Client, remote_addr=lab.address
        )
        query = dns.message.make_query(f"x.{DISCOVERY_DOMAIN}", "SRV")
        reply = dns.message.make_response(query)
        for data in (b"", b"\x00" * 11, b"\xff" * 600, reply.to_wire(), query.to_wire()):
            transport.sendto(data)
        answer = dns.message.from_wire(await answered)
        transport.close()
    assert (answer.id, answer.rcode()) == (query.id, dns.rcode.NXDOMAIN)
    assert lab.asked == [(f"x.{DISCOVERY_DOMAIN}", "SRV")]


async def test_a_port_that_is_taken_is_said():
    async with LabDns({}) as lab:
        with pytest.raises(TransportError, match="cannot be bound"):
            await LabDns({}, port=lab.address[1]).__aenter__()
