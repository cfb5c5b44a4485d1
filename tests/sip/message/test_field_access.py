from __future__ import annotations

from datetime import UTC, datetime

import pytest

from softphone.sip.message import (
    CSeq,
    Headers,
    MalformedMessage,
    RAck,
    Reason,
    Request,
    SessionExpires,
    parse_uri,
)
from softphone.sip.message.headers import STRICT_FIELDS
from softphone.sip.message.typed_headers import RetryAfter


def message(*fields) -> Request:
    return Request("INVITE", parse_uri("sip:a@b"), Headers(fields))


@pytest.mark.parametrize("name", ["vias", "top_via", "from_", "to", "call_id", "cseq"])
def test_what_every_message_has_raises_when_it_is_absent(name):
    with pytest.raises(MalformedMessage, match="Missing"):
        getattr(message(), name)


def test_what_every_message_has():
    request = message(
        ("v", "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/TCP b"),
        ("Via", "SIP/2.0/TLS c"),
        ("f", "<sip:a@b>;tag=1"),
        ("t", "<sip:c@d>"),
        ("i", "x@y"),
        ("CSeq", "4 INVITE"),
    )
    assert [via.host for via in request.vias] == ["a", "b", "c"]
    assert request.top_via.branch == "z9hG4bK1"
    assert request.from_.tag == "1"
    assert request.to.tag is None
    assert request.call_id == "x@y"
    assert request.cseq == CSeq(4, "INVITE")
    assert request.cseq is request.cseq


@pytest.mark.parametrize(
    ("accessor", "absent"),
    [
        *((n, None) for n in ("max_forwards", "content_type", "event", "subscription_state")),
        *((n, None) for n in ("refer_to", "replaces", "rseq", "rack", "session_expires")),
        *((n, None) for n in ("min_se", "referred_by", "expires", "min_expires", "flow_timer")),
        *((n, None) for n in ("accept", "retry_after", "date")),
        *((n, ()) for n in ("contacts", "routes", "record_routes", "require", "supported")),
        *((n, ()) for n in ("unsupported", "allow", "paths", "service_routes", "warnings")),
        *((n, ()) for n in ("asserted_identities", "reasons", "www_challenges")),
        *((n, ()) for n in ("proxy_challenges", "authorizations", "proxy_authorizations")),
    ],
)
def test_what_may_be_absent_is_none_or_empty(accessor, absent):
    assert getattr(message(), accessor) == absent


MALFORMED_STRICT = {
    "Max-Forwards": ["256", "-1", "", "x", "1_0"],
    "Contact": ['"Joe" <sip:joe@example.org>;;;;', "*, <sip:a@b>", "", "sip:a@b?c=d"],
    "Route": ["<sip:a@b", ""],
    "Record-Route": ["x"],
    "Require": ["a b"],
    "Content-Type": ["sdp"],
    "Event": ["a@b"],
    "Subscription-State": [""],
    "Refer-To": ["<sip:a@b>, <sip:c@d>", ""],
    "Replaces": ["a"],
    "RSeq": ["0", "4294967296", "x"],
    "RAck": ["1 INVITE"],
    "Session-Expires": ["soon"],
    "Min-SE": ["x"],
}


def test_every_strict_field_has_a_malformed_example():
    assert {name.lower() for name in MALFORMED_STRICT} == {
        field.key for field in STRICT_FIELDS if not field.required
    }


@pytest.mark.parametrize(
    ("name", "value"), [(name, v) for name, values in MALFORMED_STRICT.items() for v in values]
)
def test_a_malformed_strict_field_raises(name, value):
    (attribute,) = [field.attribute for field in STRICT_FIELDS if field.key == name.lower()]
    with pytest.raises(MalformedMessage):
        getattr(message((name, value)), attribute)


def test_five_fields_are_mandatory():
    with_all = message(
        ("Via", "SIP/2.0/UDP a"),
        ("From", "sip:a@b"),
        ("To", "sip:a@b"),
        ("Call-ID", "1"),
        ("CSeq", "1 INVITE"),
    )
    required = [field.attribute for field in STRICT_FIELDS if field.required]
    assert len(required) == 5
    for attribute in required:
        assert getattr(with_all, attribute)


@pytest.mark.parametrize("value", ["", "a b", "a\tb", "ä"])
def test_a_malformed_call_id_raises(value):
    with pytest.raises(MalformedMessage):
        _ = message(("Call-ID", value)).call_id


@pytest.mark.parametrize(
    ("name", "value", "accessor", "absent"),
    [
        ("Expires", "soon", "expires", None),
        ("Min-Expires", "-1", "min_expires", None),
        ("Flow-Timer", "x", "flow_timer", None),
        ("Referred-By", "<", "referred_by", None),
        ("Retry-After", "x", "retry_after", None),
        ("Date", "Fri, 01 Jan 2010 16:00:00 EST", "date", None),
        ("Warning", '1812 overture "In Progress"', "warnings", ()),
        ("Warning", '399 a "open', "warnings", ()),
        ("Reason", ";", "reasons", ()),
        ("WWW-Authenticate", 'Digest realm="open', "www_challenges", ()),
        ("Supported", '"', "supported", ()),
        ("Path", "x", "paths", ()),
        ("Accept", "nothing", "accept", ()),
        ("Accept", "", "accept", ()),
    ],
)
def test_a_malformed_lenient_field_counts_as_absent(name, value, accessor, absent):
    assert getattr(message((name, value)), accessor) == absent


