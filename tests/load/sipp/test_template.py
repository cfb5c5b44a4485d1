"""Messages as scenarios write them: blanks, keywords, lengths, lines that go."""

from __future__ import annotations

import pytest

from softphone.load.sipp.template import Keyword, Template, parse_message, parse_template


def filled(text, **values):
    head, body = parse_message(text, ("own",), 1).fill(lambda keyword: values[keyword.name])
    return head, body


def test_blanks_around_lines_go_and_the_length_is_that_of_the_body():
    head, body = filled("\n\n   INFO a SIP/2.0\n\tL: [len]\n   X: b  \n\n  one\n two\n\n")
    assert head == ["INFO a SIP/2.0", "L: 10", "X: b"]
    assert body == b"one\r\ntwo\r\n"


def test_octets_are_counted_and_not_characters():
    assert filled("INFO a SIP/2.0\nL: [len]\n\n\u00e9")[0][1] == "L: 4"


def test_a_line_of_one_keyword_without_value_goes():
    text = "INFO a SIP/2.0\n[last_Via:]\nX: [last_Via:]\n[last_To:];tag=1"
    assert filled(text, last="")[0] == ["INFO a SIP/2.0", "X: ", ";tag=1"]


def text(value):
    return Template((value,))


@pytest.mark.parametrize(
    ("written", "keyword"),
    [
        ("[call_id]", Keyword("call_id")),
        ("[cseq+1]", Keyword("cseq", offset=1)),
        ("[branch-3]", Keyword("branch", offset=-3)),
        ("[last_Via:]", Keyword("last", "Via")),
        ("[last_Call-ID]", Keyword("last", "Call-ID")),
        ("[$my_var]", Keyword("variable", "my_var")),
        ("[field2]", Keyword("field", "2")),
        (
            '[field1 file="a b.csv" line=3]',
            Keyword("field", "1", arguments=(("file", text("a b.csv")), ("line", text("3")))),
        ),
        (
            "[authentication username=joe password=schmo]",
            Keyword(
                "authentication",
                arguments=(("username", text("joe")), ("password", text("schmo"))),
            ),
        ),
        (
            '[authentication username="[field0]" password="[$word]"]',
            Keyword(
                "authentication",
                arguments=(
                    ("username", Template((Keyword("field", "0"),))),
                    ("password", Template((Keyword("variable", "word"),))),
                ),
            ),
        ),
        ("[own]", Keyword("key", "own")),
    ],
)
def test_a_keyword_is_read(written, keyword):
    assert parse_template(written, ("own",)).pieces == (keyword,)


@pytest.mark.parametrize(
    "text",
    [
        "[unknown]",
        "[call_id+1]",
        "[file name=x]",
        "[field0 line=x]",
        "[field0 other=1]",
        "[last_]",
        "[$]",
        "[ ]",
        "[authentication aka_K=0x1]",
    ],
)
def test_an_unknown_keyword_is_refused(text):
    with pytest.raises(ValueError, match=r"keyword \["):
        parse_template(text, ())


def test_arguments_are_read_in_linear_time():
    """A text in quotes is read in one way only: in two, this would take 2 to the power of 200."""
    with pytest.raises(ValueError, match="is not supported"):
        parse_template("[field0" + ' file=""' * 100 + " !]", ())


def test_brackets_by_their_codes_are_no_keyword():
    assert parse_template("\\x5bcall_id\\x5d", ()).pieces == ("[call_id]",)
