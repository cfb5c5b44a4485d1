"""SASL EXTERNAL: signing in to Prosody with nothing but a client certificate."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.errors import SignInRefused, TransportError
from tests.peers.chat import World, jid
from tests.peers.prosody.server import Shape

pytestmark = pytest.mark.peer("prosody")


@pytest.fixture
def world(authority, tmp_path):
    return World(authority, tmp_path)


@pytest.mark.feature("XMPP: SASL EXTERNAL with a client certificate")
@pytest.mark.parametrize("mode", ["direct", "starttls"])
async def test_the_certificate_says_who_we_are(prosody_of_its_own, world, mode):
    server = prosody_of_its_own(shape=Shape(certificates=True))
    address = server.direct if mode == "direct" else server.starttls
    config = replace(world.config("user57", address, mode=mode), password=None)
    async with world.messages(config) as messages:
        assert messages.is_up
        assert messages._stream.plugin_of("feature_mechanisms").mech.name == "EXTERNAL"
        assert messages._stream.boundjid.bare == jid("user57")


async def test_another_one_s_certificate_is_not_enough(prosody_of_its_own, world):
    server = prosody_of_its_own(shape=Shape(certificates=True))
    strange = world.certificate("user57", "mallory@elsewhere.test")
    config = world.config("user57", server.direct, credential=strange)
    # Prosody offers it no mechanism at all.
    with pytest.raises((SignInRefused, TransportError), match=r"ended the stream|none that"):
        async with world.messages(replace(config, password=None)):
            raise AssertionError("signed in")
