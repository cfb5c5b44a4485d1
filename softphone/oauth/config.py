"""The configuration of an authorization server's client."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from softphone.errors import ConfigurationError
from softphone.net.http import https_target
from softphone.trust import Service, TlsSettings


@dataclass(frozen=True, slots=True)
class OAuthServerConfig:
    """An authorization server, and who we are there: a public client without a secret.

    With an `issuer` its metadata (RFC 8414) name the endpoints that are not given here.  Raises
    ConfigurationError.
    """

    client_id: str
    """The client's identifier, as registered at the server."""
    issuer: str | None = None
    """The server's issuer identifier, an https: URL; responses must name the same (RFC 9207)."""
    authorization_endpoint: str | None = None
    """Where the browser is sent."""
    token_endpoint: str | None = None
    """Where tokens are fetched and refreshed."""
    device_authorization_endpoint: str | None = None
    """Where device codes are fetched (RFC 8628)."""
    revocation_endpoint: str | None = None
    """Where tokens are revoked (RFC 7009)."""
    scope: str = ""
    """The scope to ask for; "" leaves it to the server."""
    redirect_port: int = 0
    """The port of the loopback redirect; 0 is any, as RFC 8252 section 7.3 has it."""
    expires_in: float | None = None
    """The seconds that a token lasts where the server does not say; by default 3,600."""
    timeout: float = 20.0
    """The time limit of one request in seconds, 0.1 to 120."""
    tls: TlsSettings = field(default_factory=lambda: TlsSettings(service=Service.HTTPS))
    """The trust anchors for the server."""

    def __post_init__(self) -> None:
        if self.tls.service is not Service.HTTPS:
            raise ConfigurationError("tls: the settings are those of another service")
        if not self.client_id or not self.client_id.isprintable():
            raise ConfigurationError("client_id: the identifier of the client is needed")
        for each in fields(self):
            if each.name == "issuer" or each.name.endswith("_endpoint"):
                check_endpoint(each.name, getattr(self, each.name))
        if self.issuer is None and self.token_endpoint is None:
            raise ConfigurationError("issuer: give the issuer, or the token_endpoint")
        if not 0 <= self.redirect_port <= 65535:
            raise ConfigurationError("redirect_port: expected a port, or 0 for any")
        if not 0.1 <= self.timeout <= 120.0:
            raise ConfigurationError("timeout: expected a number of seconds between 0.1 and 120")

    @property
    def server(self) -> str:
        """The name of the server that tokens are stored for: its issuer, else token endpoint."""
        return self.issuer or self.token_endpoint or ""


def check_endpoint(key: str, url: str | None) -> None:
    """Raise ConfigurationError for anything but None and an https: URL without fragment."""
    if url is None:
        return
    try:
        https_target(url)
    except ConfigurationError as error:
        raise ConfigurationError(f"{key}: {error}") from error
    if "#" in url or not url.isprintable() or " " in url:
        raise ConfigurationError(f"{key}: an address without fragment and spaces is needed")
