"""The standard persona: whom it believes about the far end, and when it falls back."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.personas import (
    FarEndReport,
    PersonaLine,
    RegistrationStyle,
    StandardPersona,
    persona_named,
    persona_names,
)
from softphone.security import SecurityLevel, SrtpPolicy
from softphone.sip import Response, security_call_info
from softphone.sip.message import parse_datagram

PERSONA = StandardPersona()


def response(*headers):
    text = (
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS h;branch=z9hG4bKa\r\nFrom: <sip:a@h>;tag=1\r\n"
        "To: <sip:b@h>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
        + "".join(f"{h}\r\n" for h in headers)
    )
    made = parse_datagram((text + "Content-Length: 0\r\n\r\n").encode())
    assert isinstance(made, Response)
    return made


def saying(level):
    return response(f"Call-Info: {security_call_info(level)}")


@pytest.mark.parametrize(
    ("supported", "vouches"),
    [
        ("replaces, X-cisco-sis-7.1.1", True),
        ("X-Cisco-SIS-9.0.0", True),
        ("replaces", False),
        ("x-cisco-srtp-fallback", False),
    ],
)
def test_a_server_vouches_by_its_interface_version(supported, vouches):
    assert PERSONA.vouches(response(f"Supported: {supported}")) is vouches


@pytest.mark.parametrize("level", [*SecurityLevel, None])
def test_a_server_that_vouches_is_believed_whatever_it_says(level):
    heard = None if level is SecurityLevel.UNKNOWN else level
    assert PERSONA.report_far_end(saying(level), vouched=True) == FarEndReport(True, heard)


@pytest.mark.parametrize("level", [SecurityLevel.AUTHENTICATED, SecurityLevel.ENCRYPTED, None])
def test_nobody_else_raises_what_is_shown(level):
    assert PERSONA.report_far_end(saying(level), vouched=False) == FarEndReport(False)


def test_bad_news_is_believed_whoever_brings_it():
    word = PERSONA.report_far_end(saying(SecurityLevel.NOT_SECURE), vouched=False)
    assert word == FarEndReport(True, SecurityLevel.NOT_SECURE)


def test_silence_says_nothing():
    assert PERSONA.report_far_end(response(), vouched=True) == FarEndReport(False)


@pytest.mark.parametrize("srtp", list(SrtpPolicy))
@pytest.mark.parametrize("status", [480, 486, 488, 606])
def test_only_optional_falls_back_and_only_after_488(srtp, status):
    expected = srtp is SrtpPolicy.OPTIONAL and status == 488
    assert PERSONA.retries_in_clear(srtp, status) is expected


def test_only_optional_takes_clear_answers():
    taken = [srtp for srtp in SrtpPolicy if PERSONA.takes_clear_answers(srtp, ())]
    assert taken == [SrtpPolicy.OPTIONAL]


def test_it_asks_for_nothing_of_its_own_but_connected_identity():
    line = PersonaLine()
    PERSONA.check(line)
    assert PERSONA.registration_style(line) == RegistrationStyle()
    assert PERSONA.option_tags(line) == ("from-change",)
    assert PERSONA.instance(line, lambda n: bytes(n)) is None
    assert PERSONA.user_agent(line).startswith("softphone/")


def test_a_persona_is_found_by_its_name():
    assert isinstance(persona_named("standard"), StandardPersona)
    assert set(persona_names()) >= {"standard", "cisco_phone", "as_sip", "oauth"}
    with pytest.raises(ConfigurationError, match="known are as_sip, cisco_phone"):
        persona_named("psychic")
    with pytest.raises(ConfigurationError, match="unknown"):
        persona_named("line")


def test_every_persona_bears_its_modules_name():
    for name in persona_names():
        assert persona_named(name).name == name
