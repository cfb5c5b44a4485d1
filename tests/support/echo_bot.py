"""A stand-in of a bot as a process: `python -m tests.support.echo_bot`; prints its URL."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web


async def media(request: web.Request) -> web.WebSocketResponse:
    """Say back what is heard; print what comes beside sound."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    print(f"signature {request.headers.get('X-Twilio-Signature')}", flush=True)
    async for message in socket:
        said = message.json()
        if said["event"] == "media":
            said = {key: said[key] for key in ("event", "streamSid", "media")}
            # Where the call has ended meanwhile, `stop` is still to be read.
            with suppress(ConnectionError):
                await socket.send_json(said)
        else:
            print(message.data, flush=True)
    return socket


async def main() -> None:
    app = web.Application()
    app.router.add_get("/media", media)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"ws://127.0.0.1:{runner.addresses[0][1]}/media", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
