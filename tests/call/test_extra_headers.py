"""What an application may add to a request, and what it may not: one door for every way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from softphone.call import checked_headers
from softphone.call.extra_headers import LONGEST_VALUE, OWNED
from softphone.errors import ConfigurationError
from softphone.sip import Headers
from softphone.sip.message.grammar import is_token
from softphone.sip.message.headers import HEADER_FIELDS, field_key

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
PRODUCT = Path(checked_headers.__code__.co_filename).parents[1]
WAYS_IN = {
    "account/account.py": {"dial", "send_message"},
    "call/call.py": {"hold", "resume", "send_info", "send_message", "transfer", "hangup"},
    "call/incoming.py": {"ring", "early_media", "answer", "reject", "redirect"},
    "call/outgoing.py": {"cancel"},
}
"""Every function of the product that takes header fields of an application."""
BLOCKING = "blocking/wrappers.py"
"""Hands the same on to those, and is generated."""
BEHIND_THE_DOOR = ("sip/", "call/", "account/", "lab/")
"""Where fields go on to once they are checked; and the lab, which is the servers' side."""
SENDS_NO_SIP = {"FarEnd", "HttpsRequest", "Response", "StreamResponse", "PreparedCall", "event"}
"""What else takes `headers=`: HTTP, the checked ones of the command line, and what is shown."""
OF_LIBRARIES = {
    "agents/bot_socket.py: ws_connect",
    "net/http/client.py: stream",
    "net/http/revocation_fetcher.py: stream",
}


def test_a_mapping_and_pairs_keep_their_order_and_repeats():
    wanted = (("X-One", "1"), ("X-Two", "2"), ("X-Two", "3"), ("Subject", "ü"))
    assert checked_headers({"X-One": "1", "X-Two": ["2", "3"], "Subject": "ü"}) == wanted
    assert checked_headers(wanted) == checked_headers(list(wanted)) == wanted
    assert checked_headers({}) == checked_headers(()) == ()


@pytest.mark.parametrize(
    "given",
    ["X-A: 1", [("X-A",)], [("X-A", "1", "2")], ["ab"], {"X-A": 7}, {"X-A": [b"1"]}, {7: "x"}],
)
def test_what_is_neither_is_refused(given):
    with pytest.raises(ConfigurationError, match="headers: "):
        checked_headers(given)


@pytest.mark.parametrize("name", ["", "X A", "X:A", "X\r\nVia", "Ü", "X\0"])
def test_a_name_is_a_token(name):
    with pytest.raises(ConfigurationError, match="is no name of a header field"):
        checked_headers({name: "1"})


@pytest.mark.parametrize("value", ["a\r\nVia: b", "a\nb", "a\rb", "a\0b", "a\x7fb", "a\x1bb"])
def test_a_value_has_no_control_character_and_is_not_quoted_in_the_error(value):
    with pytest.raises(ConfigurationError, match="X-A has a control character") as refused:
        checked_headers({"X-A": value})
    assert "Via" not in str(refused.value)


