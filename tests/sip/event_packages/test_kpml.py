"""Digits as a watcher wants to hear of them (RFC 4730)."""

from __future__ import annotations

import re
import time
from xml.etree import ElementTree

import pytest

from softphone.sip.event_packages import DigitBuffer, KeyPress, KpmlSubscription
from softphone.sip.event_packages.kpml_pattern import MOST_DIGITS
from tests.support.kpml import kpml_request


def watch(regex, **options):
    return KpmlSubscription.parse(kpml_request(regex, **options).data)


def digits_of(body):
    return re.search(rb'digits="([^"]*)"', body.data)[1].decode()


def code_of(body):
    return int(re.search(rb'code="([0-9]{3})"', body.data)[1])


def told(reports):
    """Codes and digits of reports."""
    return [(code_of(one), digits_of(one) if b"digits=" in one.data else "") for one in reports]


def press(watching, digits, *, at=0.0):
    return told([report for digit in digits for report in watching.press_key(digit, now=at)])


def test_a_persistent_pattern_reports_every_digit():
    watching = watch("[x#*+]|bs", tag="Backspace OK")
    reports = [watching.press_key(digit, now=0.0)[0] for digit in "12#"]
    assert [digits_of(report) for report in reports] == ["1", "2", "#"]
    assert b'code="200"' in reports[0].data
    assert b'tag="Backspace OK"' in reports[0].data
    assert not watching.over


def test_a_one_shot_reports_once():
    watching = watch("xx", persist="one-shot")
    assert press(watching, "1") == []
    assert press(watching, "2") == [(200, "12")]
    assert watching.over
    assert press(watching, "3") == []
    assert watching.next_timer is None


@pytest.mark.parametrize(
    ("regex", "pressed", "reported"),
    [
        ("x{3}", "1234", ["123"]),
        ("0x.#", "05#", ["05#"]),
        ("[2-4]", "1", []),
        ("911|*", "911", ["911"]),
        ("[^1]", "2", ["2"]),
        ("A", "a", ["A"]),
    ],
)
def test_patterns(regex, pressed, reported):
    watching = watch(regex)
    assert press(watching, pressed) == [(200, digits) for digits in reported]


def test_a_pattern_that_is_not_completed_in_time_is_told_with_423():
    for persist, over in (("persist", False), ("one-shot", True)):
        watching = watch("xxx", persist=persist, interdigittimer="2500")
        assert press(watching, "12", at=10.0) == []
        assert watching.next_timer == 12.5
        assert watching.expire_timer(now=12.4) == []
        assert told(watching.expire_timer(now=12.5)) == [(423, "12")]
        assert (watching.over, watching.next_timer) == (over, None)


def test_the_inter_digit_timer_starts_anew_with_each_digit_and_is_4_seconds_by_default():
    watching = watch("xxx")
    press(watching, "1", at=0.0)
    press(watching, "2", at=3.9)
    assert watching.next_timer == 7.9
    assert press(watching, "3", at=7.8) == [(200, "123")]
    assert watching.next_timer is None


def test_digits_of_a_pattern_not_completed_may_be_unwanted_and_zero_waits_for_ever():
    watching = watch("xx", nopartial="yes")
    press(watching, "1")
    assert told(watching.expire_timer(now=4.0)) == [(423, "")]
    watching = watch("xx", interdigittimer="0")
    press(watching, "1")
    assert watching.next_timer is None


def test_a_pattern_that_could_be_longer_waits_for_the_critical_timer():
    watching = watch("0|00", tag="operator")
    assert press(watching, "0", at=5.0) == []
    assert watching.next_timer == 6.0
    (report,) = watching.expire_timer(now=6.0)
    assert told([report]) == [(200, "0")]
    assert b'tag="operator"' in report.data
    assert press(watching, "00", at=7.0) == [(200, "00")]
    assert press(watch("x.", criticaldigittimer="0"), "1") == [(200, "1")]


def test_a_digit_that_no_pattern_goes_on_with_ends_what_was_complete_and_is_new_itself():
    watching = watch("9|911|5")
    assert press(watching, "95") == [(200, "9"), (200, "5")]
    assert press(watching, "915") == [(200, "9"), (200, "5")]


