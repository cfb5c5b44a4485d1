"""By which way digits go, and that one which comes by two is one."""

from __future__ import annotations

import pytest

from softphone.call.leg import DigitMethod, choose_digit_method, dtmf_info_body, pause_of
from softphone.call.leg.dtmf import DigitDeduplicator, parse_dtmf_info
from softphone.errors import ConfigurationError, NotAcceptable

RELAY = "application/dtmf-relay"


def test_auto_takes_what_the_far_end_can_do():
    auto = DigitMethod.AUTO
    assert choose_digit_method(auto, agreed=True, allow=()) is DigitMethod.RTP
    assert choose_digit_method(auto, agreed=False, allow=()) is DigitMethod.INFO
    assert choose_digit_method(auto, agreed=False, allow=("INVITE", "INFO")) is DigitMethod.INFO
    assert choose_digit_method(auto, agreed=False, allow=("INVITE", "BYE")) is DigitMethod.INBAND


def test_what_is_asked_for_is_done_or_refused():
    assert choose_digit_method(DigitMethod.INBAND, agreed=True, allow=()) is DigitMethod.INBAND
    assert choose_digit_method(DigitMethod.INFO, agreed=True, allow=()) is DigitMethod.INFO
    with pytest.raises(NotAcceptable, match="RFC 4733"):
        choose_digit_method(DigitMethod.RTP, agreed=False, allow=())
    assert DigitMethod.named("info") is DigitMethod.INFO
    with pytest.raises(ConfigurationError, match="auto, rtp, info, inband"):
        DigitMethod.named("morse")


@pytest.mark.parametrize(
    ("kind", "body", "found"),
    [
        (RELAY, b"Signal=5\r\nDuration=160\r\n", ("5", 160.0)),
        (RELAY, b"Signal= #\r\n", ("#", 0.0)),
        (RELAY, b"Duration=100\r\nSignal=b\r\n", ("B", 100.0)),
        (RELAY, b"Signal=10\r\nDuration=100", ("*", 100.0)),
        ("Application/DTMF-Relay; x=y", b"Signal=1", ("1", 0.0)),
        (RELAY, b"Signal=!\r\n", ("", 0.0)),
        (RELAY, b"\xff" * 5000, ("", 0.0)),
        ("application/dtmf", b"7", ("7", 0.0)),
        ("application/dtmf", b" 11\r\n", ("#", 0.0)),
        ("application/dtmf", b"Signal=9\r\nDuration=80\r\n", ("9", 80.0)),
        ("application/dtmf", b"12345", ("", 0.0)),
        ("text/plain", b"5", None),
    ],
)
def test_info_is_read_as_it_comes(kind, body, found):
    assert parse_dtmf_info(kind, body) == found


def test_what_we_send_by_info_is_read_back():
    body = dtmf_info_body("*", 120)
    assert parse_dtmf_info(body.content_type, body.data) == ("*", 120.0)


def test_a_digit_that_comes_by_two_ways_is_one():
    inbox = DigitDeduplicator()
    assert inbox.note_digit("5", "rfc4733", 10.0)
    assert not inbox.note_digit("5", "inband", 10.1)
    assert not inbox.note_digit("5", "info", 10.3)
    assert inbox.note_digit("6", "inband", 10.4)


def test_a_digit_pressed_twice_is_two_whichever_way_is_first():
    inbox = DigitDeduplicator()
    assert inbox.note_digit("1", "rfc4733", 1.0)
    assert inbox.note_digit("1", "rfc4733", 1.2)
    assert not inbox.note_digit("1", "info", 1.3)
    assert not inbox.note_digit("1", "info", 1.4)
    assert inbox.note_digit("1", "info", 1.5)


def test_later_it_is_another_one_and_nothing_grows():
    inbox = DigitDeduplicator()
    assert inbox.note_digit("1", "rfc4733", 1.0)
    assert inbox.note_digit("1", "info", 2.5)
    for at in range(1000):
        inbox.note_digit("1", "rfc4733", 3.0 + at / 1e6)
    assert len(inbox._seen) <= 32


def test_a_pause_takes_half_a_second():
    assert (pause_of(",", 100), pause_of("1", 100)) == (0.5, 0.16)
