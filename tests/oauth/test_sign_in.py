"""Signing in at an authorization server that is not ours, over TLS on loopback."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from softphone.errors import (
    ConfigurationError,
    SingleSignOnError,
    SingleSignOnRefused,
    TransportTimeout,
)
from softphone.oauth import sign_in_with_browser, sign_in_with_device_code
from softphone.oauth.client import OAuthClient, TokenRequestFailed
from softphone.oauth.redirect_listener import RedirectListener
from tests.support.authorization_server import authorization_server, browser, oauth_client
from tests.support.virtual_loop import VirtualLoop


@pytest.fixture
async def served(tmp_path):
    async with authorization_server(tmp_path) as running:
        yield running


async def test_a_browser_brings_a_code_that_is_traded_for_a_token(served):
    seen = []
    token = await sign_in_with_browser(oauth_client(served), browser(seen))
    assert token.access.reveal() == served.site.tokens[0].values["access_token"].encode()
    assert token.refresh is not None
    assert (token.lifetime, token.server, token.client_id) == (600, served.issuer, "softphone")
    asked = dict(served.site.asked)
    assert asked["/authorize"]["code_challenge_method"] == "S256"
    assert asked["/authorize"]["scope"] == "phone"
    assert len(asked["/token"]["code_verifier"]) == 43
    assert parse_qs(urlsplit(seen[0]).query)["iss"] == [served.issuer]


async def test_nothing_listens_once_the_code_is_there(served):
    seen = []
    await sign_in_with_browser(oauth_client(served), browser(seen))
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(seen[0])


async def test_a_user_who_declines_is_told_apart(served):
    served.site.grants["deny"] = True
    with pytest.raises(SingleSignOnRefused, match="access_denied"):
        await sign_in_with_browser(oauth_client(served), browser())
    assert [path for path, _ in served.site.asked if path == "/token"] == []


async def test_endpoints_can_be_given_without_metadata(served):
    client = oauth_client(
        served,
        authorization_endpoint=f"{served.issuer}/authorize?tenant=7",
        token_endpoint=f"{served.issuer}/token",
        issuer=None,
    )
    with pytest.raises(SingleSignOnRefused, match="named the issuer"):
        # The server says who it is, and we do not know who it should be.
        await sign_in_with_browser(client, _visit_once, patience=0.5)
    assert served.site.asked[0][1]["tenant"] == "7"


async def _visit_once(url):
    with pytest.raises(AssertionError, match="Not taken"):
        await browser()(url)


def test_a_browser_that_does_not_come_back_ends_the_wait(tmp_path):
    async def leave(url):
        pass

    async def work(served):
        started = asyncio.get_running_loop().time()
        with pytest.raises(SingleSignOnRefused, match="did not come back within 300 s"):
            await sign_in_with_browser(oauth_client(served), leave)
        assert asyncio.get_running_loop().time() - started == pytest.approx(300, abs=1)

    virtually(tmp_path, work)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"issuer": "https://other.example.test"}, "are those of"),
        ({"code_challenge_methods_supported": ["plain"]}, "PKCE with S256"),
        ({"token_endpoint": "http://127.0.0.1/token"}, "not an https: address"),
        ({"token_endpoint": 7}, "not an https: address"),
    ],
)
async def test_metadata_that_do_not_fit_are_refused(served, metadata, message):
    served.site.metadata = metadata
    with pytest.raises(SingleSignOnError, match=message):
        await sign_in_with_browser(oauth_client(served), browser())
    assert [path for path, _ in served.site.asked if not path.startswith("/.well-known")] == []


async def test_metadata_are_found_as_openid_connect_has_them(served):
    standard, openid = (
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    )
    served.site.overrides = {
        standard: (404, ""),
        openid: (200, json.dumps(served._metadata())),
    }
    assert (await sign_in_with_browser(oauth_client(served), browser())).lifetime == 600


async def test_missing_metadata_say_what_to_give(served):
    served.site.overrides = {"/.well-known/oauth-authorization-server": (500, "")}
    with pytest.raises(SingleSignOnError, match="give the endpoints"):
        await sign_in_with_browser(oauth_client(served), browser())


async def test_an_endpoint_that_nobody_names_is_a_matter_of_configuration(served):
    served.site.metadata = {"device_authorization_endpoint": None}
    with pytest.raises(ConfigurationError, match="device_authorization_endpoint"):
        await oauth_client(served).fetch_device_code()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((302, "", {"Location": "https://other.example.test/"}), "answered 302"),
        ((503, "busy"), "answered 503"),
        ((400, '{"error": "invalid_grant", "error_description": "too late"}'), "too late"),
        ((400, "not JSON"), "answered 400"),
        ((200, "[]"), "no JSON object"),
        ((200, '{"access_token": "a b", "token_type": "Bearer"}'), "no access token"),
        ((200, '{"access_token": "abc", "token_type": "mac"}'), "another kind"),
    ],
)
async def test_a_token_endpoint_that_fails_is_a_clear_error(served, answer, message):
    served.site.overrides = {"/token": answer}
    with pytest.raises(SingleSignOnError, match=message):
        await sign_in_with_browser(oauth_client(served), browser())


async def test_a_token_is_revoked_where_the_server_has_that(served):
    client = oauth_client(served)
    token = await sign_in_with_browser(client, browser())
    assert await client.revoke(token)
    assert served.site.tokens[0].ended
    with pytest.raises(TokenRequestFailed, match="invalid_grant"):
        await client.refresh(token)
    served.site.metadata = {"revocation_endpoint": None}
    assert not await oauth_client(served).revoke(token)


async def test_a_revocation_that_fails_is_told(served):
    client = oauth_client(served)
    token = await sign_in_with_browser(client, browser())
    served.site.overrides = {"/revoke": (503, "")}
    with pytest.raises(SingleSignOnError, match="503"):
        await client.revoke(token)


def virtually(folder, work):
    """Run `work(served)` against the server on virtual time."""

    async def run():
        async with authorization_server(folder) as running:
            await work(running)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())


async def _shown(device):
    assert len(device.user_code) == 9
    assert device.verification_uri.endswith("/device")


def test_a_device_code_is_polled_more_slowly_as_the_server_says(tmp_path):
    async def work(served):
        served.site.slow = 2
        clock = asyncio.get_running_loop().time

        async def show(device):
            asyncio.get_running_loop().call_later(
                28.0, served.site.grants.update, {device.user_code: ("anna", True)}
            )

        started = clock()
        token = await sign_in_with_device_code(oauth_client(served), show)
        # 5 s, then 10 and 15 s after slow_down: the answer of 28 s is seen at 30.
        assert 30 <= clock() - started < 31
        assert token.refresh is not None
        assert [path for path, _ in served.site.asked].count("/token") == 3

    virtually(tmp_path, work)


def test_a_device_code_that_nobody_uses_expires(tmp_path):
    async def work(served):
        started = asyncio.get_running_loop().time()
        with pytest.raises(SingleSignOnRefused, match="has expired"):
            await sign_in_with_device_code(oauth_client(served), _shown)
        assert asyncio.get_running_loop().time() - started == pytest.approx(42, abs=1)

    virtually(tmp_path, work)


@pytest.mark.parametrize("error", ["access_denied", "expired_token"])
def test_a_device_code_that_is_refused_ends_the_wait(tmp_path, error):
    async def work(served):
        served.site.overrides = {"/token": (400, json.dumps({"error": error}))}
        with pytest.raises(SingleSignOnRefused, match=error):
            await sign_in_with_device_code(oauth_client(served), _shown)

    virtually(tmp_path, work)


def test_a_server_that_does_not_answer_is_asked_less_often(tmp_path, monkeypatch):
    async def work(served):
        clock, polled = asyncio.get_running_loop().time, []
        redeem = OAuthClient.redeem_device_code

        async def time_out_twice(client, device):
            polled.append(clock())
            if len(polled) < 3:
                raise TransportTimeout("nothing came")
            return await redeem(client, device)

        async def approve(device):
            served.site.grants[device.user_code] = ("anna", True)

        monkeypatch.setattr(OAuthClient, "redeem_device_code", time_out_twice)
        await sign_in_with_device_code(oauth_client(served), approve)
        assert [round(b - a) for a, b in pairwise(polled)] == [10, 20]

    virtually(tmp_path, work)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"device_code": ""}, "no device code"),
        ({"user_code": "a\nb"}, "no code for its user"),
        ({"verification_uri": "http://127.0.0.1/"}, "no https: address"),
        ({"verification_uri": None}, "no https: address"),
        ({"verification_uri_complete": 5}, "no https: address"),
    ],
)
async def test_a_malformed_device_code_is_refused(served, change, message):
    values = {"device_code": "d", "user_code": "u", "verification_uri": "https://a.test/"}
    text = json.dumps({**values, **change})
    served.site.overrides = {"/device_authorization": (200, text)}
    with pytest.raises(SingleSignOnError, match=message):
        await sign_in_with_device_code(oauth_client(served), _shown)


@pytest.mark.parametrize(("told", "interval"), [(-1, 5), (1e-9, 1), (90, 60)])
async def test_times_of_a_device_code_have_bounds(served, told, interval):
    values = {"device_code": "d", "user_code": "u", "verification_uri": "https://a.test/"}
    odd = {**values, "expires_in": 1e9, "interval": told}
    served.site.overrides = {"/device_authorization": (200, json.dumps(odd))}
    device = await oauth_client(served).fetch_device_code()
    assert (device.expires_in, device.interval) == (1800, interval)


async def test_a_refused_device_code_request_is_told(served):
    with pytest.raises(TokenRequestFailed, match="invalid_client"):
        await oauth_client(served, client_id="another").fetch_device_code()


async def test_a_port_that_is_taken_is_told():
    async with RedirectListener() as taken:
        port = int(taken.redirect_uri.split(":")[2].split("/")[0])
        with pytest.raises(ConfigurationError, match="redirect_port"):
            async with RedirectListener(port):
                pass
