"""A dialer: it calls a list of numbers, some at a time, and finds out who answers.  A person is
connected to your agent or hears a message; a machine gets the message after its beep.

    softphone lab --dir lab
    python dialer.py lab/alice.toml --message message.wav 601 602 nobody > outcome.csv

One line of CSV for each number, as its call ends.  Calls by machine are regulated in most places:
know your rules, and call only those who have agreed to it.
"""

import argparse
import asyncio
import csv
import sys
import time

from softphone import Account, Call, Phone, SoftphoneError, load_account
from softphone.errors import Busy, Declined, NoAnswer
from softphone.events import AnswerClassified, CallEnded, ToneDetected

RING = 30.0  # seconds that a phone may ring
CLASSIFY = 20.0  # seconds for a greeting to end with a beep; some machines have none


async def who_answers(call: Call) -> str:
    """Return "human", "fax" or "silence" as soon as that is known; "machine" after its beep."""
    call.audio.detect(answer=True, tones=True)
    kind, beep = "", False
    try:
        async with asyncio.timeout(CLASSIFY):
            async for event in call.events():
                match event:
                    case AnswerClassified():
                        kind = event.kind  # a later verdict has more confidence
                    case ToneDetected(tone="beep"):
                        beep = True
                    case CallEnded():
                        return "hung up"
                if beep or kind not in ("", "machine"):
                    break
    except TimeoutError:
        pass  # a machine without a beep, or what cannot be told apart
    return kind or "unknown"


async def call_one(account: Account, number: str, options: argparse.Namespace) -> str:
    """Call one number and return how that went, in a word or two."""
    try:
        async with account.dial(number) as outgoing:  # ended with CANCEL or BYE, always
            call = await outgoing.answered(timeout=RING)
            kind = await who_answers(call)
            if kind == "human" and options.agent:
                await call.transfer(options.agent)
                return "human, connected"
            if kind in ("human", "machine"):
                call.audio.play(options.message)
                await call.audio.played()
                return f"{kind}, message played"
            return kind
    except Busy:
        return "busy"
    except (NoAnswer, Declined):
        return "no answer"
    except SoftphoneError as error:
        return f"failed: {error}"


async def main(options: argparse.Namespace) -> None:
    """Call all numbers, `options.parallel` at a time."""
    lines = asyncio.Semaphore(options.parallel)
    table = csv.writer(sys.stdout)
    table.writerow(["number", "outcome", "seconds"])
    async with Phone() as phone:
        account = await phone.register(load_account(options.account).config)

        async def dial(number: str) -> None:
            async with lines:
                started = time.monotonic()
                outcome = await call_one(account, number, options)
            table.writerow([number, outcome, f"{time.monotonic() - started:.1f}"])
            sys.stdout.flush()

        async with asyncio.TaskGroup() as calls:
            for number in options.numbers:
                calls.create_task(dial(number))


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Call numbers and find out who answers.")
    parser.add_argument("account", help="the account file")
    parser.add_argument("numbers", nargs="+", help="SIP URIs, or users of our own domain")
    parser.add_argument("--message", required=True, help="a WAV file")
    parser.add_argument("--agent", help="whom people are connected to, instead of the message")
    parser.add_argument("--parallel", type=int, default=4, help="the most calls at a time")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        asyncio.run(main(parse_arguments()))
    except KeyboardInterrupt:
        sys.exit(130)
    except SoftphoneError as error:  # not registered: the text says why, and what to do
        sys.exit(str(error))
