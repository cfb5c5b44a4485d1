"""What stands in quotes in a challenge goes back in quotes, escaped, or the challenge is none."""

from __future__ import annotations

import random

import pytest

from softphone.security import KeyMaterial
from softphone.sip.auth import DigestCredentials, DigestSession
from softphone.sip.message import AuthValue, MalformedMessage
from tests.support.challenges import own_server_everywhere
from tests.support.lone import Lone
from tests.support.pair import Pair

TAKEN = {
    "a quotation mark in the realm": (r"a\", username=\"eve", "n", "o"),
    "a backslash at the end of the nonce": ("r", r"n\\", r"x\"y"),
    "control characters": ("r", "\\\x01\\\x1b[2J", "o"),
    "a semicolon": ("r", "abc;evil", "a, b"),
}
NONE = {
    "a line end in the nonce": 'realm="r", nonce="a\r\nX-Evil: y"',
    "an escaped line end": 'realm="r\\\r\nX-Evil: 1", nonce="a"',
    "two realms": 'realm="r", realm="s", nonce="n"',
}
MORE = ', qop="auth", algorithm=SHA-256'


def answer_to(challenge: str, realm: str = "r"):
    """The request that follows the challenge, or None."""
    far = Lone()
    password = DigestCredentials("alice", KeyMaterial(b"secret"))
    entropy = random.Random(1).randbytes
    session = DigestSession([password], entropy=entropy, policy=own_server_everywhere(realm))
    usage = far.endpoint.invite(Pair().invitation(to=far.flow, credentials=session), now=far.now)
    far.drain()
    header = f"WWW-Authenticate: Digest {challenge}{MORE}"
    far.say(far.response(far.last(), 401, headers=(header,)))
    assert usage is not None
    return next((sent for sent in far.out if "Authorization" in sent.headers), None)


@pytest.mark.parametrize("what", list(TAKEN))
def test_it_comes_back_as_it_was(what):
    realm, nonce, opaque = TAKEN[what]
    offered = AuthValue.parse(f'Digest realm="{realm}", nonce="{nonce}", opaque="{opaque}"')
    sent = answer_to(
        f'realm="{realm}", nonce="{nonce}", opaque="{opaque}"', offered.parameter("realm")
    )
    back = AuthValue.parse(sent.headers.get("Authorization"))
    for name in ("realm", "nonce", "opaque"):
        assert back.parameter(name) == offered.parameter(name)
    assert back.parameter("username") == "alice"
    assert b"Evil" not in sent.encode()


@pytest.mark.parametrize("what", list(NONE))
def test_a_challenge_that_is_malformed_is_none(what):
    sent = answer_to(NONE[what])
    assert sent is None or b"X-Evil" not in sent.encode()
    with pytest.raises(MalformedMessage):
        AuthValue.parse(f"Digest {NONE[what]}")
