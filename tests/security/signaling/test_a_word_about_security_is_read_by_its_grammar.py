"""Call-Info in every spelling: the lowest level of all of them counts, and no other parameter's."""

from __future__ import annotations

import pytest

from softphone.personas import persona_named
from softphone.security import SecurityLevel
from softphone.sip.message import parse_datagram
from tests.support.lone import Lone

URN = "<urn:x-cisco-remotecc:callinfo>"
ENCRYPTED = {
    "plain": [f"{URN}; security=Encrypted"],
    "quoted": [f'{URN}; security="Encrypted"'],
    "in capitals": [f"{URN}; orientation=to; SECURITY=ENCRYPTED"],
    "with blanks": [f"{URN} ; security = Encrypted"],
}
LESS = {
    "a second parameter": [f"{URN}; security=Encrypted; security=NotAuthenticated"],
    "a first parameter": [f"{URN}; security=NotAuthenticated; security=Encrypted"],
    "a second value": [f"{URN}; security=Encrypted, {URN}; security=NotAuthenticated"],
    "a second header": [f"{URN}; security=Encrypted", f"{URN}; security=NotAuthenticated"],
    "a word nobody knows": [f"{URN}; security=Encrypted", f"{URN}; security=Unknown"],
    "a longer word": [f"{URN}; security=Encryptedx"],
    "an escaped word": [f"{URN};security=%45ncrypted"],
    "no word": [f"{URN}; security"],
    "another parameter that holds it": [f'{URN}; x="security=Encrypted"'],
    "a parameter of another URI": [f'<sip:x>;y="{URN}; security=Encrypted"'],
    "a URI that ends like it": ["<http://evil/urn:x-cisco-remotecc:callinfo>; security=Encrypted"],
    "a URI that begins like it": ["<urn:x-cisco-remotecc:callinfoX>; security=Encrypted"],
    "a parameter without a name": [f"{URN}; security=Encrypted;;"],
}


def level(values: list[str], *, vouched: bool) -> SecurityLevel | None:
    """What a Cisco phone takes from an INVITE with these Call-Info fields."""
    headers = tuple(f"Call-Info: {value}" for value in values)
    message = parse_datagram(Lone().request("INVITE", headers=headers).encode())
    return persona_named("cisco_phone").report_far_end(message, vouched=vouched).level


@pytest.mark.parametrize("how", list(ENCRYPTED))
def test_only_whoever_is_vouched_for_says_encrypted(how):
    assert level(ENCRYPTED[how], vouched=True) is SecurityLevel.ENCRYPTED
    assert level(ENCRYPTED[how], vouched=False) is None


@pytest.mark.parametrize("how", list(LESS))
@pytest.mark.parametrize("vouched", [True, False])
def test_nothing_else_is_read_as_encrypted(how, vouched):
    assert level(LESS[how], vouched=vouched) in (None, SecurityLevel.NOT_SECURE)
