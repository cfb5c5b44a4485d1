"""The checks of RFC 3261 section 8.2, one by one, without an endpoint."""

from __future__ import annotations

import pytest

from softphone.sip import EndpointConfig
from softphone.sip.message import parse_datagram
from softphone.sip.request_router import check_request
from softphone.sip.subscription import refer_values
from tests.support.lone import SDP, Lone

CONFIG = EndpointConfig()


def received(method, **options):
    return parse_datagram(Lone().request(method, **options).encode())


def status(method, config=CONFIG, **options):
    refused = check_request(received(method, **options), config)
    return refused.status if refused is not None else None


@pytest.mark.parametrize(
    ("method", "options", "expected"),
    [
        ("INVITE", {"body": SDP}, None),
        ("INVITE", {}, None),
        ("REGISTER", {}, 405),
        ("DANCE", {}, 501),
        ("OPTIONS", {"uri": "tel:+15551234"}, 416),
        ("INVITE", {"headers": ("Require: 100rel, nonsense",)}, 420),
        ("INVITE", {"body": "x", "headers": ("Content-Type: text/unknown",)}, 415),
        ("INVITE", {"body": SDP, "headers": ("Content-Encoding: gzip",)}, 415),
        ("INVITE", {"headers": ("Accept: text/html",)}, 406),
        ("INVITE", {"headers": ("Accept: application/*",)}, None),
        ("INVITE", {"contact": "<sip:a@b.test>, <sip:c@d.test>"}, 400),
        ("SUBSCRIBE", {"contact": None}, 400),
        ("MESSAGE", {"body": "x", "headers": ("Content-Type: image/png",)}, 415),
        ("MESSAGE", {"body": "x", "headers": ("Content-Type: text/plain",)}, None),
        ("INFO", {"body": "x", "headers": ("Content-Type: application/dtmf",)}, None),
    ],
)
def test_the_first_thing_that_is_wrong_decides(method, options, expected):
    assert status(method, **options) == expected


NOT_ONE_SIP_URI = ("*", "mailto:far@b.test", "<tel:+15551234>", "<sip:a@b.test>, <sip:c@d.test>")


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"])
@pytest.mark.parametrize("contact", NOT_ONE_SIP_URI)
@pytest.mark.parametrize("to_tag", ["", "ours"])
def test_a_contact_that_is_not_one_sip_uri_is_refused(method, contact, to_tag):
    assert status(method, contact=contact, to_tag=to_tag) == 400


@pytest.mark.parametrize("method", ["OPTIONS", "MESSAGE", "INFO", "BYE"])
def test_a_contact_that_nothing_is_sent_to_does_not_matter(method):
    assert status(method, contact="mailto:far@b.test") is None


def test_an_invite_that_begins_a_call_has_a_contact():
    assert status("INVITE", contact=None) == 400
    assert status("INVITE", contact=None, to_tag="ours") is None
    assert status("INVITE", contact="<sips:far@b.test>") is None


def test_a_peer_of_rfc_2543_may_leave_contact_out():
    assert status("INVITE", contact=None, branch="1") is None
    assert status("INVITE", contact="*", branch="1") == 400


OWN = EndpointConfig(users=("us", "6%301"))


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "MESSAGE"])
@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:us@192.0.2.1", None),
        ("sips:%75s@192.0.2.1;transport=tls", None),
        ("sip:601@192.0.2.1", None),
        ("sip:US@192.0.2.1", 404),
        ("sip:other@192.0.2.1", 404),
        ("sip:192.0.2.1", 404),
    ],
)
def test_with_users_of_its_own_an_endpoint_serves_them_alone(method, uri, expected):
    assert status(method, OWN, uri=uri) == expected
    assert status(method, OWN, uri=uri, to_tag="ours") is None
    assert status(method, uri=uri) is None


def test_refer_to_is_read_with_its_escaped_replaces():
    header = "Refer-To: <sip:carol@c.test?Replaces=abc%40x%3Bto-tag%3D1%3Bfrom-tag%3D2>"
    values = refer_values(received("REFER", headers=(header,)))
    assert values.replaces == "abc@x;to-tag=1;from-tag=2"
    assert refer_values(received("REFER", headers=("Refer-To: <sip:x@y.test>",))).replaces is None
    assert refer_values(received("REFER")) is None
