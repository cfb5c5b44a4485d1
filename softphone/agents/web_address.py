"""Checks the URLs of bots and applications, and compares their servers."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from softphone.errors import ConfigurationError

LONGEST_URL = 2048

_PRINTABLE = re.compile(r"[!-~]+")
_PORTS: Final = {"wss": 443, "https": 443, "ws": 80, "http": 80}


@dataclass(frozen=True, slots=True)
class AddressKind:
    """Describes one kind of URL: its name in errors, its scheme over TLS, its scheme in clear."""

    what: str
    secure: str
    clear: str


BOT = AddressKind("the bot's URL", "wss", "ws")
SERVICE = AddressKind("the service's URL", "wss", "ws")
VOICE = AddressKind("the voice URL", "https", "http")
WEBHOOK = AddressKind("the webhook's URL", "https", "http")


def check_address(url: str, kind: AddressKind) -> None:
    """Check that `url` may be connected to: over TLS, or in clear to a numeric loopback address.

    Raises ConfigurationError; its text holds neither path nor query, which may be secret.
    """
    what, secure, clear = kind.what, kind.secure, kind.clear
    if not _PRINTABLE.fullmatch(url) or len(url) > LONGEST_URL:
        raise ConfigurationError(
            f"{what} has at most {LONGEST_URL} characters, ASCII and no spaces"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"{what} cannot be read: expected {secure}://HOST/PATH") from error
    # A dot at the end is that of the root; no label of a name is empty.
    named = host is not None and all(host.removesuffix(".").split("."))
    if parts.scheme not in (secure, clear) or not host or not named or port == 0:
        raise ConfigurationError(f"{what} begins with {secure}://HOST")
    if parts.username is not None or parts.password is not None or "#" in url:
        raise ConfigurationError(
            f"{what} has neither a user nor a fragment: a token signs what is sent"
        )
    if parts.scheme == clear and not is_loopback(host):
        raise ConfigurationError(
            f"{clear}://{host}: in clear to a loopback address only, such as"
            f" {clear}://127.0.0.1:8765/; use {secure}://"
        )


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a checked URL, which together identify its server."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    return parts.scheme, host, parts.port or _PORTS[parts.scheme]


def place(url: str) -> str:
    """Return a URL for logs and sentences: without path and query, which may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_loopback(host: str) -> bool:
    """Whether a host is a numeric loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
