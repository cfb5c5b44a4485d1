"""Orders for the lab's CAPF, as the command line has them."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.lab import CapfAuthMode, parse_pending_enrollment
from softphone.lab.pending_enrollment import PendingEnrollment


@pytest.mark.parametrize(
    ("text", "way", "string"),
    [
        ("CSFALICE=string", CapfAuthMode.STRING, None),
        ("CSFALICE=string:4711", CapfAuthMode.STRING, b"4711"),
        ("CSFALICE=null-string", CapfAuthMode.NULL_STRING, None),
        ("CSFALICE=lsc", CapfAuthMode.LSC, None),
        ("CSFALICE=mic", CapfAuthMode.MIC, None),
    ],
)
def test_an_order_names_a_device_and_a_way(text, way, string):
    order = parse_pending_enrollment(text)
    assert (order.device, order.mode) == ("CSFALICE", way)
    assert (order.string and order.string.reveal()) == string


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("CSFALICE", "expected DEVICE=string"),
        ("=lsc", "expected DEVICE=string"),
        ("CSFALICE=sudi", "expected DEVICE=string"),
        ("CSFALICE=lsc:4711", "expected DEVICE=string"),
        ("CSFALICE=string:", "expected DEVICE=string"),
        ("CSFALICE=string:abcd", "expected DEVICE=string"),
        ("CSFALICE=string:123", "4 to 10 digits"),
        ("CSFALICE=string:12345678901", "4 to 10 digits"),
    ],
)
def test_what_is_no_order_is_said(text, why):
    with pytest.raises(ConfigurationError, match=why):
        parse_pending_enrollment(text)


@pytest.mark.parametrize("way", ["lsc:", "sting:", "", "string:12345678"])
def test_no_refusal_repeats_a_string(way):
    with pytest.raises(ConfigurationError, match="CSFALICE") as refused:
        parse_pending_enrollment(f"CSFALICE={way}47114711")
    assert "4711" not in str(refused.value)


def test_a_string_is_in_no_repr():
    assert "4711" not in repr(parse_pending_enrollment("CSFALICE=string:4711"))
    assert PendingEnrollment("CSFALICE").mode is CapfAuthMode.STRING
