"""Who may call an account that listens: allow-lists, and users that are challenged for a digest.

Names in certificates by RFC 5922 section 7, digest by RFC 7616 and RFC 8760.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Self

from softphone.errors import ConfigurationError
from softphone.sans_io import PeerIdentity
from softphone.security import KeyMaterial

DIGEST_ALGORITHMS = ("SHA-512-256", "SHA-256", "MD5")
CERTIFICATE_PREFIX = "certificate:"
LEAST_NONCE_LIFETIME, MOST_NONCE_LIFETIME = 10, 86400


def parse_networks(texts: Iterable[str], key: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Parse addresses and networks.  Raises ConfigurationError that begins with `key`."""
    networks = []
    for text in texts:
        try:
            networks.append(ip_network(text))
        except ValueError as error:
            raise ConfigurationError(
                f"{key}: {text!r} is neither an IP address nor a network such as "
                f"192.0.2.0/24: {error}"
            ) from error
    return tuple(networks)


@dataclass(frozen=True, slots=True)
class AllowList:
    """The peers that `accept_from` lists: by address, and by a name of their certificate."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    names: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Self:
        """Parse addresses, networks and "certificate:NAME".  Raises ConfigurationError."""
        names, addresses = [], []
        for entry in entries:
            if not entry.startswith(CERTIFICATE_PREFIX):
                addresses.append(entry)
                continue
            name = entry.removeprefix(CERTIFICATE_PREFIX).rstrip(".").lower()
            if not name or not name.isascii() or "*" in name or any(c in name for c in "@:/ "):
                raise ConfigurationError(
                    f"accept_from: {entry!r} names no domain of a certificate, as"
                    " certificate:sbc.example.test does (RFC 5922: no wildcards)"
                )
            names.append(name)
        try:
            networks = parse_networks(addresses, "accept_from")
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{error}; the name of a verified certificate is written certificate:NAME"
            ) from error
        return cls(networks, frozenset(names))

    def lists_address(self, host: str) -> bool:
        """Whether a network of the list has the numeric `host`."""
        address = ip_address(host.partition("%")[0])
        return any(address in network for network in self.networks)

    def lists_certificate(self, identity: PeerIdentity | None) -> bool:
        """Whether the list has a domain of a verified certificate: a dNSName or a SIP URI."""
        return identity is not None and identity.names_domain(self.names)


@dataclass(frozen=True, slots=True)
class CallerConfig:
    """A user who may call us with a digest."""

    username: str
    """The user's name in the digest."""
    password: KeyMaterial
    """The password; a file says `password`, `password_file` or `password_env`."""

    def __post_init__(self) -> None:
        if not isinstance(self.password, KeyMaterial):
            raise ConfigurationError(
                'challenge.users: give KeyMaterial(b"…"), which no log and no repr shows'
            )
        if not self.username or any(c in self.username for c in '":\\\r\n'):
            raise ConfigurationError(
                f"challenge.users: {self.username!r} is no user name: it is empty, or has a quote,"
                " a colon, a backslash or a line end"
            )


@dataclass(frozen=True, slots=True)
class ChallengeConfig:
    """A digest that callers have to give (RFC 7616), for an account that listens.

    Peers that `accept_from` lists by a certificate's name, and servers that the account registers
    with, are not challenged.
    """

    users: tuple[CallerConfig, ...]
    """The users who may call; in a file `[[challenge.users]]`, or `users_file`: a line
    `user:password` for each."""
    realm: str | None = None
    """The realm; by default the host of `aor`."""
    algorithms: tuple[str, ...] = ("SHA-256",)
    """The algorithms to offer, best first: "SHA-512-256", "SHA-256", and "MD5" for callers that
    know no other."""
    nonce_lifetime: int = 300
    """Seconds for which a nonce counts; then the caller is challenged again, as stale."""

    def __post_init__(self) -> None:
        names = [user.username for user in self.users]
        if not names:
            raise ConfigurationError("challenge.users: without a user nobody could call")
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigurationError(f"challenge.users: {twice!r} is listed twice")
        if self.realm is not None and (not self.realm or any(c in self.realm for c in '"\\\r\n')):
            raise ConfigurationError(
                f"challenge.realm: {self.realm!r} is empty, or has a quote, a backslash or a line"
                " end"
            )
        if not self.algorithms or not set(self.algorithms) <= set(DIGEST_ALGORITHMS):
            raise ConfigurationError(
                f"challenge.algorithms: known are {', '.join(DIGEST_ALGORITHMS)}, and one is needed"
            )
        if not LEAST_NONCE_LIFETIME <= self.nonce_lifetime <= MOST_NONCE_LIFETIME:
            raise ConfigurationError(
                f"challenge.nonce_lifetime: {self.nonce_lifetime} is not between"
                f" {LEAST_NONCE_LIFETIME} and {MOST_NONCE_LIFETIME} seconds"
            )

    @property
    def passwords(self) -> Mapping[str, KeyMaterial]:
        """The password of each user."""
        return {user.username: user.password for user in self.users}


def read_users(text: str, place: str) -> tuple[CallerConfig, ...]:
    """Read lines of `user:password`; blank lines and those with # are skipped.

    Raises ConfigurationError, which names `place` and the line, and never its content.
    """
    users = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, password = line.partition(":")
        if not colon or not name or not password:
            raise ConfigurationError(f"{place}:{number}: expected user:password")
        users.append(CallerConfig(name, KeyMaterial(password.encode())))
    return tuple(users)
