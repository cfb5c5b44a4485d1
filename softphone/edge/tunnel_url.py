"""The addresses of an edge server: of its configuration, and of servers behind it.

The first segment of a path is base64url without padding (RFC 4648 section 5): of the domain, or of
domain, scheme, host and port of the server behind the edge.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from urllib.parse import unquote, urlencode, urlsplit

from softphone.discovery.records import ServiceRecord, is_host_name
from softphone.errors import EdgeRefused
from softphone.sip.transport import is_numeric

_SCHEMES = {"https": 443, "http": 80}
_LONGEST = 1024
_MOST_DECODINGS = 4


@dataclass(frozen=True, slots=True)
class InsideServer:
    """A server behind an edge: "https" or "http", host and port."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def configuration_path(domain: str, records: tuple[ServiceRecord, ...]) -> str:
    """Return the path of `get_edge_config`, with the services that it shall look up inside."""
    query = urlencode([("service_name", each.service) for each in records])
    return f"/{_encoded(domain)}/get_edge_config{f'?{query}' if query else ''}"


def single_sign_on_path(domain: str, address: str) -> str:
    """Return the path of `get_edge_sso`, for the user with a mail address."""
    return f"/{_encoded(domain)}/get_edge_sso?{urlencode([('email', address)], safe='@')}"


def inside_server(url: str) -> InsideServer:
    """Return the server of an https: or http: URL.  Raises EdgeRefused for any other URL."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    default = _SCHEMES.get(parts.scheme)
    clean = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    named = is_numeric(host) or is_host_name(host)
    if default is None or not clean or "@" in parts.netloc or not named or _has_dots(parts.path):
        raise EdgeRefused("that is no address of a server behind the edge")
    return InsideServer(parts.scheme, host, default if port is None else port)


def tunnel_path(domain: str, url: str) -> str:
    """Return the path at the edge for a URL of a server behind it.  Raises EdgeRefused."""
    server, parts = inside_server(url), urlsplit(url)
    segment = _encoded(f"{domain}/{server.scheme}/{server.host}/{server.port}")
    query = f"?{parts.query}" if parts.query else ""
    return f"/{segment}{parts.path or '/'}{query}"


def decode_segment(segment: str) -> tuple[str, ...]:
    """Decode the first segment of a path into its parts; () for what is none."""
    if len(segment) > _LONGEST or not segment:
        return ()
    try:
        padded = segment + "=" * (-len(segment) % 4)
        text = base64.b64decode(padded.encode("ascii"), b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeError, ValueError):
        return ()
    return tuple(text.split("/"))


def _has_dots(path: str) -> bool:
    """Whether any server may find "." or ".." among the segments of a path.

    An edge that resolves them would reach the server that another segment names.  Servers differ in
    how often they decode a path, in what separates segments, and in where parameters begin (";",
    RFC 3986 section 3.3).  A path that is still encoded after `_MOST_DECODINGS` is taken for one.
    """
    for _ in range(_MOST_DECODINGS):
        decoded = unquote(path)
        if decoded == path:
            segments = path.replace("\\", "/").split("/")
            return any(each.partition(";")[0].strip() in (".", "..") for each in segments)
        path = decoded
    return True


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode("ascii")).rstrip(b"=").decode("ascii")
