"""OAuth: a device with a token, over TLS."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.personas import DeviceIdentity, PersonaLine, persona_named

PERSONA = persona_named("oauth")
DEVICE = DeviceIdentity("CSFALICE")


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("device", PersonaLine(bearer=True)),
        ("registrar", PersonaLine(bearer=True, device=DEVICE, secure=False)),
        ("oauth", PersonaLine(device=DEVICE)),
        ("credentials", PersonaLine(device=DEVICE, bearer=True, digest=True)),
    ],
)
def test_what_is_missing_is_said(key, line):
    with pytest.raises(ConfigurationError, match=f"^{key}"):
        PERSONA.check(line)


def test_all_else_is_the_phones():
    PERSONA.check(PersonaLine(device=DEVICE, bearer=True))
    assert PERSONA.registration_style(PersonaLine(device=DEVICE, bearer=True)).refresh_early == 5.0
