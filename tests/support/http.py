"""An HTTP server for tests: answers each path with fixed bytes, and records the requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class WebServer:
    def __init__(self, **answers: bytes | Callable[[], bytes]) -> None:
        self.answers = {f"/{path}": answer for path, answer in answers.items()}
        self.requests: list[bytes] = []
        self.status = "200 OK"
        self.silent = False

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info):
        self.server.close()
        await self.server.wait_closed()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/{path}"

    async def _serve(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            ),
            0,
        )
        self.requests.append(head + await reader.readexactly(length))
        if self.silent:
            await reader.read()
        answer = self.answers.get(head.split()[1].decode(), b"")
        body = answer() if callable(answer) else answer
        try:
            writer.write(f"HTTP/1.1 {self.status}\r\nContent-Length: {len(body)}\r\n\r\n".encode())
            writer.write(body)
            await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()
