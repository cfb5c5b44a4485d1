"""The list of numbers and the do-not-call list: what is read, and what is said by line."""

from __future__ import annotations

import os

import pytest

from softphone.campaign import DoNotCallList, number_key, read_call_list
from softphone.config import AccountConfig, DialPolicyConfig
from softphone.errors import ConfigurationError

PLAIN = AccountConfig("sip:bot@pbx.test", registrar="sip:pbx.test")
GERMAN = AccountConfig(
    "sip:bot@pbx.test", registrar="sip:pbx.test", dial_policy=DialPolicyConfig(country="49")
)


def listed(tmp_path, text, config=GERMAN, **options):
    path = tmp_path / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_call_list(path, config, **{"needs_zone": False} | options)


def test_columns_are_number_name_zone_header_fields_and_variables(tmp_path):
    text = (
        "number,name,zone,header:X-Order,order\n"
        '+49301234567,"Müller, Anna",Europe/Berlin,7,A-1\n'
        "\n"
        "030 1234568,,,,\n"
    )
    first, second = listed(tmp_path, text, zone="Europe/Vienna")
    assert (first.number, first.name, first.zone, first.line) == (
        *("+49301234567", "Müller, Anna", "Europe/Berlin"),
        2,
    )
    assert first.headers == (("X-Order", "7"),)
    assert first.variables == {"order": "A-1"}
    assert (second.zone, second.headers, second.variables, second.line) == (
        *("Europe/Vienna", (), {"order": ""}),
        4,
    )


def test_a_spreadsheet_may_have_written_it(tmp_path):
    (number,) = listed(tmp_path, b"\xef\xbb\xbfnumber;name\r\n+493012301;=1+1\r\n")
    assert (number.number, number.name) == ("+493012301", "=1+1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "list.csv:1: there is no column 'number'"),
        ("phone\n1\n", "list.csv:1: there is no column 'number'"),
        ("number,\n1,2\n", "list.csv:1: column 2 has no name"),
        ("number,name,name\n1,2,3\n", "list.csv:1: there are two columns 'name'"),
        ("number\n", "there is no number in it"),
        ("number,name\n600\n", "list.csv:2: 1 values for 2 columns"),
        ("number\n600,601\n", "list.csv:2: 2 values for 1 columns"),
        ("number,name\n600,a\n,b\n", "list.csv:3: the number is missing"),
        ("number\na b\n", "list.csv:2: "),
        ("number,zone\n600,Mars/Olympus\n", "list.csv:2: there is no time zone 'Mars/Olympus'"),
        ("number,header:Via\n600,x\n", "list.csv:2: headers: Via is written by softphone itself"),
        ("number,header:X A\n600,x\n", "list.csv:2: headers: 'X A' is no name"),
        ('number,header:X-A\n600,"a\nVia: b"\n', "list.csv:3: headers: the value of X-A has a con"),
        ("number\n600\n+49301234567\n004930123456 7\n", "00493012345"),
        ('number\n"600\n', "this is no CSV"),
        (b"number\n\xff\n", "this is no UTF-8 text"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, text, words):
    with pytest.raises(ConfigurationError) as refused:
        listed(tmp_path, text)
    assert words in str(refused.value)


def test_each_number_needs_a_zone_where_hours_are_kept(tmp_path):
    with pytest.raises(ConfigurationError, match=r"list.csv:2: no zone"):
        listed(tmp_path, "number\n600\n", needs_zone=True)
    (number,) = listed(tmp_path, "number\n600\n")
    assert number.zone == "UTC"


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(ConfigurationError, match=r"none.csv: No such file"):
        read_call_list(tmp_path / "none.csv", PLAIN)


def test_a_list_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("softphone.campaign.call_list.LARGEST_FILE", 9)
    with pytest.raises(ConfigurationError, match="MiB"):
        listed(tmp_path, "number\n600\n")
    monkeypatch.undo()
    monkeypatch.setattr("softphone.campaign.call_list.MOST_NUMBERS", 1)
    with pytest.raises(ConfigurationError, match=r"list.csv:3: a list has at most 1"):
        listed(tmp_path, "number\n600\n601\n")


WAYS = (
    "+49301234567",
    "0049301234567",
    "030-123.45(67)",
    "030/123 45-67",
    "030\u00a0123\u201145\u201367",
    "+49 (0)30 1234567",
    "0049 (0)30 1234567",
)


@pytest.mark.parametrize("number", [*WAYS, "sip:+49301234567@carrier.example;user=phone"])
def test_all_ways_to_write_a_number_have_one_key(number):
    assert number_key(GERMAN, number) == "+49301234567"


@pytest.mark.parametrize(
    "number",
    [
        "+490301234567",
        "0301234567;user=phone",
        "sip:+49301234567;ext=1@carrier.example",
        "0301234567p",
        "0301234567,1",
        "0301234567#",
        "030_1234567",
        "*31#0301234567",
        "\uff0b49301234567",
        "49301234567",
        "4.93012E+11",
        "0301234567\x0c0301234568",
        "0301234567\u20280301234568",
    ],
)
def test_what_a_server_might_dial_as_another_number_is_refused(number):
    with pytest.raises(ConfigurationError):
        number_key(GERMAN, number)


def test_a_name_is_of_its_own_domain():
    assert number_key(PLAIN, "Bob") == number_key(PLAIN, "sip:bob@PBX.test") == "bob@pbx.test"
    assert number_key(PLAIN, "sip:bob@other.test") == "bob@other.test"


# Do not call


def blocked(tmp_path, text, config=GERMAN, **options):
    path = tmp_path / "dnc.txt"
    path.write_text(text)
    return path, DoNotCallList(path, config, **options)


def test_a_number_on_it_is_found_however_it_is_written(tmp_path):
    text = "# the register\n030 1234567  # asked on Monday\n\n0049401234567,Meyer\nbob\n"
    _, found = blocked(tmp_path, text)
    for number in (*WAYS, "+49401234567", "bob"):
        assert found.contains(number_key(GERMAN, number)), number
    assert not found.contains(number_key(GERMAN, "+493012302"))


@pytest.mark.parametrize(
    "text",
    [
        "+49301234567;Meyer;2026\n",
        "number,name\n+49301234567,Meyer\n",
        "number;name\n+49301234567;Meyer\n",
        "sep=;\n+49301234567;Meyer\n",
        "030/1234567\n",
        "# a comment, with a comma\n+49301234567\n",
    ],
)
def test_a_spreadsheet_may_have_written_it_too(tmp_path, text):
    _, found = blocked(tmp_path, text)
    assert found.contains("+49301234567")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("+49301234567\tMeyer\n", 1),
        ("+49401\n+49301234567;Meyer\n", 2),
        ('"+49301234566\n+49301234567\n', 2),
        ('+49301234566,"Meyer\n+49301234567,Schmidt"\n', 2),
        ("Meyer,+49301234567\n", 1),
        ("17,+49301234567\n", 1),
        ("49301234567\n", 1),
        (",+49301234567\n", 1),
        ("line,number\n2,'+49301234567\n", 1),
        ("'+49301234567\n", 1),
    ],
)
def test_where_a_number_might_be_missed_nobody_is_called(tmp_path, text, line):
    with pytest.raises(ConfigurationError, match=rf"dnc.txt:{line}: "):
        blocked(tmp_path, text)


