"""Finding chat servers: SRV of both kinds as one order, or the domain itself."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError, TransportError
from softphone.messaging.server_location import TlsMode, configured_server, find_servers
from softphone.sip.transport import SrvRecord

DOMAIN = "example.test"


class Dns:
    def __init__(self, direct=(), after=()):
        self._records = {
            f"_xmpps-client._tcp.{DOMAIN}": direct,
            f"_xmpp-client._tcp.{DOMAIN}": after,
        }

    async def query(self, question):
        return self._records[question.name]


async def found(entropy, **records):
    places = await find_servers(DOMAIN, Dns(**records), entropy=entropy)
    assert {place.target.server_name for place in places} == {DOMAIN}
    return [(place.target.host, place.target.port, place.mode) for place in places]


async def test_both_kinds_are_one_order_and_direct_goes_first_among_equals(entropy):
    direct = (SrvRecord(10, 0, 5223, "b.test"), SrvRecord(30, 0, 443, "d.test"))
    after = (SrvRecord(10, 0, 5222, "c.test"), SrvRecord(5, 0, 5222, "a.test"))
    assert await found(entropy, direct=direct, after=after) == [
        ("a.test", 5222, TlsMode.STARTTLS),
        ("b.test", 5223, TlsMode.DIRECT),
        ("c.test", 5222, TlsMode.STARTTLS),
        ("d.test", 443, TlsMode.DIRECT),
    ]


async def test_without_srv_the_domain_itself_is_asked_direct_tls_first(entropy):
    assert await found(entropy) == [
        (DOMAIN, 5223, TlsMode.DIRECT),
        (DOMAIN, 5222, TlsMode.STARTTLS),
    ]


async def test_a_domain_may_say_that_it_has_none(entropy):
    with pytest.raises(TransportError, match="no chat server"):
        await find_servers(DOMAIN, Dns(after=(SrvRecord(0, 0, 0, "."),)), entropy=entropy)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("h.test", "h.test", 5222),
        ("h.test:99", "h.test", 99),
        ("[::1]:99", "::1", 99),
        ("[::1]", "::1", 5222),
    ],
)
def test_a_server_may_be_named(text, host, port):
    target = configured_server(text, DOMAIN, TlsMode.STARTTLS).target
    assert (target.host, target.port, target.server_name) == (host, port, DOMAIN)


@pytest.mark.parametrize("text", ["", ":1", "h:0", "h:65536", "h:x", "h:\u0661"])
def test_what_names_no_server_is_refused(text):
    with pytest.raises(ConfigurationError, match=r"im\.server"):
        configured_server(text, DOMAIN, TlsMode.DIRECT)
