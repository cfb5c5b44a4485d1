"""A page of a running command answers the browser of its owner only, and only its own page.

Attackers: another site in the same browser, a name that leads to loopback (DNS rebinding), another
user of the machine, and who has seen an address that was used.
"""

from __future__ import annotations

import secrets
import ssl

import pytest

from softphone.errors import ConfigurationError
from softphone.lab import CertificateNames, Validity
from softphone.monitoring import PageAccess
from softphone.security import KeyMaterial
from softphone.trust import TlsCredential
from softphone.web import SignIn
from tests.support.certificates import authority
from tests.support.website import COOKIE, Changes, ask, browser, sign_in, site

TOKEN = KeyMaterial(b"0123456789abcdef0123456789abcdef")
SEEN = ({"Host": "attacker.example:{port}"}, {"Host": "127.0.0.1"}, {"Origin": "null"})
FOREIGN = (
    *SEEN,
    {"Origin": "http://attacker.example"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "https://127.0.0.1:{port}"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)


@pytest.mark.parametrize("path", ["hello", "change", ""], ids=["read", "change", "page"])
async def test_another_page_gets_nothing_with_the_owners_cookie(path):
    changes = Changes()
    async with site(changes) as served, browser() as owner:
        root = await sign_in(owner, served)
        method = "POST" if path == "change" else "GET"
        for fields in FOREIGN:
            headers = {"Origin": served.url.rstrip("/")} | fields
            headers = {name: value.format(port=served.port) for name, value in headers.items()}
            body = {"json": {"x": 1}} if method == "POST" else {}
            status, _, text = await ask(owner, method, root + path, headers=headers, **body)
            assert (status, "hello" in text) == (403, False), fields
    assert changes == []


async def test_a_change_needs_the_origin_and_json():
    changes = Changes()
    async with site(changes) as served, browser() as owner:
        root = await sign_in(owner, served)
        own = {"Origin": served.url.rstrip("/")}
        assert (await ask(owner, "POST", root + "change", json={"x": 1}))[0] == 403
        form = await ask(owner, "POST", root + "change", data={"x": "1"}, headers=own)
        assert form[0] == 415
        assert changes == []
        for body in (b"[1]", b"{", b'{"bad": 1}', b"[" * 4000, b"\xff"):
            kind = own | {"Content-Type": "application/json"}
            assert (await ask(owner, "POST", root + "change", data=body, headers=kind))[0] == 400
        large = await ask(owner, "POST", root + "change", json={"x": "1" * 9000}, headers=own)
        assert (large[0], changes) == (413, [])
        assert (await ask(owner, "POST", root + "change", json={"x": 1}, headers=own))[0] == 204
    assert changes == [{"x": 1}]


async def test_without_the_cookie_nothing_is_seen():
    async with site() as served, browser() as owner, browser() as other:
        root = await sign_in(owner, served)
        for path in ("", "hello", "nothing"):
            assert (await ask(other, "GET", root + path))[0] == 403
            forged = {"Cookie": f"{COOKIE}={'0' * 48}"}
            assert (await ask(other, "GET", root + path, headers=forged))[0] == 403
        # The path itself is not to be guessed either: browsers send the cookie there only.
        assert len(root.split("/")[3]) == 48
        assert (await ask(other, "GET", served.url + "hello"))[0] == 404
        status, _, text = await ask(other, "GET", served.url)
        assert (status, root.split("/")[3] in text) == (200, False)


async def test_a_code_signs_one_browser_in_and_the_next_is_another():
    told = []
    async with site(on_sign_in=lambda: told.append(1)) as served, browser() as owner:
        first = served.address
        root = await sign_in(owner, served)
        async with browser() as other:
            status, headers, text = await ask(other, "GET", first)
            assert (status, "Set-Cookie" in headers) == (403, False)
            assert "has been used" in text
            assert served.address != first
            await sign_in(other, served)
        assert (await ask(owner, "GET", root + "hello"))[2] == "hello"
    assert told == [1, 1]


def test_tokens_cannot_be_tried_fast_and_nobody_locks_a_code_out():
    right = TOKEN.reveal().decode()
    by_token = SignIn(token=TOKEN, entropy=secrets.token_bytes)
    assert [by_token.redeem("wrong", now=1.0) for _ in range(20)] == [None] * 20
    # Even the right one has to wait then.
    assert by_token.redeem(right, now=1.0) is None
    assert by_token.redeem(right, now=3.0) is not None
    by_code = SignIn(entropy=secrets.token_bytes)
    assert [by_code.redeem("wrong", now=1.0) for _ in range(20)] == [None] * 20
    assert by_code.redeem(by_code.code, now=1.0) is not None


async def test_what_is_sent_forbids_frames_and_all_from_outside():
    async with site() as served, browser() as owner:
        status, headers, _ = await ask(owner, "GET", served.address)
        cookie = headers["Set-Cookie"]
        root = headers["Location"]
        assert status == 303
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert f"Path={root}" in cookie
        assert "code" not in root
        for path in ("/", root, root + "hello", "/nothing"):
            _, headers, _ = await ask(owner, "GET", served.url.rstrip("/") + path)
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["X-Frame-Options"] == "DENY"
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("guarded", [{}, {"token": TOKEN}, {"credential": "some"}])
def test_elsewhere_than_on_loopback_it_takes_tls_and_a_token(guarded):
    credential = TlsCredential("a.pem", "a.key") if guarded.pop("credential", None) else None
    with pytest.raises(ConfigurationError, match="only over TLS and with a token"):
        PageAccess("0.0.0.0", 8000, credential, **guarded)


async def test_the_token_opens_it_over_tls_and_a_wrong_one_does_not(tmp_path):
    names = CertificateNames(dns=("load.example",), ip=("127.0.0.1",))
    issued = authority().issue("page", names, validity=Validity()).write(tmp_path, "page")
    credential = TlsCredential(issued.certificate, issued.key)
    context = ssl.create_default_context(cafile=authority().write(tmp_path))
    async with site(host="127.0.0.1", credential=credential, token=TOKEN) as served:
        assert served.address == served.url == f"https://127.0.0.1:{served.port}/"
        async with browser() as owner:

            async def enter(token, **headers):
                own = {"Origin": served.url.rstrip("/")} | headers
                data = {"token": token}
                return await ask(owner, "POST", served.url, data=data, headers=own, ssl=context)

            assert (await enter("wrong"))[0] == 403
            assert (await enter(TOKEN.reveal().decode(), Origin="https://evil.example"))[0] == 403
            status, headers, _ = await enter(TOKEN.reveal().decode())
            assert (status, "Secure" in headers["Set-Cookie"]) == (303, True)
            # The certificate's name is ours, too; the token stands in no address.
            named = {"Host": f"load.example:{served.port}"}
            status, headers, text = await ask(owner, "GET", served.url, headers=named, ssl=context)
            assert (status, 'name="token"' in text) == (200, True)