def test_patterns_are_found_among_other_digits():
    assert press(watch("*1"), "12*3*1") == [(200, "*1")]


@pytest.mark.parametrize(("nopartial", "reported"), [("false", []), ("true", [(200, "*1")])])
def test_a_key_that_matches_nothing_takes_those_before_it_along(nopartial, reported):
    """Unless matches are looked for in a window that rolls (section 3.5)."""
    assert press(watch("*1", nopartial=nopartial), "**1") == reported


def test_the_enter_key_ends_a_pattern_and_is_not_reported():
    watching = watch("x{2,4}", enterkey="#")
    assert press(watching, "12#") == [(200, "12")]
    assert press(watching, "1234", at=1.0) == []
    assert watching.next_timer == 1.5
    assert press(watching, "#", at=1.2) == [(200, "1234")]
    assert press(watching, "1234", at=2.0) == []
    assert told(watching.expire_timer(now=2.5)) == [(200, "1234")]
    assert press(watching, "12345", at=3.0) == [(200, "1234")]


def test_an_enter_key_before_a_pattern_is_complete_is_told_with_402():
    watching = watch("xxx", enterkey="#")
    assert press(watching, "12#") == [(402, "12")]
    assert press(watching, "#123#") == [(200, "123")]
    assert press(watch("xxx", enterkey="#", nopartial="true"), "1#") == [(402, "")]
    # Where the pattern itself has that digit, it is one.
    assert press(watch("xx#", enterkey="#"), "12##") == [(200, "12#")]


def test_after_a_single_notify_digits_wait_for_the_refresh():
    for flush, reported in ((False, [(200, "2")]), (True, [])):
        watching = watch("x", persist="single-notify")
        assert press(watching, "12") == [(200, "1")]
        again = watch("x", persist="single-notify", flush=flush)
        assert told(again.begin_subscription(watching.left, now=1.0)) == reported
        assert not again.over
    same = watch("x", persist="single-notify", flush=False)
    press(same, "123")
    assert told(same.begin_subscription(same.left, now=1.0)) == [(200, "2")]
    assert told(same.begin_subscription(same.left, now=1.0)) == [(200, "3")]


def waiting(digits):
    return DigitBuffer(KeyPress(digit) for digit in digits)


@pytest.mark.parametrize(("flush", "reported"), [(True, []), (False, [(200, "12"), (200, "34")])])
def test_digits_from_before_are_heard_of_where_they_are_not_flushed(flush, reported):
    before = waiting("12345")
    assert told(watch("xx", flush=flush).begin_subscription(before, now=0.0)) == reported
    assert before.pop_all() == ()


def test_what_a_one_shot_leaves_waits_for_the_next():
    first = watch("xx", persist="one-shot", flush=False)
    assert told(first.begin_subscription(waiting("1234"), now=0.0)) == [(200, "12")]
    assert first.over
    assert [press.digit for press in first.left.pop_all()] == ["3", "4"]


def test_digits_that_were_too_many_are_gone_and_that_is_said_once():
    watching = watch("x{4}", flush=False)
    first, *more = watching.begin_subscription(waiting("9" * 6 + "1" * MOST_DIGITS), now=0.0)
    assert told([first]) == [(200, "1111")]
    assert b'forced_flush="true"' in first.data
    assert len(more) == MOST_DIGITS // 4 - 1
    assert all(b'forced_flush="false"' in report.data for report in more)
    (report,) = watch("x", flush=False).begin_subscription(waiting("1"), now=0.0)
    assert b'forced_flush="false"' in report.data


def test_a_buffer_takes_over_what_waits_in_another():
    full, ours = waiting("1" * (MOST_DIGITS + 1)), waiting("2")
    assert (full.lost, ours.lost) == (True, False)
    ours.append_all_of(full)
    assert (full.lost, ours.lost) == (False, True)
    assert [press.digit for press in ours.pop_all()] == ["1"] * MOST_DIGITS
    assert not ours.lost


def hold(watching, digit, held):
    return told(watching.press_key(digit, held=held, now=0.0))


