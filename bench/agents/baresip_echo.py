"""An echo bot of baresip-python's, for bench_bot_latency; run by an interpreter that has it.

    python bench/agents/baresip_echo.py CA_FILE CERTIFICATE_AND_KEY_FILE PORT [nosrtp]

Answers each call over TLS at PORT + 1 with SRTP that it demands, and writes what it reads every
5 ms, a quarter of a packet, as its documentation says of an empty read: sleep and try again.
Prints a line of JSON when it is ready.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress

import baresip

VISIT = 0.005


async def echo(call: baresip.Call) -> None:
    """Answer, and say back what is heard until the call is over."""
    await call.answer()
    while call.state is not baresip.CallState.CLOSED:
        with suppress(baresip.AudioNotActive, baresip.AudioRestarted):
            if heard := call.audio.read(4096):
                call.audio.write(heard)
                continue
        await asyncio.sleep(VISIT)


async def main() -> None:
    """Serve until the input ends."""
    authority, identity, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    runtime = baresip.Runtime()
    extra = f"sip_listen 127.0.0.1:{port}\nsip_cafile {authority}\nsip_certificate {identity}\n"
    await runtime.start(baresip.Config(net_interface="127.0.0.1", extra_config_text=extra))
    account = baresip.Account(
        user="bot",
        domain="127.0.0.1",
        password="",
        reg_interval=0,
        transport="tls",
        extra_params=("mediaenc=srtp-mand",),
    )
    agent = await baresip.UserAgent.create(runtime, account)
    tasks: set[asyncio.Task[None]] = set()
    agent.on_incoming(lambda call: tasks.add(asyncio.create_task(echo(call))))
    print(json.dumps({"port": port + 1, "version": baresip.__version__}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runtime.close()


if __name__ == "__main__":
    asyncio.run(main())
