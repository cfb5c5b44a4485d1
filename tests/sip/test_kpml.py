"""Digits as a watcher wants to hear of them (RFC 4730)."""

from __future__ import annotations

import re
import time

import pytest

from softphone.sip.kpml import KpmlWatch, kpml_request


def watch(regex, **options):
    return KpmlWatch.parse(kpml_request(regex, **options).data)


def digits_of(body):
    return re.search(rb'digits="([^"]*)"', body.data)[1].decode()


def test_a_persistent_pattern_reports_every_digit():
    watching = watch("[x#*+]|bs", tag="Backspace OK")
    reports = [watching.press(digit) for digit in "12#"]
    assert [digits_of(report) for report in reports] == ["1", "2", "#"]
    assert b'code="200"' in reports[0].data
    assert b'tag="Backspace OK"' in reports[0].data
    assert not watching.over


def test_a_one_shot_reports_once():
    watching = watch("xx", persist="one-shot")
    assert watching.press("1") is None
    assert digits_of(watching.press("2")) == "12"
    assert watching.over
    assert watching.press("3") is None


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
    reports = [report for digit in pressed if (report := watching.press(digit)) is not None]
    assert [digits_of(report) for report in reports] == reported


def test_the_end_is_told():
    watching = watch("x")
    assert b'code="487"' in watching.end().data
    assert watching.over


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<kpml-response/>",
        b"<kpml-request/>",
        kpml_request("bs").data,
        kpml_request("[9-1]").data,
        kpml_request("x{5,2}").data,
        kpml_request("[1--3]").data,
        kpml_request("x.x.x.").data,
        kpml_request("x" * 300).data,
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + kpml_request("x").data,
        kpml_request("x" + " " * 9000).data,
        b"<kpml-request>" + b"<a/>" * 200 + b"</kpml-request>",
        b"<kpml-request>" + b"<regex>x</regex>" * 20 + b"</kpml-request>",
    ],
)
def test_what_cannot_be_followed_is_refused(data):
    assert KpmlWatch.parse(data) is None


def test_the_dearest_pattern_costs_little():
    watching = watch("x." * 2 + "#" * 60)
    started = time.process_time()
    for _ in range(300):
        watching.press("1")
    assert time.process_time() - started < 2.0
