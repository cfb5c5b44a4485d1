"""The configuration of a voice mailbox; `softphone.config.voicemail_file` reads it from a file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from softphone.errors import ConfigurationError
from softphone.net.http import https_target
from softphone.security import KeyMaterial, TlsVersion
from softphone.sip.auth import FetchBearer
from softphone.trust import Service, TlsSettings

TLS_1_2_ONLY = (
    "in FIPS mode voicemail is spoken over TLS 1.2 only: the voicemail service accepts no other"
    " version there"
)


class VoicemailFormat(StrEnum):
    """The document format that answers are asked for in."""

    XML = "xml"
    JSON = "json"

    @property
    def media_type(self) -> str:
        """The media type for Accept and Content-Type."""
        return f"application/{self.value}"


@dataclass(frozen=True, slots=True)
class VoicemailConfig:
    """The mailbox of one user at a Unity Connection server.

    Raises ConfigurationError for a wrong value.
    """

    server: str
    """`host` or `host:port`, as its certificate names it; the port is 443."""
    user: str
    """The user whose mailbox it is."""
    password: KeyMaterial | None = None
    """The user's web application password; a file says `password`, `password_file` or
    `password_env`."""
    backups: tuple[str, ...] = ()
    """Servers that are asked, and given the password, while `server` does not answer."""
    format: VoicemailFormat = VoicemailFormat.XML
    """The format of the documents that are asked for; either is read."""
    timeout: float = 20.0
    """The time limit of one request in seconds, 0.1 to 120; a sound may take six times as long."""
    page: int = 50
    """The messages that are asked for at a time, 1 to 100."""
    poll: float = 300.0
    """The seconds between two looks for new messages without message waiting, 30 to 86,400."""
    tls: TlsSettings = field(default_factory=lambda: TlsSettings(service=Service.HTTPS))
    """The trust anchors and our certificate; `[voicemail.tls]`, else `[tls]` of the file."""
    token: FetchBearer | None = field(default=None, repr=False)
    """Supplies a bearer token instead of user and password; in a file `[oauth]` does."""

    def __post_init__(self) -> None:
        if self.tls.service is not Service.HTTPS:
            raise ConfigurationError("tls: the settings are those of another service")
        if (self.password is None) == (self.token is None):
            raise ConfigurationError("password: give the user's password, or a token ([oauth])")
        for key, servers in (("server", (self.server,)), ("backups", self.backups)):
            for each in servers:
                _check_server(key, each)
        if not self.user or ":" in self.user or not self.user.isprintable():
            raise ConfigurationError("user: a name without colon is needed (RFC 7617)")
        if not 0.1 <= self.timeout <= 120.0:
            raise ConfigurationError("timeout: expected a number of seconds between 0.1 and 120")
        if not 1 <= self.page <= 100:
            raise ConfigurationError("page: expected a number between 1 and 100")
        if not 30.0 <= self.poll <= 86_400.0:
            raise ConfigurationError("poll: expected a number of seconds between 30 and 86,400")

    @property
    def servers(self) -> tuple[str, ...]:
        """The server and its backups, each once, in order."""
        return tuple(dict.fromkeys((self.server, *self.backups)))

    @property
    def connection_tls(self) -> TlsSettings:
        """The settings to connect with: in FIPS mode TLS 1.2 and nothing else (`TLS_1_2_ONLY`)."""
        if not self.tls.fips:
            return self.tls
        return replace(self.tls, minimum=TlsVersion.TLS_1_2, maximum=TlsVersion.TLS_1_2)


def _check_server(key: str, text: str) -> None:
    if not text.isprintable() or any(each in text for each in "/?#@\\ "):
        raise ConfigurationError(f"{key}: {text!r} is not of the form host or host:port")
    try:
        https_target(f"https://{text}")
    except ConfigurationError as error:
        raise ConfigurationError(f"{key}: {text!r} is not of the form host or host:port") from error
