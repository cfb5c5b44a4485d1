"""The least SIP that says whether a server is there: one OPTIONS, and the response's bytes."""

from __future__ import annotations

import hashlib
import re
import secrets
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

END = b"\r\n\r\n"


def options(address: tuple[str, int], user: str, transport: str, local: tuple[str, int]) -> bytes:
    """An OPTIONS request to `sip:USER@HOST:PORT` (RFC 3261 11)."""
    host, port = address
    token = secrets.token_hex(8)
    at = f"{user}@" if user else ""
    lines = [
        f"OPTIONS sip:{at}{host}:{port};transport={transport} SIP/2.0",
        f"Via: SIP/2.0/{transport.upper()} {local[0]}:{local[1]};rport;branch=z9hG4bK{token}",
        "Max-Forwards: 70",
        f"From: <sip:probe@{host}>;tag={token}",
        f"To: <sip:{at}{host}>",
        f"Call-ID: {token}",
        "CSeq: 1 OPTIONS",
        f"Contact: <sip:probe@{local[0]}:{local[1]};transport={transport}>",
        "Content-Length: 0",
    ]
    return "\r\n".join(lines).encode() + END


def ask_udp(address: tuple[str, int], user: str = "probe", timeout: float = 5.0) -> bytes:
    """The response to an OPTIONS over UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        probe.settimeout(timeout)
        probe.sendto(options(address, user, "udp", probe.getsockname()), address)
        return probe.recv(65535)


def ask_tcp(address: tuple[str, int], user: str = "probe", timeout: float = 5.0) -> bytes:
    """The response to an OPTIONS over TCP."""
    with socket.create_connection(address, timeout) as stream:
        stream.sendall(options(address, user, "tcp", stream.getsockname()))
        return _response(stream)


def ask_tls(
    address: tuple[str, int],
    authority: Path,
    certificate: tuple[Path, Path] | None = None,
    user: str = "probe",
    timeout: float = 5.0,
) -> bytes:
    """The response to an OPTIONS over TLS; the server is verified against `authority`.

    Raises:
        ssl.SSLError: the server refused our certificate, or the want of one.
        ConnectionResetError: likewise.
    """
    with _tls(address, authority, certificate, timeout) as stream:
        stream.sendall(options(address, user, "tls", stream.getsockname()))
        return _response(stream)


def _response(stream: socket.socket) -> bytes:
    data = b""
    while END not in data:
        piece = stream.recv(65535)
        if not piece:
            raise ConnectionResetError("closed before a response came")
        data += piece
    return data


@dataclass(frozen=True)
class Register:
    """A REGISTER of `sip:USER@127.0.0.1`, with outbound (RFC 5626) if `reg_id` is given."""

    user: str
    address: tuple[str, int]
    reg_id: int = 0
    instance: str = "urn:uuid:00000000-0000-1000-8000-000000000001"

    def over_tls(self, authority: Path, certificate: tuple[Path, Path] | None = None) -> bytes:
        """The response to it over TLS."""
        with _tls(self.address, authority, certificate, 5.0) as stream:
            stream.sendall(self.request(stream.getsockname()))
            return _response(stream)

    @contextmanager
    def with_digest(self, authority: Path, password: str, algorithm: str) -> Iterator[bytes]:
        """The response to its second try, after the challenge with `algorithm` (RFC 7616).

        The connection is open inside `with`; Asterisk forgets the contact when it ends.
        """
        with _tls(self.address, authority, None, 5.0) as stream:
            stream.sendall(self.request(stream.getsockname()))
            challenges = headers(_response(stream))["www-authenticate"]
            chosen = next(one for one in challenges if f"algorithm={algorithm}," in f"{one},")
            answer = self._authorization(chosen, password, algorithm)
            stream.sendall(self.request(stream.getsockname(), answer))
            yield _response(stream)

    def _authorization(self, challenge: str, password: str, algorithm: str) -> str:
        fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        name = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}[algorithm]

        def digest(text: str) -> str:
            return hashlib.new(name, text.encode()).hexdigest()

        uri, realm, nonce = f"sip:{self.address[0]}", fields["realm"], fields["nonce"]
        first = digest(f"{self.user}:{realm}:{password}")
        response = digest(f"{first}:{nonce}:00000001:c:auth:{digest(f'REGISTER:{uri}')}")
        words = [f'Digest username="{self.user}"', f'realm="{realm}"', f'nonce="{nonce}"']
        words += [f'uri="{uri}"', f'response="{response}"', f"algorithm={algorithm}"]
        words += ["qop=auth", "nc=00000001", 'cnonce="c"']
        if "opaque" in fields:
            words.append(f'opaque="{fields["opaque"]}"')
        return "Authorization: " + ", ".join(words)

    def request(self, local: tuple[str, int], *more: str) -> bytes:
        """Its bytes as sent from the address `local`, with more header lines."""
        token = secrets.token_hex(8)
        contact = f"<sip:{self.user}@{local[0]}:{local[1]};transport=tls;ob>"
        if self.reg_id:
            contact += f';reg-id={self.reg_id};+sip.instance="<{self.instance}>"'
        lines = [
            f"REGISTER sip:{self.address[0]} SIP/2.0",
            f"Via: SIP/2.0/TLS {local[0]}:{local[1]};rport;branch=z9hG4bK{token}",
            "Max-Forwards: 70",
            f"From: <sip:{self.user}@{self.address[0]}>;tag={token}",
            f"To: <sip:{self.user}@{self.address[0]}>",
            f"Call-ID: {token}",
            f"CSeq: {len(more) + 1} REGISTER",
            f"Contact: {contact}",
            "Supported: outbound, path",
            "Expires: 60",
            *more,
            "Content-Length: 0",
        ]
        return "\r\n".join(lines).encode() + END


def headers(message: bytes) -> dict[str, list[str]]:
    """The values of each header field by its name in lower case."""
    found: dict[str, list[str]] = {}
    for line in message.decode().split("\r\n\r\n")[0].split("\r\n")[1:]:
        name, _, value = line.partition(":")
        found.setdefault(name.strip().lower(), []).append(value.strip())
    return found


@contextmanager
def _tls(
    address: tuple[str, int], authority: Path, certificate: tuple[Path, Path] | None, timeout: float
) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=authority)
    if certificate is not None:
        context.load_cert_chain(*certificate)
    with (
        socket.create_connection(address, timeout) as plain,
        context.wrap_socket(plain, server_hostname=address[0]) as stream,
    ):
        yield stream
