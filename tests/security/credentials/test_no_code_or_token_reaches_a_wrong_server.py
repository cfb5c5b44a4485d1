"""No octet of a code, verifier, device code or token goes to a server with a wrong certificate.

Measured at the peer: what it has received after its handshake.  Nor does one go where a redirect of
the token endpoint leads, nor to a server that the stored token was not made by.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from softphone.errors import (
    CertificateUntrusted,
    IdentityMismatch,
    SingleSignOnError,
    SoftphoneError,
)
from softphone.lab import CertificateNames
from softphone.net.http import HttpsClient
from softphone.oauth import (
    FileTokenStore,
    Token,
    TokenKeeper,
    query_single_sign_on,
    sign_in_with_browser,
    sign_in_with_device_code,
)
from softphone.security import KeyMaterial
from tests.support.authorization_server import (
    authorization_server,
    browser,
    oauth_client,
    trusting,
)
from tests.support.certificates import authority, foreign, raw_server_context

SERVERS = {
    "another authority's": (
        lambda: foreign().server("127.0.0.1", CertificateNames(ip=("127.0.0.1",))),
        CertificateUntrusted,
    ),
    "another name's": (
        lambda: authority().server("evil.example.test", CertificateNames(dns=("evil.test",))),
        IdentityMismatch,
    ),
}


@asynccontextmanager
async def impostor(folder, issued):
    """A TLS server with a wrong certificate; yields its port and what it receives."""
    received = bytearray()

    async def serve(reader, writer):
        while data := await reader.read(4096):
            received.extend(data)
        writer.close()

    context = raw_server_context(issued.write(folder, "impostor"))
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], received


def stored(server):
    return Token(
        KeyMaterial(b"access-0"), KeyMaterial(b"refresh-0"), 0.0, 1.0, "", server, "softphone"
    )


async def redeem(client, url):
    await sign_in_with_browser(client, browser())


async def poll(client, url):
    async def show(device):
        pass

    await sign_in_with_device_code(client, show)


async def refresh(client, url):
    await client.refresh(stored(client.config.server))


async def revoke(client, url):
    await client.revoke(stored(client.config.server))


FLOWS = {
    "token_endpoint of a browser": ("token_endpoint", redeem),
    "token_endpoint of a refresh": ("token_endpoint", refresh),
    "revocation_endpoint": ("revocation_endpoint", revoke),
    "device_authorization_endpoint": ("device_authorization_endpoint", poll),
}


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("kind", SERVERS)
async def test_nothing_reaches_an_endpoint_with_a_wrong_certificate(tmp_path, flow, kind):
    endpoint, act = FLOWS[flow]
    issue, expected = SERVERS[kind]
    async with (
        authorization_server(tmp_path) as served,
        impostor(tmp_path, issue()) as (port, received),
    ):
        url = f"https://127.0.0.1:{port}/x"
        client = oauth_client(served, **{endpoint: url})
        with pytest.raises(expected):
            await act(client, url)
        assert received == b""


@pytest.mark.parametrize("kind", SERVERS)
async def test_metadata_and_the_question_to_a_cluster_come_from_verified_servers(tmp_path, kind):
    issue, expected = SERVERS[kind]
    async with impostor(tmp_path, issue()) as (port, received):
        issuer = f"https://127.0.0.1:{port}"
        opened = []

        class Nowhere:
            pass

        Nowhere.issuer = issuer
        with pytest.raises(expected):
            await sign_in_with_browser(oauth_client(Nowhere), opened.append)
        with pytest.raises(expected):
            await query_single_sign_on(HttpsClient(trusting()), "127.0.0.1", port)
        assert opened == []
        assert received == b""


async def test_a_redirect_of_the_token_endpoint_is_not_followed(tmp_path):
    async with (
        authorization_server(tmp_path) as served,
        impostor(tmp_path, SERVERS["another authority's"][0]()) as (port, received),
    ):
        there = {"Location": f"https://127.0.0.1:{port}/"}
        served.site.overrides = {"/token": (307, "", there)}
        with pytest.raises(SingleSignOnError, match="answered 307"):
            await sign_in_with_browser(oauth_client(served), browser())
        assert received == b""


async def test_a_changed_account_file_sends_the_stored_token_nowhere(tmp_path):
    path = tmp_path / "tokens" / "anna.json"
    async with authorization_server(tmp_path) as served:
        client = oauth_client(served)
        await TokenKeeper(client, FileTokenStore(path)).store(stored("https://login.example.test"))
        with pytest.raises(SoftphoneError, match="there is no token"):
            await TokenKeeper(client, FileTokenStore(path)).fetch()
        with pytest.raises(SoftphoneError, match="another server"):
            await client.refresh(stored("https://login.example.test"))
        assert served.site.asked == []