def test_a_key_is_held_after_two_and_a_half_seconds_or_as_was_asked():
    assert hold(watch("L#"), "#", 2.4) == []
    assert hold(watch("L#"), "#", 2.5) == [(200, "#")]
    assert hold(watch("L#", long="1000"), "#", 1.0) == [(200, "#")]
    assert hold(watch("L#", long="0"), "#", 1.0) == []
    # It counts once, however long, though presses in a row might count as one that was long.
    assert hold(watch("L#", long="500", longrepeat="true"), "#", 1.7) == [(200, "#")]
    assert press(watch("L#", long="500", longrepeat="true"), "###") == []


def test_a_key_that_was_held_while_nobody_listened_is_one_for_who_comes():
    before = DigitBuffer([KeyPress("#", 3.0)])
    assert told(watch("L#", flush=False).begin_subscription(before, now=0.0)) == [(200, "#")]


def test_what_is_to_be_held_back_is_the_beginning_of_the_pattern_and_is_not_held_back():
    """RFC 4730 section 3.4: who cannot suppress matches both, one behind the other."""
    watching = KpmlSubscription.parse(kpml_request("<pre>*8</pre>xx[2-9]").data)
    assert press(watching, "*8401") == []
    (report,) = [one for digit in "*8402" for one in watching.press_key(digit, now=0.0)]
    assert digits_of(report) == "*8402"
    assert b'suppressed="false"' in report.data


def test_a_report_is_in_the_namespace_of_its_schema():
    root = ElementTree.fromstring(watch("x").press_key("1", now=0.0)[0].data)
    assert root.tag == "{urn:ietf:params:xml:ns:kpml-response}kpml-response"
    assert (root.get("version"), root.get("text")) == ("1.0", "OK")


@pytest.mark.parametrize(
    ("flush", "reported"),
    [("", [(200, "1")]), ("no", [(200, "1")]), ("later", [(200, "1")]), ("yes", []), (" Yes ", [])],
)
def test_only_yes_flushes(flush, reported):
    data = kpml_request("x").data.replace(b"<regex", f"<flush>{flush}</flush><regex".encode())
    assert told(KpmlSubscription.parse(data).begin_subscription(waiting("1"), now=0.0)) == reported


@pytest.mark.parametrize(
    ("persist", "over"),
    [("persist", False), ("single-notify", False), ("Persist", True), ("for-ever", True)],
)
def test_a_pattern_is_for_one_report_unless_it_says_otherwise_in_so_many_letters(persist, over):
    watching = watch("x", persist=persist)
    press(watching, "1")
    assert watching.over is over


@pytest.mark.parametrize("text", ["-1", "abc", "", "9" * 30, "1.5"])
def test_a_timer_that_is_malformed_is_the_default(text):
    watching = watch("xx", interdigittimer=text)
    press(watching, "1")
    assert watching.next_timer == 4.0


def test_the_end_is_told_with_what_was_collected():
    watching = watch("x")
    assert told([watching.end_subscription()]) == [(487, "")]
    assert watching.over
    for nopartial, digits in (("false", "12"), ("true", "")):
        watching = watch("xxx", nopartial=nopartial)
        press(watching, "12")
        assert told([watching.end_subscription()]) == [(487, digits)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<kpml-response/>",
        b"<kpml-request/>",
        kpml_request("bs").data,
        kpml_request("xx", enterkey="**").data,
        kpml_request("[9-1]").data,
        kpml_request("x{5,2}").data,
        kpml_request("[1--3]").data,
        kpml_request("x.x.x.").data,
        kpml_request("x" * 300).data,
        kpml_request("|".join("x" * 60)).data,
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + kpml_request("x").data,
        kpml_request("x" + " " * 9000).data,
        b"<kpml-request>" + b"<a/>" * 200 + b"</kpml-request>",
        b"<kpml-request>" + b"<regex>x</regex>" * 20 + b"</kpml-request>",
    ],
)
def test_what_cannot_be_followed_is_refused(data):
    assert KpmlSubscription.parse(data) is None


@pytest.mark.parametrize(
    ("regex", "digits"),
    [("x." * 2 + "#" * 60, "1" * 300), ("|".join(["1{60}#"] * 36), ("1" * 60 + "2") * 5)],
)
def test_the_dearest_pattern_costs_little(regex, digits):
    watching = watch(regex)
    started = time.process_time()
    for digit in digits:
        watching.press_key(digit, now=0.0)
    assert time.process_time() - started < 4.0
