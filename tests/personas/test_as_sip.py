"""AS-SIP: TLS, SRTP and a digest user, or nothing."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.personas import PersonaLine, persona_named
from softphone.security import SrtpPolicy

PERSONA = persona_named("as_sip")


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("registrar", PersonaLine(secure=False, digest=True)),
        ("credentials", PersonaLine()),
        ("media.srtp", PersonaLine(digest=True, srtp=SrtpPolicy.OFF)),
    ],
)
def test_what_is_missing_is_said(key, line):
    with pytest.raises(ConfigurationError, match=key):
        PERSONA.check(line)


def test_it_registers_plainly():
    PERSONA.check(PersonaLine(digest=True))
    style = PERSONA.registration_style(PersonaLine(digest=True))
    assert style.option_tags == ()
    assert not style.outbound
    assert PERSONA.registered_connection_only
