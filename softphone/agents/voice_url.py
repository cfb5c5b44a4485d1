"""Asks an application at its voice URL what to do with a call; it answers in TwiML.

The request is signed, over a connection that has passed the certificate gate, or in clear to
loopback.  Redirects, proxies and cookies are not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from softphone.agents.signature import sign_url
from softphone.agents.twiml import LARGEST_DOCUMENT, Verb, parse_twiml
from softphone.agents.web_address import VOICE, check_address, origin, place
from softphone.errors import ConfigurationError, TransportError
from softphone.net.http import HttpsEnvironment, HttpsLimits, HttpsRequest, WebClient
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings


@dataclass(frozen=True, kw_only=True)
class VoiceConfig:
    """The voice URL of an application, and how its requests are signed and verified.

    `url` is https:, or http: at a numeric loopback address.  `token` signs each request
    (X-Twilio-Signature), which takes `timeout` seconds at most.  Raises ConfigurationError.
    """

    url: str = field(repr=False)  # its path and query may be secret
    token: KeyMaterial
    tls: TlsSettings = field(default_factory=lambda: TlsSettings(service=Service.HTTPS))
    timeout: float = 10.0

    def __post_init__(self) -> None:
        check_address(self.url, VOICE)
        if self.tls.service is not Service.HTTPS:
            raise ConfigurationError("the voice URL's TLS settings are those of HTTPS")
        if not len(self.token):
            raise ConfigurationError("the voice URL's token is empty")
        if not 0.1 <= self.timeout <= 60.0:
            raise ConfigurationError(f"{self.timeout:g} s for the voice URL is outside 0.1 to 60 s")

    @property
    def place(self) -> str:
        """The voice URL for logs and sentences: without path and query."""
        return place(self.url)


class VoiceClient:
    """Fetches TwiML from the application of one configuration.  `environment` is the network."""

    def __init__(self, config: VoiceConfig, environment: HttpsEnvironment | None = None) -> None:
        self._config = config
        limits = HttpsLimits(LARGEST_DOCUMENT, config.timeout)
        self._client = WebClient(config.tls, limits, environment)

    def check_url(self, url: str) -> None:
        """Raise ConfigurationError for a URL on another server than the voice URL's."""
        check_address(url, VOICE)
        if origin(url) != origin(self._config.url):
            raise ConfigurationError(f"the URL is not at {self._config.place}, which is configured")

    async def fetch(self, url: str, fields: Mapping[str, str]) -> tuple[Verb, ...]:
        """Post a call's facts to a URL that was checked, and parse the answer.

        Raises TransportError and its subclasses, CertificateError, CipherRefused, and TwimlError.
        """
        request = HttpsRequest(
            url,
            method="POST",
            headers=(
                ("Host", urlsplit(url).netloc),
                ("Accept", "application/xml, text/xml"),
                ("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"),
                ("X-Twilio-Signature", sign_url(url, self._config.token.reveal(), fields)),
            ),
            content=urlencode(fields).encode("ascii"),
        )
        response = await self._client.send_request(request)
        if response.status != 200:
            raise TransportError(f"the voice URL at {place(url)} answers {response.status}")
        return parse_twiml(response.body)
