"""Which records are asked, in which order their answers count, and which names are usable."""

from __future__ import annotations

import pytest

from softphone.discovery.records import (
    ExcludedService,
    RecordAnswer,
    ServicePath,
    ServiceRecord,
    ServiceTarget,
    choose_path,
    excluded_records,
    is_host_name,
    is_within,
    parse_domain,
    question_of,
    read_answer,
)
from softphone.errors import ConfigurationError
from softphone.sip.transport import AddressRecord, RecordType, SrvRecord

UDS, CUP, EDGE = ServiceRecord
SERVER = (ServiceTarget("cucm.example.test", 8443),)


def test_the_names_are_those_of_the_deployment_guides():
    names = [question_of(each, "example.test").name for each in ServiceRecord]
    assert names == [
        "_cisco-uds._tcp.example.test",
        "_cuplogin._tcp.example.test",
        "_collab-edge._tls.example.test",
    ]
    assert question_of(UDS, "example.test").type is RecordType.SRV


@pytest.mark.parametrize(
    ("found", "path"),
    [
        ({UDS: SERVER, CUP: SERVER, EDGE: SERVER}, ServicePath.UDS),
        ({UDS: (), CUP: SERVER, EDGE: SERVER}, ServicePath.IM_AND_PRESENCE),
        ({EDGE: SERVER}, ServicePath.EDGE),
        ({UDS: ()}, ServicePath.NONE),
        ({}, ServicePath.NONE),
    ],
)
def test_the_first_record_with_servers_decides(found, path):
    assert choose_path(found) is path


@pytest.mark.parametrize(
    ("excluded", "records"),
    [
        ((), set()),
        ((ExcludedService.WEBEX,), set()),
        ((ExcludedService.CUCM,), {UDS}),
        ((ExcludedService.CUP, ExcludedService.WEBEX), {CUP}),
        ((ExcludedService.CUP, ExcludedService.CUCM), {UDS, CUP}),
        (tuple(ExcludedService), {UDS, CUP, EDGE}),
    ],
)
def test_excluded_services_leave_their_records_out(excluded, records):
    assert excluded_records(excluded) == records


def test_servers_come_by_priority_and_each_once():
    records = [
        SrvRecord(20, 0, 8443, "cucm2.example.test."),
        SrvRecord(10, 0, 8443, "CUCM1.example.test"),
        SrvRecord(30, 0, 8443, "cucm1.example.test"),
        AddressRecord("192.0.2.1"),
    ]
    assert read_answer(records, bytes).targets == (
        ServiceTarget("cucm1.example.test", 8443),
        ServiceTarget("cucm2.example.test", 8443),
    )


def test_a_service_that_is_not_offered_has_no_server():
    assert read_answer([SrvRecord(0, 0, 0, ".")], bytes) == RecordAnswer()


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "exa mple.test", "a/b.test"])
def test_addresses_and_odd_names_are_unusable(host):
    answer = read_answer([SrvRecord(0, 0, 8443, host)], bytes)
    assert answer == RecordAnswer((), (f"{host}:8443",))


@pytest.mark.parametrize(
    ("host", "within"),
    [
        ("example.test", True),
        ("a.b.Example.Test.", True),
        ("badexample.test", False),
        ("example.test.evil.test", False),
        ("test", False),
        ("", False),
    ],
)
def test_a_host_is_in_a_domain_by_whole_labels(host, within):
    assert is_within(host, "example.test") is within


def test_a_domain_is_normalized():
    assert parse_domain(" Example.TEST. ") == "example.test"
    assert parse_domain("bücher.test") == "xn--bcher-kva.test"


@pytest.mark.parametrize("text", ["", "test", "192.0.2.1", "a..b", "a b.test", "-.test", "x" * 300])
def test_what_is_no_domain_is_refused(text):
    with pytest.raises(ConfigurationError, match="domain"):
        parse_domain(text)


def test_a_name_of_254_characters_is_none():
    name = ".".join(["a" * 49] * 5)
    assert is_host_name(name)
    assert not is_host_name(f"{name}.abcde")
