"""Lends a verified connection to a library that makes its own, through a private socket, once.

The far end has passed the gate before the socket exists.  The socket is an AF_UNIX one (0600) in a
folder of its own (0700); it accepts exactly one connection, from this very process, and socket and
folder are removed by then.  The relay does not read what it carries.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

from softphone.errors import ConfigurationError, SoftphoneError, TransportError
from softphone.net.stream import ConnectionOwner, StreamConnection
from softphone.sans_io import Flow

OpenVerified = Callable[[ConnectionOwner], Awaitable[StreamConnection]]
"""`await open(owner)` returns a connection that has passed the gate, attached to `owner`."""

_READ = 1 << 16
_MOST_WAITING = 1 << 20
_ACCEPT_WITHIN = 10.0
_SOL_LOCAL, _LOCAL_PEERPID = 0, 2


class LocalRelay:
    """An async context manager; `path` is the socket for the one connection, called `name`.

    Entering raises what opening the verified connection raises; `failure` is why it ended.
    """

    def __init__(self, open_verified: OpenVerified, name: str = "relay") -> None:
        self._open = open_verified
        self._name = name
        self._remote: StreamConnection | None = None
        self._listening: socket.socket | None = None
        self._local: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        self._waiting = 0
        self._folder: Path | None = None
        self.path = Path()
        self.failure: SoftphoneError | None = None

    async def __aenter__(self) -> Self:
        self._remote = await self._open(self)
        try:
            self._listen()
        except BaseException:
            await self.close()
            raise
        self._task = asyncio.get_running_loop().create_task(self._run())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def wait_until_ended(self) -> None:
        """Wait until either side has closed."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def close(self) -> None:
        """End both connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        self._tidy()
        if self._local is not None:
            self._local.close()
        if self._remote is not None:
            self._remote.abort()
            await self._remote.finished

    def _listen(self) -> None:
        if not hasattr(socket, "AF_UNIX"):
            raise ConfigurationError(
                "LDAP, PostgreSQL and bots over TLS need local sockets (AF_UNIX), which Python "
                "does not have on this system: use Linux or macOS for them"
            )
        self._folder = Path(tempfile.mkdtemp(prefix="softphone-"))  # 0700
        self.path = self._folder / self._name
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.setblocking(False)
        self._listening.bind(str(self.path))
        self.path.chmod(0o600)  # until then its folder keeps others away
        self._listening.listen(1)

    def _tidy(self) -> None:
        """Remove socket and folder: nothing else can connect from here on."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        if self._folder is not None:
            self.path.unlink(missing_ok=True)
            self._folder.rmdir()
            self._folder = None

    async def _run(self) -> None:
        try:
            self._local = await self._accept()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._upward(self._local))
                group.create_task(self._downward(self._local))
        except* (OSError, SoftphoneError, EOFError) as group:
            first = group.exceptions[0]
            if self.failure is None and isinstance(first, SoftphoneError):
                self.failure = first
        finally:
            self._tidy()
            if self._local is not None:
                with contextlib.suppress(OSError):  # it may be gone already
                    self._local.shutdown(socket.SHUT_RDWR)

    async def _accept(self) -> socket.socket:
        if self._listening is None:
            raise TransportError("the relay is closed")
        async with asyncio.timeout(_ACCEPT_WITHIN):
            local, _ = await asyncio.get_running_loop().sock_accept(self._listening)
        self._tidy()
        pid = _process_of(local)
        if pid != os.getpid():
            local.close()
            raise TransportError(f"process {pid} came to a socket that is not for it")
        local.setblocking(False)
        return local

    async def _upward(self, local: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(local, _READ):
            if self._remote is None or self._remote.finished.done():
                break
            self._remote.write(data)
            self._remote.flush()
            await self._remote.drained()
        raise EOFError

    async def _downward(self, local: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while data := await self._outgoing.get():
            await loop.sock_sendall(local, data)
            self._waiting -= len(data)
            remote = self._remote
            if self._waiting < _MOST_WAITING and remote is not None and not remote.finished.done():
                remote.transport.resume_reading()
        raise EOFError

    # ConnectionOwner

    def bytes_received(self, flow: Flow, data: bytes) -> None:
        """Carry bytes to the library; reading pauses while the library is slower."""
        self._outgoing.put_nowait(data)
        self._waiting += len(data)
        if self._waiting >= _MOST_WAITING and self._remote is not None:
            self._remote.transport.pause_reading()

    def flow_ended(self, flow: Flow, error: SoftphoneError | None) -> None:
        """End the relay when the far end is gone."""
        self.failure = self.failure or error
        self._outgoing.put_nowait(b"")

    def request_flush(self, connection: StreamConnection) -> None:
        """Flush at once."""


def _process_of(local: socket.socket) -> int:
    """The id of the process at the other end of an AF_UNIX socket."""
    if sys.platform == "darwin":
        return local.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID)
    size = struct.calcsize("3i")
    pid: int = struct.unpack("3i", local.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[0]
    return pid
