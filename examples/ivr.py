"""The smallest IVR: it plays a prompt, waits for a digit, and transfers the caller by a menu.

    softphone lab --dir lab
    python ivr.py lab/bob.toml --prompt menu.wav 1=601 2=dave
    softphone call bob --account lab/alice.toml --digits ,1 --duration 10 --record heard.wav

Who presses nothing, or what is not on the menu, hears the prompt again, three times in all.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator

from softphone import Call, IncomingCall, Phone, SoftphoneError, load_account
from softphone.errors import CallError
from softphone.events import CallEvent, CallState, DigitReceived

TRIES = 3


async def choose(call: Call, events: AsyncIterator[CallEvent], options: argparse.Namespace) -> str:
    """Play the prompt and return the digit that is pressed; "" when none comes in time."""
    call.audio.play(options.prompt)  # returns at once
    try:
        async with asyncio.timeout(options.seconds):
            async for event in events:  # ends with the call
                if isinstance(event, DigitReceived):
                    call.audio.play(None)  # they have chosen: be silent
                    return event.digit
    except TimeoutError:
        pass
    return ""


async def talk(call: Call, options: argparse.Namespace) -> str:
    """Ask until a digit is on the menu, and transfer; return how it went."""
    events = call.events()  # opened once: each call of it tells everything again
    for _ in range(TRIES):
        target = options.menu.get(await choose(call, events, options))
        if call.state is CallState.TERMINATED:
            return "hung up"
        if target is not None:
            try:
                await call.transfer(target)  # the caller is theirs now
                return f"transferred to {target}"
            except CallError as error:
                print(f"{target}: {error}", flush=True)  # the call goes on: ask again
    call.hangup(q850_cause=16, reason="nothing was chosen")
    return "nothing was chosen"


async def serve(incoming: IncomingCall, options: argparse.Namespace) -> None:
    """Answer one call; it is hung up at the end of the block, whatever happens."""
    caller = incoming.peer.display_name or incoming.peer.uri.user
    try:
        async with await incoming.answer() as call:
            print(f"{caller}: {await talk(call, options)}", flush=True)
    except SoftphoneError as error:  # the caller gave up, or the call failed
        print(f"{caller}: {error}", flush=True)


async def main(options: argparse.Namespace) -> None:
    """Serve all calls at once until Ctrl-C."""
    async with Phone() as phone, asyncio.TaskGroup() as calls:
        account = await phone.register(load_account(options.account).config)
        print(f"{account.aor} waits for calls", flush=True)
        async for incoming in account.incoming():
            calls.create_task(serve(incoming, options))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Play a menu, and transfer by the digit pressed.")
    parser.add_argument("account", help="the account file")
    parser.add_argument("menu", nargs="+", metavar="DIGIT=TARGET", help="1=601 2=sip:a@b.example")
    parser.add_argument("--prompt", required=True, help="a WAV file")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to wait for a digit")
    given = parser.parse_args()
    given.menu = dict(each.split("=", 1) for each in given.menu)
    try:
        asyncio.run(main(given))
    except SoftphoneError as error:  # not registered: the text says why, and what to do
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass
