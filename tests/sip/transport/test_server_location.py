"""RFC 3263 on a DNS that is a dictionary."""

from __future__ import annotations

from collections import Counter

import pytest

from softphone.sans_io import Target, Transport
from softphone.sip.message import SipUri
from softphone.sip.transport import (
    AddressRecord,
    DnsQuestion,
    Failover,
    LookupPolicy,
    NaptrRecord,
    RecordType,
    SrvRecord,
    is_numeric,
    locate_server,
    order_servers,
)
from softphone.sip.transport.server_location import default_port

A, AAAA, SRV, NAPTR = RecordType.A, RecordType.AAAA, RecordType.SRV, RecordType.NAPTR
UDP, TCP, TLS = Transport.UDP, Transport.TCP, Transport.TLS


class Zone(dict):
    """Answers by (name, type), and what was asked."""

    def __init__(self, *args):
        super().__init__(*args)
        self.asked = []

    def look_up(self, uri, entropy, policy=None):
        lookup = locate_server(SipUri.parse(uri), entropy=entropy, policy=policy)
        while not lookup.done:
            for question in lookup.wanted:
                self.asked.append((question.name, question.type))
                lookup.add_answer(question, self.get((question.name, question.type), ()))
        return lookup

    def places(self, uri, entropy, policy=None):
        lookup = self.look_up(uri, entropy, policy)
        assert lookup.failure is None, lookup.failure
        return [(one.transport, one.host, one.port) for one in lookup.targets]


def address(*texts):
    return tuple(AddressRecord(text) for text in texts)


@pytest.fixture
def full():
    """The domain of RFC 3263 section 4.1, with addresses."""
    return Zone(
        {
            ("example.com", NAPTR): (
                NaptrRecord(100, 50, "s", "SIP+D2U", "_sip._udp.example.com"),
                NaptrRecord(90, 50, "s", "SIP+D2T", "_sip._tcp.example.com"),
                NaptrRecord(50, 50, "s", "SIPS+D2T", "_sips._tcp.example.com."),
            ),
            ("_sips._tcp.example.com", SRV): (SrvRecord(0, 1, 5061, "server1.example.com."),),
            ("_sip._tcp.example.com", SRV): (
                SrvRecord(1, 1, 5060, "server2.example.com"),
                SrvRecord(0, 1, 5060, "server1.example.com"),
            ),
            ("_sip._udp.example.com", SRV): (SrvRecord(0, 1, 5070, "server1.example.com"),),
            ("server1.example.com", A): address("192.0.2.1"),
            ("server1.example.com", AAAA): address("2001:db8::1"),
            ("server2.example.com", A): address("192.0.2.2"),
            ("example.com", A): address("192.0.2.9"),
        }
    )


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:a@192.0.2.7", (UDP, "192.0.2.7", 5060)),
        ("sip:a@192.0.2.7:5080", (UDP, "192.0.2.7", 5080)),
        ("sip:a@192.0.2.7;transport=tcp", (TCP, "192.0.2.7", 5060)),
        ("sip:a@192.0.2.7;transport=TLS", (TLS, "192.0.2.7", 5061)),
        ("sips:a@192.0.2.7", (TLS, "192.0.2.7", 5061)),
        ("sips:a@192.0.2.7:5099;transport=tcp", (TLS, "192.0.2.7", 5099)),
        ("sip:a@[2001:db8::7]", (UDP, "2001:db8::7", 5060)),
        ("sip:a@example.com;maddr=192.0.2.8", (UDP, "192.0.2.8", 5060)),
    ],
)
def test_a_numeric_host_asks_nothing(entropy, uri, expected):
    zone = Zone()
    assert zone.places(uri, entropy) == [expected]
    assert zone.asked == []


def test_naptr_decides_by_order_and_every_server_follows(entropy, full):
    assert full.places("sip:a@Example.COM.", entropy) == [
        (TLS, "192.0.2.1", 5061),
        (TLS, "2001:db8::1", 5061),
        (TCP, "192.0.2.1", 5060),
        (TCP, "2001:db8::1", 5060),
        (TCP, "192.0.2.2", 5060),
        (UDP, "192.0.2.1", 5070),
        (UDP, "2001:db8::1", 5070),
    ]
    assert full.asked[0] == ("example.com", NAPTR)


def test_naptr_of_equal_order_goes_by_preference(entropy, full):
    full["example.com", NAPTR] = (
        NaptrRecord(1, 20, "S", "sip+d2u", "_sip._udp.example.com"),
        NaptrRecord(1, 10, "S", "sip+d2t", "_sip._tcp.example.com"),
    )
    assert [place[0] for place in full.places("sip:a@example.com", entropy)][:1] == [TCP]


def test_sips_takes_tls_only(entropy, full):
    assert {place[0] for place in full.places("sips:a@example.com", entropy)} == {TLS}


def test_the_policy_takes_away_transports(entropy, full):
    policy = LookupPolicy(transports=(TLS,))
    assert {place[0] for place in full.places("sip:a@example.com", entropy, policy)} == {TLS}
    assert ("_sip._udp.example.com", SRV) not in full.asked


@pytest.mark.parametrize(
    "record",
    [
        NaptrRecord(1, 1, "s", "SIP+D2S", "_sip._sctp.example.com"),
        NaptrRecord(1, 1, "u", "SIP+D2U", "", "!.*!sip:x@y!"),
        NaptrRecord(1, 1, "s", "SIP+D2U", "."),
        NaptrRecord(1, 1, "s", "E2U+sip", "_sip._udp.example.com"),
    ],
)
def test_a_naptr_record_that_is_of_no_use_is_passed_over(entropy, full, record):
    full["example.com", NAPTR] = (record,)
    places = full.places("sip:a@example.com", entropy)
    assert [place[0] for place in places] == [TLS, TLS, TCP, TCP, TCP, UDP, UDP]


def test_without_naptr_srv_is_asked_for_every_transport_in_our_order(entropy, full):
    del full["example.com", NAPTR]
    policy = LookupPolicy(transports=(UDP, TCP))
    places = full.places("sip:a@example.com", entropy, policy)
    assert [place[0] for place in places] == [UDP, UDP, TCP, TCP, TCP]


def test_a_transport_parameter_asks_srv_for_it_alone(entropy, full):
    assert full.places("sip:a@example.com;transport=udp", entropy)[0] == (UDP, "192.0.2.1", 5070)
    assert [one for one in full.asked if one[1] is not A and one[1] is not AAAA] == [
        ("_sip._udp.example.com", SRV)
    ]


def test_an_explicit_port_asks_for_addresses_alone(entropy, full):
    assert full.places("sip:a@example.com:5099", entropy) == [(UDP, "192.0.2.9", 5099)]
    assert {one[1] for one in full.asked} == {A, AAAA}
    assert full.places("sips:a@example.com:5099", entropy) == [(TLS, "192.0.2.9", 5099)]


@pytest.mark.parametrize(
    ("uri", "policy", "expected"),
    [
        ("sip:a@plain.test", None, (UDP, 5060)),
        ("sip:a@plain.test", LookupPolicy(transports=(TLS, TCP)), (TLS, 5061)),
        ("sip:a@plain.test;transport=tcp", None, (TCP, 5060)),
        ("sips:a@plain.test", None, (TLS, 5061)),
    ],
)
def test_a_domain_without_naptr_and_srv_is_a_host(entropy, uri, policy, expected):
    zone = Zone({("plain.test", A): address("192.0.2.5")})
    assert zone.places(uri, entropy, policy) == [(expected[0], "192.0.2.5", expected[1])]


def test_a_service_that_is_said_not_to_be_there_is_not_there(entropy):
    zone = Zone(
        {
            ("x.test", A): address("192.0.2.5"),
            ("_sip._udp.x.test", SRV): (SrvRecord(0, 0, 0, "."),),
            ("_sip._tcp.x.test", SRV): (SrvRecord(0, 0, 5060, "t.x.test"),),
            ("t.x.test", A): address("192.0.2.6"),
        }
    )
    assert zone.places("sip:a@x.test", entropy) == [(TCP, "192.0.2.6", 5060)]


def test_the_identity_is_the_domain_of_the_uri_and_no_name_from_dns(entropy, full):
    for one in full.look_up("sips:a@example.com", entropy).targets:
        assert one.server_name == "example.com"
    tcp = full.look_up("sip:a@example.com;transport=tcp", entropy)
    assert {one.server_name for one in tcp.targets} == {None}
    maddr = full.look_up("sips:a@example.com;maddr=192.0.2.8", entropy)
    assert maddr.targets == (Target(TLS, "192.0.2.8", 5061, "example.com"),)
    numeric = full.look_up("sips:a@192.0.2.8", entropy)
    assert numeric.targets == (Target(TLS, "192.0.2.8", 5061, "192.0.2.8"),)


def test_a_configured_identity_and_credential_go_into_every_target(entropy, full):
    policy = LookupPolicy(server_name="pbx.example.com", credential="alice")
    for one in full.look_up("sips:a@example.com", entropy, policy).targets:
        assert (one.server_name, one.credential) == ("pbx.example.com", "alice")


@pytest.mark.parametrize(
    ("uri", "policy", "reason"),
    [
        ("sips:a@example.com;transport=udp", None, "sips"),
        ("sip:a@example.com;transport=sctp", None, "sctp"),
        ("sip:a@example.com;transport=udp", LookupPolicy(transports=(TLS,)), "udp"),
        ("sips:a@example.com", LookupPolicy(transports=(UDP, TCP)), "tls"),
        ("sip:a@example.com", LookupPolicy(transports=()), "nothing"),
        ("sip:a@nowhere.test", None, "nowhere.test"),
    ],
)
def test_what_cannot_be_reached_has_a_reason(entropy, uri, policy, reason):
    lookup = Zone().look_up(uri, entropy, policy)
    assert lookup.targets == ()
    assert reason in lookup.failure


def test_families_are_asked_for_and_ordered_as_the_policy_says(entropy):
    zone = Zone({("x.test", A): address("192.0.2.5"), ("x.test", AAAA): address("2001:db8::5")})
    six_first = LookupPolicy(families=(AAAA, A))
    assert [one[1] for one in zone.places("sip:x.test:1", entropy, six_first)] == [
        "2001:db8::5",
        "192.0.2.5",
    ]
    only_six = LookupPolicy(families=(AAAA,))
    assert [one[1] for one in zone.places("sip:x.test:1", entropy, only_six)] == ["2001:db8::5"]


def test_priority_comes_first_and_weight_shares_the_load(entropy):
    records = [
        SrvRecord(10, 60, 1, "big"),
        SrvRecord(10, 20, 2, "small"),
        SrvRecord(10, 20, 3, "other"),
        SrvRecord(10, 0, 4, "zero"),
        SrvRecord(5, 0, 5, "first"),
    ]
    firsts = Counter()
    for _ in range(2000):
        ordered = order_servers(records, entropy)
        assert ordered[0].target == "first"
        assert len(ordered) == 5
        firsts[ordered[1].target] += 1
    assert 1050 < firsts["big"] < 1350
    assert 280 < firsts["small"] < 540
    assert firsts["zero"] < 80


def test_an_unasked_answer_is_dropped(entropy):
    lookup = locate_server(SipUri.parse("sip:x.test:5060"), entropy=entropy)
    lookup.add_answer(DnsQuestion("y.test", A), address("192.0.2.66"))
    for question in lookup.wanted:
        lookup.add_answer(question, address("192.0.2.5") if question.type is A else ())
    lookup.add_answer(DnsQuestion("x.test", A), address("192.0.2.66"))
    assert [one.host for one in lookup.targets] == ["192.0.2.5"]


def test_a_flood_of_records_is_cut(entropy):
    zone = Zone(
        {
            ("x.test", NAPTR): tuple(
                NaptrRecord(1, 1, "s", "SIP+D2U", f"_sip._udp.n{i}.test") for i in range(500)
            )
        }
    )
    for i in range(500):
        zone[f"_sip._udp.n{i}.test", SRV] = tuple(
            SrvRecord(0, 1, 5060, f"h{j}.test") for j in range(500)
        )
    for j in range(500):
        zone[f"h{j}.test", A] = address(*(f"10.0.{j % 250}.{k}" for k in range(250)))
    assert len(zone.places("sip:a@x.test", entropy)) == 64
    assert len(zone.asked) < 1 + 16 + 2 * 16 * 32 + 1


def test_records_of_another_type_or_with_no_address_are_passed_over(entropy):
    zone = Zone({("x.test", A): (*address("not an address", "192.0.2.5"), SrvRecord(0, 0, 1, "y"))})
    assert zone.places("sip:x.test:5060", entropy) == [(UDP, "192.0.2.5", 5060)]


def test_small_questions_have_small_answers():
    assert (default_port(TLS), default_port(TCP), default_port(UDP)) == (5061, 5060, 5060)
    assert is_numeric("::1")
    assert is_numeric("192.0.2.1")
    assert not is_numeric("192.0.2.1.example")


# Failover


def targets(count=3):
    return [Target(TLS, f"192.0.2.{i}", 5061) for i in range(1, count + 1)]


def test_failover_walks_the_targets_and_then_begins_again():
    one, two, three = targets()
    walk = Failover([one, two, three])
    assert walk.targets == (one, two, three)
    assert walk.choose_target(now=0.0) == one
    walk.mark_failed(one, now=0.0)
    assert walk.choose_target(now=0.0) == two
    walk.mark_failed(two, now=0.0)
    walk.mark_failed(three, now=0.0)
    assert walk.choose_target(now=0.0) is None
    assert walk.choose_target(now=0.0) == one


def test_a_target_that_works_is_kept_and_the_failed_ones_are_forgiven():
    one, two, _ = targets()
    walk = Failover(targets())
    walk.mark_failed(one, now=0.0)
    walk.mark_succeeded(two)
    assert walk.choose_target(now=1.0) == two
    walk.mark_failed(two, now=2.0)
    assert walk.choose_target(now=2.0) == one


def test_a_retry_after_keeps_a_target_out_of_use_until_it_has_passed():
    one, two, _ = targets()
    walk = Failover([one, two])
    walk.mark_failed(one, now=0.0, retry_after=30.0)
    walk.mark_failed(two, now=0.0)
    assert walk.choose_target(now=0.0) is None
    assert walk.choose_target(now=0.0) == two
    assert walk.choose_target(now=30.0) == one


def test_a_failover_without_targets_is_a_mistake():
    with pytest.raises(ValueError, match="at least one"):
        Failover([])


def test_a_server_that_was_reached_over_tls_has_no_place_in_clear():
    one, two, _ = targets()
    clear = Target(Transport.UDP, "192.0.2.1", 5060)
    walk = Failover([one, clear, two])
    walk.mark_failed(one, now=0.0)
    assert walk.choose_target(now=0.0) == clear
    walk.mark_failed(clear, now=0.0)
    walk.mark_succeeded(two)
    assert walk.targets == (one, two)
    for target in (two, one):
        walk.mark_failed(target, now=1.0)
    assert walk.choose_target(now=1.0) is None
    assert walk.choose_target(now=1.0) == one
    walk.update_targets([clear])
    assert walk.targets == (one, two)
    walk.update_targets([clear, two])
    assert walk.targets == (two,)


def test_a_server_in_clear_may_be_found_elsewhere():
    one, two, _ = targets()
    clear = Target(Transport.UDP, "192.0.2.1", 5060)
    walk = Failover([clear, one])
    walk.mark_succeeded(clear)
    assert walk.targets == (clear, one)
    walk.update_targets([two, clear])
    assert walk.targets == (two, clear)
    walk.update_targets([clear])
    walk.mark_succeeded(two)
    assert walk.targets == (two,)
    with pytest.raises(ValueError, match="at least one"):
        walk.update_targets([])
