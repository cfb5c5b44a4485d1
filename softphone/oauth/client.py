"""Asks an authorization server: metadata, codes, device codes, refreshes, revocation.

Every request goes over the certificate gate, and redirects are not followed.  Error texts have
neither a token nor a code, even where the server repeats one.

No library for OAuth is used: the protocol is only forms and JSON, over our own HTTP client.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from softphone.errors import ConfigurationError, SingleSignOnError, SingleSignOnRefused
from softphone.net.http import HttpsClient, HttpsEnvironment, HttpsLimits, HttpsRequest
from softphone.net.http.client import HttpsResponse
from softphone.oauth.authorization import AuthorizationRequest, make_authorization_request, shown
from softphone.oauth.config import OAuthServerConfig, check_endpoint
from softphone.oauth.token import Token, read_object, read_token_response
from softphone.sans_io import Entropy
from softphone.security import KeyMaterial
from softphone.trust.fips import random_bytes

LARGEST = 64 * 1024
"""The most octets of an answer."""
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
LONGEST_DEVICE_CODE = 1800.0
"""The most seconds that a device code is waited for, however long the server says it lasts."""
_ENDPOINTS = (
    "authorization_endpoint",
    "token_endpoint",
    "device_authorization_endpoint",
    "revocation_endpoint",
)
_NO = frozenset(
    {
        "access_denied",
        "expired_token",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
    }
)
"""The errors that asking again does not change (RFC 6749 section 5.2, RFC 8628 section 3.5)."""


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """A device code: a person opens `verification_uri` elsewhere, and types `user_code` there.

    `verification_uri_complete` has the code in it already.  `expires_in` and `interval` are
    seconds; `repr` does not show the device code.
    """

    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_in: float
    interval: float
    device_code: KeyMaterial


class TokenRequestFailed(SingleSignOnRefused):
    """The token endpoint refused; `error` is its code (RFC 6749 section 5.2)."""

    _hint = SingleSignOnRefused._hint

    def __init__(self, message: str, error: str = "") -> None:
        super().__init__(message)
        self.error = error


class OAuthClient:
    """A public client of one authorization server.

    Methods raise SingleSignOnError or a subclass, TransportError, CertificateError, CipherRefused
    and ConfigurationError.
    """

    def __init__(
        self,
        config: OAuthServerConfig,
        environment: HttpsEnvironment | None = None,
        *,
        entropy: Entropy = random_bytes,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._client = HttpsClient(config.tls, HttpsLimits(LARGEST, config.timeout), environment)
        self._entropy = entropy
        self._metadata: Mapping[str, Any] | None = None
        self.wall = wall

    @property
    def config(self) -> OAuthServerConfig:
        """The configuration."""
        return self._config

    async def endpoint(self, name: str) -> str:
        """Return an endpoint of the configuration, else of the metadata.

        Raises ConfigurationError where neither has it.
        """
        found = getattr(self._config, name)
        if found is None and self._config.issuer is not None:
            found = (await self._server_metadata()).get(name)
        if found is None:
            raise ConfigurationError(
                f"{name}: the authorization server names none: give it in [oauth]"
            )
        return str(found)

    async def make_authorization_request(self, redirect_uri: str) -> AuthorizationRequest:
        """Make the request that a browser takes to the server."""
        config = self._config
        endpoint = await self.endpoint("authorization_endpoint")
        known: Mapping[str, Any] = {} if config.issuer is None else await self._server_metadata()
        methods = known.get("code_challenge_methods_supported")
        if isinstance(methods, list) and "S256" not in methods:
            raise SingleSignOnError(
                "the authorization server does not do PKCE with S256: no code is asked for"
            )
        return make_authorization_request(
            endpoint,
            client_id=config.client_id,
            scope=config.scope,
            redirect_uri=redirect_uri,
            issuer=config.issuer,
            iss_required=known.get("authorization_response_iss_parameter_supported") is True,
            entropy=self._entropy,
        )

    async def redeem_code(self, request: AuthorizationRequest, code: KeyMaterial) -> Token:
        """Trade the code of a redirect for a token."""
        return await self._token(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": request.redirect_uri,
                "code_verifier": request.verifier,
            }
        )

    async def fetch_device_code(self) -> DeviceCode:
        """Fetch a device code (RFC 8628 section 3.2)."""
        url = await self.endpoint("device_authorization_endpoint")
        form: dict[str, str | KeyMaterial] = {"client_id": self._config.client_id}
        if self._config.scope:
            form["scope"] = self._config.scope
        answer = await self._post(url, form)
        if answer.status != 200:
            raise _failure(answer, url)
        return _read_device_code(read_object(answer.body))

    async def redeem_device_code(self, device: DeviceCode) -> Token:
        """Ask once for the token of a device code.

        `TokenRequestFailed.error` says whether to ask again: `authorization_pending`, `slow_down`.
        """
        return await self._token({"grant_type": DEVICE_GRANT, "device_code": device.device_code})

    async def refresh(self, token: Token) -> Token:
        """Trade a refresh token for a new token, perhaps with another refresh token."""
        if token.refresh is None:
            raise SingleSignOnRefused("there is no refresh token: sign in again")
        if (token.server, token.client_id) != (self._config.server, self._config.client_id):
            raise SingleSignOnRefused("the token is another server's, or another client's")
        form: dict[str, str | KeyMaterial] = {
            "grant_type": "refresh_token",
            "refresh_token": token.refresh,
        }
        return await self._token(form, token)

    async def revoke(self, token: Token) -> bool:
        """Revoke a token at the server; returns whether the server offers that (RFC 7009)."""
        try:
            url = await self.endpoint("revocation_endpoint")
        except ConfigurationError:
            return False
        for secret, hint in ((token.refresh, "refresh_token"), (token.access, "access_token")):
            if secret is not None:
                form: dict[str, str | KeyMaterial] = {
                    "token": secret,
                    "token_type_hint": hint,
                    "client_id": self._config.client_id,
                }
                answer = await self._post(url, form)
                if answer.status != 200:
                    raise _failure(answer, url, secret)
        return True

    async def _token(
        self, form: dict[str, str | KeyMaterial], before: Token | None = None
    ) -> Token:
        url = await self.endpoint("token_endpoint")
        answer = await self._post(url, {**form, "client_id": self._config.client_id})
        if answer.status != 200:
            secrets = [each for each in form.values() if isinstance(each, KeyMaterial)]
            raise _failure(answer, url, *secrets)
        return self.own(read_token_response(answer.body, wall=self.wall(), before=before))

    def own(self, token: Token) -> Token:
        """Return a token as one of this server and client, with the lifetime to assume."""
        config = self._config
        lasts = config.expires_in if token.lifetime is None else token.lifetime
        return replace(token, server=config.server, client_id=config.client_id, lifetime=lasts)

    async def _post(self, url: str, form: Mapping[str, str | KeyMaterial]) -> HttpsResponse:
        plain = {
            key: value.reveal().decode() if isinstance(value, KeyMaterial) else value
            for key, value in form.items()
        }
        return await self._client.send_request(
            HttpsRequest(
                url,
                "POST",
                headers=(
                    ("Content-Type", "application/x-www-form-urlencoded"),
                    ("Accept", "application/json"),
                ),
                content=urlencode(plain).encode(),
            )
        )

    async def _server_metadata(self) -> Mapping[str, Any]:
        """Return the metadata, fetched once (RFC 8414; OpenID Connect Discovery where that is 404).

        Raises SingleSignOnError for metadata of another issuer.
        """
        if self._metadata is None:
            issuer = self._config.issuer or ""
            for url in _metadata_addresses(issuer):
                answer = await self._client.send_request(
                    HttpsRequest(url, headers=(("Accept", "application/json"),))
                )
                if answer.status != 404:
                    break
            if answer.status != 200:
                raise SingleSignOnError(
                    f"{issuer} answered {answer.status} for its metadata: give the endpoints in"
                    " [oauth]"
                )
            self._metadata = _checked(read_object(answer.body), issuer)
        return self._metadata


def _metadata_addresses(issuer: str) -> tuple[str, str]:
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    standard = parts._replace(path=f"/.well-known/oauth-authorization-server{path}", query="")
    return (
        urlunsplit(standard),
        urlunsplit(parts._replace(path=f"{path}/.well-known/openid-configuration", query="")),
    )


def _checked(values: Mapping[str, Any], issuer: str) -> Mapping[str, Any]:
    """Return metadata.  Raises SingleSignOnError for another issuer's, or odd endpoints."""
    if values.get("issuer") != issuer:
        raise SingleSignOnError(
            f"the metadata of {issuer} are those of {shown(str(values.get('issuer')))!r}"
        )
    for name in _ENDPOINTS:
        url = values.get(name)
        try:
            check_endpoint(name, str(url) if url is not None else None)
        except ConfigurationError as error:
            raise SingleSignOnError(f"the metadata of {issuer}: {error}") from error
    return values


