"""The lab's authorization server: what it grants to whom, and what it refuses."""

from __future__ import annotations

import base64
import re
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest

from softphone.lab.sign_on import CLIENT_ID, LabSignOn
from softphone.net.http import HttpsClient
from softphone.oauth import (
    OAuthClient,
    OAuthServerConfig,
    query_single_sign_on,
    sign_in_with_browser,
    sign_in_with_device_code,
)
from softphone.oauth.client import TokenRequestFailed
from softphone.security import KeyMaterial
from softphone.trust import client_context
from tests.support.authorization_server import trusting
from tests.support.certificates import server

BASIC = {"Authorization": "Basic " + base64.b64encode(b"dave:secret").decode()}
REDIRECT = "http://127.0.0.1:5/callback"
REQUEST = {
    "response_type": "code",
    "client_id": CLIENT_ID,
    "redirect_uri": REDIRECT,
    "state": "s",
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method": "S256",
}


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


@asynccontextmanager
async def running(tmp_path):
    """The server, our client of it, and a session of HTTP."""
    passwords = {"dave": KeyMaterial(b"secret")}
    clock = Clock()
    lab = LabSignOn(passwords, server().write(tmp_path, "lab"), wall=clock)
    connector = aiohttp.TCPConnector(ssl=client_context(trusting()))
    async with lab, aiohttp.ClientSession(connector=connector) as session:
        config = OAuthServerConfig(CLIENT_ID, issuer=lab.issuer, tls=trusting())
        yield lab, OAuthClient(config), session


def browser(session, *, form=True):
    """A person who fills in the form, or a program that shows Basic credentials."""

    async def visit(url):
        how = {"data": {"username": "dave", "password": "secret"}} if form else {"headers": BASIC}
        ask = session.post if form else session.get
        async with ask(url, allow_redirects=False, **how) as answer:
            assert answer.status == 303
            location = answer.headers["Location"]
        async with aiohttp.ClientSession() as own, own.get(location) as back:
            assert back.status == 200

    return visit


@pytest.mark.parametrize("form", [True, False])
async def test_a_browser_signs_in_and_the_token_is_good_for_its_time(tmp_path, form):
    async with running(tmp_path) as (lab, client, session):
        token = await sign_in_with_browser(client, browser(session, form=form))
        access = token.access.reveal().decode()
        assert lab.token_user(access) == "dave"
        assert lab.token_user("another") is None
        lab.wall.now += 600.0
        assert lab.token_user(access) is None


async def test_a_refresh_token_is_good_once_and_can_be_withdrawn(tmp_path):
    async with running(tmp_path) as (lab, client, session):
        first = await sign_in_with_browser(client, browser(session))
        second = await client.refresh(first)
        assert lab.token_user(second.access.reveal().decode()) == "dave"
        with pytest.raises(TokenRequestFailed, match="invalid_grant"):
            await client.refresh(first)
        assert await client.revoke(second)
        assert lab.token_user(second.access.reveal().decode()) is None
        third = await sign_in_with_browser(client, browser(session))
        lab.withdraw_tokens()
        with pytest.raises(TokenRequestFailed, match="invalid_grant"):
            await client.refresh(third)


async def test_it_says_that_the_cluster_has_single_sign_on(tmp_path):
    async with running(tmp_path) as (lab, _, _):
        found = await query_single_sign_on(HttpsClient(trusting()), *lab.address)
        assert (found.enabled, found.version) == (True, "11.5")


async def test_the_form_asks_again_for_a_wrong_password(tmp_path):
    async with running(tmp_path) as (lab, _, session):
        url = f"{lab.issuer}/authorize?{urlencode(REQUEST)}"
        async with session.get(url) as shown:
            text = await shown.text()
            assert "name=username" in text
            assert "not right" not in text
        async with session.post(url, data={"username": "dave", "password": "x"}) as again:
            assert "That was not right" in await again.text()


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "another"},
        {"redirect_uri": "https://evil.example.test/callback"},
        {"redirect_uri": "http://127.0.0.1:5/other"},
        {"redirect_uri": "http://evil@127.0.0.1:5/callback"},
        {"redirect_uri": "http://127.0.0.1:99999/callback"},
        {"redirect_uri": ""},
    ],
)
async def test_nobody_is_sent_to_an_address_that_is_not_the_clients(tmp_path, change):
    async with running(tmp_path) as (lab, _, session):
        url = f"{lab.issuer}/authorize?{urlencode(REQUEST | change)}"
        async with session.get(url, headers=BASIC, allow_redirects=False) as answer:
            assert answer.status == 400
            assert "Location" not in answer.headers


