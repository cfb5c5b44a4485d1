"""OAuth: a device with a token, over TLS."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.personas import DeviceIdentity, Line, persona_named

PERSONA = persona_named("oauth")
DEVICE = DeviceIdentity("CSFALICE")


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("device", Line(bearer=True)),
        ("registrar", Line(bearer=True, device=DEVICE, secure=False)),
        ("oauth", Line(device=DEVICE)),
        ("credentials", Line(device=DEVICE, bearer=True, digest=True)),
    ],
)
def test_what_is_missing_is_said(key, line):
    with pytest.raises(ConfigurationError, match=f"^{key}"):
        PERSONA.check(line)


def test_all_else_is_the_phones():
    PERSONA.check(Line(device=DEVICE, bearer=True))
    assert PERSONA.style(Line(device=DEVICE, bearer=True)).refresh_early == 5.0
