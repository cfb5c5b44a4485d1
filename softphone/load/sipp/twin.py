"""The connection to a twin: another run, of ours or of SIPp, that controls the other call (3PCC).

Commands are texts that end with an escape character, over TCP.  They are unencrypted and
unauthenticated, so only loopback addresses are taken.  SIPp's own format, which has no standard.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable

from softphone.errors import ConfigurationError, TransportError
from softphone.load.sipp.template import decode_text, encode_text

MOST_OCTETS = 65_536
"""The longest command."""
MOST_UNSENT = 1 << 20
"""Octets of commands that may wait for a twin to connect, or to read."""
TIMEOUT = 10.0
"""Seconds for the twin to take our connection."""
_END = b"\x1b"


def parse_twin(text: str) -> tuple[str, int]:
    """Parse HOST:PORT, loopback only.  Raises ConfigurationError."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        own = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host).is_loopback
    except ValueError:
        own = False
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        own = False
    if not own:
        raise ConfigurationError(
            f"--twin {text}: expected HOST:PORT of this machine, such as 127.0.0.1:6000, since"
            " commands go in clear; for another machine use a tunnel (ssh -L)"
        )
    return host, int(port)


class TwinConnection:
    """Sends commands to a twin and calls `on_command` with each that comes; close it after use.

    `on_close` is called when the twin ends the connection, sends more than 65,536 octets without an
    end, or leaves more than a megabyte of commands unread.
    """

    def __init__(
        self, on_command: Callable[[str], None], on_close: Callable[[], None] = lambda: None
    ) -> None:
        self._on_command = on_command
        self._on_close = on_close
        self._server: asyncio.Server | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: list[bytes] = []

    async def connect(self, host: str, port: int) -> None:
        """Connect to a twin that listens.  Raises TransportError."""
        try:
            async with asyncio.timeout(TIMEOUT):
                opened = await asyncio.open_connection(host, port, limit=MOST_OCTETS)
        except (OSError, TimeoutError) as error:
            reason = getattr(error, "strerror", None) or "no answer"
            raise TransportError(f"--twin {host}:{port}: {reason}; start it first") from error
        self._take(*opened)

    async def listen(self, host: str, port: int) -> None:
        """Listen for one twin; further connections are closed.  Raises TransportError."""
        try:
            self._server = await asyncio.start_server(self._take, host, port, limit=MOST_OCTETS)
        except OSError as error:
            raise TransportError(f"--twin {host}:{port}: {error.strerror or error}") from error

    def send(self, text: str) -> None:
        """Send a command; before the twin is there it is kept."""
        data, writer = encode_text(text) + _END, self._writer
        if writer is None:
            if sum(map(len, self._waiting)) > MOST_UNSENT:
                self._on_close()
            else:
                self._waiting.append(data)
        elif writer.transport.get_write_buffer_size() > MOST_UNSENT:
            writer.transport.abort()  # which ends the reading, too
        elif not writer.is_closing():
            writer.write(data)

    async def close(self) -> None:
        """Close the connection, and wait for a twin no longer."""
        if self._server is not None:
            self._server.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._writer is not None:
            writer.close()
            return
        self._writer = writer
        for data in self._waiting:
            writer.write(data)
        self._waiting.clear()
        self._reading = asyncio.ensure_future(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                data = await reader.readuntil(_END)
                self._on_command(decode_text(data[:-1]))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            self._on_close()
