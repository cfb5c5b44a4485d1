"""The least SIP that says whether a server is there: one OPTIONS, and the response's bytes."""

from __future__ import annotations

import secrets
import socket
import ssl
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
    context = ssl.create_default_context(cafile=authority)
    if certificate is not None:
        context.load_cert_chain(*certificate)
    with (
        socket.create_connection(address, timeout) as plain,
        context.wrap_socket(plain, server_hostname=address[0]) as stream,
    ):
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
