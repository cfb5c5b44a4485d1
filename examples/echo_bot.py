"""An echo bot: it answers each call and says back what it hears.

    softphone lab --dir lab
    python echo_bot.py lab/bob.toml
    softphone call bob --account lab/alice.toml --duration 5 --record heard.wav

Ctrl-C or SIGTERM ends it: callers hear a BYE, and the registration is taken away.
"""

import asyncio
import signal
import sys

from softphone import IncomingCall, Phone, SoftphoneError, load_account


async def echo(incoming: IncomingCall) -> None:
    """Answer one call, and repeat it until the caller hangs up."""
    caller = incoming.peer.uri
    try:
        async with await incoming.answer() as call:
            print(f"{caller}: answered, {call.security.level.value}", flush=True)
            async for heard in call.audio:  # about 20 ms of 16-bit PCM; ends with the call
                await call.audio.write(heard.pcm)
    except SoftphoneError as error:  # the caller gave up, or hung up while we wrote
        print(f"{caller}: {error}", flush=True)
    print(f"{caller}: over", flush=True)


async def answer_all(phone: Phone, path: str) -> None:
    """Register, and serve all calls at once until this is canceled."""
    account = await phone.register(load_account(path).config)
    print(f"{account.aor} waits for calls", flush=True)
    async with asyncio.TaskGroup() as calls:
        async for incoming in account.incoming():
            calls.create_task(echo(incoming))


async def main(path: str) -> None:
    """Serve calls until a signal; leaving the phone's block hangs up and unregisters."""
    async with Phone() as phone:
        serving = asyncio.create_task(answer_all(phone, path))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
        try:
            await serving
        except asyncio.CancelledError:
            print("goodbye", flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "lab/bob.toml"))
    except SoftphoneError as error:  # not registered: the text says why, and what to do
        sys.exit(str(error))
