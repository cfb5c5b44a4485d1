"""A chat server in a thread that speaks STARTTLS only; `said` is what it received."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

STREAMS = "http://etherx.jabber.org/streams"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
HEADER = f"<stream:stream xmlns='jabber:client' xmlns:stream='{STREAMS}' version='1.0' id='s'>"
OFFER = f"<stream:features><starttls xmlns='{TLS}'><required/></starttls></stream:features>"
PROCEED = f"<proceed xmlns='{TLS}'/>"
PATIENCE = 40.0


@dataclass
class Told:
    """What one connection brought: in clear, and (None without a handshake) within TLS."""

    clear: bytes = b""
    within: bytes | None = None


@dataclass
class ChatServer:
    """Where it is, and what each connection brought; `offer` are its features."""

    context: ssl.SSLContext
    offer: str = OFFER
    said: list[Told] = field(default_factory=list)
    port: int = 0

    def serve(self, listener: socket.socket) -> None:
        """Serve one after the other until the listener is closed."""
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            told = Told()
            self.said.append(told)
            sock.settimeout(PATIENCE)
            try:
                self._converse(sock, told)
            except OSError:
                continue  # what it was told by then is what the test looks at
            finally:
                sock.close()

    def _converse(self, sock: socket.socket, told: Told) -> None:
        self._until(sock, told, b">")
        sock.sendall(f"{HEADER}{self.offer}".encode())
        self._until(sock, told, b"/>")
        sock.sendall(PROCEED.encode())
        with self.context.wrap_socket(sock, server_side=True) as secured:
            told.within = b""
            while piece := secured.recv(4096):
                told.within += piece

    def _until(self, sock: socket.socket, told: Told, end: bytes) -> None:
        while not told.clear.endswith(end):
            piece = sock.recv(4096)
            if not piece:
                raise ConnectionError("it has gone")
            told.clear += piece


@contextmanager
def chat_server(context: ssl.SSLContext, offer: str = OFFER) -> Iterator[ChatServer]:
    """One that runs until the end, when all its connections have been served."""
    server = ChatServer(context, offer)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
        thread = threading.Thread(target=server.serve, args=(listener,))
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)
