"""A trunk is not registered: its realm is what the account file says, or its calls fail.

The provider is a proxy double over UDP, one realm or two; it has one MD5-only realm, as many have.
"""

from __future__ import annotations

import asyncio
import secrets

import pytest

from softphone.config import load_account
from softphone.errors import CallError
from softphone.phone import Phone
from softphone.security import KeyMaterial
from softphone.sip.auth import DigestAlgorithm
from softphone.sip.auth.digest_client import DigestRole
from softphone.sip.auth.digest_server import DigestVerified, DigestVerifier, VerifierConfig
from softphone.sip.message import Request, parse_datagram
from tests.support.waiting import PATIENCE

USERS = {"trunk.test": ("alice", b"alice-secret"), "edge.test": ("edge", b"edge-secret")}


class Provider(asyncio.DatagramProtocol):
    """Asks for an INVITE's credentials in each of its realms in turn, then is busy (486)."""

    def __init__(self, realms, algorithms=(DigestAlgorithm.SHA_256,)):
        self.verifiers = [
            DigestVerifier(
                VerifierConfig(realm, algorithms, role=role),
                entropy=secrets.token_bytes,
                lookup=lambda user, _, realm=realm: (
                    KeyMaterial(USERS[realm][1]) if user == USERS[realm][0] else None
                ),
            )
            for realm, role in zip(realms, (DigestRole.PROXY, DigestRole.USER_AGENT), strict=False)
        ]
        self.invites = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        request = parse_datagram(data)
        if not isinstance(request, Request) or request.method != "INVITE":
            return
        self.invites.append(request)
        self.transport.sendto(self._answer(request).encode(), address)

    def _answer(self, request):
        for verifier in self.verifiers:
            found = verifier.verify(request, now=0.0)
            if not isinstance(found, DigestVerified):
                return request.response(found.status, headers=found.headers, to_tag="p")
        return request.response(486, to_tag="p")


async def outcome(tmp_path, provider, credentials, *, direct=False):
    """What becomes of a call by an account file that names no registrar; of a direct one, if any.

    With it go the algorithms that the provider has taken, by realm.
    """
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: provider, local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    server = f"sip:127.0.0.1:{port};transport=udp"
    file = tmp_path / "trunk.toml"
    file.write_text(
        'aor = "sip:alice@trunk.test"\n'
        + ('listen = "udp:127.0.0.1:0"\n' if direct else f'outbound_proxy = "{server}"\n')
        + credentials
    )
    file.chmod(0o600)
    try:
        async with Phone() as phone, asyncio.timeout(PATIENCE):
            line = await phone.register(load_account(file).config)
            with pytest.raises(CallError) as caught:
                await line.dial(f"sip:bob@127.0.0.1:{port}").answered()
            return caught.value, dict(line.digest_algorithms)
    finally:
        transport.close()


ALICE = '[credentials]\nusername = "alice"\npassword = "alice-secret"\n'


async def test_without_a_realm_the_call_fails_and_names_realm_and_line(tmp_path):
    provider = Provider(["trunk.test"])
    error, _ = await outcome(tmp_path, provider, ALICE)
    assert error.status == 407
    assert "realm 'trunk.test'" in str(error)
    assert f"add 'trunk.test' to the realms of [credentials] ({tmp_path}/trunk.toml:3)" in str(
        error
    )
    assert len(provider.invites) == 1
    assert not provider.invites[0].proxy_authorizations


async def test_with_its_realm_listed_the_call_gets_through(tmp_path):
    provider = Provider(["trunk.test"])
    error, _ = await outcome(tmp_path, provider, ALICE + 'realms = ["trunk.test"]\n')
    assert error.status == 486
    assert len(provider.invites) == 2


async def test_each_realm_is_answered_with_its_own_user(tmp_path):
    provider = Provider(["trunk.test", "edge.test"])
    credentials = (
        '[[credentials]]\nusername = "alice"\npassword = "alice-secret"\nrealms = ["trunk.test"]\n'
        '[[credentials]]\nusername = "edge"\npassword = "edge-secret"\nrealms = ["edge.test"]\n'
    )
    error, _ = await outcome(tmp_path, provider, credentials)
    assert error.status == 486
    assert len(provider.invites) == 3


async def test_md5_over_udp_is_answered_only_where_it_is_listed(tmp_path):
    provider = Provider(["trunk.test"], (DigestAlgorithm.MD5,))
    listed = ALICE + 'realms = ["trunk.test"]\n'
    error, _ = await outcome(tmp_path, provider, listed)
    assert error.status == 407
    assert 'write algorithms = ["SHA-256", "MD5"]' in str(error)
    assert len(provider.invites) == 1
    error, _ = await outcome(tmp_path, provider, listed + 'algorithms = ["MD5"]\n')
    assert error.status == 486


@pytest.mark.parametrize("realms", ["", 'realms = ["trunk.test"]\n'], ids=["none", "listed"])
async def test_whom_we_call_directly_is_no_server_of_ours(tmp_path, realms):
    provider = Provider(["trunk.test"])
    error, taken = await outcome(tmp_path, provider, ALICE + realms, direct=True)
    assert error.status == 407
    assert "own server" in str(error)
    assert taken == {}
    assert [invite.proxy_authorizations for invite in provider.invites] == [()]
