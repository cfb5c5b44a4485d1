"""Texts of a configuration end up in headers and on terminals, its lines in registrations."""

from __future__ import annotations

import pytest

from softphone.device.accounts import device_accounts
from softphone.errors import ConfigurationError
from softphone.provisioning import parse_device_config
from softphone.trust import Bootstrap
from tests.support.cluster import DEVICE, Shelf, boot_from, insecure

BREAK = b"&#13;&#10;Route: &lt;sip:evil@192.0.2.66&gt;&#155;2J"


async def accounts(folder, text):
    booted = await boot_from(Shelf({f"{DEVICE}.cnf.xml": text}), folder, bootstrap=Bootstrap())
    return device_accounts(booted)


async def test_a_display_name_is_one_line(tmp_path):
    text = insecure().text().replace(b"<displayName>Alice", b"<displayName>Alice" + BREAK)
    (account,) = await accounts(tmp_path, text)
    assert account.display_name == "Alice  Route: <sip:evil@192.0.2.66> 2J"


@pytest.mark.parametrize(
    "place", [b"<name>alice", b"<contact>alice", b"<proxy>USECALLMANAGER"], ids=str
)
async def test_names_that_break_lines_make_no_account(tmp_path, place):
    text = insecure().text()
    assert place in text
    with pytest.raises(ConfigurationError):
        await accounts(tmp_path, text.replace(place, place + BREAK))


def test_no_phone_has_thousands_of_lines():
    line = b'<line lineIndex="2"><featureID>9</featureID><name>a</name></line>'
    text = insecure().text().replace(b"</sipLines>", line * 3000 + b"</sipLines>")
    config = parse_device_config(text)
    assert (len(config.lines), config.lines[0].name) == (128, "alice")
