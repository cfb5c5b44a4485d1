"""OAUTHBEARER (RFC 7628) by Prosody's own mechanism, and PLAIN beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.errors import SignInRefused
from softphone.security import KeyMaterial
from tests.peers.chat import World, heard, jid
from tests.peers.prosody.server import Shape

pytestmark = pytest.mark.peer("prosody")


def giving(token):
    async def fetch(refused):
        return KeyMaterial(token.encode())

    return fetch


@pytest.mark.feature("XMPP: SASL OAUTHBEARER, and PLAIN where the account allows it")
async def test_a_token_signs_in_and_a_wrong_one_is_told(prosody_of_its_own, authority, tmp_path):
    world = World(authority, tmp_path)
    server = prosody_of_its_own(shape=Shape(bearer=True))
    given = world.config("user58", server.starttls, aes=False, mode="starttls")
    bearer = replace(given, password=None, token=giving("token-of-user58"))
    plain = replace(world.config("user59", server.direct, aes=False), allow_plain=True)
    async with world.messages(bearer) as one, world.messages(plain) as other:
        assert (one.mechanism, other.mechanism) == ("OAUTHBEARER", "PLAIN")
        await one.send(jid("user59"), "by a token")
        assert (await heard(other)).body == "by a token"
    for token in ("token-of-user59", "x"):
        wrong = replace(bearer, token=giving(token))
        with pytest.raises(SignInRefused, match=r"OAUTHBEARER failed \(invalid_token\)"):
            async with world.messages(wrong):
                raise AssertionError("signed in")
    with pytest.raises(SignInRefused, match=r"im\.allow_plain"):
        async with world.messages(given):
            raise AssertionError("signed in")
