"""Pins: of a place, whose host is compared without case or trailing dot."""

from __future__ import annotations

from softphone.trust import Pin, Service


def test_a_place_is_service_host_and_port():
    pin = Pin(Service.SIP, "PBX.Example.test.", 5061, b"der")
    assert pin.place == (Service.SIP, "pbx.example.test", 5061)
    assert Pin(Service.HTTPS, "pbx.example.test", 5061, b"der").place != pin.place
    assert Pin(Service.SIP, "pbx.example.test", 5062, b"der").place != pin.place
