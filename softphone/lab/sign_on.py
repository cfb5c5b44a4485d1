"""The lab's authorization server: single sign-on for its users, and whether the cluster has it.

Codes with PKCE, refresh tokens that are replaced at each use, device codes and revocation, for one
public client.  A person signs in on its page, a program by Basic credentials (RFC 7617).  Access
tokens say nothing by themselves, as CUCM's do; the lab's other services ask here whose they are.

RFC 6749, RFC 7009, RFC 7636 (S256), RFC 8414, RFC 8628, RFC 9207; SAML is left out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode, urlsplit

from softphone.lab.http_server import basic_user, serve_http
from softphone.sans_io import Address, Entropy
from softphone.security import ClientCertificates, KeyMaterial
from softphone.trust import TlsCredential, TlsSettings, server_context
from softphone.trust.fips import random_bytes

if TYPE_CHECKING:
    from aiohttp import web

CLIENT_ID = "softphone"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
LIFETIME = 600
"""Seconds that an access token is good for."""
CODE_LIFETIME = 60.0
DEVICE_LIFETIME = 300.0
INTERVAL = 1
"""Seconds between two questions for the token of a device code."""
_MOST = 1000
"""The most codes, device codes and tokens of each kind that are kept; the oldest go first."""
_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
_PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>Lab: sign in</title><h1>Sign in</h1>"
    "<p>{text}</p><form method=post>{fields}<label>User <input name=username></label> "
    "<label>Password <input name=password type=password></label> <button>Sign in</button></form>"
)
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


class _Refused(Exception):
    """An error of RFC 6749 section 5.2, by its code."""


@dataclass(slots=True)
class _Grant:
    """What a code or a device code stands for; `user` is None until somebody has signed in."""

    until: float
    user: str | None = None
    challenge: str = ""
    redirect_uri: str = ""
    user_code: str = ""
    asked_at: float = 0.0
    interval: float = INTERVAL


@dataclass(slots=True)
class LabSignOn:
    """An async context; `issuer` is its address once it is entered.

    `passwords` are those of the users.  `asked` records the path of each request, and the `error`
    or "" that was answered.
    """

    passwords: Mapping[str, KeyMaterial]
    credential: TlsCredential
    host: str = "127.0.0.1"
    port: int = 0
    entropy: Entropy = random_bytes
    wall: Callable[[], float] = time.time
    address: Address = ("", 0)
    asked: list[tuple[str, str]] = field(default_factory=list)
    _codes: dict[str, _Grant] = field(default_factory=dict)
    _devices: dict[str, _Grant] = field(default_factory=dict)
    _access: dict[str, tuple[str, float]] = field(default_factory=dict)
    _refresh: dict[str, str] = field(default_factory=dict)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        """Raises TransportError when the port is taken, ConfigurationError without aiohttp."""
        settings = TlsSettings(
            credential=self.credential, client_certificates=ClientCertificates.NONE
        )
        self.address = await serve_http(
            self._stack,
            "/{path:.*}",
            self._answer,
            (self.host, self.port),
            server_context(settings),
            what="the lab's authorization server",
            methods=("GET", "POST"),
        )
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    @property
    def issuer(self) -> str:
        """The issuer identifier."""
        host = f"[{self.address[0]}]" if ":" in self.address[0] else self.address[0]
        return f"https://{host}:{self.address[1]}"

    def token_user(self, token: str) -> str | None:
        """Return the user of an access token, None for one that is not good."""
        user, until = self._access.get(token, ("", 0.0))
        return user if until > self.wall() else None

    def expire_tokens(self) -> None:
        """End every access token; the refresh tokens stay good."""
        self._access.clear()

    def withdraw_tokens(self) -> None:
        """Withdraw every token, as an administrator may."""
        self._access.clear()
        self._refresh.clear()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        makers = {
            ("GET", "/ssosp/ws/public/singleSignOn"): self._single_sign_on,
            ("GET", "/.well-known/oauth-authorization-server"): self._metadata,
            ("GET", "/authorize"): self._authorize,
            ("POST", "/authorize"): self._authorize,
            ("GET", "/device"): self._device,
            ("POST", "/device"): self._device,
            ("POST", "/device_authorization"): self._device_authorization,
            ("POST", "/token"): self._token,
            ("POST", "/revoke"): self._revoke,
        }
        make = makers.get((request.method, request.path))
        form = {key: str(value) for key, value in (await request.post()).items()}
        error = ""
        try:
            if make is None:
                return web.Response(status=404)
            return make(request, form)
        except _Refused as refused:
            error = str(refused)
            return web.json_response({"error": error}, status=400, headers=_HEADERS)
        finally:
            self.asked.append((request.path, error))
            del self.asked[:-_MOST]

    def _single_sign_on(self, request: web.Request, form: Mapping[str, str]) -> web.Response:
        from aiohttp import web

        text = '<SingleSignOn version="11.5"><Status enabled="true"/></SingleSignOn>'
        return web.Response(text=f"<Response>{text}</Response>", content_type="application/xml")

    def _metadata(self, request: web.Request, form: Mapping[str, str]) -> web.Response:
        from aiohttp import web

        issuer = self.issuer
        return web.json_response(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "device_authorization_endpoint": f"{issuer}/device_authorization",
                "revocation_endpoint": f"{issuer}/revoke",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token", DEVICE_GRANT],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    def _authorize(self, request: web.Request, form: Mapping[str, str]) -> web.Response:
        """Show the form, or send the browser of who has signed in back with a code."""
        from aiohttp import web

        query = dict(request.query)
        place = urlsplit(query.get("redirect_uri", ""))
        if query.get("client_id") != CLIENT_ID or not _is_loopback_redirect(place.geturl()):
            # Nothing is sent to an address that is not the client's (RFC 6749 section 4.1.2.1).
            return web.Response(status=400, text="This is no client of the lab.", headers=_HEADERS)
        answer = {"state": query.get("state", ""), "iss": self.issuer}
        pkce = query.get("code_challenge_method") == "S256" and query.get("code_challenge")
        if query.get("response_type") != "code" or not pkce:
            answer["error"] = "invalid_request"
        else:
            user = self._user(request, form)
            if user is None:
                return _form("For softphone, on this machine.", wrong=bool(form))
            code = self._secret()
            _keep(
                self._codes,
                code,
                _Grant(
                    self.wall() + CODE_LIFETIME,
                    user,
                    query["code_challenge"],
                    query["redirect_uri"],
                ),
            )
            answer["code"] = code
        where = f"{place.geturl()}?{urlencode(answer)}"
        return web.Response(status=303, headers={**_HEADERS, "Location": where})

    def _device(self, request: web.Request, form: Mapping[str, str]) -> web.Response:
        """Show the form for a device code, or grant it."""
        from aiohttp import web

        code = form.get("user_code", request.query.get("user_code", "")).strip().upper()
        user = self._user(request, form)
        found = next((each for each in self._devices.values() if each.user_code == code), None)
        if user is None or found is None or found.until < self.wall():
            shown = f'<label>Code <input name=user_code value="{escape(code)}"></label> '
            return _form("Type the code that softphone shows.", shown, wrong=bool(form))
        found.user = user
        return web.Response(text="Signed in. This page can be closed.", headers=_HEADERS)

    def _device_authorization(self, request: web.Request, form: Mapping[str, str]) -> web.Response:
        from aiohttp import web

        _check_client(form)
        code = self._secret()
        octets = self.entropy(8)
        letters = "".join(_ALPHABET[each % len(_ALPHABET)] for each in octets)
        shown = f"{letters[:4]}-{letters[4:]}"
        _keep(self._devices, code, _Grant(self.wall() + DEVICE_LIFETIME, user_code=shown))
        return web.json_response(
            {
                "device_code": code,
                "user_code": shown,
                "verification_uri": f"{self.issuer}/device",
                "verification_uri_complete": f"{self.issuer}/device?user_code={shown}",
                "expires_in": int(DEVICE_LIFETIME),
                "interval": INTERVAL,
            },
            headers=_HEADERS,
        )

    def _token(self, request: web.Request, form: Mapping[str, str]) -> web.Response:
        from aiohttp import web

        _check_client(form)
        grants = {
            "authorization_code": self._by_code,
            "refresh_token": self._by_refresh_token,
            DEVICE_GRANT: self._by_device_code,
        }
        grant = grants.get(form.get("grant_type", ""))
        if grant is None:
            raise _Refused("unsupported_grant_type")
        return web.json_response(self._issued(grant(form)), headers=_HEADERS)

    def _by_code(self, form: Mapping[str, str]) -> str:
        found = self._codes.pop(form.get("code", ""), None)
        if found is None or found.until < self.wall() or found.user is None:
            raise _Refused("invalid_grant")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        proof = base64.urlsafe_b64encode(digest).rstrip(b"=")
        right = hmac.compare_digest(proof, found.challenge.encode())
        if not right or form.get("redirect_uri") != found.redirect_uri:
            raise _Refused("invalid_grant")
        return found.user

    def _by_refresh_token(self, form: Mapping[str, str]) -> str:
        user = self._refresh.pop(form.get("refresh_token", ""), None)
        if user is None:
            raise _Refused("invalid_grant")
        return user

    def _by_device_code(self, form: Mapping[str, str]) -> str:
        code = form.get("device_code", "")
        found = self._devices.get(code)
        if found is None:
            raise _Refused("invalid_grant")
        now, early = self.wall(), self.wall() < found.asked_at + found.interval * 0.8
        found.asked_at = now
        if found.until < now:
            raise _Refused("expired_token")
        if found.user is None:
            found.interval += 5 * early
            raise _Refused("slow_down" if early else "authorization_pending")
        del self._devices[code]
        return found.user

    def _issued(self, user: str) -> dict[str, Any]:
        access, refresh = self._secret(), self._secret()
        _keep(self._access, access, (user, self.wall() + LIFETIME))
        _keep(self._refresh, refresh, user)
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "refresh_token": refresh,
        }

    def _revoke(self, request: web.Request, form: Mapping[str, str]) -> web.Response:
        from aiohttp import web

        _check_client(form)
        self._access.pop(form.get("token", ""), None)
        self._refresh.pop(form.get("token", ""), None)
        return web.Response(headers=_HEADERS)

    def _user(self, request: web.Request, form: Mapping[str, str]) -> str | None:
        """Return who signs in, by the form or by Basic credentials; None for nobody."""
        name, given = form.get("username", ""), form.get("password", "")
        kept = self.passwords.get(name)
        if kept is not None and hmac.compare_digest(kept.reveal(), given.encode()):
            return name
        return basic_user(request.headers.get("Authorization", ""), self.passwords)

    def _secret(self) -> str:
        return base64.urlsafe_b64encode(self.entropy(32)).rstrip(b"=").decode()


def _is_loopback_redirect(text: str) -> bool:
    """Whether an address is the client's, at any port of loopback (RFC 8252 section 7.3)."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    hosts = {f"127.0.0.1:{port}", f"[::1]:{port}"}
    return (parts.scheme, parts.path, parts.query) == ("http", "/callback", "") and (
        parts.netloc in hosts
    )


def _check_client(form: Mapping[str, str]) -> None:
    if form.get("client_id") != CLIENT_ID:
        raise _Refused("invalid_client")


def _keep(kept: dict[str, Any], key: str, value: Any) -> None:
    kept[key] = value
    for oldest in list(kept)[:-_MOST]:
        del kept[oldest]


def _form(text: str, fields: str = "", *, wrong: bool) -> web.Response:
    from aiohttp import web

    said = f"That was not right. {text}" if wrong else text
    page = _PAGE.format(text=escape(said), fields=fields)
    headers = {
        **_HEADERS,
        "Content-Security-Policy": (
            # The form's answer leads to the client, on another port of loopback.
            "default-src 'none'; frame-ancestors 'none'; form-action 'self' http://127.0.0.1:*"
            " http://[::1]:*"
        ),
    }
    return web.Response(text=page, content_type="text/html", headers=headers)
