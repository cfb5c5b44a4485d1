"""Answers every call in echo, encrypted or not at all; SIGTERM lets calls end, then signs off."""

import asyncio
import signal
import sys

from softphone import EchoSource, Phone, SecurityLevel, load_account


async def answer(incoming):
    async with await incoming.answer() as call:
        call.security.require(SecurityLevel.ENCRYPTED)
        echo = EchoSource()
        call.audio.play(echo)
        call.audio.record(echo)
        await call.ended()


async def main():
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Phone() as phone:
        account = await phone.register(load_account(sys.argv[1]).config)
        calls = set()

        async def serve():
            async for incoming in account.incoming():
                calls.add(task := asyncio.create_task(answer(incoming)))
                task.add_done_callback(calls.discard)

        serving = asyncio.create_task(serve())
        print("ready", flush=True)
        await stop.wait()
        await account.unregister()  # new callers go elsewhere
        await account.wait_until_idle()  # those who are here are served to the end
        serving.cancel()
        await asyncio.gather(serving, *calls, return_exceptions=True)


asyncio.run(main())
