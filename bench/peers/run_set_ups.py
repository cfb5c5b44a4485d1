"""One run of set-ups in a process of its own, for bench_set_up_beside_peers.

    python bench/peers/run_set_ups.py ours|aiosipua SECONDS PORT [CA]

`AT_ONCE` calls at a time from the last core, as many as go: each is dialed, answered and hung up.
Ours goes over TLS, with SDES keys, sockets, SRTP contexts and media rows made and closed; aiosipua
goes over UDP in clear, without media.  Prints processor microseconds a call, and calls a second.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

from softphone.load.run import relaxed_garbage_collection

AT_ONCE = 32
WARM_UP = 1.0
ENDED = 5.0
"""Seconds in which a hung up call must have ended."""
Call = Callable[[], Awaitable[None]]


async def make_calls(call: Call, seconds: float) -> dict[str, float]:
    """Make calls back to back, and count them and their processor time."""
    done = 0

    async def again(until: float) -> None:
        nonlocal done
        while time.monotonic() < until:
            await call()
            done += 1

    for length in (WARM_UP, seconds):
        done, begun, used = 0, time.monotonic(), time.process_time()
        await asyncio.gather(*(again(begun + length) for _ in range(AT_ONCE)))
    elapsed, used = time.monotonic() - begun, time.process_time() - used
    return {
        "calls": done,
        "us_a_call": round(used / done * 1e6, 1),
        "calls_per_second": round(done / elapsed, 1),
        "core_share": round(used / elapsed, 3),
    }


async def our_caller(stack: AsyncExitStack, port: int, ca: str) -> Call:
    """A phone with one account at the echo."""
    from softphone import Phone
    from softphone.config import AccountConfig, MediaPreferences, TlsConfig
    from softphone.security import CryptoSuite, SrtpPolicy

    phone = await stack.enter_async_context(Phone())
    account = await phone.register(
        AccountConfig(
            aor="sip:load@localhost",
            outbound_proxy=f"sips:localhost:{port}",
            tls=TlsConfig(ca=(Path(ca),)),
            media=MediaPreferences(
                srtp=SrtpPolicy.REQUIRED, suites=(CryptoSuite.AES_CM_128_HMAC_SHA1_80,)
            ),
        )
    )

    async def call() -> None:
        async with account.dial("sip:echo@localhost") as outgoing:
            answered = await outgoing.answered(timeout=ENDED)
        await answered.ended()

    return call


async def their_caller(stack: AsyncExitStack, port: int, ca: str) -> Call:
    """aiosipua's client."""
    theirs: Any = import_module("aiosipua")
    transport = theirs.UdpSipTransport(local_addr=("127.0.0.1", 0))
    client = theirs.SipUAC(transport)
    ended: dict[str, asyncio.Event] = {}

    def take(message: Any, source: Any) -> None:
        client.handle_response(message, source)
        if message.cseq.method == "BYE":
            ended.pop(message.call_id).set()

    transport.on_message = take
    await transport.start()
    stack.push_async_callback(transport.stop)
    socket = transport._udp_transport.get_extra_info("sockname")
    transport.local_addr = socket[:2]
    offer = theirs.build_sdp("127.0.0.1", 40_000, 0, "PCMU")

    async def call() -> None:
        outgoing = client.send_invite(
            "sip:load@localhost", f"sip:echo@127.0.0.1:{port}", ("127.0.0.1", port), offer
        )
        await outgoing.wait_answered(ENDED)
        bye = ended[outgoing.call_id] = asyncio.Event()
        outgoing.hangup(client)
        await asyncio.wait_for(bye.wait(), ENDED)
        client.remove_call(outgoing.call_id)

    return call


async def run(caller: str, port: int, ca: str, seconds: float) -> dict[str, float]:
    """Measure one caller."""
    async with AsyncExitStack() as stack:
        make = our_caller if caller == "ours" else their_caller
        call = await make(stack, port, ca)
        with relaxed_garbage_collection():
            return await make_calls(call, seconds)


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sys.path[1:1] = [path for path in (os.environ.get("AIOSIPUA"),) if path]
    named, length, its_port, *authority = sys.argv[1:]
    print(json.dumps(asyncio.run(run(named, int(its_port), "".join(authority), float(length)))))