@pytest.mark.parametrize(
    "change",
    [{"code_challenge_method": "plain"}, {"code_challenge": ""}, {"response_type": "token"}],
)
async def test_there_is_no_code_without_pkce_and_no_implicit_flow(tmp_path, change):
    async with running(tmp_path) as (lab, _, session):
        url = f"{lab.issuer}/authorize?{urlencode(REQUEST | change)}"
        async with session.get(url, headers=BASIC, allow_redirects=False) as answer:
            query = parse_qs(urlsplit(answer.headers["Location"]).query)
        assert query == {"state": ["s"], "iss": [lab.issuer], "error": ["invalid_request"]}


async def asked(session, lab, **form):
    async with session.post(f"{lab.issuer}/token", data={"client_id": CLIENT_ID, **form}) as answer:
        return (await answer.json())["error"] if answer.status == 400 else "granted"


async def code_of(session, lab):
    url = f"{lab.issuer}/authorize?{urlencode(REQUEST)}"
    async with session.get(url, headers=BASIC, allow_redirects=False) as answer:
        return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({}, "granted"),
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:6/callback"}, "invalid_grant"),
        ({"code": "another"}, "invalid_grant"),
        ({"client_id": "another"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
async def test_a_code_is_good_for_who_asked_for_it(tmp_path, change, error):
    async with running(tmp_path) as (lab, _, session):
        form = {
            "grant_type": "authorization_code",
            "code": await code_of(session, lab),
            "redirect_uri": REDIRECT,
            "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        }
        assert await asked(session, lab, **form | change) == error
        if error == "granted":
            assert await asked(session, lab, **form) == "invalid_grant"
        form["code"] = await code_of(session, lab)
        lab.wall.now += 61.0
        assert await asked(session, lab, **form) == "invalid_grant"


async def test_a_device_code_is_granted_on_the_servers_page(tmp_path):
    async with running(tmp_path) as (lab, client, session):

        async def show(device):
            code = device.user_code
            assert re.fullmatch("[A-Z]{4}-[A-Z]{4}", code)
            async with session.get(device.verification_uri_complete) as page:
                assert code in await page.text()
            wrong = {"user_code": "AAAA-AAAA", "username": "dave", "password": "secret"}
            async with session.post(device.verification_uri, data=wrong) as page:
                assert "not right" in await page.text()
            right = {**wrong, "user_code": code.lower()}
            async with session.post(device.verification_uri, data=right) as page:
                assert "Signed in" in await page.text()

        token = await sign_in_with_device_code(client, show)
        assert lab.token_user(token.access.reveal().decode()) == "dave"


async def test_a_device_code_that_is_asked_for_too_often_has_to_wait_longer(tmp_path):
    async with running(tmp_path) as (lab, client, session):
        code = (await client.fetch_device_code()).device_code.reveal().decode()
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": code}
        answers = []
        for step in (1.0, 0.1, 1.0, 6.0, 300.0):
            lab.wall.now += step
            answers.append(await asked(session, lab, **form))
        pending, slow = "authorization_pending", "slow_down"
        assert answers == [pending, slow, slow, slow, "expired_token"]
        form["device_code"] = "another"
        assert await asked(session, lab, **form) == "invalid_grant"
        assert lab.asked[-1] == ("/token", "invalid_grant")


async def test_other_addresses_are_not_there(tmp_path):
    async with running(tmp_path) as (lab, _, session):
        for method, path in (("GET", "/"), ("GET", "/token"), ("POST", "/.well-known/x")):
            async with session.request(method, f"{lab.issuer}{path}") as answer:
                assert answer.status == 404
