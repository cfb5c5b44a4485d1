"""A voice message may be stored only if its description says once, and plainly, that it may."""

from __future__ import annotations

import pytest

from softphone.errors import VoicemailError
from softphone.voicemail.document import parse_message

XML = "<Message><MsgId>0:a</MsgId>{}</Message>"
PLAIN = "<Secure>false</Secure>"


def test_a_message_that_is_said_not_to_be_secure_is_not():
    assert not parse_message(XML.format(PLAIN).encode()).secure
    assert not parse_message(b'{"MsgId": "0:a", "Secure": "false"}').secure


@pytest.mark.parametrize(
    "said",
    [
        "",
        "<Secure/>",
        "<Secure>no</Secure>",
        PLAIN + "<Secure>true</Secure>",
        "<Secure>true</Secure>" + PLAIN,
        PLAIN + "<Secure/>",
    ],
)
def test_a_message_of_which_two_things_are_said_is_secure(said):
    assert parse_message(XML.format(said).encode()).secure


@pytest.mark.parametrize("said", ['["false", "true"]', '["true", "false"]', "null", "0", "[]"])
def test_so_it_is_in_json(said):
    assert parse_message(f'{{"MsgId": "0:a", "Secure": {said}}}'.encode()).secure


def test_a_member_that_is_there_twice_is_no_json():
    with pytest.raises(VoicemailError):
        parse_message(b'{"MsgId": "0:a", "Secure": "true", "Secure": "false"}')
