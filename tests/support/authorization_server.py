"""An authorization server that is not ours: Authlib's, served over TLS by aiohttp.

It judges codes, PKCE, refresh tokens and device codes by Authlib's own code; here is only what a
site supplies to it: one public client, one user, and where things are kept.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import ClientSession, TCPConnector, web
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    ClientMixin,
    OAuth2Error,
    OAuth2Request,
    TokenMixin,
    grants,
)
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import (
    DeviceAuthorizationEndpoint,
    DeviceCodeGrant,
    DeviceCredentialDict,
)
from authlib.oauth2.rfc9207 import IssuerParameter

from softphone.oauth import OAuthClient, OAuthServerConfig
from softphone.security import ClientCertificates
from softphone.trust import Service, TlsSettings, client_context, server_context
from tests.support.certificates import server as issued_server
from tests.support.certificates import store

CLIENT_ID = "softphone"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


class PublicClient(ClientMixin):
    """Our registration: a loopback redirect at any port (RFC 8252 section 7.3)."""

    def get_client_id(self):
        return CLIENT_ID

    def get_default_redirect_uri(self):
        return None

    def get_allowed_scope(self, scope):
        return scope or ""

    def check_redirect_uri(self, redirect_uri):
        parts = urlsplit(redirect_uri)
        return (parts.scheme, parts.hostname, parts.path) == ("http", "127.0.0.1", "/callback")

    def check_endpoint_auth_method(self, method, endpoint):
        return method == "none"

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type in ("authorization_code", "refresh_token", DEVICE)


@dataclass
class StoredCode:
    """What the server keeps of a code that it has given."""

    code: str
    redirect_uri: str
    scope: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope


@dataclass
class StoredToken(TokenMixin):
    """What the server keeps of a token that it has given."""

    values: dict
    ended: bool = False

    def check_client(self, client):
        return client.get_client_id() == CLIENT_ID

    def get_scope(self):
        return self.values.get("scope", "")

    def is_revoked(self):
        return self.ended


@dataclass
class Site:
    """What the server keeps, and how it behaves."""

    codes: dict = field(default_factory=dict)
    tokens: list = field(default_factory=list)
    devices: dict = field(default_factory=dict)
    grants: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    overrides: dict = field(default_factory=dict)
    metadata: dict = field(default_factory=dict)
    issuer: str = ""
    slow: int = 0
    lifetime: int = 600

    def by(self, key, value):
        return next(
            (each for each in self.tokens if each.values.get(key) == value and not each.ended), None
        )


class _Request(OAuth2Request):
    def __init__(self, request, form):
        super().__init__(request.method, str(request.url), headers=request.headers)
        self._args, self._form = dict(request.query), dict(form)
        self.payload = BasicOAuth2Payload({**self._args, **self._form})

    @property
    def args(self):
        return self._args

    @property
    def form(self):
        return self._form


class _Server(AuthorizationServer):
    def __init__(self, site):
        super().__init__()
        self.site = site
        self.register_token_generator(
            "default",
            BearerTokenGenerator(
                lambda **_: f"access-{len(site.tokens)}-7Yk2",
                lambda **_: f"refresh-{len(site.tokens)}-9Qp4",
                lambda client, grant: site.lifetime,
            ),
        )
        self.register_grant(_codes(site), [CodeChallenge(required=True)])
        self.register_grant(_refreshes(site))
        self.register_grant(_device_codes(site))
        self.register_endpoint(_device_endpoint(site))
        self.register_endpoint(_revocation(site))
        self.register_extension(_issuer(site))

    def query_client(self, client_id):
        return PublicClient() if client_id == CLIENT_ID else None

    def save_token(self, token, request):
        self.site.tokens.append(StoredToken(dict(token)))

    def create_oauth2_request(self, request):
        return request

    def handle_response(self, status, body, headers):
        text = json.dumps(body) if isinstance(body, dict) else body or ""
        response = web.Response(status=status, text=text, headers=dict(headers))
        response.location = dict(headers).get("Location")
        return response

    def send_signal(self, name, *args, **kwargs):
        pass


def _issuer(site):
    class Issuer(IssuerParameter):
        def __init__(self, server):
            self(server)

        def get_issuer(self):
            return site.issuer

        def add_issuer_parameter(self, authorization_server, response):
            super().add_issuer_parameter(authorization_server, response)
            if response.location:
                response.headers["Location"] = response.location

    return Issuer


def _codes(site):
    class Codes(grants.AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

        def save_authorization_code(self, code, request):
            data = request.payload.data
            site.codes[code] = StoredCode(
                code,
                data["redirect_uri"],
                data.get("scope", ""),
                data.get("code_challenge", ""),
                data.get("code_challenge_method", ""),
            )

        def query_authorization_code(self, code, client):
            return site.codes.get(code)

        def delete_authorization_code(self, authorization_code):
            del site.codes[authorization_code.code]

        def authenticate_user(self, authorization_code):
            return "anna"

    return Codes


def _refreshes(site):
    class Refreshes(grants.RefreshTokenGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ("none",)
        INCLUDE_NEW_REFRESH_TOKEN = True

        def authenticate_refresh_token(self, refresh_token):
            return site.by("refresh_token", refresh_token)

        def authenticate_user(self, refresh_token):
            return "anna"

        def revoke_old_credential(self, refresh_token):
            refresh_token.ended = True

    return Refreshes


def _device_codes(site):
    class DeviceCodes(DeviceCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

        def query_device_credential(self, device_code):
            return site.devices.get(device_code)

        def query_user_grant(self, user_code):
            return site.grants.get(user_code)

        def should_slow_down(self, credential):
            site.slow -= 1
            return site.slow >= 0

    return DeviceCodes


def _device_endpoint(site):
    class DeviceEndpoint(DeviceAuthorizationEndpoint):
        EXPIRES_IN = 42

        def get_verification_uri(self):
            return f"{site.issuer}/device"

        def save_device_credential(self, client_id, scope, data):
            kept = DeviceCredentialDict(client_id=client_id, scope=scope or "", **data)
            site.devices[data["device_code"]] = kept

    return DeviceEndpoint


def _revocation(site):
    class Revocation(RevocationEndpoint):
        CLIENT_AUTH_METHODS = ("none",)

        def query_token(self, token_string, token_type_hint):
            return site.by(token_type_hint, token_string)

        def revoke_token(self, token, request):
            token.ended = True

    return Revocation


class Served:
    """The running server: `site` is what it keeps, `issuer` where it is."""

    def __init__(self, site):
        self.site = site
        self._server = _Server(site)

    @property
    def issuer(self):
        return self.site.issuer

    async def answer(self, request):
        """Answer one request, by Authlib unless the test has put something in its place."""
        site, path = self.site, request.path
        form = await request.post()
        site.asked.append((path, dict(form) or dict(request.query)))
        if path in site.overrides:
            status, text, *more = site.overrides[path]
            return web.Response(status=status, text=text, headers=dict(*more))
        if path.startswith("/.well-known/oauth-authorization-server"):
            return web.json_response(self._metadata())
        asked = _Request(request, form)
        if path == "/authorize":
            try:
                grant = self._server.get_consent_grant(asked, "anna")
            except OAuth2Error as error:
                return web.Response(status=400, text=error.error)
            user = None if "deny" in site.grants else "anna"
            return self._server.create_authorization_response(asked, user, grant=grant)
        if path == "/token":
            return self._server.create_token_response(asked)
        names = {"/device_authorization": "device_authorization", "/revoke": "revocation"}
        if path not in names:
            return web.Response(status=404)
        return self._server.create_endpoint_response(names[path], asked)

    def _metadata(self):
        issuer = self.issuer
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "device_authorization_endpoint": f"{issuer}/device_authorization",
            "revocation_endpoint": f"{issuer}/revoke",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            **self.site.metadata,
        }


@asynccontextmanager
async def authorization_server(folder: Path, issued=None):
    """Serve on loopback, with the test CA's certificate unless another is given."""
    served = Served(Site())
    context = server_context(
        TlsSettings(
            credential=(issued or issued_server()).write(folder, "authorization"),
            client_certificates=ClientCertificates.NONE,
        )
    )
    runner = web.ServerRunner(web.Server(served.answer), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        served.site.issuer = f"https://127.0.0.1:{runner.addresses[0][1]}"
        yield served
    finally:
        await runner.cleanup()


def trusting() -> TlsSettings:
    return TlsSettings(store=store(), service=Service.HTTPS)


def oauth_client(served, **more) -> OAuthClient:
    """Our client of a served site; `more` are fields of its configuration."""
    values = {"client_id": CLIENT_ID, "issuer": served.issuer, "scope": "phone", "tls": trusting()}
    wall = more.pop("wall", None)
    config = OAuthServerConfig(**{**values, **more})
    return OAuthClient(config) if wall is None else OAuthClient(config, wall=wall)


async def authorize(url):
    """Take an address to the server as a browser does; returns where the server redirects to."""
    connector = TCPConnector(ssl=client_context(trusting()))
    async with (
        ClientSession(connector=connector) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        return answer.headers["Location"]


def browser(seen=None):
    """A person's browser: it takes an address, and follows the server's redirect back to us."""

    async def visit(url):
        location = await authorize(url)
        if seen is not None:
            seen.append(location)
        async with ClientSession() as session, session.get(location) as back:
            assert back.status == 200, await back.text()

    return visit


async def send_octets(place, text):
    """Send octets to "host:port"; returns all that is answered until the connection ends."""
    host, _, port = place.rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.write(text.encode("latin-1"))
    answer = b""
    with suppress(OSError):
        answer = await reader.read()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return answer.decode()
