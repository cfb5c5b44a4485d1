"""No code, verifier, state or token is in a log, a `repr`, an exception or what a page shows.

Whole sign-ins, refreshes and failures run with every logger at its lowest level; a server that
repeats our secrets in its error texts is among them.
"""

from __future__ import annotations

import json
import logging
import traceback
from urllib.parse import parse_qs, urlsplit

import pytest

from softphone.errors import SingleSignOnError
from softphone.oauth import FileTokenStore, TokenKeeper, sign_in_with_browser
from tests.support.authorization_server import (
    authorization_server,
    authorize,
    oauth_client,
    send_octets,
)


@pytest.fixture
def everything(caplog):
    caplog.set_level(logging.DEBUG)
    return caplog


def said(caplog, *errors):
    """All that was logged here, not by the server that stands in, and the errors."""
    logged = [each for each in caplog.records if not each.name.startswith(("authlib", "aiohttp"))]
    assert any(each.name.startswith("httpcore") for each in logged)
    return "\n".join(each.getMessage() for each in logged) + "".join(
        "".join(traceback.format_exception(error)) for error in errors
    )


async def test_a_sign_in_and_its_refresh_leave_no_secret_behind(tmp_path, everything, capfd):
    secrets, pages = [], []

    async def visit(url):
        location = await authorize(url)
        query = parse_qs(urlsplit(location).query)
        secrets.extend(query["code"] + query["state"])
        parts = urlsplit(location)
        head = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n"
        forged = head.replace(query["state"][0], "forged")
        pages.extend([await send_octets(parts.netloc, text) for text in (forged, head)])

    async with authorization_server(tmp_path) as served:
        client = oauth_client(served)
        keeper = TokenKeeper(client, FileTokenStore(tmp_path / "tokens" / "anna.json"))
        token = await sign_in_with_browser(client, visit)
        await keeper.store(token)
        await keeper.fetch()
        await keeper.fetch(refused=True)
        shown = [
            repr(each) for each in (token, client, client.config, keeper, await keeper.token())
        ]
        secrets += [dict(served.site.asked)["/authorize"]["state"]]
        secrets += [
            form["code_verifier"] for _, form in served.site.asked if "code_verifier" in form
        ]
        secrets += [
            each.values[key] for each in served.site.tokens for key in each.values if "_to" in key
        ]
    assert len(secrets) == 8
    output = capfd.readouterr()
    text = said(everything) + "".join(shown + pages) + output.out + output.err
    assert "another state" in text
    assert [each for each in secrets if each in text and each != "Bearer"] == []


@pytest.mark.parametrize("endpoint", ["/token", "/revoke"])
async def test_a_server_that_repeats_our_secrets_shows_none(tmp_path, everything, endpoint):
    async with authorization_server(tmp_path) as served:
        client = oauth_client(served)

        async def visit(url):
            location = await authorize(url)
            code = parse_qs(urlsplit(location).query)["code"][0]
            if endpoint == "/token":
                answer = {"error": "invalid_grant", "error_description": f"{code} is no code"}
                served.site.overrides = {endpoint: (400, json.dumps(answer))}
            parts = urlsplit(location)
            head = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n"
            await send_octets(parts.netloc, head)
            visit.code = code

        error = None
        try:
            token = await sign_in_with_browser(client, visit)
            secret = token.refresh.reveal().decode()
            answer = {"error": secret, "error_description": f"{secret} is unknown"}
            served.site.overrides = {endpoint: (400, json.dumps(answer))}
            await client.revoke(token)
        except SingleSignOnError as failure:
            error = failure
        assert error is not None
        assert "… is" in str(error)
        secret = visit.code if endpoint == "/token" else secret
        assert secret not in said(everything, error)
