"""Call-Info's security parameter as servers really write it."""

from __future__ import annotations

import pytest

from softphone.security import SecurityLevel
from softphone.sip.message import call_security, security_call_info

URN = "<urn:x-cisco-remotecc:callinfo>"


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (f"{URN}; security= Encrypted; orientation= to; gci= 1-17041", SecurityLevel.ENCRYPTED),
        (f"{URN};security=encrypted", SecurityLevel.ENCRYPTED),
        ("<urn:X-cisco-remotecc:CallInfo>;SECURITY = Authenticated", SecurityLevel.AUTHENTICATED),
        (f"{URN}; isVoip; security=NotAuthenticated", SecurityLevel.NOT_SECURE),
        (f"{URN}; security=Unknown", None),
        (f"{URN}; security=Quantum", None),
    ],
)
def test_every_spelling_is_understood(value, level):
    assert call_security([value]) == (True, level)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [""],
        ["<http://example.test/icon.jpg>;purpose=icon"],
        ['<sip:x@y>;method="NOTIFY;Event=dialog"'],
        [f"{URN}; orientation=to"],
        ["urn:x-cisco-remotecc:callinfo; security=Encrypted"],
        ["<http://example.test/a>;security=Encrypted"],
    ],
)
def test_what_does_not_speak_of_the_call_is_silence(values):
    assert call_security(values) == (False, None)


def test_the_lowest_of_several_entries_counts():
    both = f"{URN};security=Encrypted, {URN};security=NotAuthenticated"
    assert call_security([both]) == (True, SecurityLevel.NOT_SECURE)
    assert call_security([f"{URN};security=Encrypted", f"{URN};security=Authenticated"]) == (
        True,
        SecurityLevel.AUTHENTICATED,
    )
    assert call_security([f"{URN};security=Encrypted", f"{URN};security=Unknown"]) == (True, None)


def test_other_entries_beside_it_are_skipped():
    value = f"<http://example.test/i>;purpose=icon, {URN};security= Encrypted"
    assert call_security([value]) == (True, SecurityLevel.ENCRYPTED)


@pytest.mark.parametrize("level", [*SecurityLevel, None])
def test_what_is_written_is_read_back(level):
    read = None if level is SecurityLevel.UNKNOWN else level
    assert call_security([security_call_info(level)]) == (True, read)


def test_a_long_hostile_value_costs_linear_time():
    assert call_security(["<" * 60_000]) == (False, None)
    assert call_security([f"{URN}" + ";security " * 6_000]) == (False, None)


def test_words_within_a_quoted_string_are_none_of_the_calls():
    value = f'{URN}; note="; security=Encrypted"; security=NotAuthenticated'
    assert call_security([value]) == (True, SecurityLevel.NOT_SECURE)
    assert call_security([f'{URN}; note="x, {URN}; security=Encrypted"']) == (False, None)
    assert call_security([f'{URN}; note="\\"; security=Encrypted"']) == (False, None)
    hidden = f'<http://icon.example/1.png>;purpose="{URN};security=Encrypted"'
    assert call_security([hidden]) == (False, None)


@pytest.mark.parametrize(
    "values",
    [
        [f"{URN};security=Encrypted;security=NotAuthenticated"],
        [f"{URN};security=NotAuthenticated;security=Encrypted"],
        [f"{URN};security=Encrypted", f"{URN};security=NotAuthenticated"],
        [f"{URN};security=Unknown, {URN};security=NotAuthenticated"],
        [f"{URN};security=NotAuthenticated", f'{URN};security="Encrypted'],
    ],
)
def test_the_lowest_of_all_that_is_said_counts(values):
    assert call_security(values) == (True, SecurityLevel.NOT_SECURE)


def test_a_level_that_is_not_known_is_lower_than_encrypted_only():
    unknown = f"{URN};security=Unknown"
    assert call_security([unknown, f"{URN};security=Authenticated"]) == (
        True,
        SecurityLevel.AUTHENTICATED,
    )
    assert call_security([unknown, f"{URN};security=Encrypted"]) == (True, None)


@pytest.mark.parametrize(
    "value",
    [
        f'{URN};security=Encrypted;note="open',
        f"{URN};security=Encrypted;;isVoip",
        f"{URN} security=Encrypted",
        f"{URN};security=En crypted",
        f"x{URN};security=Encrypted",
    ],
)
def test_what_the_grammar_does_not_allow_raises_nothing(value):
    assert call_security([value]) == (True, None)
    assert call_security([value, f"{URN};security=Encrypted"]) == (True, None)
