"""Device identities: what may be in one, and the installation's URN."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.personas import DeviceIdentity, PersonaLine, RegistrationStyle
from tests.support.clock import seeded_entropy


def test_the_installation_is_the_mac_of_a_sep_name():
    device = DeviceIdentity("SEP001122aabbcc")
    assert device.instance(seeded_entropy(1)) == "urn:uuid:00000000-0000-0000-0000-001122AABBCC"


def test_a_given_mac_counts_before_the_name():
    device = DeviceIdentity("SEP001122AABBCC", mac="aabbccddeeff")
    assert device.instance(seeded_entropy(1)).endswith("-AABBCCDDEEFF")


def test_without_either_it_is_new_each_time():
    device = DeviceIdentity("CSFALICE")
    one, other = device.instance(seeded_entropy(1)), device.instance(seeded_entropy(2))
    assert one != other
    assert one.startswith("urn:uuid:00000000-0000-0000-0000-")


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("device.name", {"name": 'CSF"ALICE'}),
        ("device.name", {"name": ""}),
        ("device.model", {"name": "CSFALICE", "model": 0}),
        ("device.mac", {"name": "CSFALICE", "mac": "00:11:22:33:44:55"}),
        ("device.contact", {"name": "CSFALICE", "contact": "a@b"}),
        ("device.load", {"name": "CSFALICE", "load": 'x"\r\n'}),
    ],
)
def test_what_could_break_a_header_field_is_refused(key, values):
    with pytest.raises(ConfigurationError, match=key):
        DeviceIdentity(**values)


def test_a_line_is_careful_by_default():
    assert PersonaLine().srtp.value == "required"
    assert RegistrationStyle().alarm("initialized") == ()
