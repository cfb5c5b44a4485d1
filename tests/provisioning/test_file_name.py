"""The names of a device's files."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.provisioning import check_device, plain_name, sealed_name, signed_name
from softphone.provisioning.file_name import list_names
from softphone.trust import ListKind


def test_the_names_and_their_order():
    names = list_names("CSFALICE")
    assert list(names) == [ListKind.CTL, ListKind.ITL]
    assert names[ListKind.CTL] == ("CTLCSFALICE.tlv",)
    assert names[ListKind.ITL] == ("ITLCSFALICE.tlv", "ITLFile.tlv")
    assert plain_name("CSFALICE") == "CSFALICE.cnf.xml"
    assert signed_name("CSFALICE") == "CSFALICE.cnf.xml.sgn"
    assert sealed_name("CSFALICE") == "CSFALICE.cnf.xml.enc.sgn"


@pytest.mark.parametrize("device", ["CSFALICE", "SEP001122334455", "BOT_a-1"])
def test_a_device(device):
    assert check_device(device) == device


@pytest.mark.parametrize("device", ["", "../x", "a/b", "a b", "-x", "a.b", "a\n", "x" * 65, "\xe4"])
def test_no_device(device):
    with pytest.raises(ConfigurationError, match="no device name"):
        check_device(device)
