"""The configuration of a discovery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from softphone.discovery.records import ExcludedService, parse_domain
from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial
from softphone.sip.auth import FetchBearer
from softphone.trust import Service, TlsSettings

FILE_PORTS: Mapping[int, int] = {6970: 6972}
"""The ports of CUCM's file service over HTTP, each with its port over HTTPS."""


@dataclass(frozen=True, slots=True)
class DiscoveryConfig:
    """The user whose services are discovered, and how.  Raises ConfigurationError."""

    account: str
    """The user's mail address, `user@domain`."""
    password: KeyMaterial | None = None
    """The user's password; without one, and without a token, only requests that need none are
    sent."""
    user: str | None = None
    """The user's ID in CUCM, where it differs from the first half of the mail address."""
    services_domain: str | None = None
    """The domain whose records are queried, in place of that of the mail address."""
    voice_domain: str | None = None
    """The voice services domain: its records are queried in place of any other domain's."""
    excluded: frozenset[ExcludedService] = frozenset()
    """The services that are not discovered."""
    next_record: bool = True
    """Whether the next record is tried when no server of a record can be reached."""
    clear_files: bool = False
    """Whether the service profile and jabber-config.xml may come over HTTP in clear."""
    trust_remote_config: bool = False
    """Whether settings that came over verified TLS may relax local ones and name servers."""
    config_file: str = "jabber-config.xml"
    """The name of the configuration file; a group of users may have another."""
    file_ports: Mapping[int, int] = field(default_factory=lambda: dict(FILE_PORTS))
    """The ports of file services over HTTP, each with its port over HTTPS."""
    timeout: float = 10.0
    """The time limit of one request in seconds, 0.1 to 120."""
    tls: TlsSettings = field(default_factory=lambda: TlsSettings(service=Service.HTTPS))
    """The trust anchors, and who is asked about an unknown certificate."""
    token: FetchBearer | None = field(default=None, repr=False)
    """Supplies a bearer token in the password's place, and another when a server refuses one; those
    of a single sign-on are `TokenKeeper.bearer`."""

    def __post_init__(self) -> None:
        if self.tls.service is not Service.HTTPS:
            raise ConfigurationError("tls: the settings are those of another service")
        local, at, _ = self.account.rpartition("@")
        for text in (local, *((self.user,) if self.user is not None else ())):
            if not at or not text or not text.isprintable() or any(c in text for c in "/:@ "):
                raise ConfigurationError(
                    f"{self.account!r}: expected user@domain; a user's name holds no slash, which"
                    " UDS does not support, and no colon (RFC 7617)"
                )
        if self.password is not None and self.token is not None:
            raise ConfigurationError("token: it takes the password's place: give one of them")
        self.domains  # noqa: B018 - raises ConfigurationError
        if not 0.1 <= self.timeout <= 120.0:
            raise ConfigurationError("timeout: expected a number of seconds between 0.1 and 120")
        name = self.config_file
        if not name or not name.isprintable() or any(each in name for each in '/\\?#%" '):
            raise ConfigurationError(f"config_file: {name!r} is no file name")

    @property
    def has_credentials(self) -> bool:
        """Whether there is a password or a source of tokens."""
        return self.password is not None or self.token is not None

    @property
    def name(self) -> str:
        """The user's ID: `user`, else the first half of the mail address."""
        return self.user or self.account.rpartition("@")[0]

    @property
    def address(self) -> str:
        """The mail address, with the domain in lower case."""
        return f"{self.account.rpartition('@')[0]}@{self.domain}"

    @property
    def domain(self) -> str:
        """The domain of the mail address."""
        return parse_domain(self.account.rpartition("@")[2])

    @property
    def asked_domain(self) -> str:
        """The domain whose records are queried."""
        return parse_domain(self.voice_domain or self.services_domain or self.domain)

    @property
    def domains(self) -> tuple[str, ...]:
        """Domains whose servers may get credentials: mail, services and voice services domain."""
        named = (self.domain, self.services_domain, self.voice_domain)
        return tuple(dict.fromkeys(parse_domain(each) for each in named if each is not None))
