"""A script without asyncio: it calls people one after the other until one of them presses 1.

    softphone lab --dir lab
    python alarm.py lab/alice.toml --message alarm.wav bob dave

Exit status 0: somebody took the alarm (their number is printed); 1: nobody did.
"""

import argparse
import sys

from softphone import SoftphoneError, load_account
from softphone.blocking import Account, Call, Phone, timeout
from softphone.errors import CallError
from softphone.events import DigitReceived

RING_SECONDS = 30.0


def confirmed(call: Call, seconds: float) -> bool:
    """Whether 1 is pressed within some seconds; another digit, a hang-up or nothing is a no."""
    try:
        with timeout(seconds):
            for event in call.events():  # ends with the call
                if isinstance(event, DigitReceived):
                    return event.digit == "1"
    except TimeoutError:
        pass
    return False


def ask(account: Account, number: str, message: str, seconds: float) -> bool:
    """Call one number, play the message, and return whether it was confirmed."""
    try:
        with account.dial(number) as outgoing:  # ended with CANCEL or BYE, always
            call = outgoing.answered(timeout=RING_SECONDS)
            call.audio.play(message)
            return confirmed(call, seconds)
    except CallError as error:  # busy, no answer, not found, ...
        print(f"{number}: {error}", file=sys.stderr)
        return False


def main() -> int:
    """Call everybody in turn."""
    parser = argparse.ArgumentParser(description="Call people until one presses 1.")
    parser.add_argument("account", help="the account file")
    parser.add_argument("numbers", nargs="+", help="SIP URIs, or users of our own domain")
    parser.add_argument("--message", required=True, help="a WAV file")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to wait for the 1")
    options = parser.parse_args()
    with Phone() as phone:
        account = phone.register(load_account(options.account).config)
        for number in options.numbers:
            if ask(account, number, options.message, options.seconds):
                print(number)
                return 0
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SoftphoneError as error:  # not registered: the text says why, and what to do
        sys.exit(str(error))
