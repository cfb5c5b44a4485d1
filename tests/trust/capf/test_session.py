"""What a CAPF session may be asked."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial
from softphone.trust.capf import CapfOperation, CapfRequest, CapfState, CapfTimes


def test_a_request_for_a_device_needs_nothing_else():
    request = CapfRequest("CSFALICE")
    assert (request.version, request.string, request.identity) == (3, None, None)
    assert request.times == CapfTimes()


@pytest.mark.parametrize("name", ["", "x" * 65, "CSF ALICE", "CSF\nALICE", "CSFÄ", "CSF\0"])
def test_what_is_no_device_name_is_refused(name):
    with pytest.raises(ConfigurationError, match="device name"):
        CapfRequest(name)


@pytest.mark.parametrize("string", [b"x" * 16, b"12 34", b"12\0", b"\xc3\xa4"])
def test_what_cannot_be_an_authentication_string_is_refused_and_not_shown(string):
    with pytest.raises(ConfigurationError, match="authentication string") as caught:
        CapfRequest("CSFALICE", string=KeyMaterial(string))
    assert "12 34" not in str(caught.value)


@pytest.mark.parametrize("version", [1, 4])
def test_only_versions_2_and_3_are_spoken(version):
    with pytest.raises(ConfigurationError, match=f"version {version}"):
        CapfRequest("CSFALICE", version=version)


def test_states_and_operations_have_names_for_scripts():
    assert [each.value for each in CapfOperation] == ["none", "install", "fetch", "delete"]
    assert len({each.value for each in CapfState}) == 10


@pytest.mark.parametrize("string", [b"!", b"~", b"x" * 15])
def test_a_string_of_1_to_15_visible_characters_is_one(string):
    held = CapfRequest("CSFALICE", string=KeyMaterial(string)).string
    assert held is not None
    assert held.reveal() == string


def test_delete_is_no_visible_character():
    with pytest.raises(ConfigurationError, match="authentication string"):
        CapfRequest("CSFALICE", string=KeyMaterial(b"12\x7f"))


@pytest.mark.parametrize("name", ["x", "x" * 64])
def test_a_device_name_has_up_to_64_characters(name):
    assert CapfRequest(name).device == name
