"""What comes to the redirect address and is not the server's answer changes nothing.

An attacker may be a page in the user's browser, or another user of the machine: a wrong state, a
wrong issuer, another Host, another method, a frame or an image, a second request.  After all of
them the sign-in still takes the right redirect, and the token endpoint has been asked once.
"""

from __future__ import annotations

from functools import partial
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from softphone.errors import SingleSignOnRefused
from softphone.oauth import sign_in_with_browser
from softphone.oauth.authorization import read_redirect
from softphone.oauth.redirect_listener import RedirectListener
from tests.support.authorization_server import (
    authorization_server,
    authorize,
    browser,
    oauth_client,
    send_octets,
)


def attacks(place, issuer):
    """The heads of requests, each with another thing wrong: `place` is host and port."""
    good = {"code": "stolen", "state": "S", "iss": issuer}

    def head(method="GET", host=place, *lines, **changes):
        query = urlencode({**good, **changes})
        return "\r\n".join(
            (f"{method} /callback?{query} HTTP/1.1", f"Host: {host}", *lines, "", "")
        )

    yield "a wrong state", head(state="guess")
    yield "a wrong issuer", head(iss="https://evil.example.test")
    yield "another Host", head("GET", "evil.example.test")
    yield "localhost", head("GET", "localhost:" + place.rpartition(":")[2])
    yield "two Hosts", head("GET", place, f"Host: {place}")
    yield "no Host", "GET /callback HTTP/1.1\r\n\r\n"
    yield "a form", head("POST")
    yield "an image of another page", head("GET", place, "Sec-Fetch-Mode: no-cors")
    yield "a frame", head("GET", place, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe")
    yield "a script", head("GET", place, "Origin: https://evil.example.test")
    yield "a page loaded ahead", head("GET", place, "Sec-Purpose: prefetch")
    yield "another path", head().replace("/callback", "/")
    yield "an absolute target", head().replace("/callback", f"http://{place}/callback")
    yield "HTTP/2", head().replace("HTTP/1.1", "HTTP/2.0")
    yield "no request", "\r\n\r\n"


def sent_to(url):
    """Return where the browser is to come back to, as host and port, and the state."""
    query = parse_qs(urlsplit(url).query)
    return urlsplit(query["redirect_uri"][0]).netloc, query["state"][0]


def redirect(place, **values):
    return f"GET /callback?{urlencode(values)} HTTP/1.1\r\nHost: {place}\r\n\r\n"


@pytest.mark.parametrize("knows_state", [False, True])
async def test_the_right_redirect_is_still_taken(tmp_path, knows_state):
    async with authorization_server(tmp_path) as served:
        refused = []

        async def attacked(url):
            place, state = sent_to(url)
            for name, text in attacks(place, served.issuer):
                forged = text.replace("state=S", f"state={state if knows_state else 'x'}")
                answer = await send_octets(place, forged)
                assert answer.startswith(("HTTP/1.1 400 ", "HTTP/1.1 405 ")), (name, answer)
                refused.append(name)
            await browser()(url)

        token = await sign_in_with_browser(oauth_client(served), attacked)
        assert len(refused) == 15
        assert token.access.reveal() == served.site.tokens[0].values["access_token"].encode()
        asked = [form for path, form in served.site.asked if path == "/token"]
        assert len(asked) == 1
        assert asked[0]["code"] != "stolen"


async def test_a_second_request_with_everything_right_is_not_taken(tmp_path):
    """The listener answers one; until it has closed, another one gets an error."""
    async with authorization_server(tmp_path) as served, RedirectListener() as listener:
        request = await oauth_client(served).make_authorization_request(listener.redirect_uri)
        listener.expect(partial(read_redirect, request))
        place, values = sent_to(request.url)[0], {"state": request.state, "iss": served.issuer}
        answers = [
            await send_octets(place, redirect(place, code=code, **values))
            for code in ("first", "second")
        ]
        assert [each[:12] for each in answers] == ["HTTP/1.1 200", "HTTP/1.1 400"]
        assert (await listener.wait_for_code()).reveal() == b"first"


async def test_a_code_of_another_sign_in_is_worth_nothing(tmp_path):
    """An attacker reads our state, from the browser's command line, and injects his own code."""
    async with authorization_server(tmp_path) as served:

        async def injected(url):
            place, state = sent_to(url)
            own = await oauth_client(served).make_authorization_request(f"http://{place}/callback")
            code = parse_qs(urlsplit(await authorize(own.url)).query)["code"][0]
            values = {"code": code, "state": state, "iss": served.issuer}
            answer = await send_octets(place, redirect(place, **values))
            assert answer.startswith("HTTP/1.1 200 ")

        with pytest.raises(SingleSignOnRefused, match="invalid_grant"):
            await sign_in_with_browser(oauth_client(served), injected)
        assert served.site.tokens == []
