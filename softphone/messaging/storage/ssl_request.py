"""Asking a PostgreSQL server for TLS: eight octets in clear, one in answer, and nothing else.

PostgreSQL's frontend/backend protocol 3.0, "SSL Session Encryption", sans IO.  There is no way on
without TLS.  What comes after the answer in clear is refused, since nobody vouches for it
(CVE-2021-23222).
"""

from __future__ import annotations

from softphone.errors import TransportError

_REQUEST = bytes.fromhex("0000000804d2162f")  # length 8, code 80877103


class SslRequest:
    """One conversation; `first_bytes`, then `answer_bytes` until it is `ready_for_tls`."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._ready = False

    @property
    def ready_for_tls(self) -> bool:
        """Whether the server waits for the handshake."""
        return self._ready

    def first_bytes(self) -> bytes:
        """The SSLRequest."""
        return _REQUEST

    def answer_bytes(self, data: bytes) -> bytes:
        """Nothing more is sent.  Raises TransportError when there will be no TLS."""
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