def _failure(answer: HttpsResponse, url: str, *secrets: KeyMaterial) -> SingleSignOnError:
    """Make the error of an answer that is no success."""
    host = urlsplit(url).hostname
    try:
        values = read_object(answer.body) if answer.status < 500 else {}
    except SingleSignOnError:
        values = {}
    error, why = values.get("error"), values.get("error_description")
    if not isinstance(error, str) or not 400 <= answer.status < 500:
        return SingleSignOnError(f"{host} answered {answer.status} to a request for a token")
    error = shown(error, *secrets)
    message = f"{host} refused: {error}"
    if isinstance(why, str) and why:
        message += f" ({shown(why, *secrets)})"
    if error == "invalid_grant":
        message += "; the token has ended, or an administrator has withdrawn it"
    return TokenRequestFailed(message, error)


def refused_for_good(error: SingleSignOnError) -> bool:
    """Whether asking again cannot help, because of what the server or the user decided."""
    if isinstance(error, TokenRequestFailed):
        return error.error in _NO
    return isinstance(error, SingleSignOnRefused)


def _read_device_code(values: Mapping[str, Any]) -> DeviceCode:
    """Read the answer of RFC 8628 section 3.2.  Raises SingleSignOnError."""
    code, user = values.get("device_code"), values.get("user_code")
    uri, complete = values.get("verification_uri"), values.get("verification_uri_complete")
    if not isinstance(code, str) or not 0 < len(code) <= LARGEST or not code.isascii():
        raise SingleSignOnError("the authorization server gave no device code")
    if not isinstance(user, str) or not 0 < len(user) <= 64 or not user.isprintable():
        raise SingleSignOnError("the authorization server gave no code for its user")
    try:
        check_endpoint("verification_uri", uri if isinstance(uri, str) else "")
        check_endpoint("verification_uri_complete", complete)
    except (ConfigurationError, AttributeError, TypeError) as error:
        raise SingleSignOnError(
            "the authorization server gave no https: address for the code"
        ) from error
    return DeviceCode(
        user,
        str(uri),
        complete,
        _seconds(values.get("expires_in"), LONGEST_DEVICE_CODE, LONGEST_DEVICE_CODE),
        # RFC 8628 section 3.2: 5 s if it says nothing; a second at least, whatever it says.
        max(1.0, _seconds(values.get("interval"), 5.0, 60.0)),
        KeyMaterial(code.encode()),
    )


def _seconds(value: object, default: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return default
    return float(min(value, most))
