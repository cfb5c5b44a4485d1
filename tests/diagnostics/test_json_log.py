"""`JsonFormatter`: records as lines of JSON, without secrets."""

from __future__ import annotations

import json
import logging
import sys

from softphone.diagnostics import JsonFormatter


def formatted(message, *arguments, error=None):
    record = logging.LogRecord("a.b", logging.WARNING, "x.py", 1, message, arguments, error)
    record.created = 1764635290.5
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert line.isascii()
    return json.loads(line)


def test_a_record_is_one_object_with_its_time_in_utc():
    assert formatted("%s and\n\N{LOCK}", "one") == {
        "time": "2025-12-02T00:28:10.500Z",
        "level": "warning",
        "logger": "a.b",
        "message": "one and\n\N{LOCK}",
        "exception": None,
    }


def test_secrets_are_masked_in_message_and_exception():
    try:
        raise ValueError("password=hunter2")
    except ValueError:
        found = formatted("password=%s", "hunter2", error=sys.exc_info())
    assert found["message"] == "password=***"
    assert found["exception"].endswith("ValueError: password=***")


def test_a_record_of_no_exception_has_none():
    assert formatted("x", error=(None, None, None))["exception"] is None
