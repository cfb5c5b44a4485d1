"""The configuration of a directory; `softphone.config.directory_file` reads it from a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial
from softphone.sip.auth import FetchBearer
from softphone.trust import Service, TlsSettings

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "name": ("displayName", "cn"),
    "work": ("telephoneNumber",),
    "mobile": ("mobile",),
    "home": ("homePhone",),
    "other": ("otherTelephone",),
    "email": ("mail",),
    "uri": ("msRTCSIP-PrimaryUserAddress",),
    "username": ("sAMAccountName", "uid"),
    "department": ("department", "departmentNumber"),
    "title": ("title",),
}
"""The LDAP attributes that each field of a contact is read from; the first present counts."""

_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}(;[A-Za-z0-9-]+)*")
_PLACE = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]@]+)(:(?P<port>[0-9]{1,5}))?")
_LDAP_IN_CLEAR = frozenset({389, 3268})


def parse_host_port(text: str, default: int) -> tuple[str, int]:
    """Parse "host" or "host:port" (IPv6 in brackets); `default` is the port if there is none.

    Raises ConfigurationError.
    """
    match = _PLACE.fullmatch(text)
    port = default if match is None or match["port"] is None else int(match["port"])
    if match is None or not 1 <= port <= 65535:
        raise ConfigurationError(f"server: {text!r} is not of the form host or host:port")
    return match["host"].strip("[]"), port


@dataclass(frozen=True, slots=True)
class DirectoryLimits:
    """The time limit of a search, and the number of entries to request."""

    within: float = 5.0
    """The time limit of a search in seconds, 0.1 to 60; `timeout` in a file."""
    most: int = 200
    """The maximum number of entries of one search, 1 to 5000; `limit` in a file."""
    page: int = 50
    """The number of entries per page (RFC 2696), 1 to 1000."""

    def __post_init__(self) -> None:
        if not 0.1 <= self.within <= 60.0:
            raise ConfigurationError("timeout: expected a number of seconds between 0.1 and 60")
        if not 1 <= self.most <= 5000 or not 1 <= self.page <= 1000:
            raise ConfigurationError("limit: expected a number between 1 and 5000")


@dataclass(frozen=True, slots=True)
class LdapConfig:
    """An LDAP directory over LDAPS: TLS from the first byte; StartTLS is not supported."""

    name: str
    """The name of the directory in results; NAME of `[directory.NAME]`."""
    server: str
    """`host` or `host:port`; the port is 636, or 3269 with `global_catalogue`."""
    base: str
    """The base DN of the search."""
    user: str | None = None
    """The DN that binds; without one the bind is anonymous."""
    password: KeyMaterial | None = None
    """The password of `user`; a file says `password`, `password_file` or `password_env`."""
    search: tuple[str, ...] = ("displayName", "cn", "sn", "givenName", "mail", "uid")
    """The LDAP attributes that a search compares its words with."""
    filter: str = "(objectClass=person)"
    """A filter that every entry must also match (RFC 4515)."""
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(ATTRIBUTES))
    """The LDAP attributes that each field of a contact is read from; by default `ATTRIBUTES`."""
    global_catalogue: bool = False
    """Whether the server is a global catalogue of Active Directory (default port 3269)."""
    tls: TlsSettings = field(default_factory=lambda: TlsSettings(service=Service.LDAP))
    """The trust anchors and our certificate; `[directory.NAME.tls]`, else `[tls]` of the file."""
    server_name: str | None = None
    """The name that the server's certificate must contain; `server_name` of the TLS table in a
    file."""
    external: bool = False
    """Whether to bind with the client certificate, without a user (SASL EXTERNAL, RFC 4422
    appendix A)."""
    bounds: DirectoryLimits = field(default_factory=DirectoryLimits)
    """The time limit of a search, and the number of entries to request."""

    def __post_init__(self) -> None:
        _require(self.tls, Service.LDAP)
        if self.address[1] in _LDAP_IN_CLEAR:
            raise ConfigurationError(
                f"server: port {self.address[1]} is LDAP in clear; LDAPS is at 636, and the global"
                " catalogue at 3269"
            )
        if (self.user is None) != (self.password is None):
            raise ConfigurationError("user: a user's DN and a password go together")
        if self.password is not None and not len(self.password):
            # RFC 4513 section 5.1.2: a bind without a password succeeds without authentication.
            raise ConfigurationError("password: it is empty")
        if self.external and (self.user is not None or self.tls.credential is None):
            raise ConfigurationError(
                "external: the client certificate binds: give tls.certificate and tls.key, and no"
                " user"
            )
        if not self.search:
            raise ConfigurationError("search: at least one attribute is needed")
        self._check_attributes()

    def _check_attributes(self) -> None:
        for kind in self.attributes:
            if kind not in ATTRIBUTES:
                known = ", ".join(ATTRIBUTES)
                raise ConfigurationError(f"attributes.{kind}: is unknown; known are {known}")
        for each in (*self.search, *(one for some in self.attributes.values() for one in some)):
            if _ATTRIBUTE.fullmatch(each) is None:
                raise ConfigurationError(f"attributes: {each!r} is no name of an attribute")
        if not (self.filter.startswith("(") and self.filter.endswith(")")):
            raise ConfigurationError("filter: expected a filter in brackets, (attribute=value)")

    @property
    def address(self) -> tuple[str, int]:
        """The host and port of the server."""
        return parse_host_port(self.server, 3269 if self.global_catalogue else 636)

    @property
    def number_attributes(self) -> tuple[str, ...]:
        """The LDAP attributes that contain numbers."""
        kinds = ("work", "mobile", "home", "other")
        return tuple(each for kind in kinds for each in self.attributes.get(kind, ()))

    @property
    def wanted(self) -> tuple[str, ...]:
        """All LDAP attributes to read, each once."""
        every = (each for some in self.attributes.values() for each in some)
        return tuple(dict.fromkeys(every))


@dataclass(frozen=True, slots=True)
class UdsConfig:
    """CUCM's User Data Services over HTTPS."""

    name: str
    """The name of the directory in results; NAME of `[directory.NAME]`."""
    server: str
    """`host` or `host:port`; the port is 8443."""
    user: str | None = None
    """The user name, for servers that require authentication."""
    password: KeyMaterial | None = None
    """The password of `user`; a file says `password`, `password_file` or `password_env`."""
    authenticated: bool = False
    """Whether user and password are sent with the first request, not only after a 401."""
    clusters: tuple[str, ...] = ()
    """Home clusters besides `server` that user and password may be sent to."""
    tls: TlsSettings = field(default_factory=lambda: TlsSettings(service=Service.HTTPS))
    """The trust anchors and our certificate; `[directory.NAME.tls]`, else `[tls]` of the file."""
    bounds: DirectoryLimits = field(default_factory=DirectoryLimits)
    """The time limit of a search, and the number of entries to request."""
    token: FetchBearer | None = field(default=None, repr=False)
    """Supplies a bearer token instead of user and password; in a file `[oauth]` does."""

    def __post_init__(self) -> None:
        _require(self.tls, Service.HTTPS)
        for each in (self.server, *self.clusters):
            parse_host_port(each, 8443)
        if (self.user is None) != (self.password is None):
            raise ConfigurationError("user: a user's name and a password go together")
        if self.user is not None and ":" in self.user:
            raise ConfigurationError("user: a name with a colon cannot be told (RFC 7617)")
        if self.token is not None and self.user is not None:
            raise ConfigurationError("user: a token takes the place of user and password")
        if self.authenticated and self.user is None and self.token is None:
            raise ConfigurationError("authenticated: there is no user to show")

    @property
    def address(self) -> tuple[str, int]:
        """The host and port of the server."""
        return parse_host_port(self.server, 8443)


DirectoryConfig = LdapConfig | UdsConfig


def _require(tls: TlsSettings, service: Service) -> None:
    if tls.service is not service:
        raise ConfigurationError("tls: the settings are those of another service")
