"""The checks of RFC 3261 section 8.2, one by one, without an endpoint."""

from __future__ import annotations

import pytest

from softphone.sans_io import Side
from softphone.sip import EndpointConfig
from softphone.sip.message import parse_datagram
from softphone.sip.request_validation import check_request, refer_values
from tests.support.lone import SDP, Lone

CONFIG = EndpointConfig()


def received(method, **options):
    return parse_datagram(Lone().request(method, **options).encode())


def status(method, side=Side.CLIENT, **options):
    refused = check_request(received(method, **options), CONFIG, side)
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


def test_a_server_side_also_takes_register_and_publish():
    assert status("REGISTER", Side.SERVER) is None
    assert status("PUBLISH", Side.SERVER) is None


def test_refer_to_is_read_with_its_escaped_replaces():
    header = "Refer-To: <sip:carol@c.test?Replaces=abc%40x%3Bto-tag%3D1%3Bfrom-tag%3D2>"
    values = refer_values(received("REFER", headers=(header,)))
    assert values.replaces == "abc@x;to-tag=1;from-tag=2"
    assert refer_values(received("REFER", headers=("Refer-To: <sip:x@y.test>",))).replaces is None
    assert refer_values(received("REFER")) is None
