"""Requests TLS from a PostgreSQL server: eight octets in clear, one octet in answer.

PostgreSQL's frontend/backend protocol 3.0, "SSL Session Encryption", sans IO.  Without TLS the
connection ends.  Octets in clear after the answer are refused, since they are not authenticated
(CVE-2021-23222).
"""

from __future__ import annotations

from softphone.errors import TransportError

_REQUEST = bytes.fromhex("0000000804d2162f")  # length 8, code 80877103


class SslRequest:
    """One negotiation: send `first_bytes`, then call `answer_bytes` until `ready_for_tls`."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._ready = False

    @property
    def ready_for_tls(self) -> bool:
        """Whether the server has agreed, so that the TLS handshake can start."""
        return self._ready

    def first_bytes(self) -> bytes:
        """Return the SSLRequest message."""
        return _REQUEST

    def answer_bytes(self, data: bytes) -> bytes:
        """Check the server's answer; return no bytes.  Raises TransportError if it refuses TLS."""
        if self._ready or len(data) > 1:
            raise TransportError(f"{self._host} goes on in clear after it was asked for TLS")
        if data == b"N":
            raise TransportError(
                f"the database at {self._host} has no TLS, and nothing is sent to it in clear:"
                " switch TLS on there (ssl = on)"
            )
        if data != b"S":
            raise TransportError(f"{self._host} does not speak PostgreSQL's protocol")
        self._ready = True
        return b""
