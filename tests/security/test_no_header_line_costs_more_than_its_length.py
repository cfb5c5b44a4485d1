"""Text that makes careless patterns go back and forth is read in time linear in its length."""

from __future__ import annotations

import time

import pytest

from softphone.sip.message import MessageLimits, ParseFailure, parse_datagram

UNBOUNDED = MessageLimits(message=1 << 26, line=1 << 26)
UNITS = ['"\\', '"', "\\", '"\x01', "<", "(", ";a=", "a ", ',"', "\\\x01", ' "a'.strip()]
FIELDS = ["Subject", "Contact", "Call-Info", "Authorization", "Warning"]
HEAD = (
    "OPTIONS sip:a@b.example SIP/2.0\r\nVia: SIP/2.0/UDP h.example;branch=z9hG4bKx\r\n"
    "From: <sip:a@b.example>;tag=1\r\nTo: <sip:a@b.example>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
)


def seconds(field, unit, count):
    data = f"{HEAD}{field}: x{unit * count}\x01\r\n\r\n".encode()

    def once():
        begun = time.process_time()
        parse_datagram(data, UNBOUNDED)
        return time.process_time() - begun

    return min(once() for _ in range(3))


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("unit", UNITS)
def test_eight_times_the_length_is_no_sixty_four_times_the_work(field, unit):
    # A square would be far above this; the floor keeps the clock's noise out.
    assert seconds(field, unit, 16_000) < max(24 * seconds(field, unit, 2_000), 0.2)


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ('"a\\\x01b" x', True),
        ('"a\x01b"', False),
        ('"a\\\x01b', False),
        ("a\x01b", False),
        ('"a\\"\x01', False),
        ('"a" "\\\x02"', True),
        ('"\\', True),
    ],
)
def test_a_control_character_stands_only_behind_a_backslash_in_a_string(value, taken):
    data = f"{HEAD}Subject: {value}\r\n\r\n".encode()
    assert isinstance(parse_datagram(data), ParseFailure) is not taken