def test_a_value_has_at_most_2_kb_counted_in_octets():
    checked_headers({"X-A": "a" * LONGEST_VALUE, "X-B": "ü" * (LONGEST_VALUE // 2), "X-C": "a\tb"})
    for long in ("a" * (LONGEST_VALUE + 1), "ü" * (LONGEST_VALUE // 2 + 1)):
        with pytest.raises(ConfigurationError, match="at most 2048"):
            checked_headers({"X-A": long})
    with pytest.raises(ConfigurationError, match="no valid Unicode"):
        checked_headers({"X-A": "\ud800"})


@pytest.mark.parametrize(
    "name",
    [
        *("Via", "v", "ROUTE", "contact", "m", "From", "f", "t", "CSeq", "i", "Require", "k"),
        *(
            "Authorization",
            "proxy-authorization",
            "P-Asserted-Identity",
            "Identity",
            "y",
            "Replaces",
        ),
        *("Content-Length", "l", "c", "Session-Expires", "x", "Refer-To", "r", "Event", "o"),
        *("Max-Forwards", "Record-Route", "Reason", "Remote-Party-ID", "Session-ID", "Replaces"),
        *("User-Agent", "server"),
    ],
)
def test_what_the_stack_writes_is_refused_in_every_spelling(name):
    with pytest.raises(ConfigurationError, match="is written by softphone itself"):
        checked_headers([(name, "1")])


def test_what_our_messages_have_is_not_given_a_second_time():
    """Of what the golden transcripts have, only lists may grow, and Subject is an application's."""
    lines = [line for path in GOLDEN.glob("*.txt") for line in path.read_text().splitlines()]
    names = {line[4:].partition(":")[0] for line in lines if line.startswith("  | ")}
    kept_apart = {field.key for field in HEADER_FIELDS if field.multiplicity.name != "LIST"}
    ours = {field_key(name) for name in names if is_token(name)} & kept_apart
    assert len(ours) > 20
    assert ours - OWNED == {"subject"}


def test_a_field_that_may_stand_once_stands_once():
    single = next(
        f for f in HEADER_FIELDS if f.multiplicity.name == "SINGLE" and f.key not in OWNED
    )
    checked_headers({single.name: "1"})
    with pytest.raises(ConfigurationError, match="only once"):
        checked_headers([(single.name, "1"), (single.name.lower(), "2")])


def test_what_others_use_on_calls_may_be_given():
    names = "Subject Priority Alert-Info Call-Info User-to-User Privacy P-Preferred-Identity"
    usual = dict.fromkeys((*names.split(), "Diversion", "History-Info", "X-Twilio"), "1")
    assert dict(checked_headers(usual)) == usual


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(["X-A", "Subject", "V", "X A"]), st.text(max_size=9))))
def test_whatever_passes_is_sent_as_one_line_each(headers):
    try:
        fields = checked_headers(headers)
    except ConfigurationError:
        return
    sent = "".join(f"{name}: {value}\r\n" for name, value in Headers(fields))
    assert sent.encode().count(b"\n") == sent.encode().count(b"\r") == len(fields) == len(headers)


# That there is no second door ---------------------------------------------------------------------


def modules(word, *, outside=()):
    """The syntax trees of the product's modules that have a word, by their places."""
    texts = {
        path.relative_to(PRODUCT).as_posix(): path.read_text() for path in PRODUCT.rglob("*.py")
    }
    return {
        place: ast.parse(text)
        for place, text in texts.items()
        if word in text and not place.startswith(outside)
    }


def ways_in(tree):
    """Functions with an argument of type ExtraHeaders, and that argument's name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for argument in (*node.args.args, *node.args.kwonlyargs):
                if argument.annotation and "ExtraHeaders" in ast.unparse(argument.annotation):
                    yield node, argument.arg


def called(node):
    """The name of the function or method that a call calls."""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def unchecked(function, argument):
    """Where a function uses its argument elsewhere than as what `checked_headers` gets."""
    checked = {
        id(word)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and called(node) == "checked_headers"
        for word in node.args
    }
    return [
        node.lineno
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and node.id == argument and id(node) not in checked
    ]


@pytest.mark.reads_source
def test_every_way_in_has_its_fields_checked_before_it_uses_them():
    found = {place: list(ways_in(tree)) for place, tree in modules("ExtraHeaders").items()}
    del found["call/extra_headers.py"], found[BLOCKING]
    ways = {place: {node.name for node, _ in each} for place, each in found.items() if each}
    assert ways == WAYS_IN
    for place, each in found.items():
        for function, argument in each:
            assert unchecked(function, argument) == [], f"{place}: {function.name}"


@pytest.mark.reads_source
def test_nothing_else_hands_fields_to_what_sends_them():
    """Outside of these ways, `headers=` is for one of them, for HTTP, or is printed."""
    senders = {name for names in WAYS_IN.values() for name in names}
    beside = {
        f"{place}: {called(node)}"
        for place, tree in modules("headers=", outside=BEHIND_THE_DOOR).items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and any(word.arg == "headers" for word in node.keywords)
        if called(node) not in senders | SENDS_NO_SIP
    }
    assert beside == OF_LIBRARIES


@pytest.mark.reads_source
def test_what_the_command_line_takes_is_checked_when_it_is_read():
    tree = ast.parse((PRODUCT / "cli" / "call" / "call_options.py").read_text())
    (reader,) = (node for node in ast.walk(tree) if getattr(node, "name", "") == "_headers")
    returned = [node.value for node in ast.walk(reader) if isinstance(node, ast.Return)]
    assert [called(value) for value in returned] == ["checked_headers"]


@pytest.mark.reads_source
def test_what_a_list_of_numbers_has_is_checked_when_it_is_read():
    made = [
        node
        for tree in modules("ListedNumber(").values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node) == "ListedNumber"
    ]
    assert [called(each.args[4]) for each in made] == ["checked_headers"]


def test_a_way_that_leaves_the_door_out_is_seen():
    tree = ast.parse(
        "def dial(self, headers: ExtraHeaders = ()):\n"
        "    checked_headers(headers)\n"
        "    self._leg.invite(headers=headers)\n"
    )
    ((function, argument),) = ways_in(tree)
    assert unchecked(function, argument) == [3]
