"""The TNAuthList of a certificate: carriers' codes, numbers and ranges."""

from __future__ import annotations

import pytest

from softphone.trust.stir import InvalidPassport, TelephoneAuthority, parse_authority_list
from tests.support.stir import authority_list, der, one, span, spc


def test_each_kind_of_entry_is_read():
    found = parse_authority_list(
        authority_list(spc("1234"), one("15550101003"), span("15550102000", 300))
    )
    assert [str(each) for each in found] == ["SPC 1234", "15550101003", "15550102000 +300"]


@pytest.mark.parametrize(
    ("authority", "number", "covered"),
    [
        (TelephoneAuthority("1234"), "15550101003", True),
        (TelephoneAuthority("15550101003", 1), "15550101003", True),
        (TelephoneAuthority("15550101003", 1), "15550101004", False),
        (TelephoneAuthority("15550101000", 10), "15550101009", True),
        (TelephoneAuthority("15550101000", 10), "15550101010", False),
        (TelephoneAuthority("15550101000", 10), "15550100999", False),
        (TelephoneAuthority("1000", 10), "01000", False),
        (TelephoneAuthority("*72#", 1), "*72#", True),
        (TelephoneAuthority("1000", 10), "*72#", False),
    ],
)
def test_a_certificate_speaks_for_its_numbers(authority, number, covered):
    assert authority.covers(number) is covered


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\x30",
        b"\x30\x82\x01",
        b"\x30\x83\x00\x00\x00",
        b"\x30\x05\xa0",
        authority_list(),
        authority_list(spc("1")) + b"\x00\x00",
        der(0x31, spc("1")),
        authority_list(spc("1\n")),
        authority_list(spc("1" * 40)),
        authority_list(spc("")),
        authority_list(der(0xA3, der(0x16, b"1"))),
        authority_list(der(0xA0, der(0x0C, b"1"))),
        authority_list(der(0xA0, der(0x16, b"1") + der(0x16, b"2"))),
        authority_list(span("1", 1)),
        authority_list(der(0xA1, der(0x30, der(0x16, b"1") + der(0x02, b"\x01" * 9)))),
        authority_list(der(0xA1, der(0x30, der(0x02, b"\x05") + der(0x16, b"1")))),
        authority_list(*[spc("1")] * 300),
    ],
)
def test_what_is_no_list_is_refused(encoded):
    with pytest.raises(InvalidPassport, match="in its certificate"):
        parse_authority_list(encoded)