def later(tmp_path, seconds):
    """A clock that is so much later than the last change of the file."""
    return lambda: os.stat(tmp_path / "dnc.txt").st_ctime + seconds


@pytest.mark.parametrize("settled", [False, True])
def test_a_change_is_seen_by_the_next_look(tmp_path, settled):
    """A file that has just changed is read each time: its clock cannot tell two changes apart."""
    shift = 1000.0 if settled else 0.0
    path, found = blocked(
        tmp_path, "+493012301\n", wall=lambda: os.stat(tmp_path / "dnc.txt").st_ctime + shift
    )
    assert not found.contains("+493012302")
    path.write_text("+493012302\n")
    assert found.contains("+493012302")
    assert not found.contains("+493012301")
    if not settled:
        before = path.stat()
        path.write_text("+493012303\n")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert found.contains("+493012303")


def test_a_file_that_is_settled_is_not_read_again(tmp_path, monkeypatch):
    _, found = blocked(
        tmp_path, "+493012301\n", wall=lambda: os.stat(tmp_path / "dnc.txt").st_ctime + 1000
    )
    found.contains("+493012301")
    monkeypatch.setattr(DoNotCallList, "_read", None)
    assert found.contains("+493012301")


def test_without_the_file_nothing_is_known(tmp_path):
    path, found = blocked(tmp_path, "+493012301\n")
    path.unlink()
    with pytest.raises(ConfigurationError, match=r"dnc.txt: No such file"):
        found.contains("+493012302")
    with pytest.raises(ConfigurationError, match=r"dnc.txt: No such file"):
        DoNotCallList(path, GERMAN)


def test_a_line_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(ConfigurationError, match=r"dnc.txt:2: "):
        blocked(tmp_path, "+493012301\na b\n")
    with pytest.raises(ConfigurationError, match=r"dnc.txt:1: "):
        blocked(tmp_path, "x" * 200_000)
