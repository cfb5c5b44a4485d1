"""A tab of a headless Chromium that a test steers, by the DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

from tests.support.browser import command

PATIENCE = 120.0
"""Seconds for one thing: a browser, and what it loads, takes long on a busy machine."""


class Tab:
    """A tab that is steered by the DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def do(self, method: str, **parameters: object) -> dict:
        """The result of a command."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            heard = await self._socket.receive_json(timeout=PATIENCE)
            if heard.get("id") == number:
                assert "error" not in heard, heard
                return heard["result"]

    async def run(self, script: str) -> object:
        """The value of an expression, awaited if it is a promise."""
        found = await self.do(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, script: str) -> object:
        """The value of an expression, as soon as it is true."""
        async with asyncio.timeout(PATIENCE):
            while not (value := await self.run(script)):  # noqa: ASYNC110 - it is the page's
                await asyncio.sleep(0.05)
        return value

    async def picture(self, width: int, *, dark: bool = False) -> bytes:
        """A picture of the whole page, so wide, as PNG."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.do("Emulation.setEmulatedMedia", features=[scheme])
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        await self.do("Emulation.setDeviceMetricsOverride", **size)
        await self.run("new Promise((done) => setTimeout(done, 300))")
        found = await self.do("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(found["data"])


@asynccontextmanager
async def tab(folder: Path):
    """A `Tab` with an empty page; `folder` is for the profile."""
    process = await asyncio.create_subprocess_exec(
        *command(folder),
        "--remote-debugging-port=0",
        "--remote-allow-origins=*",
        "about:blank",
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        while b"DevTools listening" not in (line := await process.stderr.readline()):
            assert line, "it ended"
        port = int(line.rsplit(b":", 1)[1].partition(b"/")[0])
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                pages = await answer.json()
            place = next(page for page in pages if page["type"] == "page")
            async with session.ws_connect(place["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Tab(socket)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