def test_the_good_ones_of_a_lenient_list_are_kept():
    request = message(
        ("Supported", "timer, a b, 100rel"),
        ("Warning", '399 a "one", 1 b "bad"'),
        ("Warning", '399 c "two"'),
        ("Proxy-Authenticate", 'Digest realm="x", nonce="y"'),
        ("Proxy-Authenticate", 'Digest realm="open'),
    )
    assert request.supported == ("timer", "100rel")
    assert [warning.text for warning in request.warnings] == ["one", "two"]
    assert len(request.proxy_challenges) == 1


@pytest.fixture
def full() -> Request:
    """A request with every field that has a typed accessor."""
    return message(
        ("Max-Forwards", "0068"),
        ("m", "<sip:a@b>, <sip:c@d>;q=0.5"),
        ("Contact", "<tel:+1>"),
        ("Route", "<sip:p;lr>"),
        ("Record-Route", "<sip:r;lr>,<sip:s;lr>"),
        ("Require", "100rel"),
        ("Supported", "Timer"),
        ("Unsupported", "x"),
        ("Allow", "INVITE, ACK"),
        ("Accept", "application/SDP;level=1, text/*"),
        ("c", "application/sdp"),
        ("o", "refer;id=3"),
        ("Subscription-State", "active;expires=5"),
        ("r", "<sip:x@y?Replaces=1>"),
        ("b", "<sip:z@y>"),
        ("Replaces", "1;to-tag=a;from-tag=b"),
        ("RSeq", "988"),
        ("RAck", "988 1 INVITE"),
        ("x", "1800;refresher=uac"),
        ("Min-SE", "90;x"),
        ("Expires", "99999999999"),
        ("Min-Expires", "60"),
        ("Flow-Timer", "126"),
        ("Path", "<sip:p;lr;ob>"),
        ("Service-Route", "<sip:q;lr>"),
        ("P-Asserted-Identity", '"A" <sip:a@b>, <tel:+1>'),
        ("Reason", "SIP;cause=488, Q.850;cause=16"),
        ("Retry-After", "5 (busy);duration=9"),
        ("Date", "Sat, 13 Nov 2010 23:29:00 GMT"),
        ("WWW-Authenticate", 'Digest realm="a"'),
        ("Authorization", 'Digest username="a"'),
        ("Proxy-Authorization", 'Digest username="b"'),
    )


def test_routing_and_capabilities_have_typed_values(full):
    assert full.max_forwards == 68
    assert [str(contact.uri) for contact in full.contacts] == ["sip:a@b", "sip:c@d", "tel:+1"]
    assert str(full.routes[0].uri) == "sip:p;lr"
    assert len(full.record_routes) == 2
    assert full.require == ("100rel",)
    assert full.supports("timer")
    assert full.supports("100rel")
    assert full.requires("100REL")
    assert not full.requires("timer")
    assert full.unsupported == ("x",)
    assert full.allow == ("INVITE", "ACK")
    assert full.accept == ("application/sdp", "text/*")
    assert full.content_type.essence == "application/sdp"


def test_extensions_have_typed_values(full):
    assert full.event.package == "refer"
    assert full.subscription_state.expires == 5
    assert full.refer_to.uri.headers == (("Replaces", "1"),)
    assert full.referred_by.uri.host == "y"
    assert full.replaces.from_tag == "b"
    assert full.rseq == 988
    assert full.rack == RAck(988, 1, "INVITE")
    assert full.session_expires == SessionExpires(1800, "uac")
    assert full.min_se == 90
    assert full.expires == 2**32 - 1
    assert full.min_expires == 60
    assert full.flow_timer == 126
    assert full.paths[0].uri.parameter("ob") == ""
    assert full.service_routes[0].uri.host == "q"
    assert len(full.asserted_identities) == 2
    assert full.reasons == (Reason("SIP", 488), Reason("Q.850", 16))
    assert full.retry_after == RetryAfter(5, 9)
    assert full.date == datetime(2010, 11, 13, 23, 29, tzinfo=UTC)
    assert full.www_challenges[0].parameter("realm") == "a"
    assert full.authorizations[0].parameter("username") == "a"
    assert full.proxy_authorizations[0].parameter("username") == "b"


def test_the_wildcard_contact_stands_alone():
    assert message(("Contact", "*")).contacts == ()
    with pytest.raises(MalformedMessage):
        _ = message(("Contact", "*"), ("Contact", "<sip:a@b>")).contacts


@pytest.mark.parametrize("length", [10, 200])
def test_an_address_that_comes_again_reads_the_same(length):
    """Short ones are kept read, and what was malformed once stays so."""
    good, bad = f"<sip:a@b>;tag={'1' * length}", f"<sip:a@b;tag={'1' * length}"
    for _ in range(2):
        assert message(("From", good)).from_.tag == "1" * length
        assert [each.tag for each in message(("Contact", good)).contacts] == ["1" * length]
        for name, attribute in (("From", "from_"), ("To", "to"), ("Contact", "contacts")):
            with pytest.raises(MalformedMessage, match="Malformed"):
                getattr(message((name, bad)), attribute)
