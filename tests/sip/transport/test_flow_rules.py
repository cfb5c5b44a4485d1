"""Contacts that lead back to a flow."""

from __future__ import annotations

import pytest

from softphone.sans_io import Transport
from softphone.sip.transport import contact_for
from tests.support.pair import new_flow


@pytest.mark.parametrize(
    ("transport", "secure", "expected"),
    [
        (Transport.UDP, False, "sip:us@192.0.2.1:5060"),
        (Transport.TCP, False, "sip:us@192.0.2.1:5060;transport=tcp"),
        (Transport.TLS, False, "sip:us@192.0.2.1:5060;transport=tls"),
        (Transport.TLS, True, "sips:us@192.0.2.1:5060"),
    ],
)
def test_the_transport_is_named_where_the_scheme_does_not(transport, secure, expected):
    flow = new_flow(transport, ("192.0.2.1", 5060), ("192.0.2.9", 5060))
    assert str(contact_for(flow, user="us", secure=secure).uri) == expected


def test_the_public_address_goes_before_the_local_one_and_ipv6_is_bracketed():
    flow = new_flow(Transport.UDP, ("10.0.0.1", 5060), ("192.0.2.9", 5060))
    contact = contact_for(flow, user=None, public=("2001:db8::1", 40000))
    assert str(contact.uri) == "sip:[2001:db8::1]:40000"
