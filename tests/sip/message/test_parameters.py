"""What Via and name-addr share: one value, a list of them, their parameters."""

from __future__ import annotations

import pytest

from softphone.sip.message import MalformedMessage, NameAddr, Via
from softphone.sip.message.grammar import Parameterized

VALUES = {
    Via: "SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bKa;rport",
    NameAddr: '"A, B" <sip:a@example.com>;tag=1;q="0.5"',
}
KINDS = sorted(VALUES, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_is_read_value_by_value(kind):
    text = VALUES[kind]
    assert kind.parse_list(f"{text} , {text},{text}") == (kind.parse(text),) * 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", ["{0},", ",{0}", "{0} x", "{0};;", "", "{0},,{0}"])
def test_what_is_no_list_is_named(kind, wrong):
    with pytest.raises(MalformedMessage, match=f"Malformed {kind.KIND}"):
        kind.parse_list(wrong.format(VALUES[kind]))


@pytest.mark.parametrize("kind", KINDS)
def test_one_value_is_one(kind):
    with pytest.raises(MalformedMessage, match=f"Malformed {kind.KIND}"):
        kind.parse(f"{VALUES[kind]}, {VALUES[kind]}")


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_found_set_and_dropped_without_case(kind):
    value = kind.parse(VALUES[kind])
    changed = value.with_parameter("X", "a b").with_parameter("flag")
    assert type(changed) is kind
    assert (changed.parameter("x"), changed.parameter("FLAG")) == ("a b", "")
    assert kind.parse(str(changed)) == changed
    assert changed.without_parameter("x").without_parameter("flag") == value
    assert value.parameter("x") is None


def test_what_cannot_be_read_cannot_be_made():
    class Unreadable(Parameterized):
        KIND = "value that nobody reads"

    with pytest.raises(TypeError, match="parse_at"):
        Unreadable()
