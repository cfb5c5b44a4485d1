"""What a message asserts of the far end: P-Asserted-Identity, Remote-Party-ID, Privacy, From."""

from __future__ import annotations

import pytest

from softphone.sip.message import (
    ANONYMOUS,
    NameAddr,
    Request,
    SipUri,
    asserted_identity,
    changed_from,
    same_party,
)

URI = SipUri.parse("sip:bob@example.test")


def request(*headers: tuple[str, str]) -> Request:
    return Request.build("UPDATE", URI, [("From", "<sip:alice@example.test>;tag=a"), *headers])


def asserted(*headers: tuple[str, str], **options: bool) -> str | None:
    found = asserted_identity(request(*headers), **options)
    return None if found is None else str(found.address)


def pai(value: str) -> tuple[str, str]:
    return "P-Asserted-Identity", value


def rpid(value: str) -> tuple[str, str]:
    return "Remote-Party-ID", value


@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        ([], None),
        ([pai("tel:+15550101003")], "<tel:+15550101003>"),
        ([pai('<tel:+1555>, "Bob" <sip:+1555@x;user=phone>')], '"Bob" <sip:+1555@x;user=phone>'),
        ([pai("<sip:1@x>;a=b")], "<sip:1@x>"),
        ([pai("<<>>"), rpid("<sip:2@x>")], "<sip:2@x>"),
        ([pai("<sip:1@x>"), rpid("<sip:2@x>")], "<sip:1@x>"),
        ([rpid("<sip:3@x>;party=called, <sip:2@x>;party=calling")], "<sip:2@x>"),
        ([rpid("<sip:3@x>;party=redirecting")], None),
        ([rpid("<sip:2@x>"), ("Privacy", "id, critical")], str(ANONYMOUS)),
        ([rpid("<sip:2@x>;privacy=uri")], f"<{ANONYMOUS.uri}>"),
        ([rpid('"B" <sip:2@x>;privacy="name;uri"')], str(ANONYMOUS)),
        ([pai("<sip:1@x>"), ("Privacy", "header;USER")], str(ANONYMOUS)),
        ([pai("<sip:1@x>"), ("Privacy", "session")], "<sip:1@x>"),
    ],
)
def test_a_message_names_who_it_stands_for(headers, shown):
    assert asserted(*headers) == shown


def test_the_order_of_the_two_header_fields_is_the_callers():
    both = (pai("<sip:1@x>"), rpid("<sip:2@x>"))
    assert asserted(*both, remote_party_id_first=True) == "<sip:2@x>"
    assert asserted(pai("<sip:1@x>"), remote_party_id_first=True) == "<sip:1@x>"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Bob\u202e\u2066 K\u00a0L", "Bob K L"),
        ("a\x1b[31mb\x00", "a[31mb"),
        ("\u200b", None),
        ("x" * 5000, "x" * 128),
    ],
)
def test_a_name_is_printable_and_bounded(written, name):
    quoted = written.replace("\x00", "")
    found = asserted_identity(request(pai(f'"{quoted}" <sip:1@x>')))
    assert found is not None
    assert found.address.display_name == name


def test_a_from_that_is_another_uri_than_the_dialogs_is_a_change():
    alice = SipUri.parse("sip:alice@EXAMPLE.test")
    assert changed_from(request(), alice) is None
    changed = changed_from(request(), SipUri.parse("sip:carol@example.test"))
    assert changed is not None
    assert str(changed.address) == "<sip:alice@example.test>"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("<sip:1@a>", "<sip:1@b>", True),
        ('"A" <sip:1@a>', "<sip:1@a>", True),
        ('"A" <sip:1@a>', '"B" <sip:1@a>', False),
        ("<sip:1@a>", "<sip:2@a>", False),
        ("<sip:a>", "<sip:A>", True),
        ("<tel:1;x=y>", "<sip:1@a>", True),
    ],
)
def test_a_party_is_its_user_and_its_name(one, other, same):
    assert same_party(NameAddr.parse(one), NameAddr.parse(other)) is same
